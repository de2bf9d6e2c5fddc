//! Whom no quarantine may select.

use super::error::PolicyError;
use super::labels::Seen;

/// Namespaces that keep a cluster alive; a detector or margay.yaml cannot take them off.
const BUILT_IN: [&str; 7] =
    ["kube-system", "kube-public", "kube-node-lease", "calico-*", "tigera-*", "margay", "margay-*"];
/// Labels of cluster DNS and of margay, wherever they run.
const LABELS: [(&str, &[&str]); 3] = [
    ("k8s-app", &["kube-dns", "coredns", "calico-node", "kube-proxy", "cilium"]),
    ("app.kubernetes.io/name", &["coredns", "margay"]),
    ("app", &["margay"]),
];

/// Refuses a protected namespace.
pub(super) fn namespace(namespace: &str, more: &[String]) -> Result<(), PolicyError> {
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => namespace.starts_with(start),
        None => namespace == pattern,
    };
    match BUILT_IN.iter().copied().chain(more.iter().map(String::as_str)).find(|pattern| matches(pattern)) {
        Some(by) => Err(PolicyError::Protected { namespace: namespace.to_owned(), by: by.to_owned() }),
        None => Ok(()),
    }
}

/// Refuses cluster DNS, margay itself, and what is no pod, by what any row says.
pub(super) fn workload(seen: &Seen) -> Result<(), PolicyError> {
    if let Some(kind) = seen.kinds.iter().find(|kind| !kind.eq_ignore_ascii_case("wep")) {
        return Err(PolicyError::NotAPod { kind: kind.clone() });
    }
    let protected = |labels: &super::labels::Labels| {
        LABELS.iter().find_map(|(key, values)| {
            let value = labels.get(*key)?;
            values.contains(&value.as_str()).then(|| format!("{key}={value}"))
        })
    };
    match seen.labels.iter().find_map(protected) {
        Some(label) => Err(PolicyError::ProtectedWorkload { label }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_and_listed_namespaces_are_protected() {
        let listed = ["payments".to_owned(), "team-a-*".to_owned()];
        for name in ["kube-system", "calico-apiserver", "tigera-prometheus", "payments", "team-a-x", "margay"] {
            assert!(matches!(namespace(name, &listed), Err(PolicyError::Protected { .. })), "{name}");
        }
        for name in ["shop", "payments2", "team-b", "kube-systems"] {
            assert!(namespace(name, &listed).is_ok(), "{name}");
        }
    }
}
