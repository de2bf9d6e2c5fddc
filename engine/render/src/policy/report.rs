//! What policies and reports are rendered with.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::PolicyKind;
use super::labels::Seen;
use super::meant::Meant;
use super::selection::Selection;
use super::target::Target;

/// Pods and peers that a report names at most.
const NAMES_MOST: usize = 20;

/// `quarantine` in the templates of policies and reports.
pub(super) fn data(meant: &Meant, target: &Target, selection: &Selection, seen: &Seen) -> Value {
    json!({
        "kind": meant.object_kind(),
        "calico": meant.kind == PolicyKind::Calico,
        "enforced": meant.enforced,
        "staged": meant.kind == PolicyKind::Calico && !meant.enforced,
        "staged_action": (!meant.enforced).then_some("Set"),
        "name": meant.name,
        "namespace": meant.namespace,
        "workload": target.workload,
        "is_pod": target.is_pod,
        "selector": meant.selector(),
        "match_labels": meant.pods,
        "pod_labels": meant.pods.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>(),
        "by_hand": selection.by_hand,
        "labels": meant.labels,
        "annotations": meant.annotations,
        "expires": meant.annotations.get("margay/expires-at"),
        "files": {"policy": meant.files.policy, "undo": meant.files.undo},
        "seen": {
            "rows": seen.rows,
            "left_out": seen.left_out,
            "pods": first(&seen.pods),
            "pods_left_out": seen.pods.len().saturating_sub(NAMES_MOST),
            "peers": first(&seen.peers),
            "peers_left_out": seen.peers.len().saturating_sub(NAMES_MOST),
        },
    })
}

fn first(names: &BTreeSet<String>) -> Vec<&String> {
    names.iter().take(NAMES_MOST).collect()
}
