//! JSON Schemas of the files, for editors and for our own check of shapes.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::calendar::CalendarFile;
use crate::detector::Detector;
use crate::engine::Engine;
use crate::exclusion::ExclusionFile;
use crate::forms;
use crate::silence::SilenceFile;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// margay.yaml.
    Engine,
    /// A file of detectors.d.
    Detector,
    /// A file of exclusions.d.
    Exclusion,
    /// A file of silences.d.
    Silence,
    /// A YAML file of calendars.d.
    Calendar,
}

/// The JSON Schema (draft-07) of a kind of file, generated from the types, as editors take it best.
#[must_use]
pub fn schema(kind: SchemaKind) -> Value {
    match kind {
        SchemaKind::Engine => schema_of::<Engine>(),
        SchemaKind::Detector => schema_of::<Detector>(),
        SchemaKind::Exclusion => schema_of::<ExclusionFile>(),
        SchemaKind::Silence => schema_of::<SilenceFile>(),
        SchemaKind::Calendar => schema_of::<CalendarFile>(),
    }
}

/// The JSON Schema (draft-07) of a type, as editors take it best.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    let mut schema = plain_of::<T>();
    suit_editors(&mut schema);
    if let Some(definitions) = schema["definitions"].as_object_mut() {
        for (name, definition) in definitions {
            if let Some(form) = forms::of(name).filter(|_| definition.get("pattern").is_some()) {
                definition["patternErrorMessage"] = format!("not {}: {}", form.what, form.hint).into();
            }
        }
    }
    schema
}

/// An editor's server counts the key that is being typed, so that beside a `maxProperties` it completes nothing.
/// Inside an `allOf` it means the same and does not stand in the way.
fn suit_editors(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(suit_editors);
            if let Some(most) = object.remove("maxProperties") {
                object.insert("allOf".to_owned(), json!([{ "maxProperties": most }]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(suit_editors),
        _ => {}
    }
}

/// The JSON Schema by which files are read.
pub(crate) fn plain(kind: SchemaKind) -> Value {
    match kind {
        SchemaKind::Engine => plain_of::<Engine>(),
        SchemaKind::Detector => plain_of::<Detector>(),
        SchemaKind::Exclusion => plain_of::<ExclusionFile>(),
        SchemaKind::Silence => plain_of::<SilenceFile>(),
        SchemaKind::Calendar => plain_of::<CalendarFile>(),
    }
}

/// The JSON Schema by which files of a type are read.
pub(crate) fn plain_of<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value();
    drop_null_defaults(&mut schema);
    schema
}

/// The keys that may stand at a path of keys, in the order of the types' fields.
pub(crate) fn keys_in_order<'s>(schema: &'s Value, path: &[String]) -> Vec<&'s str> {
    let behind = |mut here: &'s Value| loop {
        here = match (here["$ref"].as_str().and_then(|at| at.strip_prefix("#/definitions/")), &here["allOf"][0]) {
            (Some(name), _) => &schema["definitions"][name],
            (None, inner @ Value::Object(_)) => inner,
            _ => return here,
        };
    };
    let node = path.iter().fold(behind(schema), |node, key| behind(&node["properties"][key]));
    node["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

/// A default of `null` says only that a key may be left out, which `required` says already.
fn drop_null_defaults(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.retain(|key, value| key != "default" || !value.is_null());
            if let Some(Value::Object(default)) = object.get_mut("default") {
                default.retain(|_, value| !value.is_null());
            }
            object.values_mut().for_each(drop_null_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_defaults),
        _ => {}
    }
}

/// Turns the `oneOf` of an externally tagged enum into one object with a property for each variant,
/// exactly one of which must stand: editors complete and explain that better.
pub(crate) fn one_key_of(schema: &mut Schema) {
    let Some(Value::Array(variants)) = schema.remove("oneOf") else { return };
    let properties: Map<String, Value> = variants.into_iter().filter_map(property).collect();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties.into());
    schema.insert("additionalProperties".to_owned(), false.into());
    schema.insert("minProperties".to_owned(), 1.into());
    schema.insert("maxProperties".to_owned(), 1.into());
}

/// Name and schema of the one property of a variant, with the variant's description.
fn property(mut variant: Value) -> Option<(String, Value)> {
    let description = variant.get("description").cloned();
    let properties = variant.get_mut("properties")?.as_object_mut()?;
    let (name, schema) = properties.iter().next().map(|(name, schema)| (name.clone(), schema.clone()))?;
    let mut described = Map::new();
    if let Some(description) = description {
        described.insert("description".to_owned(), description);
    }
    described.insert("allOf".to_owned(), vec![schema].into());
    Some((name, described.into()))
}
