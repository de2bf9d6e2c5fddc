//! What an index of alerts needs before the first one is written: a template, how long it is kept, and where the server
//! has them a data stream. Setting it up again changes nothing.

use margay_core::Period;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Elasticsearch;
use crate::DeliverError;
use crate::http::Request;

/// Of templates that match a name the one with the highest priority counts; the servers' own have at most 200.
const TEMPLATE_PRIORITY: u32 = 500;
/// A backing index is followed by the next one at this size or at a quarter of the time that alerts are kept, as Calico does.
const ROLLOVER_SIZE: &str = "30gb";
const ROLLOVERS: i64 = 4;

/// How alerts are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// A data stream.
    DataStream,
    /// An alias, behind which one index follows the other.
    Alias,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What alerts are written to.
    pub kind: IndexKind,
    /// How long an alert is kept at least, in whole days.
    pub retention: Period,
    /// Types of the fields.
    pub mappings: Value,
}

/// A request that changes the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it is for.
    pub what: &'static str,
    /// PUT, with this path.
    pub path: String,
    /// And this body; null is none.
    pub body: Value,
}

/// What is to be done, and what cannot be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Requests in their order.
    pub steps: Vec<Step>,
    /// What the server does not have, and what follows from that.
    pub notes: Vec<String>,
}

/// Why an index cannot be set up.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum SetupError {
    /// The server fails.
    #[error(transparent)]
    Server(#[from] DeliverError),
    /// A request that should change the server fails.
    #[error("the {what} could not be written")]
    Step { what: &'static str, source: DeliverError },
    /// It has a part that the free distribution lacks.
    #[error("this server has no data streams; `kind: index` in the sink writes to an index")]
    NoDataStreams,
    /// Something of that name is there and is something else.
    #[error("`{index}` is {there} already, not {wanted}: delete it, or give the sink another `index` or `kind`")]
    Taken { index: String, there: &'static str, wanted: &'static str },
}

/// How the server lets go of what is old.
#[derive(Clone, Debug, PartialEq)]
enum Lifecycle {
    /// Not at all.
    None,
    /// Elasticsearch's index lifecycle management.
    Ilm,
    /// OpenSearch's index state management; the numbers by which a policy that is there is replaced.
    Ism(Option<(u64, u64)>),
}

/// What stands at the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Nothing,
    DataStream,
    Alias,
    Index,
}

/// What the server has.
#[derive(Clone, Debug)]
struct Found {
    lifecycle: Lifecycle,
    /// Whether data streams can be made; `None` where only a first document makes one.
    data_streams: Option<bool>,
    target: Target,
}

/// What a server says to a question.
enum Said {
    Yes(Value),
    NotThere,
    NotKnown,
}

impl Elasticsearch {
    /// Asks the server what it has, and says what is to be done.
    ///
    /// # Errors
    /// It cannot be asked, or the name is taken by something else.
    pub fn plan(&self, wish: &Wish) -> Result<Plan, SetupError> {
        plan(&self.index, wish, &self.find()?)
    }

    /// Does it.
    ///
    /// # Errors
    /// A request fails; those before it are done, and may be done again.
    pub fn set_up(&self, plan: &Plan) -> Result<(), SetupError> {
        for step in &plan.steps {
            let body = if step.body.is_null() { String::new() } else { step.body.to_string() };
            let written = self.request(Method::PUT, &step.path, body);
            written.map_err(|source| SetupError::Step { what: step.what, source })?;
        }
        Ok(())
    }

    fn find(&self) -> Result<Found, DeliverError> {
        let Said::Yes(greeting) = self.look("/")? else {
            return Err(DeliverError::Answer { reason: "nothing at its root".to_owned() });
        };
        let version = &greeting["version"];
        let major = version["number"].as_str().and_then(|number| number.split('.').next()?.parse::<u32>().ok());
        let Some(major) = major else {
            let reason = "it is neither Elasticsearch nor OpenSearch: it names no version".to_owned();
            return Err(DeliverError::Answer { reason });
        };
        let is_opensearch = version["distribution"] == "opensearch";
        let target = match self.look(&format!("/{}", self.index))? {
            Said::Yes(answer) => Target::of(&self.index, &answer),
            Said::NotThere | Said::NotKnown => Target::Nothing,
        };
        let data_streams = match self.look(&format!("/_data_stream/{}", self.index))? {
            Said::Yes(_) | Said::NotThere => Some(true),
            Said::NotKnown if major < 8 && !is_opensearch => Some(false),
            Said::NotKnown => None,
        };
        Ok(Found { lifecycle: self.lifecycle(is_opensearch)?, data_streams, target })
    }

    fn lifecycle(&self, is_opensearch: bool) -> Result<Lifecycle, DeliverError> {
        Ok(match self.look(&policy_path(&self.index, is_opensearch))? {
            Said::NotKnown => Lifecycle::None,
            Said::Yes(known) if is_opensearch => {
                Lifecycle::Ism(known["_seq_no"].as_u64().zip(known["_primary_term"].as_u64()))
            }
            Said::NotThere if is_opensearch => Lifecycle::Ism(None),
            Said::Yes(_) | Said::NotThere => Lifecycle::Ilm,
        })
    }

    fn look(&self, path: &str) -> Result<Said, DeliverError> {
        match self.request(Method::GET, path, String::new()) {
            Ok(answer) => serde_json::from_str(&answer)
                .map(Said::Yes)
                .map_err(|error| DeliverError::Answer { reason: error.to_string() }),
            // Elasticsearch 7 takes a path that it does not know for that of a document.
            Err(DeliverError::Barred { status: 404, reason }) if reason.contains("no such index [_") => {
                Ok(Said::NotKnown)
            }
            Err(DeliverError::Barred { status: 404, .. }) => Ok(Said::NotThere),
            Err(DeliverError::Barred { status: 405 | 410, .. } | DeliverError::Refused { status: 400, .. }) => {
                Ok(Said::NotKnown)
            }
            Err(error) => Err(error),
        }
    }

    fn request(&self, method: Method, path: &str, body: String) -> Result<String, DeliverError> {
        self.http.ask(&Request { method, path, content_type: "application/json", key: None, body })
    }
}

impl Target {
    /// What the answer to a question for an index is about. A data stream is told by the names of the indices behind it.
    fn of(index: &str, answer: &Value) -> Self {
        let names: Vec<&String> = answer.as_object().into_iter().flat_map(Map::keys).collect();
        let backing = format!(".ds-{index}-");
        match names.first() {
            None => Self::Nothing,
            Some(_) if names.iter().all(|name| name.starts_with(&backing)) => Self::DataStream,
            Some(name) if *name == index => Self::Index,
            Some(_) => Self::Alias,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::DataStream => "a data stream",
            Self::Alias => "an alias",
            Self::Index => "an index of its own",
        }
    }
}

/// Name of the template and of the policy.
fn name(index: &str) -> String {
    if index.starts_with("margay") { index.to_owned() } else { format!("margay-{index}") }
}

fn policy_path(index: &str, is_opensearch: bool) -> String {
    let place = if is_opensearch { "/_plugins/_ism/policies" } else { "/_ilm/policy" };
    format!("{place}/{}", name(index))
}

fn plan(index: &str, wish: &Wish, found: &Found) -> Result<Plan, SetupError> {
    let wanted = match wish.kind {
        IndexKind::DataStream => Target::DataStream,
        IndexKind::Alias => Target::Alias,
    };
    if wanted == Target::DataStream && found.data_streams == Some(false) {
        return Err(SetupError::NoDataStreams);
    }
    if !(found.target == Target::Nothing
        || found.target == wanted
        || (wanted, found.target) == (Target::Alias, Target::Index))
    {
        let (there, wanted) = (found.target.words(), wanted.words());
        return Err(SetupError::Taken { index: index.to_owned(), there, wanted });
    }
    let mut plan = Plan::default();
    plan.lifecycle(index, wish, &found.lifecycle);
    plan.step("index template", format!("/_index_template/{}", name(index)), template(index, wish, &found.lifecycle));
    match (found.target, wish.kind) {
        (Target::Nothing, IndexKind::DataStream) => match found.data_streams {
            Some(_) => plan.step("data stream", format!("/_data_stream/{index}"), Value::Null),
            None => plan.notes.push(format!("the first alert makes the data stream `{index}`")),
        },
        (Target::Nothing, IndexKind::Alias) => {
            let body = json!({ "aliases": { index: { "is_write_index": true } } });
            plan.step("first index", format!("/{index}-000001"), body);
        }
        (Target::Index, _) => {
            plan.step("mapping", format!("/{index}/_mapping"), wish.mappings.clone());
            plan.notes.push(format!(
                "`{index}` is one index without an alias: it stays as it is, and nothing is ever deleted"
            ));
        }
        (Target::DataStream | Target::Alias, _) => {
            plan.step("mapping", format!("/{index}/_mapping"), wish.mappings.clone());
        }
    }
    Ok(plan)
}

impl Plan {
    fn step(&mut self, what: &'static str, path: String, body: Value) {
        self.steps.push(Step { what, path, body });
    }

    fn lifecycle(&mut self, index: &str, wish: &Wish, lifecycle: &Lifecycle) {
        let days = wish.retention.per(Period::DAY).max(1);
        let (keep, roll) = (format!("{days}d"), format!("{}d", (days / ROLLOVERS).max(1)));
        match lifecycle {
            Lifecycle::None => {
                self.notes.push(
                    "this server deletes nothing by itself: alerts are kept until somebody deletes them".to_owned(),
                );
            }
            Lifecycle::Ilm => {
                let phases = json!({
                    "hot": { "actions": { "rollover": { "max_age": roll, "max_size": ROLLOVER_SIZE } } },
                    "delete": { "min_age": keep, "actions": { "delete": {} } },
                });
                self.step("policy", policy_path(index, false), json!({ "policy": { "phases": phases } }));
            }
            Lifecycle::Ism(known) => {
                let replaced = known
                    .map_or_else(String::new, |(number, term)| format!("?if_seq_no={number}&if_primary_term={term}"));
                let states = json!([
                    {
                        "name": "open",
                        "actions": [{ "rollover": { "min_index_age": roll, "min_size": ROLLOVER_SIZE } }],
                        "transitions": [{ "state_name": "old", "conditions": { "min_rollover_age": keep } }],
                    },
                    { "name": "old", "actions": [{ "delete": {} }], "transitions": [] },
                ]);
                let policy = json!({
                    "description": "Alerts of margay",
                    "default_state": "open",
                    "states": states,
                    "ism_template": [{ "index_patterns": managed(index, wish.kind), "priority": TEMPLATE_PRIORITY }],
                });
                self.step("policy", policy_path(index, true) + &replaced, json!({ "policy": policy }));
            }
        }
    }
}

/// The names that the template is for.
fn pattern(index: &str, kind: IndexKind) -> String {
    match kind {
        IndexKind::DataStream => index.to_owned(),
        IndexKind::Alias => format!("{index}-*"),
    }
}

/// The indices that OpenSearch's policy is for. Some of its versions compare the name of a data stream, some that of the
/// indices behind it.
fn managed(index: &str, kind: IndexKind) -> Vec<String> {
    match kind {
        IndexKind::DataStream => vec![index.to_owned(), format!(".ds-{index}-*")],
        IndexKind::Alias => vec![pattern(index, kind)],
    }
}

fn template(index: &str, wish: &Wish, lifecycle: &Lifecycle) -> Value {
    let mut settings = Map::new();
    if *lifecycle == Lifecycle::Ilm {
        settings.insert("index.lifecycle.name".to_owned(), name(index).into());
    }
    if wish.kind == IndexKind::Alias {
        match lifecycle {
            Lifecycle::None => None,
            Lifecycle::Ilm => settings.insert("index.lifecycle.rollover_alias".to_owned(), index.into()),
            Lifecycle::Ism(_) => {
                settings.insert("plugins.index_state_management.rollover_alias".to_owned(), index.into())
            }
        };
    }
    let mut template = json!({
        "index_patterns": [pattern(index, wish.kind)],
        "priority": TEMPLATE_PRIORITY,
        "template": { "settings": settings, "mappings": wish.mappings },
        "_meta": { "description": "Alerts of margay", "version": env!("CARGO_PKG_VERSION") },
    });
    if wish.kind == IndexKind::DataStream {
        template["data_stream"] = json!({});
    }
    template
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn wish(kind: IndexKind) -> Wish {
        let mappings = json!({ "properties": { "@timestamp": { "type": "date" } } });
        Wish { kind, retention: Period::DAY.times(91), mappings }
    }

    fn found(lifecycle: Lifecycle, target: Target) -> Found {
        Found { lifecycle, data_streams: Some(true), target }
    }

    fn paths(plan: &Plan) -> Vec<&str> {
        plan.steps.iter().map(|step| &step.path[..]).collect()
    }

    #[test]
    fn a_data_stream_that_holds_alerts_is_told_from_an_index_and_an_alias() {
        let of = |answer: Value| Target::of("alerts", &answer);
        assert_eq!(of(json!({ ".ds-alerts-2026.11.24-000001": {} })), Target::DataStream);
        assert_eq!(of(json!({ ".ds-alerts-000001": {}, ".ds-alerts-000002": {} })), Target::DataStream);
        assert_eq!(of(json!({ "alerts": {} })), Target::Index);
        assert_eq!(of(json!({ "alerts-000001": {}, "alerts-000002": {} })), Target::Alias);
        assert_eq!(of(json!({ ".ds-other-000001": {} })), Target::Alias);
        assert_eq!(of(json!({})), Target::Nothing);
    }

    #[test]
    fn a_data_stream_is_made_once_with_its_policy() {
        let wish = wish(IndexKind::DataStream);
        let first = plan("margay-alerts", &wish, &found(Lifecycle::Ilm, Target::Nothing)).unwrap();
        let template = "/_index_template/margay-alerts";
        assert_eq!(paths(&first), ["/_ilm/policy/margay-alerts", template, "/_data_stream/margay-alerts"]);
        let phases = &first.steps[0].body["policy"]["phases"];
        assert_eq!(phases["hot"]["actions"]["rollover"]["max_age"], "22d");
        assert_eq!(phases["delete"]["min_age"], "91d");
        assert_eq!(first.steps[1].body["template"]["settings"]["index.lifecycle.name"], "margay-alerts");
        let again = plan("margay-alerts", &wish, &found(Lifecycle::Ilm, Target::DataStream)).unwrap();
        assert_eq!(paths(&again), ["/_ilm/policy/margay-alerts", template, "/margay-alerts/_mapping"]);
    }

    #[test]
    fn opensearch_has_a_policy_of_its_own_that_is_replaced_by_its_numbers() {
        let wish = wish(IndexKind::Alias);
        let lifecycle = Lifecycle::Ism(Some((7, 2)));
        let plan = plan("events", &wish, &found(lifecycle, Target::Alias)).unwrap();
        assert_eq!(plan.steps[0].path, "/_plugins/_ism/policies/margay-events?if_seq_no=7&if_primary_term=2");
        assert_eq!(plan.steps[0].body["policy"]["ism_template"][0]["index_patterns"], json!(["events-*"]));
        assert_eq!(managed("events", IndexKind::DataStream), ["events", ".ds-events-*"]);
        let settings = &plan.steps[1].body["template"]["settings"];
        assert_eq!(settings["plugins.index_state_management.rollover_alias"], "events");
    }

    #[test]
    fn what_a_server_lacks_is_told() {
        let bare = Found { lifecycle: Lifecycle::None, data_streams: Some(false), target: Target::Nothing };
        let error = plan("alerts", &wish(IndexKind::DataStream), &bare).unwrap_err();
        assert!(error.to_string().contains("kind: index"), "{error}");
        let plan = plan("alerts", &wish(IndexKind::Alias), &bare).unwrap();
        assert_eq!(paths(&plan), ["/_index_template/margay-alerts", "/alerts-000001"]);
        assert!(plan.notes[0].contains("deletes nothing"), "{:?}", plan.notes);
        assert_eq!(plan.steps[0].body["template"]["settings"], json!({}));
    }

    #[test]
    fn a_name_that_something_else_has_is_refused() {
        for (kind, target) in [
            (IndexKind::DataStream, Target::Index),
            (IndexKind::DataStream, Target::Alias),
            (IndexKind::Alias, Target::DataStream),
        ] {
            let error = plan("alerts", &wish(kind), &found(Lifecycle::Ilm, target)).unwrap_err();
            assert!(matches!(error, SetupError::Taken { .. }), "{error}");
        }
        let plain = plan("alerts", &wish(IndexKind::Alias), &found(Lifecycle::Ilm, Target::Index)).unwrap();
        assert!(plain.notes[0].contains("one index"), "{:?}", plain.notes);
    }
}
