//! Unit tests of detectors: a file of cases, each a few declared streams of log rows and what the
//! detector should say about them.
//!
//! ```yaml
//! detector: bytes-out
//! log: flows
//! cases:
//!   - name: an upload far above the usual fires
//!     for: 10d
//!     rows:
//!       - set: { reporter: src, action: allow, source_namespace: shop, bytes_out: { level: 2e6, daily: 0.5, noise: 0.1 } }
//!     inject:
//!       - { at: 9d4h, for: 30m, scale: { bytes_out: 40 } }
//!     expect: { fires: { entity: { source_namespace: shop }, within: 30m } }
//! ```

mod expand;

use std::collections::BTreeMap;

use margay_core::{Period, Time, TimeRange};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

pub use expand::{CASE_ROWS_MAX, ExpandError, check, expand};

/// The tests of one detector.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "margay detector tests")]
pub struct CaseFile {
    /// Name of the detector.
    pub detector: String,
    /// Log that the rows belong to, as named in `margay.yaml`.
    pub log: String,
    /// What is tested.
    #[schemars(length(min = 1))]
    pub cases: Vec<Case>,
}

/// One test.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence: what happens, and whether it fires.
    pub name: String,
    /// Start of the first row; the default is a Monday.
    #[serde(default = "default_start")]
    pub start: Time,
    /// Length of the log.
    #[serde(rename = "for")]
    pub length: Period,
    /// What is written all the time.
    pub rows: Vec<Stream>,
    /// What happens on the way.
    #[serde(default)]
    pub inject: Vec<Injection>,
    /// What the detector should say.
    pub expect: Expect,
}

impl Case {
    /// The time that the rows cover.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        TimeRange { start: self.start, end: self.start.plus(self.length) }
    }

    /// Where the delay of an alert is counted from: what the expectation says, or the start of the first injection, or
    /// of the case.
    #[must_use]
    pub fn awaited_from(&self) -> Time {
        let said = match &self.expect {
            Expect::Fires { fires } => fires.from,
            Expect::Quiet(_) => None,
        };
        let first = self.inject.iter().map(|injection| injection.at).min();
        self.start.plus(said.or(first).unwrap_or_default())
    }
}

/// Rows that are alike, one after the other.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Distance of the rows, and the time that each of them spans.
    #[serde(default = "default_every")]
    pub every: Period,
    /// Written once only, so long after the start; left out, all the time.
    #[serde(default)]
    pub at: Option<Period>,
    /// Rows that are written each time.
    #[serde(default = "default_times")]
    #[schemars(range(min = 1))]
    pub times: u32,
    /// The fields of a row, named as in the raw log.
    pub set: BTreeMap<String, Field>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Field {
    /// A list. First, since a list of one text would also be read as a [`Next`]; the schema has it in `Fixed`.
    #[schemars(skip)]
    List(Vec<Value>),
    /// A number that varies.
    Wave(Wave),
    /// A value that is another in every row.
    Next(Next),
    /// A generated name in every row.
    Dga(Dga),
    /// A name of a DNS tunnel in every row.
    Tunnel(Tunnel),
    /// Always the same.
    Fixed(#[schemars(schema_with = "fixed")] Value),
}

fn fixed(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "Always the same: text, a number, true, false, null or a list.",
        "type": ["string", "number", "boolean", "null", "array"],
        "items": true
    })
}

/// A number that varies around a level, rounded to whole numbers as Calico's are.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// The middle.
    #[schemars(range(min = 0.0))]
    pub level: f64,
    /// Swing over the day as a share of the level, 0 to 1; the peak is at 14:00 UTC.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub daily: f64,
    /// What the weekend does to the level, as a factor.
    #[serde(default = "default_weekend")]
    #[schemars(range(min = 0.0))]
    pub weekend: f64,
    /// Log-normal noise: its standard deviation in natural logarithms.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 3.0))]
    pub noise: f64,
}

/// A value that is another in every row.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Next {
    /// The first value. Numbers and IPv4 addresses count up; other texts get a number at their end.
    pub next: Value,
}

/// A name as malware generates them, another in every row.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dga {
    /// What every name ends with, such as `.com`.
    pub dga: String,
}

/// A name whose labels carry data, another in every row.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// The domain at the other end, such as `evil.example`.
    pub tunnel: String,
}

/// Something that happens for a while.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Injection {
    /// When, from the start of the case.
    pub at: Period,
    /// How long.
    #[serde(rename = "for")]
    pub length: Period,
    /// Only rows with these values are changed; all, when empty.
    #[serde(default, rename = "where")]
    pub matching: Map<String, Value>,
    /// Fields that get another value.
    #[serde(default)]
    pub set: BTreeMap<String, Field>,
    /// Numbers that are multiplied.
    #[serde(default)]
    pub scale: BTreeMap<String, f64>,
    /// Numbers that are multiplied by more and more: by 1 at the start, by this at the end.
    #[serde(default)]
    pub ramp: BTreeMap<String, f64>,
    /// The rows are missing.
    #[serde(default)]
    pub drop: bool,
    /// Rows that are written in addition.
    #[serde(default)]
    pub rows: Vec<Stream>,
}

/// What a detector should say.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Expect {
    /// Nothing at all, written `quiet`.
    Quiet(Quiet),
    /// Alerts about one entity and no other.
    Fires {
        /// About whom and how soon.
        fires: Fires,
    },
}

/// The word `quiet`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quiet {
    /// No alert.
    Quiet,
}

/// An alert that should be raised.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fires {
    /// The detector's entity.
    pub entity: Map<String, Value>,
    /// The longest time to the alert, from the first injection or from `from`. What alerts earlier is wrong, too.
    pub within: Period,
    /// Where the time to the alert is counted from, after the start of the case.
    #[serde(default)]
    pub from: Option<Period>,
    /// The lowest severity of the alert, 1 to 100.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub severity: Option<u8>,
}

/// 2026-11-02T00:00:00Z, a Monday.
fn default_start() -> Time {
    Time(1_793_577_600_000)
}

fn default_every() -> Period {
    Period::MINUTE.times(5)
}

fn default_times() -> u32 {
    1
}

fn default_weekend() -> f64 {
    1.0
}

#[cfg(test)]
mod tests;
