//! What the rows of an alert say about the workload and those around it.

use std::collections::{BTreeMap, BTreeSet};

use margay_core::SuspiciousRecords;
use serde_json::{Map, Value};

use super::names::is_dns_name;
use super::target::{GROUP_COLUMNS, POD_COLUMNS, SIDES, Target};

/// Labels of one endpoint that are read at most.
const LABELS_MOST: usize = 64;

/// Labels of a pod by key.
pub(super) type Labels = BTreeMap<String, String>;

/// What the sample rows of an alert show.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Rows in which the workload takes part.
    pub(super) rows: usize,
    /// Rows of the alert that are not in the sample.
    pub(super) left_out: u64,
    /// Labels of the workload, one entry for each row that has them.
    pub(super) labels: Vec<Labels>,
    /// What the log calls the workload: `wep` is a pod.
    pub(super) kinds: BTreeSet<String>,
    /// Valid names of its pods, where the log has them.
    pub(super) pods: BTreeSet<String>,
    /// Whom it talked to, as people read them.
    pub(super) peers: BTreeSet<String>,
    /// Others in the same namespace, with their labels.
    pub(super) neighbours: Vec<(String, Labels)>,
}

impl Seen {
    /// Gathers what the rows show.
    pub(super) fn of(records: &SuspiciousRecords, target: &Target) -> Self {
        let mut seen = Self::default();
        for of_log in records.values() {
            seen.left_out = seen.left_out.saturating_add(of_log.left_out);
            for row in &of_log.rows {
                seen.row(row, target);
            }
        }
        seen
    }

    fn row(&mut self, row: &Map<String, Value>, target: &Target) {
        let ends: Vec<End<'_>> = SIDES.iter().filter_map(|side| End::of(row, side)).collect();
        let (own, others): (Vec<&End<'_>>, Vec<&End<'_>>) = ends.iter().partition(|end| end.is(target));
        if own.is_empty() {
            return;
        }
        self.rows += 1;
        for end in own {
            self.labels.extend(end.labels());
            self.kinds.extend(end.text("type").map(str::to_owned));
            self.pods.extend(end.names(&POD_COLUMNS).filter(|name| is_dns_name(name)).map(str::to_owned));
        }
        for end in others {
            self.peers.insert(end.shown());
            if end.text("namespace") == Some(&target.namespace)
                && let Some(labels) = end.labels()
            {
                self.neighbours.push((end.shown(), labels));
            }
        }
    }
}

/// One end of a row's connection.
struct End<'a> {
    row: &'a Map<String, Value>,
    side: &'static str,
}

impl<'a> End<'a> {
    /// The end, if the row says anything about it.
    fn of(row: &'a Map<String, Value>, side: &'static str) -> Option<Self> {
        let end = Self { row, side };
        let named = ["namespace", "name", "name_aggr", "ip"].iter().any(|column| end.text(column).is_some());
        named.then_some(end)
    }

    fn get(&self, column: &str) -> Option<&'a Value> {
        self.row.get(&format!("{}{column}", self.side))
    }

    fn text(&self, column: &str) -> Option<&'a str> {
        self.get(column).and_then(Value::as_str).filter(|text| !matches!(*text, "" | "-"))
    }

    fn names(&self, columns: &'static [&'static str]) -> impl Iterator<Item = &'a str> {
        columns.iter().filter_map(|column| self.text(column))
    }

    fn is(&self, target: &Target) -> bool {
        self.text("namespace") == Some(&target.namespace)
            && self.names(&POD_COLUMNS).chain(self.names(&GROUP_COLUMNS)).any(|name| name == target.workload)
    }

    fn labels(&self) -> Option<Labels> {
        self.get("labels").map(read_labels).filter(|labels| !labels.is_empty())
    }

    fn shown(&self) -> String {
        let name = self.text("name_aggr").or(self.text("name")).or(self.text("ip")).unwrap_or("unknown");
        match self.text("namespace") {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name.to_owned(),
        }
    }
}

/// Labels in any of the forms that logs have them: `{labels: ["k=v"]}`, `["k=v"]`, `{k: v}`, or text of these.
fn read_labels(value: &Value) -> Labels {
    let pair = |text: &str| text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).filter_map(pair).take(LABELS_MOST).collect(),
        Value::Object(map) => match map.get("labels") {
            Some(inner @ (Value::Array(_) | Value::Object(_))) if map.len() == 1 => read_labels(inner),
            _ => map
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .take(LABELS_MOST)
                .collect(),
        },
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (Value::Array(_) | Value::Object(_))) => read_labels(&inner),
            _ => text.split(',').filter_map(pair).take(LABELS_MOST).collect(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => Labels::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_are_read_in_every_form_that_logs_have() {
        let expected = Labels::from([("app".into(), "web".into()), ("tier".into(), "1".into())]);
        for form in [
            json!({"labels": ["app=web", "tier=1"]}),
            json!(["app=web", "tier=1"]),
            json!({"app": "web", "tier": "1"}),
            json!("app=web,tier=1"),
            json!(r#"{"labels": ["app=web", "tier=1"]}"#),
            json!({"labels": {"app": "web", "tier": "1"}}),
        ] {
            assert_eq!(read_labels(&form), expected, "{form}");
        }
        assert!(read_labels(&json!(null)).is_empty() && read_labels(&json!("no pair")).is_empty());
    }
}
