//! What a detector measures.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The features of a detector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Features {
    /// Name and SQL aggregate of each, in the order of the file.
    Map(Vec<(String, String)>),
    /// Names of the columns that `sql` yields.
    List(Vec<String>),
}

impl Features {
    /// Names in the order of the file.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Map(pairs) => pairs.iter().map(|(name, _)| name.as_str()).collect(),
            Self::List(names) => names.iter().map(String::as_str).collect(),
        }
    }
}

impl Serialize for Features {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::List(names) => names.serialize(serializer),
            Self::Map(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                for (name, sql) in pairs {
                    map.serialize_entry(name, sql)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Features {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FeaturesVisitor)
    }
}

struct FeaturesVisitor;

impl<'de> Visitor<'de> for FeaturesVisitor {
    type Value = Features;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of names and SQL aggregates, or a list of the columns of `sql`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Features, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Features::Map(pairs))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Features, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = items.next_element()? {
            names.push(name);
        }
        Ok(Features::List(names))
    }
}

impl JsonSchema for Features {
    fn schema_name() -> Cow<'static, str> {
        "Features".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {
                    "type": "object",
                    "description": "Each feature's name and its SQL aggregate over the rows of an entity's bucket.",
                    "minProperties": 1,
                    "additionalProperties": { "type": "string", "minLength": 1 }
                },
                {
                    "type": "array",
                    "description": "Names of the columns of `sql` that are features.",
                    "minItems": 1,
                    "items": { "type": "string", "minLength": 1 }
                }
            ]
        })
    }
}
