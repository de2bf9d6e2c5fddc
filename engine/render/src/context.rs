//! What templates see of an alert.

use margay_core::{Alert, Reading};
use serde_json::{Map, Value, json};

use crate::plain::plain;

/// Whole numbers up to this size are exact in a float.
const EXACT_MOST: f64 = 9_007_199_254_740_992.0;

/// The context of every template: the alert's fields, `feature.<name>` and, for loops, `features`
/// by falling share; `entity.<column>` (and `labels`, the same) and `records` by log.
pub(crate) fn context(alert: &Alert) -> Value {
    let entity: Map<String, Value> = alert
        .entity
        .columns()
        .iter()
        .zip(alert.entity.values())
        .map(|(column, value)| (column.clone(), value.clone().map_or(Value::Null, Value::String)))
        .collect();
    let feature: Map<String, Value> =
        alert.features.iter().map(|(name, reading)| (name.clone(), Value::Object(shown(reading)))).collect();
    json!({
        "id": alert.id,
        "revision": alert.revision,
        "status": alert.status,
        "incident": alert.incident,
        "time": alert.time,
        "start": alert.start,
        "end": alert.end,
        "duration": amount(alert.end.since(alert.start).seconds()),
        "detector": alert.detector,
        "tags": alert.tags,
        "severity": alert.severity,
        "score": amount((alert.score * 10.0).round() / 10.0),
        "expected_false_per_week": amount(alert.expected_false_per_week),
        "labels": entity,
        "entity": entity,
        "entity_text": entity_text(alert),
        "description": alert.description,
        "summary": alert.summary,
        "feature": feature,
        "features": features(alert),
        "evidence": alert.evidence,
        "records": records(alert),
        "model": alert.model,
        "mitre": alert.mitre,
        "runbook": alert.runbook,
        "mitigations": alert.mitigations,
        "engine_version": alert.engine_version,
    })
}

/// The entity as people read it: its values, each made safe and cut, joined by `/`.
pub(crate) fn entity_text(alert: &Alert) -> String {
    let values: Vec<String> =
        alert.entity.values().iter().map(|value| plain(value.as_deref().unwrap_or("-"))).collect();
    values.join("/")
}

fn features(alert: &Alert) -> Vec<Value> {
    let mut by_share: Vec<(&String, &Reading)> = alert.features.iter().collect();
    by_share.sort_by(|(_, a), (_, b)| b.contribution.total_cmp(&a.contribution));
    by_share
        .into_iter()
        .map(|(name, reading)| {
            let mut map = Map::from_iter([("name".to_owned(), Value::String(name.clone()))]);
            map.extend(shown(reading));
            Value::Object(map)
        })
        .collect()
}

fn shown(reading: &Reading) -> Map<String, Value> {
    [
        ("value", reading.value),
        ("expected", reading.expected),
        ("lower", reading.lower),
        ("upper", reading.upper),
        ("score", (reading.score * 10.0).round() / 10.0),
        ("contribution", reading.contribution),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), amount(value)))
    .collect()
}

fn records(alert: &Alert) -> Vec<Value> {
    alert
        .suspicious_records
        .iter()
        .map(|(log, records)| {
            json!({"log": log, "shown": records.rows.len(), "left_out": records.left_out, "rows": records.rows})
        })
        .collect()
}

/// A number without a decimal point where it needs none; null where there is no number.
fn amount(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < EXACT_MOST {
        Value::from(value as i64)
    } else {
        serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
    }
}
