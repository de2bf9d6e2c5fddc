//! Columns of a log and their Arrow types.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use margay_core::log::{ADDITIVE, END, START};

use crate::spec::TimeFormat;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Timestamp(Millisecond, UTC)`; seconds, milliseconds or RFC 3339 in the files.
    Time,
    /// `Utf8View`.
    Text,
    /// `Int64`.
    Int,
    /// `Float64`.
    Float,
    /// `Float64` in seconds; nanoseconds in the files.
    Nanos,
    /// `Boolean`.
    Bool,
    /// `List<Utf8>`; a map `{k: v}` in the files becomes `k=v`.
    List,
}

impl Kind {
    /// The Arrow type.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Time => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
            Self::Text => DataType::Utf8View,
            Self::Int => DataType::Int64,
            Self::Float | Self::Nanos => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::List => DataType::new_list(DataType::Utf8, true),
        }
    }
}

/// Time zone of all times.
pub(crate) const UTC: &str = "UTC";

/// A column of a log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Whether the values add up over time.
    pub(crate) additive: bool,
    /// Where the value is found, best first; a dot leads into an object.
    pub(crate) paths: Vec<String>,
}

/// Where the time of a row is found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TimeFields {
    /// Paths of the start, best first.
    pub(crate) start: Vec<String>,
    /// Paths of the end; a row without one is an instant.
    pub(crate) end: Vec<String>,
    pub(crate) format: TimeFormat,
}

/// All that is known of a log's rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Columns {
    pub(crate) columns: Vec<Column>,
    pub(crate) time: TimeFields,
    /// Whether `-` and `*` stand for nothing.
    pub(crate) signs_are_null: bool,
}

impl Columns {
    /// The schema with the columns of the span first.
    pub(crate) fn schema(&self) -> SchemaRef {
        schema(&self.columns.iter().collect::<Vec<_>>())
    }
}

/// Schema of batches with `columns` after the columns of the span.
pub(crate) fn schema(columns: &[&Column]) -> SchemaRef {
    let span = [START, END].map(|name| Field::new(name, DataType::Int64, false));
    let fields = columns.iter().map(|column| {
        let metadata = if column.additive { HashMap::from([(ADDITIVE.into(), "true".into())]) } else { HashMap::new() };
        Field::new(&column.name, column.kind.data_type(), true).with_metadata(metadata)
    });
    Arc::new(Schema::new(span.into_iter().chain(fields).collect::<Vec<_>>()))
}
