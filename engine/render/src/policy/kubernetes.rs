//! Kubernetes' NetworkPolicy without rules: nothing is allowed that no other policy allows.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::PolicyError;
use super::meant::{Meant, Texts};
use super::yaml::settle;

/// `networking.k8s.io/v1` NetworkPolicy, as far as a quarantine needs it: it has no rules.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NetworkPolicy {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    namespace: String,
    labels: Texts,
    annotations: Texts,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    pod_selector: PodSelector,
    policy_types: Vec<Direction>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PodSelector {
    match_labels: Texts,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    match_expressions: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
enum Operator {
    Exists,
    DoesNotExist,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
enum Direction {
    Ingress,
    Egress,
}

/// The rendered tree as policy and undo.
pub(super) fn render(tree: Value, meant: &Meant) -> Result<(String, String), PolicyError> {
    let policy: NetworkPolicy = serde_json::from_value(tree)
        .map_err(|source| PolicyError::Shape { kind: "Kubernetes NetworkPolicy", source })?;
    check(&policy, meant)?;
    let mut undo = policy.clone();
    // No pod both has a label and lacks it.
    undo.spec.pod_selector.match_expressions = [Operator::Exists, Operator::DoesNotExist]
        .map(|operator| Requirement { key: "margay/released".to_owned(), operator })
        .to_vec();
    Ok((settle(&meant.comment(), &policy)?, settle(&meant.undo_comment(), &undo)?))
}

fn check(policy: &NetworkPolicy, meant: &Meant) -> Result<(), PolicyError> {
    let changed = |what| Err(PolicyError::Changed { what });
    let metadata = &policy.metadata;
    if policy.api_version != "networking.k8s.io/v1" || policy.kind != meant.object_kind() {
        return changed("the kind");
    }
    if metadata.name != meant.name || metadata.namespace != meant.namespace {
        return changed("the name or namespace");
    }
    if metadata.labels != meant.labels || metadata.annotations != meant.annotations {
        return changed("labels or annotations");
    }
    let pods = &policy.spec.pod_selector.match_labels;
    if meant.pods.is_empty() || !meant.pods.iter().all(|(key, value)| pods.get(key) == Some(value)) {
        return changed("whom it selects");
    }
    if policy.spec.policy_types != [Direction::Ingress, Direction::Egress] {
        return changed("the directions");
    }
    Ok(())
}
