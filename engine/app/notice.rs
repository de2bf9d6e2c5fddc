//! Alerts of margay itself: no model raised them.

use std::collections::BTreeMap;

use margay_core::{Alert, AlertStatus, Entity, ModelInfo, SuspiciousRecords, TimeRange};

/// An open alert of `detector`, about `entity` in `range`, that says nothing yet.
#[must_use]
pub fn notice(id: String, detector: &str, tag: &str, entity: Entity, range: TimeRange) -> Alert {
    Alert {
        incident: id.clone(),
        id,
        revision: 1,
        status: AlertStatus::Open,
        time: range.end,
        start: range.start,
        end: range.end,
        detector: detector.to_owned(),
        tags: vec![tag.to_owned()],
        severity: 1,
        score: 0.0,
        expected_false_per_week: 0.0,
        entity,
        description: String::new(),
        summary: String::new(),
        features: BTreeMap::new(),
        evidence: Vec::new(),
        suspicious_records: SuspiciousRecords::new(),
        model: ModelInfo::default(),
        config_digest: String::new(),
        data_digest: String::new(),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        mitre: Vec::new(),
        runbook: None,
        mitigations: Vec::new(),
        gates: Vec::new(),
        silenced: None,
    }
}
