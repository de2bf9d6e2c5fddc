//! Tree → JSON value by the schema: finds every unknown key, missing key, wrong type and value out of
//! range, each at its place. What is wrong is left out of the value, so that the rest can be checked further.

use serde_json::{Map, Number, Value};

use crate::forms;
use crate::hint::{self, list, nearest};
use crate::node::{Data, Entry, Meaning, Node, Scalar};
use crate::problem::{Problem, shown};
use crate::source::{Place, Source};

/// Checks `root` against `schema` and returns what of it is usable.
pub(crate) fn check(source: &Source, root: &Node, schema: &Value, problems: &mut Vec<Problem>) -> Option<Value> {
    let mut shape = Shape { source, schema, problems, path: Vec::new() };
    shape.value(root, schema)
}

struct Shape<'a> {
    source: &'a Source,
    schema: &'a Value,
    problems: &'a mut Vec<Problem>,
    /// Keys from the root to the present value.
    path: Vec<String>,
}

/// A schema behind its references, with the name of the type it describes.
#[derive(Clone, Copy)]
struct Resolved<'s> {
    name: &'s str,
    schema: &'s Value,
}

impl<'a> Shape<'a> {
    fn value(&mut self, node: &Node, schema: &'a Value) -> Option<Value> {
        let resolved = self.resolve(schema);
        if let Some(form) = forms::of(resolved.name) {
            return self.form(node, form);
        }
        if let Some(alternatives) = alternatives(resolved.schema) {
            return self.alternative(node, alternatives, resolved.schema);
        }
        if is_open(resolved.schema) {
            return Some(node.to_json());
        }
        if !self.takes(schema, json_kind(node)) {
            return self.wrong_type(node, schema);
        }
        match &node.data {
            Data::Map(entries) => self.object(node, entries, resolved),
            Data::List(items) => self.array(node, items, resolved.schema),
            Data::Scalar(scalar) => self.scalar(node, scalar, resolved.schema),
        }
    }

    /// Follows `$ref`, and an `allOf` around a single schema.
    fn resolve(&self, schema: &'a Value) -> Resolved<'a> {
        let mut resolved = Resolved { name: "", schema };
        loop {
            let schema = resolved.schema;
            if let Some(name) = schema["$ref"].as_str().and_then(|at| at.strip_prefix("#/definitions/")) {
                resolved = Resolved { name, schema: &self.schema["definitions"][name] };
            } else if let Some([inner]) = schema["allOf"].as_array().map(Vec::as_slice) {
                resolved.schema = inner;
            } else {
                return resolved;
            }
        }
    }

    /// The JSON types that a schema admits.
    fn kinds(&self, schema: &'a Value) -> Vec<&'a str> {
        let schema = self.resolve(schema).schema;
        if let Some(alternatives) = alternatives(schema) {
            return alternatives.iter().flat_map(|alternative| self.kinds(alternative)).collect();
        }
        match (&schema["type"], &schema["const"]) {
            (Value::String(kind), _) => vec![kind],
            (Value::Array(kinds), _) => kinds.iter().filter_map(Value::as_str).collect(),
            (_, Value::String(_)) => vec!["string"],
            _ => Vec::new(),
        }
    }

    /// Whether a value of a JSON type may stand there; whether a number is whole is looked at later.
    fn takes(&self, schema: &'a Value, kind: &str) -> bool {
        let kinds = self.kinds(schema);
        is_open(schema) || kinds.contains(&kind) || (kind == "number" && kinds.contains(&"integer"))
    }

    fn form(&mut self, node: &Node, form: &forms::Form) -> Option<Value> {
        if is_not_finite(node) {
            return self.not_finite(node);
        }
        let found = match &node.data {
            Data::Scalar(scalar) => match forms::read(form, scalar) {
                Some(value) => return Some(value),
                None => format!("`{}`", shown(&scalar.text)),
            },
            _ => node.kind().to_owned(),
        };
        let message = format!("{} takes {}, not {found}", self.subject(), form.what);
        self.report(node.place, form.rule, message, Some(form.hint.to_owned()));
        None
    }

    fn alternative(&mut self, node: &Node, alternatives: &'a [Value], schema: &'a Value) -> Option<Value> {
        let words: Vec<&str> =
            alternatives.iter().filter_map(|one| self.resolve(one).schema["const"].as_str()).collect();
        if !words.is_empty() && words.len() == alternatives.len() {
            return self.word(node, &words);
        }
        let kind = json_kind(node);
        let fitting = alternatives.iter().filter(|one| self.takes(one, kind));
        match fitting.min_by_key(|one| self.unknown_keys(node, one)) {
            Some(one) => self.value(node, one),
            None => match alternatives.iter().filter(|one| one["type"] != "null").collect::<Vec<_>>()[..] {
                [only] => self.value(node, only),
                _ => self.wrong_type(node, schema),
            },
        }
    }

    /// How many keys of a map a schema does not know.
    fn unknown_keys(&self, node: &Node, schema: &'a Value) -> usize {
        let Data::Map(entries) = &node.data else { return 0 };
        let schema = self.resolve(schema).schema;
        entries.iter().filter(|entry| self.schema_of(schema, &entry.key).is_none()).count()
    }

    /// One of a few words.
    fn word(&mut self, node: &Node, words: &[&str]) -> Option<Value> {
        let known = list(words);
        let Data::Scalar(scalar) = &node.data else {
            let message = format!("{} takes one of {known}, not {}", self.subject(), node.kind());
            self.report(node.place, "wrong-type", message, None);
            return None;
        };
        if words.contains(&scalar.text.as_str()) {
            return Some(scalar.text.clone().into());
        }
        let hint = match nearest(&scalar.text, words) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("one of {known}"),
        };
        let message = format!("{} cannot be `{}`", self.subject(), shown(&scalar.text));
        self.report(node.place, "unknown-value", message, Some(hint));
        None
    }

    fn object(&mut self, node: &Node, entries: &[Entry], resolved: Resolved<'a>) -> Option<Value> {
        let Resolved { name, schema } = resolved;
        let empty = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for Entry { key, place, value } in entries {
            let inner = match (self.schema_of(schema, key), &schema["additionalProperties"]) {
                (Some(inner), _) => inner,
                (None, inner @ (Value::Object(_) | Value::Bool(true))) => inner,
                _ => {
                    let free = properties.keys().filter(|known| !entries.iter().any(|entry| entry.key == **known));
                    let free: Vec<&str> = free.map(String::as_str).collect();
                    self.unknown_key(name, (key, *place), properties, &free);
                    continue;
                }
            };
            if value.is_null() && !properties.contains_key(key) && self.takes(inner, "null") {
                object.insert(key.clone(), Value::Null);
                continue;
            }
            self.path.push(key.clone());
            if let Some(usable) =
                self.property(value, inner, !properties.contains_key(key) || required.contains(&key.as_str()))
            {
                object.insert(key.clone(), usable);
            }
            self.path.pop();
        }
        self.missing_keys(node, entries, &required, schema);
        if !self.has_right_count(node, entries, resolved) || required.iter().any(|key| !object.contains_key(*key)) {
            return None;
        }
        Some(object.into())
    }

    fn schema_of(&self, schema: &'a Value, key: &str) -> Option<&'a Value> {
        schema["properties"].as_object()?.get(key)
    }

    /// A key without value takes the default: of an object all of it, of anything else that may be left out.
    fn property(&mut self, value: &Node, schema: &'a Value, required: bool) -> Option<Value> {
        if !value.is_null() {
            return self.value(value, schema);
        }
        let resolved = self.resolve(schema);
        if resolved.schema["type"] == "object" && resolved.schema.get("minProperties").is_none() {
            return self.object(value, &[], resolved);
        }
        if required {
            self.report(value.place, "empty-value", format!("`{}` has no value", self.label()), None);
        }
        None
    }

    fn unknown_key(&mut self, name: &str, (key, place): (&str, Place), properties: &Map<String, Value>, free: &[&str]) {
        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
        let unknown = hint::unknown_key(self.schema, name, key, &known, free);
        let is_named = self.path.is_empty() || unknown.rule != "unknown-key";
        let within = if is_named { String::new() } else { format!(" in `{}`", self.label()) };
        self.report(place, unknown.rule, format!("{}{within}", unknown.message), Some(unknown.hint));
    }

    fn missing_keys(&mut self, node: &Node, entries: &[Entry], required: &[&str], schema: &Value) {
        for key in required {
            if !entries.iter().any(|entry| entry.key == *key) {
                self.path.push((*key).to_owned());
                let description =
                    schema["properties"][key]["description"].as_str().and_then(|text| text.lines().next());
                let hint = description.map(|text| format!("{key}: {text}"));
                self.report(node.place, "missing-key", format!("`{}` is missing", self.label()), hint);
                self.path.pop();
            }
        }
    }

    /// Whether a map has as many keys as it must; unknown ones, which have their own problem, count.
    fn has_right_count(&mut self, node: &Node, entries: &[Entry], resolved: Resolved<'a>) -> bool {
        let least = resolved.schema["minProperties"].as_u64().unwrap_or(0) as usize;
        let most = resolved.schema["maxProperties"].as_u64().map_or(usize::MAX, |most| most as usize);
        if (least..=most).contains(&entries.len()) {
            return true;
        }
        let hint = resolved.schema["properties"].as_object().map(|properties| {
            let known: Vec<&str> = properties.keys().map(String::as_str).collect();
            format!("exactly one of {}", list(&known))
        });
        let (place, rule, message) = match (resolved.name, entries.get(most.min(entries.len()))) {
            ("Model", Some(entry)) => (entry.place, "one-model", format!("`{}` is a second model", shown(&entry.key))),
            ("Model", None) => (node.place, "one-model", "no model is named".to_owned()),
            (_, Some(entry)) => (entry.place, "one-sink", format!("`{}` is a second sink", shown(&entry.key))),
            (_, None) => (node.place, "empty-value", format!("`{}` is empty", self.label())),
        };
        self.report(place, rule, message, hint);
        false
    }

    /// A list is usable only as a whole: leaving an item out would move the others.
    fn array(&mut self, node: &Node, items: &[Node], schema: &'a Value) -> Option<Value> {
        let mut usable = Vec::new();
        for (at, item) in items.iter().enumerate() {
            self.path.push(at.to_string());
            usable.extend(self.value(item, &schema["items"]));
            self.path.pop();
        }
        if (items.len() as u64) < schema["minItems"].as_u64().unwrap_or(0) {
            self.report(node.place, "empty-value", format!("`{}` is an empty list", self.label()), None);
            return None;
        }
        if let Some(most) = schema["maxItems"].as_u64().filter(|most| items.len() as u64 > *most) {
            let message = format!("`{}` has {} items, but at most {most} are allowed", self.label(), items.len());
            self.report(node.place, "out-of-range", message, None);
            return None;
        }
        (usable.len() == items.len()).then(|| usable.into())
    }

    fn scalar(&mut self, node: &Node, scalar: &Scalar, schema: &'a Value) -> Option<Value> {
        match scalar.meaning() {
            Meaning::Null => Some(Value::Null),
            Meaning::Bool(value) => Some(value.into()),
            Meaning::Number(value) => self.number(node, value, schema),
            Meaning::NotFinite => self.wrong_type(node, schema),
            Meaning::Text => self.text(node, &scalar.text, schema),
        }
    }

    fn number(&mut self, node: &Node, number: Number, schema: &'a Value) -> Option<Value> {
        let value = number.as_f64().unwrap_or(f64::NAN);
        let is_integer = !self.kinds(schema).contains(&"number");
        if is_integer && !number.is_i64() {
            let message = format!("{} takes a whole number, not {number}", self.subject());
            self.report(node.place, "wrong-type", message, None);
            return None;
        }
        let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        if least.is_none_or(|least| value >= least) && most.is_none_or(|most| value <= most) {
            return Some(number.into());
        }
        let message = format!("`{}` is {number}, which is out of range", self.label());
        let hint = match (least, most) {
            (Some(least), Some(most)) => format!("from {least} to {most}"),
            (Some(least), None) => format!("at least {least}"),
            (None, most) => format!("at most {}", most.unwrap_or(f64::INFINITY)),
        };
        self.report(node.place, "out-of-range", message, Some(hint));
        None
    }

    fn text(&mut self, node: &Node, text: &str, schema: &'a Value) -> Option<Value> {
        let length = text.trim().chars().count() as u64;
        if length < schema["minLength"].as_u64().unwrap_or(0) {
            self.report(node.place, "empty-value", format!("`{}` is empty", self.label()), None);
            return None;
        }
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
            let message = format!("`{}` has {length} characters, but at most {most} are allowed", self.label());
            self.report(node.place, "out-of-range", message, None);
            return None;
        }
        Some(text.into())
    }

    fn wrong_type(&mut self, node: &Node, schema: &'a Value) -> Option<Value> {
        if is_not_finite(node) {
            return self.not_finite(node);
        }
        let kinds = self.kinds(schema);
        let wanted: Vec<&str> = kinds.iter().filter_map(|kind| kind_name(kind)).collect();
        let quotable = kinds.contains(&"string") && matches!(json_kind(node), "number" | "boolean");
        let hint = match kinds[..] {
            _ if quotable => Some("put it in quotes"),
            ["array"] if matches!(node.data, Data::Scalar(_)) => Some("a list of one is written `[one]`"),
            _ => None,
        };
        let message = format!("{} takes {}, not {}", self.subject(), wanted.join(" or "), node.kind());
        self.report(node.place, "wrong-type", message, hint.map(str::to_owned));
        None
    }

    fn not_finite(&mut self, node: &Node) -> Option<Value> {
        self.report(node.place, "not-finite", format!("{} must be finite", self.subject()), None);
        None
    }

    fn report(&mut self, place: Place, rule: &str, message: String, hint: Option<String>) {
        self.problems.push(self.source.problem(place, rule, message).hint(hint));
    }

    /// The present key with those around it.
    fn label(&self) -> String {
        shown(&self.path.join("."))
    }

    /// What messages are about.
    fn subject(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.label()) }
    }
}

fn alternatives(schema: &Value) -> Option<&[Value]> {
    schema["anyOf"].as_array().or(schema["oneOf"].as_array()).map(Vec::as_slice)
}

/// Whether a schema takes anything.
fn is_open(schema: &Value) -> bool {
    const LIMITING: [&str; 6] = ["type", "const", "enum", "anyOf", "oneOf", "allOf"];
    match schema {
        Value::Object(object) => !object.contains_key("$ref") && LIMITING.iter().all(|key| !object.contains_key(*key)),
        other => *other == Value::Bool(true),
    }
}

fn is_not_finite(node: &Node) -> bool {
    matches!(&node.data, Data::Scalar(scalar) if scalar.meaning() == Meaning::NotFinite)
}

fn json_kind(node: &Node) -> &'static str {
    match &node.data {
        Data::Map(_) => "object",
        Data::List(_) => "array",
        Data::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => "null",
            Meaning::Bool(_) => "boolean",
            Meaning::Number(_) => "number",
            Meaning::NotFinite => "not finite",
            Meaning::Text => "string",
        },
    }
}

fn kind_name(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "object" => "a map of keys",
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        _ => return None,
    })
}
