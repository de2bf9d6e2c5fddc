//! Which indices a name stands for, and what their fields are.

use std::collections::BTreeMap;

use elasticsearch::http::Method;
use serde_json::{Map, Value};

use super::client::{Ask, Client, Fault};
use super::flavour::Flavour;
use super::kept::{self, Kept};
use crate::column::{Column, Columns, Kind, TimeFields};
use crate::spec::TimeFormat;

/// Fields of an index that are looked at, at most.
const FIELDS_MOST: usize = 10_000;

/// An index by its own name, not by an alias or a pattern.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Concrete {
    pub(crate) name: String,
    /// Its fields; those of objects have dotted names.
    pub(crate) fields: BTreeMap<String, Field>,
    /// Whether records may have fields that are not mapped.
    pub(crate) has_unmapped: bool,
}

/// A field of an index.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    /// Its type, as the mapping names it.
    pub(crate) kind: String,
    /// Where its values are kept beside the records as the records have them.
    pub(crate) kept: Option<Kept>,
}

/// A field with times and how the server orders them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeIn<'a> {
    pub(crate) field: &'a str,
    /// Whether the server knows that it is a time; otherwise it is a number.
    pub(crate) is_date: bool,
}

/// The indices that `pattern` stands for now, by name.
///
/// # Errors
/// One is missing, a pattern stands for none, or the server cannot be asked.
pub(crate) fn resolve(client: &Client, flavour: Flavour, pattern: &str) -> Result<Vec<Concrete>, Fault> {
    let path = format!("/{}/_mapping?ignore_unavailable=false&allow_no_indices=false", encoded(pattern));
    let answer = client.json(Ask { method: Method::Get, path: &path, body: None })?;
    let Value::Object(indices) = answer else { return Err(Fault::passing("the answer is no list of indices")) };
    if indices.is_empty() {
        return Err(Fault::lasting("no index has this name"));
    }
    let mut concrete: Vec<Concrete> =
        indices.into_iter().map(|(name, index)| Concrete::new(name, &index["mappings"], flavour)).collect();
    concrete.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(concrete)
}

impl Concrete {
    fn new(name: String, mappings: &Value, flavour: Flavour) -> Self {
        let mut concrete = Self { name, ..Self::default() };
        let mut copied = Vec::new();
        concrete.walk("", mappings, &mut copied);
        if !flavour.tells_of_long_values() {
            let fields = concrete.fields.values_mut();
            fields.for_each(|field| field.kept = field.kept.take().filter(|kept| !kept.is_cut));
        }
        let computed = mappings["runtime"].as_object().into_iter().flat_map(Map::keys).cloned();
        for field in copied.into_iter().chain(computed) {
            if let Some(field) = concrete.fields.get_mut(&field) {
                field.kept = None;
            }
        }
        concrete
    }

    /// Adds the fields of an object, and to `copied` the fields that have values of others, too.
    fn walk(&mut self, prefix: &str, object: &Value, copied: &mut Vec<String>) {
        let is_open = |dynamic: &Value| *dynamic == false || dynamic == "false" || dynamic == "runtime";
        self.has_unmapped |= is_open(&object["dynamic"]) || object["enabled"] == false;
        for (name, field) in object["properties"].as_object().into_iter().flatten() {
            if self.fields.len() >= FIELDS_MOST {
                self.has_unmapped = true;
                return;
            }
            let name = format!("{prefix}{name}");
            let (kind, inner) = (field["type"].as_str(), field["properties"].as_object());
            match (kind, inner) {
                (None | Some("object"), _) => self.walk(&format!("{name}."), field, copied),
                (Some(kind), _) => {
                    let targets = field["copy_to"].as_array().into_iter().flatten().chain([&field["copy_to"]]);
                    copied.extend(targets.filter_map(Value::as_str).map(str::to_owned));
                    let kept = kept::of(&name, field);
                    self.fields.insert(name, Field { kind: kind.to_owned(), kept });
                }
            }
        }
    }

    /// The first of `paths` that the index has.
    ///
    /// # Errors
    /// It has none, or the one that it has cannot be ordered by time.
    pub(crate) fn time<'a>(&self, paths: &'a [String]) -> Result<Option<TimeIn<'a>>, Fault> {
        let found = paths.iter().find_map(|path| Some((path, self.fields.get(path)?)));
        let Some((field, mapped)) = found else { return Ok(None) };
        match &mapped.kind[..] {
            "date" | "date_nanos" => Ok(Some(TimeIn { field, is_date: true })),
            "long" | "integer" | "double" | "float" | "unsigned_long" => Ok(Some(TimeIn { field, is_date: false })),
            other => Err(Fault::lasting(format!(
                "index {}: `{field}` is mapped as {other}, in which no time can be looked for",
                self.name
            ))),
        }
    }
}

/// The columns of a declared log: the fields of all its indices, in alphabetical order.
///
/// # Errors
/// Two indices have different types for a field.
pub(crate) fn columns(indices: &[Concrete], time: TimeFields) -> Result<Columns, Fault> {
    let mut kinds: BTreeMap<&str, (Kind, &str)> = BTreeMap::new();
    for index in indices {
        for (field, kind) in index.fields.iter().filter_map(|(name, field)| Some((name, kind_of(&field.kind)?))) {
            let (known, first) = *kinds.entry(field).or_insert((kind, &index.name));
            let both = merged(known, kind).ok_or_else(|| {
                let name = &index.name;
                Fault::lasting(format!("`{field}` has one type in index {first} and another in index {name}"))
            })?;
            kinds.insert(field, (both, first));
        }
    }
    for name in time.start.iter().chain(&time.end) {
        kinds.insert(name, (Kind::Time, ""));
    }
    let columns = kinds.into_iter().map(|(name, (kind, _))| Column {
        name: name.to_owned(),
        kind,
        additive: false,
        paths: vec![name.to_owned()],
    });
    Ok(Columns { columns: columns.collect(), time, signs_are_null: false })
}

/// What the values of a mapped field are; `None` for what is no value.
fn kind_of(mapped: &str) -> Option<Kind> {
    Some(match mapped {
        "long" | "integer" | "short" | "byte" | "unsigned_long" => Kind::Int,
        "double" | "float" | "half_float" | "scaled_float" => Kind::Float,
        "date" | "date_nanos" => Kind::Time,
        "boolean" => Kind::Bool,
        "nested" | "flattened" => Kind::List,
        "alias" | "join" | "percolator" => return None,
        _ => Kind::Text,
    })
}

fn merged(one: Kind, other: Kind) -> Option<Kind> {
    match (one, other) {
        (one, other) if one == other => Some(one),
        (Kind::Int | Kind::Float, Kind::Int | Kind::Float) => Some(Kind::Float),
        _ => None,
    }
}

/// How a log that is only declared says its time.
pub(crate) fn declared(time_field: &str, end_field: Option<&String>, format: TimeFormat) -> TimeFields {
    TimeFields { start: vec![time_field.to_owned()], end: end_field.into_iter().cloned().collect(), format }
}

/// A name of an index as part of a path.
pub(crate) fn encoded(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.*,".contains(byte);
    name.bytes().map(|byte| if plain(&byte) { char::from(byte).into() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn index(name: &str, properties: Value) -> Concrete {
        Concrete::new(name.to_owned(), &json!({ "properties": properties }), Flavour::Elasticsearch)
    }

    fn time() -> TimeFields {
        declared("ts", None, TimeFormat::Auto)
    }

    #[test]
    fn fields_of_objects_have_dotted_names_and_whole_numbers_give_way_to_fractions() {
        let one =
            index("a", json!({ "ts": { "type": "date" }, "http": { "properties": { "bytes": { "type": "long" } } } }));
        let other = index(
            "b",
            json!({ "ts": { "type": "date" }, "http": { "properties": { "bytes": { "type": "double" } } } }),
        );
        let columns = columns(&[one, other], time()).unwrap();
        let kinds: Vec<(&str, Kind)> = columns.columns.iter().map(|column| (&column.name[..], column.kind)).collect();
        assert_eq!(kinds, [("http.bytes", Kind::Float), ("ts", Kind::Time)]);
    }

    #[test]
    fn a_field_with_two_types_is_named_with_both_indices() {
        let one = index("a", json!({ "x": { "type": "long" } }));
        let other = index("b", json!({ "x": { "type": "keyword" } }));
        let fault = columns(&[one, other], time()).unwrap_err();
        assert_eq!(fault.message, "`x` has one type in index a and another in index b");
    }

    #[test]
    fn a_time_that_is_text_is_refused() {
        let text = index("a", json!({ "ts": { "type": "keyword" } }));
        assert!(text.time(&["ts".to_owned()]).unwrap_err().message.contains("mapped as keyword"));
        let later = index("a", json!({ "@timestamp": { "type": "date" } }));
        let paths = ["ts".to_owned(), "@timestamp".to_owned()];
        assert_eq!(later.time(&paths).unwrap(), Some(TimeIn { field: "@timestamp", is_date: true }));
        assert_eq!(later.time(&["ts".to_owned()]).unwrap(), None);
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_the_path() {
        assert_eq!(encoded("tigera_secure_ee_flows.*,b-2"), "tigera_secure_ee_flows.*,b-2");
        assert_eq!(encoded("a/../_all?x"), "a%2F..%2F_all%3Fx");
    }
}
