//! Numbers that may be missing: `NaN` in memory, null where they are written. For `#[serde(with)]`.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes `NaN` as null.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    (!number.is_nan()).then_some(*number).serialize(serializer)
}

/// Reads null as `NaN`.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The schema of such a number.
pub fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["number", "null"] })
}
