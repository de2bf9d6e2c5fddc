//! Which values a server keeps apart from the records (doc values), just as the records have them: it hands these out
//! several times as fast, and can group and add up nothing else.

use serde_json::Value;

use super::mapping::Concrete;
use crate::column::Kind;

/// A field whose values are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its name; of a text that is kept as a part of it.
    pub(crate) field: String,
    /// Whether values that are longer than the mapping says are passed over, of which only the record itself tells.
    pub(super) is_cut: bool,
    kind: String,
}

/// How an index gives the values of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// As the kept values of a field, which stands in the records at this path.
    Kept { path: String, field: String },
    /// Not at all: no record has any.
    Absent,
    /// Within the records.
    Records,
}

/// Settings of a field that leave its kept values as they are in the records. What is not listed may change them: a
/// normalizer, a value for null. Values that are ignored are looked for in another way.
const HARMLESS: [&str; 16] = [
    "type",
    "index",
    "store",
    "norms",
    "index_options",
    "eager_global_ordinals",
    "similarity",
    "meta",
    "fields",
    "doc_values",
    "ignore_above",
    "ignore_malformed",
    "coerce",
    "format",
    "boost",
    "copy_to",
];
const WHOLE: [&str; 4] = ["long", "integer", "short", "byte"];

/// Where the values of a mapped field are kept.
pub(super) fn of(name: &str, field: &Value) -> Option<Kept> {
    let kind = field["type"].as_str()?;
    if kind == "text" {
        let parts = field["fields"].as_object()?.iter();
        let part = |(part, inner): (&String, &Value)| of(&format!("{name}.{part}"), inner);
        // That the text is there tells of values that its part lacks.
        return parts
            .filter(|(_, part)| part["type"] == "keyword")
            .find_map(part)
            .map(|kept| Kept { is_cut: false, ..kept });
    }
    let is_plain = field.as_object()?.keys().all(|setting| HARMLESS.contains(&&setting[..]));
    let is_known = WHOLE.contains(&kind) || ["keyword", "double", "date", "boolean"].contains(&kind);
    let is_kept = is_plain && is_known && field["doc_values"] != false && field["doc_values"] != "false";
    let is_cut = field.get("ignore_above").is_some();
    is_kept.then(|| Kept { field: name.to_owned(), is_cut, kind: kind.to_owned() })
}

impl Kept {
    /// True where the values are those of a column of this kind.
    fn holds(&self, kind: Kind) -> bool {
        let mapped = &self.kind[..];
        match kind {
            Kind::Text => mapped == "keyword",
            Kind::Int => WHOLE.contains(&mapped),
            Kind::Float | Kind::Nanos => mapped == "double" || WHOLE.contains(&mapped),
            Kind::Time => mapped == "date",
            Kind::Bool => mapped == "boolean",
            // Their order and repeats are lost.
            Kind::List => false,
        }
    }
}

impl Concrete {
    /// How the values of a column are given that stand at one of `paths`.
    pub(crate) fn given(&self, paths: &[String], kind: Kind) -> Given {
        let mut mapped = paths.iter().filter_map(|path| Some((path, self.fields.get(path)?)));
        match (mapped.next(), mapped.next()) {
            (Some((path, field)), None) => self.given_at(path, field.kept.as_ref(), kind),
            (None, _) if !self.has_unmapped && paths.iter().all(|path| !self.has_inner(path)) => Given::Absent,
            _ => Given::Records,
        }
    }

    /// How times are given that stand at the first of `paths` that the index has; see [`Concrete::time`].
    pub(crate) fn given_time(&self, paths: &[String]) -> Given {
        let at = paths.iter().position(|path| self.fields.contains_key(path));
        match at.map(|at| &paths[at..=at]) {
            Some(path) if at == Some(0) || !self.has_unmapped => self.given(path, Kind::Time),
            Some(_) => Given::Records,
            None => self.given(paths, Kind::Time),
        }
    }

    fn given_at(&self, path: &str, kept: Option<&Kept>, kind: Kind) -> Given {
        match kept.filter(|kept| kept.holds(kind)) {
            Some(kept) => Given::Kept { path: path.to_owned(), field: kept.field.clone() },
            None => Given::Records,
        }
    }

    /// True where a path leads to an object.
    fn has_inner(&self, path: &str) -> bool {
        let prefix = format!("{path}.");
        self.fields.range(prefix.clone()..).next().is_some_and(|(name, _)| name.starts_with(&prefix))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(mapping: &Value) -> Option<String> {
        of("x", mapping).map(|kept| kept.field)
    }

    #[test]
    fn values_that_the_mapping_changes_are_not_taken_for_those_of_the_records() {
        let kept = Some("x".to_owned());
        assert_eq!(field(&json!({ "type": "keyword", "ignore_above": 256 })), kept);
        assert_eq!(field(&json!({ "type": "long", "index": false })), kept);
        assert_eq!(field(&json!({ "type": "date", "format": "epoch_second" })), kept);
        let part = json!({ "keyword": { "type": "keyword", "ignore_above": 256 } });
        assert_eq!(field(&json!({ "type": "text", "fields": part })), Some("x.keyword".to_owned()));
        for changed in [
            json!({ "type": "keyword", "normalizer": "lowercase" }),
            json!({ "type": "keyword", "null_value": "none" }),
            json!({ "type": "keyword", "doc_values": false }),
            json!({ "type": "text" }),
            json!({ "type": "text", "fields": { "low": { "type": "keyword", "normalizer": "lowercase" } } }),
            json!({ "type": "float" }),
            json!({ "type": "scaled_float", "scaling_factor": 100 }),
            json!({ "type": "unsigned_long" }),
            json!({ "type": "ip" }),
            json!({ "type": "long", "script": { "source": "emit(1)" } }),
        ] {
            assert_eq!(field(&changed), None, "{changed}");
        }
    }
}
