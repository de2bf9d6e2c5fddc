//! Amounts with units.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a quantity such as 1000, 10MB, 1MiB, 20ms or 5%")]
pub struct QuantityError(String);

/// An amount in the base unit of its kind: bytes, seconds, or a plain number. Always finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub f64);

const UNITS: [(&str, f64); 20] = [
    ("", 1.0),
    ("%", 0.01),
    ("B", 1.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
];

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let wrong = || QuantityError(crate::problem::shown(text));
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c))).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let factor = UNITS.iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(wrong)?.1;
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let value = number * factor;
        if value.is_finite() { Ok(Self(value)) } else { Err(wrong()) }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor)
    }
}

struct QuantityVisitor;

impl Visitor<'_> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or text with a unit such as 10MB")
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Quantity, E> {
        if value.is_finite() { Ok(Quantity(value)) } else { Err(E::custom("a number must be finite")) }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Quantity, E> {
        Ok(Quantity(value as f64))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Quantity, E> {
        Ok(Quantity(value as f64))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["number", "string"],
            "description": "A number, or text with a unit: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB (into bytes), \
                ns, us, ms, s, m, h, d (into seconds), or %.",
            "pattern": "^[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+) *(B|[kKMGT]B|[KMGT]iB|ns|us|µs|ms|s|m|h|d|%)?$",
            "examples": [1000, "10MB", "1MiB", "20ms", "5%"]
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn units_multiply() {
        for (text, value) in [
            ("1000", 1000.0),
            ("10MB", 1e7),
            ("1 MiB", 1_048_576.0),
            ("20ms", 0.02),
            ("1.5h", 5400.0),
            ("5%", 0.05),
            ("-3", -3.0),
        ] {
            assert_eq!(text.parse::<Quantity>().unwrap(), Quantity(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "MB", "10 apples", "1.2.3", "nan", "inf", "1e400", "10mb", "--1"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }
}
