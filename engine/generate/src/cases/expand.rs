//! Declared cases → rows.

use std::f64::consts::TAU;
use std::net::Ipv4Addr;

use margay_core::{Period, Time, TimeRange};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use super::{Case, Dga, Field, Injection, Next, Stream, Tunnel, Wave};
use crate::random;

/// Rows that a case may expand to.
pub const CASE_ROWS_MAX: usize = 2_000_000;

/// Hour of the day at which a daily swing begins to rise through its middle: the peak is at 14:00.
const RISE_HOUR: f64 = 8.0;
/// Letters of a generated name.
const DGA_LETTERS: usize = 16;
/// Letters of the label that carries a tunnel's data: what base32 makes of 30 bytes.
const TUNNEL_LETTERS: usize = 48;

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
        write(stream, case.range(), &mut random, &mut |time, mut row| {
            let mut stays = true;
            for injection in case.inject.iter().filter(|injection| injection.touches(case.start, time)) {
                injection.change(case.start, time, rows.len() as u64, &mut row, &mut changes);
                stays &= !(injection.drop && injection.means(&row));
            }
            if stays {
                rows.push((time, row.into()));
            }
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

    fn touches(&self, case_start: Time, time: Time) -> bool {
        self.range(case_start).contains(time)
    }

    fn means(&self, row: &Map<String, Value>) -> bool {
        self.matching.iter().all(|(field, value)| row.get(field) == Some(value))
    }

    /// Changes the row with a `number` if it is meant.
    fn change(&self, case_start: Time, time: Time, number: u64, row: &mut Map<String, Value>, random: &mut ChaCha8Rng) {
        if !self.means(row) {
            return;
        }
        for (name, field) in &self.set {
            row.insert(name.clone(), field.value(time, number, random));
        }
        let passed = time.since(self.range(case_start).start).seconds() / self.length.seconds().max(1.0);
        let scales = self.scale.iter().map(|(name, factor)| (name, *factor));
        let ramps = self.ramp.iter().map(|(name, factor)| (name, 1.0 + (factor - 1.0) * passed));
        for (name, factor) in scales.chain(ramps) {
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
            Self::Dga(Dga { dga }) => format!("{}{dga}", random::suffix(random, DGA_LETTERS)).into(),
            Self::Tunnel(Tunnel { tunnel }) => format!("{}.{tunnel}", random::suffix(random, TUNNEL_LETTERS)).into(),
            Self::List(values) => Value::Array(values.clone()),
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

/// Whether a case can be expanded.
///
/// # Errors
/// As [`expand`].
pub fn check(case: &Case) -> Result<(), ExpandError> {
    let of_case = case.rows.iter().map(|stream| (stream, case.length));
    let of_injections =
        case.inject.iter().flat_map(|injection| injection.rows.iter().map(move |stream| (stream, injection.length)));
    let mut rows = 0u64;
    for (stream, length) in of_case.chain(of_injections) {
        if stream.every < Period::SECOND {
            return Err(ExpandError::Every { case: case.name.clone() });
        }
        let ticks = if stream.at.is_some() { 1 } else { length.per(stream.every).max(0) as u64 + 1 };
        rows = rows.saturating_add(ticks.saturating_mul(u64::from(stream.times)));
    }
    if rows > CASE_ROWS_MAX as u64 {
        return Err(ExpandError::Rows { case: case.name.clone(), rows });
    }
    Ok(())
}

fn write(stream: &Stream, range: TimeRange, random: &mut ChaCha8Rng, put: &mut dyn FnMut(Time, Map<String, Value>)) {
    let (mut time, mut number) = (range.start.plus(stream.at.unwrap_or_default()), 0);
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
        if stream.at.is_some() {
            break;
        }
        time = time.plus(stream.every);
    }
}
