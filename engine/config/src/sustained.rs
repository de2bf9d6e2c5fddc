//! How long an anomaly must last.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not a count of buckets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a count such as `2 of 3`")]
pub struct SustainedError(String);

/// Of the last `m` buckets `n` must be anomalous. Written `2 of 3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sustained {
    /// Anomalous buckets.
    pub n: u32,
    /// Buckets that are looked at, the present one among them.
    pub m: u32,
}

impl Sustained {
    /// Most buckets that can be looked at.
    pub const MAX_BUCKETS: u32 = 1000;
}

impl Default for Sustained {
    /// One bucket is enough.
    fn default() -> Self {
        Self { n: 1, m: 1 }
    }
}

impl fmt::Display for Sustained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.n, self.m)
    }
}

impl FromStr for Sustained {
    type Err = SustainedError;

    /// Reads the shape only: `5 of 3` is one, and a rule of its own refuses it.
    fn from_str(text: &str) -> Result<Self, SustainedError> {
        let wrong = || SustainedError(crate::problem::shown(text));
        let words: Vec<&str> = text.split_whitespace().collect();
        let [n, "of", m] = words[..] else { return Err(wrong()) };
        let (n, m) = (n.parse().map_err(|_| wrong())?, m.parse().map_err(|_| wrong())?);
        Ok(Self { n, m })
    }
}

impl Serialize for Sustained {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sustained {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Sustained {
    fn schema_name() -> Cow<'static, str> {
        "Sustained".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "How many of the last buckets must be anomalous: `2 of 3`.",
            "pattern": "^ *[0-9]+ +of +[0-9]+ *$",
            "examples": ["1 of 1", "2 of 3"]
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn counts_read_what_they_write() {
        assert_eq!("2 of 3".parse::<Sustained>().unwrap(), Sustained { n: 2, m: 3 });
        assert_eq!(Sustained::default().to_string(), "1 of 1");
        for text in ["", "2", "2/3", "two of 3", "2 of", "-1 of 3", "2 of 3 of 4", "1 of 99999999999"] {
            assert!(text.parse::<Sustained>().is_err(), "{text}");
        }
    }
}
