//! What a policy has to say, whatever its template makes of it.

use std::collections::BTreeMap;

use margay_core::digest;

use super::selection::Selection;
use super::selector;
use super::target::Target;
use super::{PolicyKind, Quarantine};
use crate::plain::plain;

/// Label of every policy that margay writes.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "margay");

/// Keys and values of an object's labels or annotations.
pub(super) type Texts = BTreeMap<String, String>;

/// What a policy has to say.
#[derive(Clone, Debug)]
pub(super) struct Meant {
    pub(super) kind: PolicyKind,
    /// Denies when applied.
    pub(super) enforced: bool,
    /// Without Calico's tier: `quarantine-0123456789abcdef`.
    pub(super) name: String,
    pub(super) namespace: String,
    /// Labels of the pods, which have to be in the namespace too.
    pub(super) pods: Texts,
    pub(super) labels: Texts,
    pub(super) annotations: Texts,
    pub(super) files: Files,
}

/// Names of the three files.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) policy: String,
    pub(super) undo: String,
    pub(super) report: String,
}

impl Meant {
    pub(super) fn new(request: &Quarantine<'_>, target: &Target, selection: &Selection) -> Self {
        let alert = request.alert;
        let name = format!("quarantine-{}", short_id(&alert.id));
        let annotations = [
            ("margay/alert", plain(&alert.id)),
            ("margay/detector", plain(&alert.detector)),
            ("margay/expires-at", request.expires.to_string()),
            ("margay/incident", plain(&alert.incident)),
            ("margay/workload", format!("{}/{}", target.namespace, target.workload)),
        ];
        Self {
            kind: request.kind,
            enforced: request.enforced,
            namespace: target.namespace.clone(),
            pods: selection.labels.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            labels: Texts::from([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())]),
            annotations: annotations.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            files: Files {
                policy: format!("{name}.yaml"),
                undo: format!("{name}.undo.yaml"),
                report: format!("{name}.md"),
            },
            name,
        }
    }

    /// Calico's name of the kind that is written.
    pub(super) fn object_kind(&self) -> &'static str {
        match (self.kind, self.enforced) {
            (PolicyKind::Calico, true) => "GlobalNetworkPolicy",
            (PolicyKind::Calico, false) => "StagedGlobalNetworkPolicy",
            (PolicyKind::Kubernetes, _) => "NetworkPolicy",
        }
    }

    /// Calico's selector: the namespace first, then the pods.
    pub(super) fn selector(&self) -> String {
        let namespace = ("projectcalico.org/namespace", self.namespace.as_str());
        selector::write([namespace].into_iter().chain(self.pods.iter().map(|(key, value)| (&**key, &**value))))
    }

    /// Lines above the policy.
    pub(super) fn comment(&self) -> String {
        let what = match (self.kind, self.enforced) {
            (PolicyKind::Calico, true) => "denies all traffic of one workload",
            (PolicyKind::Calico, false) => "staged: flow logs show what it would deny, and nothing is denied",
            (PolicyKind::Kubernetes, _) => "denies the traffic of one workload that no other NetworkPolicy allows",
        };
        let Files { policy, undo, report } = &self.files;
        format!(
            "# Quarantine by margay; {what}. Why: {report}\n\
             # Take effect: kubectl apply -f {policy}\n\
             # Lift it:     kubectl apply -f {undo}, or kubectl delete -f {undo}\n"
        )
    }

    /// Lines above the undo.
    pub(super) fn undo_comment(&self) -> String {
        let Files { policy, undo, .. } = &self.files;
        format!(
            "# Undo of {policy}: the same policy, selecting nothing.\n\
             # Lift the quarantine: kubectl apply -f {undo}\n\
             # and clean up:        kubectl delete -f {undo}\n"
        )
    }
}

/// The alert's id where it can stand in a name, otherwise its digest.
fn short_id(id: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    if (1..=16).contains(&id.len()) && id.bytes().all(is_plain) { id.to_owned() } else { digest(&[id]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_hold_nothing_but_letters_and_digits_of_the_id() {
        assert_eq!(short_id("0123456789abcdef"), "0123456789abcdef");
        for id in ["", "../../etc/passwd", "A", "a b", "a\n", &"a".repeat(17)] {
            let short = short_id(id);
            assert!(short.len() == 16 && short.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}: {short}");
        }
    }
}
