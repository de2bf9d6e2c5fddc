//! The schemas beside the files they describe.

use crate::{SchemaKind, schema};
use serde_json::Value;

use super::{GOOD, repository};

/// Set to any value, the test writes the files instead of comparing them.
const UPDATE: &str = "MARGAY_UPDATE";

#[test]
fn the_schema_files_are_not_stale() {
    for (kind, file) in [
        (SchemaKind::Detector, "detectors.d/detector.schema.json"),
        (SchemaKind::Engine, "examples/engine.schema.json"),
        (SchemaKind::Exclusion, "examples/calico/exclusions.d/exclusion.schema.json"),
        (SchemaKind::Silence, "examples/calico/silences.d/silence.schema.json"),
        (SchemaKind::Calendar, "examples/calico/calendars.d/calendar.schema.json"),
    ] {
        let fresh = format!("{}\n", serde_json::to_string_pretty(&schema(kind)).unwrap());
        let path = repository().join(file);
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&path, &fresh).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == fresh, "{file} is stale: run the tests with {UPDATE}=1");
    }
}

#[test]
fn every_key_has_a_hover_text() {
    fn walk(value: &Value, at: &str, missing: &mut Vec<String>) {
        for (name, property) in value["properties"].as_object().into_iter().flatten() {
            let text = property["description"].as_str().unwrap_or_default();
            if text.len() < 10 {
                missing.push(format!("{at}.{name}"));
            }
        }
        match value {
            Value::Object(object) => {
                object.iter().for_each(|(key, child)| walk(child, &format!("{at}.{key}"), missing))
            }
            Value::Array(items) => items.iter().for_each(|child| walk(child, at, missing)),
            _ => {}
        }
    }
    let mut missing = Vec::new();
    for kind in
        [SchemaKind::Detector, SchemaKind::Engine, SchemaKind::Exclusion, SchemaKind::Silence, SchemaKind::Calendar]
    {
        walk(&schema(kind), &format!("{kind:?}"), &mut missing);
    }
    assert_eq!(missing, [""; 0]);
}

#[test]
fn other_validators_agree_about_the_examples() {
    let json = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap();
    let detector = jsonschema::draft7::new(&schema(SchemaKind::Detector)).unwrap();
    assert!(detector.is_valid(&json(GOOD)));
    for broken in
        ["unknown-key", "wrong-type", "out-of-range", "one-model", "unknown-model", "bad-period", "bad-quantity"]
    {
        let text = std::fs::read_to_string(repository().join(format!("tests/bad/{broken}.yaml"))).unwrap();
        assert!(!detector.is_valid(&json(&text)), "{broken}");
    }
    let engine = jsonschema::draft7::new(&schema(SchemaKind::Engine)).unwrap();
    assert!(engine.is_valid(&json(include_str!("engine.yaml"))));
}
