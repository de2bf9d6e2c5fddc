//! Alerts to try templates with.

use std::collections::BTreeMap;

use margay_core::{
    Alert, AlertStatus, Entity, Gate, GateName, ModelInfo, Period, Reading, Records, SuspiciousRecords, Time,
};
use serde_json::{Map, Value};

/// What logs have been seen to hold when somebody means harm: ends of lines, of strings and of
/// documents in several languages, cursor movement, and text that runs backwards.
pub(crate) const HOSTILE: &str =
    "x\"'`\r\n---\nkind: Pod\u{1b}[2J\u{202e}{{summary}}{{{{raw}}}}</script>${jndi:x}\u{85}\u{2028}\0\\";

/// An alert with as little in it as can be, an ordinary one, and one whose log values are hostile.
pub(crate) fn alerts(features: &[String], entity_columns: &[String]) -> [Alert; 3] {
    let typical = typical(features, entity_columns);
    let columns = typical.entity.columns().clone();
    let nothing = Reading {
        value: f64::NAN,
        expected: f64::NAN,
        lower: f64::NAN,
        upper: f64::NAN,
        score: 0.0,
        contribution: 0.0,
    };
    let minimal = Alert {
        status: AlertStatus::Withdrawn,
        tags: Vec::new(),
        entity: Entity::new(columns.clone(), Vec::new()),
        description: String::new(),
        summary: String::new(),
        features: typical.features.keys().map(|name| (name.clone(), nothing.clone())).collect(),
        suspicious_records: SuspiciousRecords::new(),
        model: ModelInfo::default(),
        mitre: Vec::new(),
        runbook: None,
        mitigations: Vec::new(),
        gates: Vec::new(),
        silenced: None,
        evidence: Vec::new(),
        ..typical.clone()
    };
    let hostile_row: Map<String, Value> =
        entity_columns.iter().map(|column| (column.clone(), Value::from(HOSTILE))).collect();
    let hostile = Alert {
        entity: Entity::new(columns.clone(), vec![Some(HOSTILE.to_owned()); columns.len()]),
        summary: HOSTILE.to_owned(),
        evidence: vec![HOSTILE.to_owned()],
        suspicious_records: BTreeMap::from([(
            "flows".to_owned(),
            Records { rows: vec![hostile_row], left_out: u64::MAX },
        )]),
        ..typical.clone()
    };
    [minimal, typical, hostile]
}

fn typical(features: &[String], entity_columns: &[String]) -> Alert {
    let start = Time(1_795_503_600_000);
    let reading = |at: usize| Reading {
        value: 45_300_000.0,
        expected: 1_200_000.0,
        lower: 800_000.0,
        upper: 1_900_000.5,
        score: 71.25,
        contribution: if at == 0 { 1.0 } else { 0.0 },
    };
    let row: Map<String, Value> =
        entity_columns.iter().map(|column| (column.clone(), Value::from(sample_value(column)))).collect();
    Alert {
        id: "0123456789abcdef".into(),
        revision: 1,
        status: AlertStatus::Open,
        incident: "0123456789abcdef".into(),
        time: start.plus(Period::MINUTE.times(15)),
        start,
        end: start.plus(Period::MINUTE.times(15)),
        detector: "bytes-out".into(),
        tags: vec!["security".into()],
        severity: 80,
        score: 71.25,
        expected_false_per_week: 0.0125,
        entity: Entity::new(
            entity_columns.into(),
            entity_columns.iter().map(|column| Some(sample_value(column).to_owned())).collect(),
        ),
        description: "A workload sends far more data than it ever did at this hour.".into(),
        summary: "shop/checkout-5d8f9c7b6-* sent 45.3 MB, expected 1.2 MB".into(),
        features: features.iter().enumerate().map(|(at, name)| (name.clone(), reading(at))).collect(),
        suspicious_records: BTreeMap::from([("flows".to_owned(), Records { rows: vec![row], left_out: 41 })]),
        model: ModelInfo { kind: "seasonal".into(), digest: "89abcdef01234567".into(), trained_until: Some(start) },
        config_digest: "0011223344556677".into(),
        data_digest: "8899aabbccddeeff".into(),
        engine_version: "0.1.0".into(),
        mitre: vec!["T1048".into()],
        runbook: Some("https://runbooks.example/bytes-out".into()),
        mitigations: vec!["Quarantine the pod.".into(), "Allow egress only to known destinations.".into()],
        evidence: vec!["10.0.0.7".into(), "10.0.0.9".into()],
        gates: vec![Gate { gate: GateName::Score, value: "71.3".into(), limit: "60".into(), passed: true }],
        silenced: None,
    }
}

fn sample_value(column: &str) -> &'static str {
    if column.ends_with("namespace") { "shop" } else { "checkout-5d8f9c7b6-*" }
}
