//! Rules, judgements and alerts for tests.

use std::collections::BTreeMap;

use margay_core::{Alert, AlertStatus, Direction, Entity, ModelInfo, Period, Score, ScoreState, Time};

use crate::rule::{Judged, Rule};

/// A rule that only asks for a score of 60; buckets of five minutes, half an hour of refractory time.
pub(crate) fn rule() -> Rule {
    Rule {
        features: vec!["bytes".to_owned()],
        score: 60.0,
        direction: Direction::Above,
        min_dev: None,
        min_rel_dev: None,
        min_value: None,
        sustained: (1, 1),
        bucket: Period::MINUTE.times(5),
        refractory: Some(Period::MINUTE.times(30)),
    }
}

/// Start of the bucket with this number.
pub(crate) fn at(bucket: i64) -> Time {
    Time(0).plus(rule().bucket.times(bucket))
}

/// 150 where 100 was expected.
pub(crate) fn judged(score: f64) -> Judged {
    let score = Score { value: 150.0, expected: 100.0, lower: 80.0, upper: 120.0, score, state: ScoreState::Scored };
    Judged { score, volume: 150.0 }
}

/// An alert that says nothing in particular.
pub(crate) fn alert() -> Alert {
    Alert {
        id: "alert".to_owned(),
        revision: 1,
        status: AlertStatus::Open,
        incident: "alert".to_owned(),
        time: Time(0),
        start: Time(0),
        end: Time(0),
        detector: "detector".to_owned(),
        tags: Vec::new(),
        severity: 50,
        score: 60.0,
        expected_false_per_week: 0.1,
        entity: Entity::new(["namespace".to_owned()].into(), vec![Some("shop".to_owned())]),
        description: String::new(),
        summary: String::new(),
        features: BTreeMap::new(),
        suspicious_records: BTreeMap::new(),
        model: ModelInfo::default(),
        config_digest: String::new(),
        data_digest: String::new(),
        engine_version: String::new(),
        mitre: Vec::new(),
        runbook: None,
        mitigations: Vec::new(),
        gates: Vec::new(),
        silenced: None,
        evidence: Vec::new(),
    }
}
