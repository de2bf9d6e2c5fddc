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

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::net::Ipv4Addr;

use margay_core::{Period, Time, TimeRange};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::random;

/// Rows that a case may expand to.
pub const CASE_ROWS_MAX: usize = 2_000_000;

/// Hour of the day at which a daily swing begins to rise through its middle: the peak is at 14:00.
const RISE_HOUR: f64 = 8.0;

/// The tests of one detector.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// Name of the detector.
    pub detector: String,
    /// Log that the rows belong to, as named in `margay.yaml`.
    pub log: String,
    /// What is tested.
    pub cases: Vec<Case>,
}

/// One test.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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

    /// Start of the first injection: where the delay of an alert is counted from.
    #[must_use]
    pub fn injected_at(&self) -> Option<Time> {
        self.inject.iter().map(|injection| self.start.plus(injection.at)).min()
    }
}

/// Rows that are alike, one after the other.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Distance of the rows, and the time that each of them spans.
    #[serde(default = "default_every")]
    pub every: Period,
    /// Rows that are written each time.
    #[serde(default = "default_times")]
    pub times: u32,
    /// The fields of a row, named as in the raw log.
    pub set: BTreeMap<String, Field>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Field {
    /// A number that varies.
    Wave(Wave),
    /// A value that is another in every row.
    Next(Next),
    /// Always the same.
    Fixed(Value),
}

/// A number that varies around a level, rounded to whole numbers as Calico's are.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// The middle.
    pub level: f64,
    /// Swing over the day as a share of the level, 0 to 1; the peak is at 14:00 UTC.
    #[serde(default)]
    pub daily: f64,
    /// What the weekend does to the level, as a factor.
    #[serde(default = "default_weekend")]
    pub weekend: f64,
    /// Log-normal noise: its standard deviation in natural logarithms.
    #[serde(default)]
    pub noise: f64,
}

/// A value that is another in every row.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Next {
    /// The first value. Numbers and IPv4 addresses count up; other texts get a number at their end.
    pub next: Value,
}

/// Something that happens for a while.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
    /// Rows that are written in addition.
    #[serde(default)]
    pub rows: Vec<Stream>,
}

/// What a detector should say.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quiet {
    /// No alert.
    Quiet,
}

/// An alert that should be raised.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fires {
    /// The detector's entity.
    pub entity: Map<String, Value>,
    /// The longest time from the first injection to the alert.
    pub within: Period,
}

/// Why a case was not expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// Rows without distance would never end.
    #[error("case `{case}`: `every` must be at least 1s")]
    Every {
        /// Name of the case.
        case: String,
    },
    /// Too many rows.
    #[error("case `{case}`: {rows} rows are more than {CASE_ROWS_MAX}")]
    Rows {
        /// Name of the case.
        case: String,
        /// Rows that it would have.
        rows: u64,
    },
}

/// The rows of a case as raw log documents in the order of their times. `seed` decides the noise.
///
/// Each row has `start_time` and `end_time` in seconds since the epoch unless it sets them itself.
///
/// # Errors
/// A stream has no distance between its rows, or there would be more than [`CASE_ROWS_MAX`] rows.
pub fn expand(case: &Case, seed: u64) -> Result<Vec<Value>, ExpandError> {
    check(case)?;
    let mut rows: Vec<(Time, Value)> = Vec::new();
    let mut changes = random::stream(seed, &["case", &case.name, "changes"]);
    for (number, stream) in case.rows.iter().enumerate() {
        let mut random = random::stream(seed, &["case", &case.name, &number.to_string()]);
        write(stream, case.range(), &mut random, &mut |time, row| {
            let mut row = row;
            for injection in &case.inject {
                injection.change(case.start, time, rows.len() as u64, &mut row, &mut changes);
            }
            rows.push((time, row.into()));
        });
    }
    for (number, injection) in case.inject.iter().enumerate() {
        for (inner, stream) in injection.rows.iter().enumerate() {
            let purpose = ["case", &case.name, "inject", &number.to_string(), &inner.to_string()];
            let mut random = random::stream(seed, &purpose);
            write(stream, injection.range(case.start), &mut random, &mut |time, row| rows.push((time, row.into())));
        }
    }
    rows.sort_by_key(|(time, _)| *time);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

impl Injection {
    fn range(&self, start: Time) -> TimeRange {
        TimeRange { start: start.plus(self.at), end: start.plus(self.at).plus(self.length) }
    }

    /// Changes the row with a `number` if it lies in the injection and is meant.
    fn change(&self, case_start: Time, time: Time, number: u64, row: &mut Map<String, Value>, random: &mut ChaCha8Rng) {
        let meant = || self.matching.iter().all(|(field, value)| row.get(field) == Some(value));
        if !self.range(case_start).contains(time) || !meant() {
            return;
        }
        for (name, field) in &self.set {
            row.insert(name.clone(), field.value(time, number, random));
        }
        for (name, factor) in &self.scale {
            if let Some(number) = row.get(name).and_then(Value::as_f64) {
                row.insert(name.clone(), whole(number * factor));
            }
        }
    }
}

impl Field {
    /// The value in the row with a `number` that starts at `time`.
    fn value(&self, time: Time, number: u64, random: &mut ChaCha8Rng) -> Value {
        match self {
            Self::Wave(wave) => wave.value(time, random),
            Self::Next(Next { next }) => following(next, number),
            Self::Fixed(value) => value.clone(),
        }
    }
}

impl Wave {
    fn value(self, time: Time, random: &mut ChaCha8Rng) -> Value {
        let hour = time.since(time.floor(Period::DAY)).seconds() / 3600.0;
        // 1970-01-01 was a Thursday; 0 is Monday here.
        let weekday = (time.since(Time(0)).per(Period::DAY) + 3).rem_euclid(7);
        let day = 1.0 + self.daily * (TAU * (hour - RISE_HOUR) / 24.0).sin();
        let week = if weekday >= 5 { self.weekend } else { 1.0 };
        whole(self.level * day * week * random::log_normal(random, self.noise))
    }
}

/// A number without decimals, not below zero.
fn whole(number: f64) -> Value {
    json!(number.round().max(0.0) as u64)
}

/// The value `number` places after `first`.
fn following(first: &Value, number: u64) -> Value {
    match first {
        Value::String(text) => match text.parse::<Ipv4Addr>() {
            Ok(address) => Ipv4Addr::from(u32::from(address).wrapping_add(number as u32)).to_string().into(),
            Err(_) => format!("{text}{number}").into(),
        },
        other => other.as_u64().map_or_else(|| other.clone(), |start| start.wrapping_add(number).into()),
    }
}

fn check(case: &Case) -> Result<(), ExpandError> {
    let of_case = case.rows.iter().map(|stream| (stream, case.length));
    let of_injections =
        case.inject.iter().flat_map(|injection| injection.rows.iter().map(move |stream| (stream, injection.length)));
    let mut rows = 0u64;
    for (stream, length) in of_case.chain(of_injections) {
        if stream.every < Period::SECOND {
            return Err(ExpandError::Every { case: case.name.clone() });
        }
        let ticks = length.per(stream.every).max(0) as u64 + 1;
        rows = rows.saturating_add(ticks.saturating_mul(u64::from(stream.times)));
    }
    if rows > CASE_ROWS_MAX as u64 {
        return Err(ExpandError::Rows { case: case.name.clone(), rows });
    }
    Ok(())
}

fn write(stream: &Stream, range: TimeRange, random: &mut ChaCha8Rng, put: &mut dyn FnMut(Time, Map<String, Value>)) {
    let (mut time, mut number) = (range.start, 0);
    while time < range.end {
        for _ in 0..stream.times {
            let mut row = Map::new();
            row.insert("start_time".to_owned(), json!(time.0 / 1000));
            row.insert("end_time".to_owned(), json!(time.plus(stream.every).0 / 1000));
            for (name, field) in &stream.set {
                row.insert(name.clone(), field.value(time, number, random));
            }
            number += 1;
            put(time, row);
        }
        time = time.plus(stream.every);
    }
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
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn file(cases: &str) -> CaseFile {
        serde_yaml::from_str(&format!("detector: d\nlog: flows\ncases:\n{cases}")).unwrap()
    }

    const SPIKE: &str = r"
  - name: a spike
    for: 1d
    rows:
      - set: { who: a, bytes: { level: 1000, daily: 0.5 } }
      - set: { who: b, bytes: 7, labels: [x=1] }
    inject:
      - { at: 6h, for: 10m, where: { who: a }, scale: { bytes: 10 } }
      - at: 12h
        for: 5m
        rows:
          - { times: 3, set: { port: { next: 1 }, ip: { next: 10.0.0.254 }, pod: { next: p- } } }
    expect: { fires: { entity: { who: a }, within: 30m } }
";

    #[test]
    fn streams_and_injections_become_rows_in_order() {
        let case = &file(SPIKE).cases[0];
        let rows = expand(case, 1).unwrap();
        assert_eq!(rows.len(), 2 * 288 + 3);
        assert!(rows.windows(2).all(|pair| pair[0]["start_time"].as_i64() <= pair[1]["start_time"].as_i64()));
        let at = |who: &str, hour: f64| {
            let start = json!(case.start.0 / 1000 + (hour * 3600.0) as i64);
            rows.iter().find(|row| row["who"] == who && row["start_time"] == start).unwrap()["bytes"].clone()
        };
        assert_eq!((at("a", 8.0), at("a", 14.0), at("a", 20.0)), (json!(1000), json!(1500), json!(1000)));
        assert_eq!((at("a", 6.0), at("b", 6.0)), (json!(7500), json!(7)));
        let injected: Vec<&Value> = rows.iter().filter(|row| row.get("port").is_some()).collect();
        assert_eq!(injected[2]["port"], 3);
        assert_eq!(injected[2]["ip"], "10.0.1.0");
        assert_eq!(injected[2]["pod"], "p-2");
        assert_eq!(case.injected_at(), Some(case.start.plus(Period::HOUR.times(6))));
    }

    #[test]
    fn quiet_is_a_word() {
        let cases = "  - { name: calm, for: 1h, rows: [{ set: { n: { level: 5, noise: 0.3 } } }], expect: quiet }";
        let case = &file(cases).cases[0];
        assert_eq!(case.expect, Expect::Quiet(Quiet::Quiet));
        assert_eq!(expand(case, 1), expand(case, 1));
        assert_ne!(expand(case, 1), expand(case, 2));
    }

    #[test]
    fn rows_without_end_are_refused() {
        let case = |every: &str, length: &str| {
            let cases =
                format!("  - {{ name: c, for: {length}, rows: [{{ every: {every}, set: {{}} }}], expect: quiet }}");
            expand(&file(&cases).cases[0], 1).unwrap_err().to_string()
        };
        assert_eq!(case("0s", "1h"), "case `c`: `every` must be at least 1s");
        assert_eq!(case("1s", "52w"), "case `c`: 31449601 rows are more than 2000000");
    }
}
