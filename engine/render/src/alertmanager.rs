//! Alerts as Prometheus Alertmanager takes them, version 2 of its interface.

use margay_core::{Alert, AlertStatus, Time, digest};
use serde_json::{Map, Value, json};

use crate::json::json_line;
use crate::plain::{VALUE_CHARS_MOST, plain, shown};

/// Characters of an annotation at most.
const ANNOTATION_CHARS_MOST: usize = 2048;
/// Columns of an entity that become labels at most.
const ENTITY_LABELS_MOST: usize = 16;

/// When an alert fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firing {
    /// Now: nothing begins or ends later.
    pub now: Time,
    /// When an alert that goes on is over unless it is sent again.
    pub until: Time,
    /// The detector's severity, 1 to 100. The alert's own changes with its score, and a label must not.
    pub severity: u8,
}

/// The alert as an element of the list that `/api/v2/alerts` takes. Its labels are the same for every revision of the
/// alert, so that the end resolves what the beginning raised.
#[must_use]
pub fn alertmanager_alert(alert: &Alert, firing: &Firing) -> String {
    let start = alert.start.min(firing.now);
    let end = if is_over(alert) { alert.end.min(firing.now).max(start) } else { firing.until };
    json_line(&json!({
        "labels": labels(alert, firing.severity),
        "annotations": annotations(alert),
        "startsAt": start,
        "endsAt": end,
    }))
}

/// Whether the alert has ended there. An amended episode was over if the revision came after its last anomalous bucket.
#[must_use]
pub fn is_over(alert: &Alert) -> bool {
    match alert.status {
        AlertStatus::Closed | AlertStatus::Withdrawn => true,
        AlertStatus::Amended => alert.time > alert.end,
        AlertStatus::Open | AlertStatus::Updated => false,
    }
}

fn labels(alert: &Alert, severity: u8) -> Map<String, Value> {
    let severity = match severity {
        75.. => "critical",
        40..75 => "warning",
        _ => "info",
    };
    let mut labels = Map::from_iter([
        ("alertname".to_owned(), json!(alert.detector)),
        ("detector".to_owned(), json!(alert.detector)),
        ("severity".to_owned(), json!(severity)),
    ]);
    for (column, value) in alert.entity.columns().iter().zip(alert.entity.values()).take(ENTITY_LABELS_MOST) {
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
        let mut name = label_name(column);
        while labels.contains_key(&name) {
            name.insert_str(0, "entity_");
        }
        labels.insert(name, json!(label_value(value)));
    }
    labels
}

/// Letters, digits and `_`, as Prometheus wants it.
fn label_name(column: &str) -> String {
    let name: String = column.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) { name } else { format!("entity_{name}") }
}

/// A long value is cut, and stays different from others that begin alike.
fn label_value(value: &str) -> String {
    let text = plain(value);
    if value.chars().count() > VALUE_CHARS_MOST { format!("{text} {}", digest(&[value])) } else { text }
}

fn annotations(alert: &Alert) -> Map<String, Value> {
    let mut annotations = Map::new();
    let mut annotate = |name: &str, value: &str| {
        if !value.is_empty() {
            annotations.insert(name.to_owned(), json!(shown(value, ANNOTATION_CHARS_MOST)));
        }
    };
    annotate("summary", &alert.summary);
    annotate("description", &alert.description);
    annotate("severity", &alert.severity.to_string());
    annotate("score", &format!("{:.1}", alert.score));
    annotate("status", &alert.status.to_string());
    annotate("alert", &alert.id);
    annotate("incident", &alert.incident);
    annotate("evidence", &alert.evidence.join(", "));
    annotate("mitre", &alert.mitre.join(", "));
    let runbook = alert.runbook.as_deref().unwrap_or_default();
    annotate(if is_address(runbook) { "runbook_url" } else { "runbook" }, runbook);
    annotate("mitigations", &alert.mitigations.join(" "));
    annotations
}

/// Alertmanager's page makes a link of `runbook_url`.
fn is_address(text: &str) -> bool {
    (text.starts_with("https://") || text.starts_with("http://")) && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use margay_core::{Entity, Period};

    use super::*;
    use crate::sample;

    fn sent(alert: &Alert) -> Value {
        let now = alert.time.plus(Period::MINUTE);
        let firing = Firing { now, until: now.plus(Period::DAY), severity: 80 };
        serde_json::from_str(&alertmanager_alert(alert, &firing)).unwrap()
    }

    #[test]
    fn labels_stay_while_an_alert_changes_and_its_end_resolves_it() {
        let [_, alert, _] = sample::alerts(&["bytes".into()], &["pod".into()]);
        let open = sent(&Alert { status: AlertStatus::Open, ..alert.clone() });
        let worse = Alert { status: AlertStatus::Updated, severity: 100, score: 99.0, ..alert.clone() };
        let closed = sent(&Alert { status: AlertStatus::Closed, ..worse.clone() });
        for other in [&sent(&worse), &closed, &sent(&Alert { status: AlertStatus::Withdrawn, ..worse.clone() })] {
            assert_eq!(open["labels"], other["labels"]);
            assert_eq!(open["startsAt"], other["startsAt"]);
        }
        assert!(open["endsAt"].as_str() > Some(&alert.time.to_string()));
        assert_eq!(closed["endsAt"], json!(alert.end));
        let amended = Alert { status: AlertStatus::Amended, ..alert.clone() };
        assert!(!is_over(&Alert { time: amended.end, ..amended.clone() }));
        assert!(is_over(&Alert { time: amended.end.plus(Period::HOUR), ..amended }));
    }

    #[test]
    fn only_an_address_is_a_link_to_a_runbook() {
        let [_, alert, _] = sample::alerts(&[], &[]);
        let annotated =
            |runbook: &str| sent(&Alert { runbook: Some(runbook.into()), ..alert.clone() })["annotations"].clone();
        assert_eq!(annotated("https://a.example/b")["runbook_url"], "https://a.example/b");
        let prose = annotated("Look at https://a.example/b");
        assert_eq!((&prose["runbook"], prose.get("runbook_url")), (&json!("Look at https://a.example/b"), None));
        assert_eq!(prose["mitigations"], "Quarantine the pod. Allow egress only to known destinations.");
    }

    #[test]
    fn an_alert_of_the_future_begins_now_and_never_ends_before_it_begins() {
        let [_, alert, _] = sample::alerts(&[], &[]);
        let now = alert.start.minus(Period::HOUR);
        let firing = Firing { now, until: now.plus(Period::DAY), severity: 1 };
        let closed = Alert { status: AlertStatus::Closed, ..alert };
        let sent: Value = serde_json::from_str(&alertmanager_alert(&closed, &firing)).unwrap();
        assert_eq!((&sent["startsAt"], &sent["endsAt"]), (&json!(now), &json!(now)));
    }

    #[test]
    fn names_and_values_of_an_entity_are_labels_that_prometheus_takes() {
        let [_, alert, _] = sample::alerts(&[], &[]);
        let columns = ["severity", "a.b", "9", "none", "long"].map(str::to_owned);
        let long = |end: &str| format!("{}{end}", "x".repeat(300));
        let of = |value: String| Alert {
            entity: Entity::new(
                columns.as_slice().into(),
                vec![Some("hot".into()), Some("a\nb".into()), Some("nine".into()), None, Some(value)],
            ),
            ..alert.clone()
        };
        let (one, other) = (sent(&of(long("1"))), sent(&of(long("2"))));
        let labels = one["labels"].as_object().unwrap();
        assert_eq!(labels["severity"], "critical");
        assert_eq!(labels["entity_severity"], "hot");
        assert_eq!(labels["a_b"], "a\\u{a}b");
        assert_eq!(labels["entity_9"], "nine");
        assert!(!labels.contains_key("none"));
        assert_ne!(labels["long"], other["labels"]["long"]);
        assert!(labels["long"].as_str().unwrap().len() < 350);
    }
}
