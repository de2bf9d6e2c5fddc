//! What a definition is, whatever its comments and the order of its keys.

use margay_core::digest;
use serde_json::{Value, json};

use crate::detector::Detector;

/// Digests of the parts of a definition on which stored things depend.
pub(crate) struct Digests {
    /// Of all of it.
    pub(crate) whole: String,
    /// Of what determines the features.
    pub(crate) data: String,
    /// Of what determines the trained model: the features, the model and the watched direction.
    pub(crate) model: String,
}

impl Digests {
    pub(crate) fn of(detector: &Detector) -> Self {
        let exclude: Vec<Value> =
            detector.exclude.iter().map(|rows| json!({ "where": rows.r#where, "until": rows.until })).collect();
        let data = of(&json!({
            "log": detector.log,
            "where": detector.r#where,
            "entity": detector.entity,
            "bucket": detector.bucket,
            "features": detector.features,
            "sql": detector.sql,
            "exclude": exclude,
            "requires": detector.requires,
        }));
        let model = of(&json!({ "data": data, "model": detector.model, "direction": detector.threshold.direction }));
        Self { whole: of(&json!(detector)), data, model }
    }
}

fn of(value: &Value) -> String {
    digest(&[sorted(value).to_string()])
}

/// The value with the keys of its objects in alphabetical order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut pairs: Vec<(&String, &Value)> = object.iter().collect();
            pairs.sort_unstable_by_key(|(key, _)| *key);
            pairs.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(sorted).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}
