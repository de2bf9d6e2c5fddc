//! By which labels the workload is selected.

use std::collections::BTreeMap;

use super::error::PolicyError;
use super::labels::{Labels, Seen};
use super::names::is_label_value;
use super::target::Target;

/// Label of exactly one pod of a StatefulSet.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
/// Labels that say which workload a pod belongs to; one of them must be there.
const NAMING: [&str; 6] =
    ["pod-template-hash", "app", "app.kubernetes.io/name", "k8s-app", "job-name", "batch.kubernetes.io/job-name"];
/// Labels that narrow the selection when the others are there.
const NARROWING: [&str; 4] =
    ["app.kubernetes.io/component", "app.kubernetes.io/instance", "controller-revision-hash", "component"];
/// The label that people set by hand where the log has none that tell the workload from others.
pub(super) const BY_HAND: (&str, &str) = ("quarantine", "true");

/// Labels that select the workload within its namespace; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) labels: BTreeMap<&'static str, String>,
    /// The pods have to be labelled first, for this reason.
    pub(super) by_hand: Option<&'static str>,
}

impl Selection {
    /// Labels that every row of the workload has and no neighbour in its namespace shares;
    /// otherwise [`BY_HAND`].
    pub(super) fn of(target: &Target, seen: &Seen) -> Result<Self, PolicyError> {
        let Some((first, rest)) = seen.labels.split_first() else {
            return Ok(Self::by_hand("the records hold no labels of it"));
        };
        let common = |key: &'static str| {
            let value = first.get(key).filter(|value| rest.iter().all(|labels| labels.get(key) == Some(value)))?;
            Some((key, value.clone()))
        };
        let pod_name = common(POD_NAME).filter(|(_, value)| target.is_pod && *value == target.workload);
        if target.is_pod && pod_name.is_none() {
            return Ok(Self::by_hand("its labels are shared by the other pods of its workload"));
        }
        let naming: BTreeMap<_, _> = NAMING.into_iter().filter_map(common).chain(pod_name).collect();
        if naming.is_empty() {
            return Ok(Self::by_hand("its labels do not tell it from other workloads"));
        }
        let labels: BTreeMap<_, _> = naming.into_iter().chain(NARROWING.into_iter().filter_map(common)).collect();
        if let Some((key, value)) = labels.iter().find(|(_, value)| !is_label_value(value)) {
            return Err(PolicyError::Label { key, value: value.clone() });
        }
        if seen.neighbours.iter().any(|(_, other)| selects(&labels, other)) {
            return Ok(Self::by_hand("other workloads in the records have the same labels"));
        }
        Ok(Self { labels, by_hand: None })
    }

    fn by_hand(reason: &'static str) -> Self {
        Self { labels: BTreeMap::from([(BY_HAND.0, BY_HAND.1.to_owned())]), by_hand: Some(reason) }
    }
}

fn selects(selection: &BTreeMap<&'static str, String>, labels: &Labels) -> bool {
    selection.iter().all(|(key, value)| labels.get(*key) == Some(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn target(workload: &str, is_pod: bool) -> Target {
        Target { namespace: "shop".into(), workload: workload.into(), is_pod }
    }

    #[test]
    fn labels_common_to_all_rows_select() {
        let rows = vec![
            labels(&[("app", "web"), ("pod-template-hash", "5d8"), ("version", "1"), ("component", "a")]),
            labels(&[("app", "web"), ("pod-template-hash", "5d8"), ("version", "2"), ("component", "b")]),
        ];
        let found = Selection::of(&target("web-5d8-*", false), &Seen { labels: rows, ..Seen::default() }).unwrap();
        assert_eq!(found.labels, BTreeMap::from([("app", "web".to_owned()), ("pod-template-hash", "5d8".to_owned())]));
        assert_eq!(found.by_hand, None);
    }

    #[test]
    fn a_stateful_pod_is_selected_by_its_name_and_other_pods_by_hand() {
        let row = labels(&[("app", "db"), (POD_NAME, "db-0")]);
        let seen = Seen { labels: vec![row], ..Seen::default() };
        assert_eq!(Selection::of(&target("db-0", true), &seen).unwrap().labels[POD_NAME], "db-0");
        assert!(Selection::of(&target("db-1", true), &seen).unwrap().by_hand.is_some());
        assert!(!Selection::of(&target("db-*", false), &seen).unwrap().labels.contains_key(POD_NAME));
    }

    #[test]
    fn labels_that_select_neighbours_are_not_used() {
        let own = labels(&[("app", "shop"), ("app.kubernetes.io/part-of", "shop")]);
        let neighbours = vec![("shop/cart-*".to_owned(), labels(&[("app", "shop"), ("x", "y")]))];
        let seen = Seen { labels: vec![own], neighbours, ..Seen::default() };
        let found = Selection::of(&target("web-*", false), &seen).unwrap();
        assert_eq!(found.labels, BTreeMap::from([("quarantine", "true".to_owned())]));
    }

    #[test]
    fn no_labels_mean_by_hand_and_never_an_empty_selection() {
        for rows in [vec![], vec![labels(&[("app.kubernetes.io/part-of", "shop")])]] {
            let found = Selection::of(&target("web-*", false), &Seen { labels: rows, ..Seen::default() }).unwrap();
            assert!(found.by_hand.is_some() && !found.labels.is_empty());
        }
    }

    #[test]
    fn a_value_that_is_no_label_value_is_refused() {
        for value in ["", "a'b", "a' || all() || 'x", "a\nb", "{{x}}", &"x".repeat(64)] {
            let seen = Seen { labels: vec![labels(&[("app", value)])], ..Seen::default() };
            assert!(matches!(Selection::of(&target("web-*", false), &seen), Err(PolicyError::Label { .. })), "{value}");
        }
    }
}
