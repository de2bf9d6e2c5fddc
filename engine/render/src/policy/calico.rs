//! Calico's GlobalNetworkPolicy, enforced or staged.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::PolicyError;
use super::meant::{Meant, Texts};
use super::names::is_dns_label;
use super::selector;
use super::yaml::settle;

/// `projectcalico.org/v3` GlobalNetworkPolicy and StagedGlobalNetworkPolicy, as far as a quarantine needs them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GlobalNetworkPolicy {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    labels: Texts,
    annotations: Texts,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    staged_action: Option<StagedAction>,
    tier: String,
    /// Lower comes first within the tier.
    order: u16,
    selector: String,
    types: Vec<Direction>,
    ingress: Vec<Rule>,
    egress: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
enum StagedAction {
    Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
enum Direction {
    Ingress,
    Egress,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Peer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    destination: Option<Peer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
enum Action {
    Allow,
    Deny,
    Log,
    Pass,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Peer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selector: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace_selector: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    nets: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ports: Vec<u16>,
}

/// The rendered tree as policy and undo.
pub(super) fn render(tree: Value, meant: &Meant) -> Result<(String, String), PolicyError> {
    let policy: GlobalNetworkPolicy = serde_json::from_value(tree)
        .map_err(|source| PolicyError::Shape { kind: "Calico GlobalNetworkPolicy", source })?;
    check(&policy, meant)?;
    let mut undo = policy.clone();
    undo.spec.selector = selector::NOTHING.to_owned();
    Ok((settle(&meant.comment(), &policy)?, settle(&meant.undo_comment(), &undo)?))
}

fn check(policy: &GlobalNetworkPolicy, meant: &Meant) -> Result<(), PolicyError> {
    let spec = &policy.spec;
    let changed = |what| Err(PolicyError::Changed { what });
    if policy.api_version != "projectcalico.org/v3" || policy.kind != meant.object_kind() {
        return changed("the kind");
    }
    if spec.staged_action.is_some() == meant.enforced {
        return changed("whether it is staged");
    }
    if !is_dns_label(&spec.tier) || policy.metadata.name != format!("{}.{}", spec.tier, meant.name) {
        return changed("the name, which is `<tier>.<name>`");
    }
    if policy.metadata.labels != meant.labels || policy.metadata.annotations != meant.annotations {
        return changed("labels or annotations");
    }
    if !selects_at_most(&spec.selector, &meant.selector()) {
        return changed("whom it selects");
    }
    if !(1..=100).contains(&spec.order) {
        return changed("the order, which is 1 to 100");
    }
    if spec.types != [Direction::Ingress, Direction::Egress] {
        return changed("the directions");
    }
    let denies_the_rest = |rules: &[Rule]| {
        rules.last() == Some(&Rule { action: Action::Deny, protocol: None, source: None, destination: None })
    };
    if !denies_the_rest(&spec.ingress) || !denies_the_rest(&spec.egress) {
        return changed("that the last rule of both directions denies the rest");
    }
    Ok(())
}

/// True where `selector` has every term of `meant`, and perhaps more.
fn selects_at_most(selector: &str, meant: &str) -> bool {
    match (selector::read(selector), selector::read(meant)) {
        (Some(terms), Some(meant)) => !meant.is_empty() && meant.iter().all(|term| terms.contains(term)),
        _ => false,
    }
}
