//! What people are told.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::entity::Entity;
use crate::nullable;
use crate::time::{Time, TimeRange};

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    /// A new episode began.
    Open,
    /// The episode goes on and got worse.
    Updated,
    /// The episode ended.
    Closed,
    /// Late data changed what the alert says.
    Amended,
    /// Late data disproved the alert.
    Withdrawn,
}

impl AlertStatus {
    /// Every status, in the order of an alert's life.
    pub const ALL: [Self; 5] = [Self::Open, Self::Updated, Self::Closed, Self::Amended, Self::Withdrawn];
}

impl fmt::Display for AlertStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Updated => "updated",
            Self::Closed => "closed",
            Self::Amended => "amended",
            Self::Withdrawn => "withdrawn",
        })
    }
}

/// The tests between a score and a finding, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateName {
    /// The entity was seen and judged at all.
    State,
    /// The value lies on a watched side of the expected one.
    Direction,
    /// The score reaches the threshold.
    Score,
    /// The absolute distance from the expected value is large enough.
    MinDev,
    /// The relative distance from the expected value is large enough.
    MinRelDev,
    /// The value itself is large enough.
    MinValue,
    /// Enough of the last buckets passed the gates above.
    Sustained,
    /// No exclusion applies.
    Exclusion,
    /// The last episode of the entity ended long enough ago.
    Refractory,
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::State => "state",
            Self::Direction => "direction",
            Self::Score => "score",
            Self::MinDev => "min_dev",
            Self::MinRelDev => "min_rel_dev",
            Self::MinValue => "min_value",
            Self::Sustained => "sustained",
            Self::Exclusion => "exclusion",
            Self::Refractory => "refractory",
        })
    }
}

/// One gate's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// Which gate.
    pub gate: GateName,
    /// What was compared, as text with its unit where it has one.
    pub value: String,
    /// What it was compared with.
    pub limit: String,
    /// Whether the bucket went on to the next gate.
    pub passed: bool,
}

/// One feature as an alert shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// What was measured in the worst bucket of the episode; null when nothing was.
    #[serde(with = "nullable")]
    #[schemars(schema_with = "nullable::schema")]
    pub value: f64,
    /// What was expected; null when nothing was.
    #[serde(with = "nullable")]
    #[schemars(schema_with = "nullable::schema")]
    pub expected: f64,
    /// Lower end of the 95 % prediction interval.
    #[serde(with = "nullable")]
    #[schemars(schema_with = "nullable::schema")]
    pub lower: f64,
    /// Upper end of the 95 % prediction interval.
    #[serde(with = "nullable")]
    #[schemars(schema_with = "nullable::schema")]
    pub upper: f64,
    /// Score of this feature alone, 0 to 100.
    pub score: f64,
    /// Share of this feature in the alert, 0 to 1; the shares add up to 1.
    pub contribution: f64,
}

/// Log rows behind an alert, grouped by log name.
pub type SuspiciousRecords = BTreeMap<String, Records>;

/// A bounded sample of log rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Records {
    /// Rows as they were read, with normalised field names.
    pub rows: Vec<serde_json::Map<String, serde_json::Value>>,
    /// Further rows of the same entity and buckets that were left out.
    pub left_out: u64,
}

/// The model behind an alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelInfo {
    /// Name of the model, such as `seasonal`.
    pub kind: String,
    /// Digest of the trained snapshot; empty before the first training.
    pub digest: String,
    /// The snapshot learnt from buckets before this time.
    pub trained_until: Option<Time>,
}

/// Findings of one entity and one detector merged over adjacent buckets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// Stable: digest of detector, entity and first bucket.
    pub id: String,
    /// Counts what was said about this id, from 1.
    pub revision: u32,
    /// Where the alert stands.
    pub status: AlertStatus,
    /// Shared by alerts of one entity (see [`Entity::identity`]) at overlapping times.
    pub incident: String,
    /// End of the bucket that brought this revision.
    pub time: Time,
    /// Start of the first anomalous bucket.
    pub start: Time,
    /// End of the last anomalous bucket.
    pub end: Time,
    /// Name of the detector.
    pub detector: String,
    /// The detector's tags.
    pub tags: Vec<String>,
    /// 1 to 100: the detector's severity, scaled by the score.
    pub severity: u8,
    /// Score of the worst bucket, 0 to 100.
    pub score: f64,
    /// Episodes a week at least this extreme that the detector would raise on normal data.
    pub expected_false_per_week: f64,
    /// What it is about.
    #[schemars(schema_with = "entity_schema")]
    pub entity: Entity,
    /// The detector's description.
    pub description: String,
    /// One line for people, rendered from the detector's template.
    pub summary: String,
    /// Readings of the worst bucket by feature.
    pub features: BTreeMap<String, Reading>,
    /// What a model of members points at, the worst first: the names, ports or addresses of the bucket that brought
    /// this revision. Empty for other models.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// Log rows behind the alert.
    pub suspicious_records: SuspiciousRecords,
    /// The model that judged.
    pub model: ModelInfo,
    /// Digest of the detector's definition.
    pub config_digest: String,
    /// Digest of the features that were judged.
    pub data_digest: String,
    /// Version of margay.
    pub engine_version: String,
    /// MITRE ATT&CK technique ids.
    pub mitre: Vec<String>,
    /// Where to read on, or what to do.
    pub runbook: Option<String>,
    /// What ends or limits the harm.
    #[serde(default)]
    pub mitigations: Vec<String>,
    /// Verdicts of the gates in the bucket that opened the episode.
    pub gates: Vec<Gate>,
    /// The silence that kept this revision from being delivered; left out where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced: Option<Silenced>,
}

impl Alert {
    /// From the first anomalous bucket to the end of the last one.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        TimeRange { start: self.start, end: self.end }
    }
}

/// Why people were not told of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Silenced {
    /// Name of the silence: its file without the ending.
    pub silence: String,
    /// Why it is silent.
    pub reason: String,
    /// Who answers for that.
    pub owner: String,
    /// When the silence ends.
    pub until: Time,
    /// The first revision of the alert that was kept back; those before it were delivered.
    pub since_revision: u32,
}

fn entity_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "Column names and values of the entity, in the detector's order.",
        "additionalProperties": { "type": ["string", "null"] }
    })
}

/// Alerts of several detectors on one entity at overlapping times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// Stable: the id of its first alert.
    pub id: String,
    /// Start of its first anomalous bucket.
    pub start: Time,
    /// End of its last anomalous bucket.
    pub end: Time,
    /// The highest severity among its alerts.
    pub severity: u8,
    /// The entity of its first alert.
    #[schemars(schema_with = "entity_schema")]
    pub entity: Entity,
    /// Detectors that took part, in alphabetical order.
    pub detectors: Vec<String>,
    /// Ids of its alerts, by start.
    pub alerts: Vec<String>,
    /// Log rows behind all of them, grouped by log name.
    pub suspicious_records: SuspiciousRecords,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_reading_without_a_value_reads_back() {
        let reading =
            Reading { value: f64::NAN, expected: 1.0, lower: 0.5, upper: f64::NAN, score: 0.0, contribution: 0.0 };
        let text = serde_json::to_string(&reading).unwrap();
        assert!(text.starts_with(r#"{"value":null,"expected":1.0,"lower":0.5,"upper":null,"#), "{text}");
        let back: Reading = serde_json::from_str(&text).unwrap();
        assert!(back.value.is_nan() && back.upper.is_nan());
        assert_eq!((back.expected, back.lower), (1.0, 0.5));
        let schema = schemars::schema_for!(Reading);
        assert_eq!(schema.pointer("/properties/value/type"), Some(&serde_json::json!(["number", "null"])));
        assert!(schema.pointer("/required").unwrap().as_array().unwrap().iter().any(|name| name == "value"));
    }
}
