//! The fields that rules name, as columns of a log.

use std::collections::BTreeMap;

use margay_config::shown;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// Numbers.
    Number,
    /// Durations that the log has in nanoseconds and the column in seconds.
    Nanoseconds,
    /// True or false.
    Bool,
    /// Points in time.
    Time,
    /// Lists of texts.
    List,
    /// Not known: the log is not there yet.
    Unknown,
}

/// The columns of a log.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// By each name that a column goes by: its own name, and its kind.
    pub by_name: BTreeMap<String, (String, ColumnKind)>,
    /// Whether `-`, `*` and empty text stand for nothing in the log, and are null in its columns.
    pub signs_are_null: bool,
}

/// A log that margay.yaml names, or that margay knows.
#[derive(Clone, Debug, Default)]
pub struct KnownLog {
    /// Its name.
    pub name: String,
    /// The data set of Calico that it is: `flows`, `dns` or `l7`.
    pub dataset: Option<String>,
    /// The index of Elasticsearch that it is read from.
    pub index: Option<String>,
    /// Its columns, where they are known.
    pub columns: Option<Columns>,
}

/// A column that a rule means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: ColumnKind,
    pub(crate) signs_are_null: bool,
}

/// Seconds in a nanosecond.
const SECONDS_PER_NANOSECOND: f64 = 1e-9;

impl Column {
    /// A number that the rule compares the field with, in the unit of the column.
    pub(crate) fn scaled(&self, value: f64) -> f64 {
        if self.kind == ColumnKind::Nanoseconds { value * SECONDS_PER_NANOSECOND } else { value }
    }
}

impl KnownLog {
    /// The column of a field; an error where the log's columns are known and it is none of them.
    pub(crate) fn column(&self, field: &str) -> Result<Column, String> {
        let Some(columns) = &self.columns else {
            return Ok(Column {
                name: without_suffix(field).to_owned(),
                kind: ColumnKind::Unknown,
                signs_are_null: false,
            });
        };
        let found = spellings(field).into_iter().find_map(|name| columns.by_name.get(name));
        match found {
            Some((name, kind)) => {
                Ok(Column { name: name.clone(), kind: *kind, signs_are_null: columns.signs_are_null })
            }
            None => Err(format!("the log `{}` has no field `{}`", self.name, shown(field))),
        }
    }
}

/// Where a field may be found: under its name, without Elasticsearch's suffix for exact text, and without the object
/// that Calico puts around labels and policies.
fn spellings(field: &str) -> Vec<&str> {
    let bare = without_suffix(field);
    let mut names = vec![field, bare];
    names.extend(bare.strip_suffix(".labels"));
    names.extend(bare.strip_prefix("policies."));
    names
}

fn without_suffix(field: &str) -> &str {
    field.strip_suffix(".keyword").or(field.strip_suffix(".raw")).unwrap_or(field)
}
