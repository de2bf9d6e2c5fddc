//! Alerts as Calico's events, so that its own console and Kibana show them.

use std::net::IpAddr;

use margay_core::{Alert, AlertStatus};
use serde_json::{Map, Value, json};

use crate::plain::plain;

/// Calico's type of events that anomaly detection raises.
const EVENT_TYPE: &str = "anomaly_detection_job";
/// Prefixes of one side of a connection in Calico's logs, and the one that events use.
const SIDES: [(&str, &str); 4] =
    [("source_", "source_"), ("src_", "source_"), ("client_", "source_"), ("dest_", "dest_")];

/// The alert as an event document; its `id` is the alert's, the same for all revisions.
///
/// What the entity or all sample rows agree on fills `source_*` and `dest_*`; the rest is null.
#[must_use]
pub fn calico_event(alert: &Alert) -> Value {
    let mut event = json!({
        "id": alert.id,
        "time": alert.time,
        // What Kibana and data streams look for.
        "@timestamp": alert.time,
        "type": EVENT_TYPE,
        "origin": format!("anomaly_detection.{}", alert.detector),
        "severity": alert.severity.clamp(1, 100),
        "description": format!("[anomaly_detection.{}] {}", alert.detector, plain(&alert.summary)),
        "dismissed": alert.status == AlertStatus::Withdrawn,
        "host": agreed(alert, "host").filter(Value::is_string),
        "protocol": protocol(alert),
    });
    let fields = event.as_object_mut().expect("an object was just made");
    for side in ["source_", "dest_"] {
        for column in ["ip", "port", "name", "name_aggr", "namespace"] {
            fields.insert(format!("{side}{column}"), endpoint(alert, side, column));
        }
    }
    fields.insert("record".to_owned(), record(alert));
    fields.insert("name".to_owned(), json!(alert.detector));
    fields.insert("attack_vector".to_owned(), json!((!alert.mitre.is_empty()).then_some("Network")));
    fields.insert("mitre_tactic".to_owned(), json!(alert.mitre.iter().find_map(|id| tactic(id))));
    fields.insert("mitre_ids".to_owned(), json!(alert.mitre));
    fields.insert("mitigations".to_owned(), json!(alert.mitigations));
    event
}

/// What the event is about: times, entity, values, and the rows behind them by log.
fn record(alert: &Alert) -> Value {
    let mut record = json!({
        "start_time": alert.start,
        "end_time": alert.end,
        "incident": alert.incident,
        "status": alert.status,
        "revision": alert.revision,
        "score": alert.score,
        "entity": alert.entity,
        "features": alert.features,
        "suspicious_records":
            alert.suspicious_records.iter().map(|(log, records)| (log.clone(), json!(records.rows))).collect::<Map<_, _>>(),
        "records_left_out":
            alert.suspicious_records.iter().map(|(log, records)| (log.clone(), json!(records.left_out))).collect::<Map<_, _>>(),
    });
    let fields = record.as_object_mut().expect("an object was just made");
    for (column, value) in alert.entity.columns().iter().zip(alert.entity.values()) {
        fields.entry(column.clone()).or_insert_with(|| json!(value));
    }
    record
}

/// One field of an endpoint, in the type that the index maps it to.
fn endpoint(alert: &Alert, side: &str, column: &str) -> Value {
    let names = SIDES.iter().filter(|(_, event)| *event == side).map(|(log, _)| format!("{log}{column}"));
    let value = names.into_iter().find_map(|name| agreed(alert, &name));
    let Some(value) = value else { return Value::Null };
    match (column, value) {
        ("ip", Value::String(text)) if text.parse::<IpAddr>().is_ok() => Value::String(text),
        ("port", Value::String(text)) => json!(text.parse::<u16>().ok()),
        ("port", Value::Number(number)) => json!(number.as_u64().filter(|port| *port <= u64::from(u16::MAX))),
        ("name" | "name_aggr" | "namespace", Value::String(text)) => Value::String(text),
        _ => Value::Null,
    }
}

fn protocol(alert: &Alert) -> Option<Value> {
    agreed(alert, "proto").or_else(|| agreed(alert, "protocol")).filter(Value::is_string)
}

/// The entity's value of a column, or the one that all sample rows which have it agree on.
fn agreed(alert: &Alert, column: &str) -> Option<Value> {
    if let Some(value) = alert.entity.get(column) {
        return Some(Value::from(value));
    }
    let mut values = alert
        .suspicious_records
        .values()
        .flat_map(|records| &records.rows)
        .filter_map(|row| row.get(column))
        .filter(|value| !value.is_null());
    let first = values.next()?;
    values.all(|value| value == first).then(|| first.clone())
}

/// The MITRE ATT&CK tactic of a technique that network logs can show.
fn tactic(technique: &str) -> Option<&'static str> {
    Some(match technique.split('.').next()? {
        "T1595" | "T1590" => "Reconnaissance",
        "T1190" => "Initial Access",
        "T1059" | "T1609" | "T1610" => "Execution",
        "T1611" => "Privilege Escalation",
        "T1110" | "T1557" => "Credential Access",
        "T1016" | "T1018" | "T1040" | "T1046" | "T1049" | "T1613" => "Discovery",
        "T1021" | "T1210" | "T1570" => "Lateral Movement",
        "T1074" | "T1213" => "Collection",
        "T1071" | "T1090" | "T1095" | "T1102" | "T1105" | "T1132" | "T1568" | "T1571" | "T1572" | "T1573" => {
            "Command and Control"
        }
        "T1020" | "T1029" | "T1030" | "T1041" | "T1048" | "T1537" | "T1567" => "Exfiltration",
        "T1485" | "T1489" | "T1490" | "T1496" | "T1498" | "T1499" => "Impact",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use margay_core::{Entity, Records};

    use super::*;
    use crate::sample;

    fn scan() -> Alert {
        let columns = ["client_namespace".to_owned(), "client_name_aggr".to_owned()];
        let [_, mut alert, _] = sample::alerts(&["ports".to_owned()], &columns);
        alert.entity = Entity::new(columns.as_slice().into(), vec![Some("uat".into()), Some("netshoot".into())]);
        let row = |port: u64, ip: &str| {
            let row = json!({"proto": "tcp", "dest_port": port, "dest_ip": ip, "dest_namespace": "shop", "host": "n1"});
            row.as_object().unwrap().clone()
        };
        let rows = vec![row(80, "10.0.0.7"), row(81, "10.0.0.7")];
        alert.suspicious_records = [("flows".to_owned(), Records { rows, left_out: 3 })].into();
        alert
    }

    #[test]
    fn an_event_has_calicos_fields() {
        let event = calico_event(&scan());
        for (pointer, expected) in [
            ("/id", json!("0123456789abcdef")),
            ("/type", json!("anomaly_detection_job")),
            ("/origin", json!("anomaly_detection.bytes-out")),
            ("/dismissed", json!(false)),
            ("/source_namespace", json!("uat")),
            ("/source_name_aggr", json!("netshoot")),
            ("/source_ip", json!(null)),
            ("/dest_ip", json!("10.0.0.7")),
            ("/dest_port", json!(null)),
            ("/dest_namespace", json!("shop")),
            ("/protocol", json!("tcp")),
            ("/host", json!("n1")),
            ("/record/client_namespace", json!("uat")),
            ("/record/features/ports/expected", json!(1_200_000.0)),
            ("/record/suspicious_records/flows/1/dest_port", json!(81)),
            ("/record/records_left_out/flows", json!(3)),
            ("/mitre_tactic", json!("Exfiltration")),
        ] {
            assert_eq!(event.pointer(pointer), Some(&expected), "{pointer}");
        }
    }

    #[test]
    fn a_withdrawn_alert_is_dismissed() {
        assert_eq!(calico_event(&Alert { status: AlertStatus::Withdrawn, ..scan() })["dismissed"], json!(true));
    }

    #[test]
    fn values_that_the_index_would_refuse_are_left_out() {
        let mut alert = scan();
        let rows =
            vec![json!({"source_ip": "10.0.0", "source_port": 70_000, "dest_port": "x"}).as_object().unwrap().clone()];
        alert.suspicious_records = [("flows".to_owned(), Records { rows, left_out: 0 })].into();
        let event = calico_event(&alert);
        for field in ["source_ip", "source_port", "dest_port"] {
            assert_eq!(event[field], Value::Null, "{field}");
        }
    }
}
