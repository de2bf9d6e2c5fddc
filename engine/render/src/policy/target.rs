//! Whom a quarantine is about.

use margay_core::Entity;

use super::error::PolicyError;
use super::names::{is_dns_label, is_dns_name};

/// Sides of a connection, the acting one first: a scan's victim is not isolated for being scanned.
pub(super) const SIDES: [&str; 5] = ["source_", "src_", "client_", "", "dest_"];
/// Columns that hold one pod's name, after the side.
pub(super) const POD_COLUMNS: [&str; 3] = ["name", "pod", "pod_name"];
/// Columns that hold the name of a group of pods, such as `web-5d8f9c7b6-*`.
pub(super) const GROUP_COLUMNS: [&str; 2] = ["name_aggr", "workload"];

/// A pod, or a group of pods, in a namespace; names are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) namespace: String,
    /// As the log has it: `web-5d8f9c7b6-*`, or a pod's name.
    pub(super) workload: String,
    /// One pod rather than a group.
    pub(super) is_pod: bool,
}

impl Target {
    /// The first side of the entity that has a namespace.
    pub(super) fn of(entity: &Entity) -> Result<Self, PolicyError> {
        let has = |column: &str| entity.columns().iter().any(|name| name == column);
        let side = SIDES.iter().find(|side| has(&format!("{side}namespace"))).ok_or(PolicyError::NoNamespace)?;
        let value = |column: &str| entity.get(&format!("{side}{column}")).filter(|value| !matches!(*value, "" | "-"));
        let namespace = value("namespace").ok_or(PolicyError::NoNamespace)?.to_owned();
        if !is_dns_label(&namespace) {
            return Err(PolicyError::Name { what: "namespace", value: namespace });
        }
        let pod = POD_COLUMNS.iter().find_map(|column| value(column));
        let group = GROUP_COLUMNS.iter().find_map(|column| value(column));
        let Some(workload) = pod.or(group).map(str::to_owned) else {
            return Err(PolicyError::NoWorkload { namespace });
        };
        let stem = workload.strip_suffix('*').map_or(workload.as_str(), |stem| stem.strip_suffix('-').unwrap_or(stem));
        if !is_dns_name(stem) {
            return Err(PolicyError::Name { what: "workload", value: workload });
        }
        let is_pod = pod.is_some() && !workload.ends_with('*');
        Ok(Self { namespace, workload, is_pod })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn target(pairs: &[(&str, Option<&str>)]) -> Result<Target, PolicyError> {
        Target::of(&Entity::new(
            pairs.iter().map(|(column, _)| (*column).to_owned()).collect(),
            pairs.iter().map(|(_, value)| value.map(str::to_owned)).collect(),
        ))
    }

    #[test]
    fn the_acting_side_is_the_one_that_is_isolated() {
        let both = [
            ("dest_namespace", Some("shop")),
            ("dest_name_aggr", Some("web-*")),
            ("source_namespace", Some("test")),
            ("source_name_aggr", Some("netshoot")),
        ];
        let found = target(&both).unwrap();
        assert_eq!((found.namespace.as_str(), found.workload.as_str(), found.is_pod), ("test", "netshoot", false));
        let outside = [("source_namespace", Some("-")), ("source_name", Some("-")), ("dest_namespace", Some("shop"))];
        assert!(matches!(target(&outside), Err(PolicyError::NoNamespace)));
    }

    #[test]
    fn a_pod_is_told_from_a_group() {
        assert!(target(&[("namespace", Some("shop")), ("pod", Some("web-0"))]).unwrap().is_pod);
        let group =
            target(&[("client_namespace", Some("shop")), ("client_name", None), ("client_name_aggr", Some("web-*"))]);
        assert!(!group.unwrap().is_pod);
    }

    #[test]
    fn an_entity_without_namespace_or_workload_is_refused() {
        assert!(matches!(target(&[("host", Some("node-1"))]), Err(PolicyError::NoNamespace)));
        assert!(matches!(target(&[("namespace", None), ("name", Some("x"))]), Err(PolicyError::NoNamespace)));
        assert!(matches!(target(&[("namespace", Some("shop"))]), Err(PolicyError::NoWorkload { .. })));
        for (namespace, name) in [("Shop", "a"), ("a\nb", "a"), ("shop", "a'b"), ("shop", "*"), ("shop", "a b-*")] {
            let result = target(&[("namespace", Some(namespace)), ("name_aggr", Some(name))]);
            assert!(matches!(result, Err(PolicyError::Name { .. })), "{namespace}/{name}");
        }
    }
}
