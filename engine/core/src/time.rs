//! Points in time, lengths of time, and the grid of buckets. Everything is UTC and in milliseconds.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not a time or a period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not an RFC 3339 time.
    #[error("`{0}` is not a time such as 2026-11-24T07:00:00Z")]
    Time(String),
    /// Not a number with a unit.
    #[error("`{0}` is not a period such as 30s, 5m, 1h, 1d or 4w")]
    Period(String),
}

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// The earliest time that margay handles.
    pub const MIN: Self = Self(-62_135_596_800_000);
    /// The latest time that margay handles.
    pub const MAX: Self = Self(253_402_300_799_000);

    /// Start of the bucket of `width` that holds this time; buckets are aligned to the epoch.
    #[must_use]
    pub fn floor(self, width: Period) -> Self {
        Self(self.0 - self.0.rem_euclid(width.0.max(1)))
    }

    /// This time moved by `period`, kept within [`Time::MIN`] and [`Time::MAX`].
    #[must_use]
    pub fn plus(self, period: Period) -> Self {
        Self(self.0.saturating_add(period.0)).clamp(Self::MIN, Self::MAX)
    }

    /// This time moved back by `period`, kept within [`Time::MIN`] and [`Time::MAX`].
    #[must_use]
    pub fn minus(self, period: Period) -> Self {
        Self(self.0.saturating_sub(period.0)).clamp(Self::MIN, Self::MAX)
    }

    /// The length of time from `earlier` to this time; negative when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Period {
        Period(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = if self.0.rem_euclid(1000) == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(form, true)),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl FromStr for Time {
    type Err = TimeError;

    /// Reads RFC 3339; a bare date means its midnight UTC.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        DateTime::parse_from_rfc3339(&full)
            .map(|time| Self(time.timestamp_millis()))
            .map_err(|_| TimeError::Time(text.to_owned()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A point in time as RFC 3339, or a date, which means its midnight UTC.",
            "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\
                ([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$",
            "examples": ["2026-11-24T07:00:00Z", "2027-03-01"]
        })
    }
}

/// A length of time in milliseconds. Written as numbers with units: `90s`, `5m`, `1h30m`, `1d`, `4w`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub i64);

const UNITS: [(&str, i64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl Period {
    /// One second.
    pub const SECOND: Self = Self(1000);
    /// One minute.
    pub const MINUTE: Self = Self(60_000);
    /// One hour.
    pub const HOUR: Self = Self(3_600_000);
    /// One day of 24 hours.
    pub const DAY: Self = Self(86_400_000);
    /// Seven days.
    pub const WEEK: Self = Self(604_800_000);

    /// This period `n` times.
    #[must_use]
    pub fn times(self, n: i64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// How often `other` fits into this period, rounded down.
    #[must_use]
    pub fn per(self, other: Self) -> i64 {
        self.0 / other.0.max(1)
    }

    /// Length in seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut left = self.0;
        if left < 0 {
            f.write_str("-")?;
            left = -left;
        }
        for (unit, length) in UNITS {
            if unit == "w" && left % length != 0 {
                continue;
            }
            if left >= length {
                write!(f, "{}{unit}", left / length)?;
                left %= length;
            }
        }
        Ok(())
    }
}

impl FromStr for Period {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let wrong = || TimeError::Period(text.to_owned());
        let (mut rest, mut total) = (text.trim(), 0i64);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
            let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
            let unit = rest[digits..unit_end].trim();
            let length = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
            total = number.checked_mul(length).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
            rest = &rest[unit_end..];
        }
        Ok(Self(total))
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

impl JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: numbers with the units ms, s, m, h, d or w.",
            "pattern": "^([0-9]+(ms|s|m|h|d|w))+$",
            "examples": ["5m", "1h30m", "1d", "4w"]
        })
    }
}

/// Half open stretch of time, `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct TimeRange {
    /// First instant inside.
    pub start: Time,
    /// First instant after.
    pub end: Time,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { start: Time::MIN, end: Time::MAX };

    /// True where nothing lies inside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// True where `time` lies inside.
    #[must_use]
    pub fn contains(&self, time: Time) -> bool {
        self.start <= time && time < self.end
    }

    /// True where the two share an instant.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Its length in weeks.
    #[must_use]
    pub fn weeks(&self) -> f64 {
        self.end.since(self.start).seconds() / Period::WEEK.seconds()
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A cell of the time grid, `[start, start + width)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bucket {
    /// First instant inside; a multiple of `width`.
    pub start: Time,
    /// Length.
    pub width: Period,
}

impl Bucket {
    /// First instant after the bucket.
    #[must_use]
    pub fn end(self) -> Time {
        self.start.plus(self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_read_what_they_write() {
        for text in ["500ms", "30s", "5m", "1h30m", "1d", "2w", "8d", "0s"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        assert_eq!("90s".parse::<Period>().unwrap(), Period(90_000));
        for text in ["", "5", "m", "5 x", "-5m", "1.5h", "99999999999999w"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_read_what_they_write() {
        let time: Time = "2026-11-24T07:00:00Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-24T07:00:00Z");
        assert_eq!("2026-11-24".parse::<Time>().unwrap().to_string(), "2026-11-24T00:00:00Z");
        assert_eq!(Time(time.0 + 5).to_string(), "2026-11-24T07:00:00.005Z");
    }

    #[test]
    fn buckets_before_the_epoch_start_before_their_times() {
        assert_eq!(Time(-1).floor(Period::MINUTE), Time(-60_000));
        assert_eq!(Time(60_000).floor(Period::MINUTE), Time(60_000));
    }
}
