//! Rows into Arrow batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use margay_core::{Time, TimeRange};

use crate::column::{self, Column, Columns, Kind};
use crate::json::Paths;
use crate::normal::Builder;
use crate::raw::Raw;
use crate::spec::TimeFormat;
use crate::time;

/// Rows of a batch at most.
///
/// Columns of so many rows stay in the second-level cache, and below the size at which the allocator gives memory
/// back to the system.
pub(crate) const BATCH_ROWS_MOST: usize = 4096;
/// Bytes of text after which a batch is closed with fewer rows.
const BATCH_BYTES_MOST: usize = 8 * 1024 * 1024;

/// What a scan takes from each row, and where it finds it.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) schema: SchemaRef,
    pub(crate) fields: Vec<LayoutField>,
    pub(crate) time: LayoutTime,
    pub(crate) paths: Paths,
    pub(crate) range: TimeRange,
    pub(crate) signs_are_null: bool,
}

/// A column of the batches.
#[derive(Clone, Debug)]
pub(crate) struct LayoutField {
    pub(crate) kind: Kind,
    /// Slots of the value, best first.
    pub(crate) slots: Vec<usize>,
    /// How times are written.
    pub(crate) format: TimeFormat,
}

/// Slots of the span, best first.
#[derive(Clone, Debug)]
pub(crate) struct LayoutTime {
    pub(crate) start: Vec<usize>,
    pub(crate) end: Vec<usize>,
    pub(crate) format: TimeFormat,
}

impl Layout {
    /// The columns of the span and `wanted`, in this order. Names that the log does not have are left out.
    pub(crate) fn new(columns: &Columns, wanted: &[String], range: TimeRange) -> Self {
        let mut paths = Paths::new();
        let mut chosen: Vec<&Column> = Vec::new();
        for name in wanted {
            let column = columns.columns.iter().find(|column| column.name == *name);
            chosen.extend(column.filter(|column| chosen.iter().all(|other| other.name != column.name)));
        }
        let mut slots = |all: &[String]| all.iter().flat_map(|path| paths.add(path)).collect::<Vec<_>>();
        let fields = chosen.iter().map(|column| LayoutField {
            kind: column.kind,
            slots: slots(&column.paths),
            format: columns.time_format(&column.paths),
        });
        let fields = fields.collect();
        let time = LayoutTime {
            start: slots(&columns.time.start),
            end: slots(&columns.time.end),
            format: columns.time.format,
        };
        let schema = column::schema(&chosen);
        Self { schema, fields, time, paths, range, signs_are_null: columns.signs_are_null }
    }
}

impl Columns {
    /// How a column with `paths` writes times: as declared where it is one of the span.
    fn time_format(&self, paths: &[String]) -> TimeFormat {
        let spans = self.time.start.iter().chain(&self.time.end);
        if spans.into_iter().any(|path| paths.contains(path)) { self.time.format } else { TimeFormat::Auto }
    }
}

/// Start and end of a row in milliseconds; equal for an instant.
pub(crate) type Span = (i64, i64);

/// Why a row is bad.
pub(crate) const NO_TIME: &str = "the time is missing";
pub(crate) const ODD_TIME: &str = "the time cannot be read";

/// The span of an instant or of a record, if it is a time at all.
pub(crate) fn span(start: i64, end: Option<i64>) -> Span {
    (start, end.map_or(start, |end| end.max(start)))
}

/// True where the span shares an instant with the range.
pub(crate) fn touches(range: &TimeRange, (start, end): Span) -> bool {
    start < range.end.0 && (end > range.start.0 || start >= range.start.0)
}

/// The half open range of a span; an instant takes a millisecond.
pub(crate) fn hull(known: Option<TimeRange>, (start, end): Span) -> TimeRange {
    let range = TimeRange { start: Time(start), end: Time(end.max(start + 1)) };
    known.map_or(range, |known| known.hull(range))
}

/// Gathers rows until they are a batch.
pub(crate) struct Gatherer<'a> {
    layout: &'a Layout,
    starts: Vec<i64>,
    ends: Vec<i64>,
    builders: Vec<Builder>,
    /// Bytes that the rows took in their file.
    bytes: usize,
    /// Values that did not fit their column since this was last taken.
    pub(crate) unfit: u64,
}

impl<'a> Gatherer<'a> {
    /// Nothing gathered.
    pub(crate) fn new(layout: &'a Layout) -> Self {
        Self {
            layout,
            starts: Vec::with_capacity(BATCH_ROWS_MOST),
            ends: Vec::with_capacity(BATCH_ROWS_MOST),
            builders: layout.fields.iter().map(|field| Builder::new(field, layout.signs_are_null)).collect(),
            bytes: 0,
            unfit: 0,
        }
    }

    /// The span of a row.
    ///
    /// # Errors
    /// The row has no time, or an odd one.
    pub(crate) fn span(&self, slots: &[Raw<'_>]) -> Result<Span, &'static str> {
        let time = &self.layout.time;
        let start = match first(&time.start, slots) {
            Raw::Null => return Err(NO_TIME),
            raw => time::millis(raw, time.format).ok_or(ODD_TIME)?,
        };
        let end = match first(&time.end, slots) {
            Raw::Null => None,
            raw => Some(time::millis(raw, time.format).ok_or(ODD_TIME)?),
        };
        Ok(span(start, end))
    }

    /// Adds a row.
    #[inline]
    pub(crate) fn push(&mut self, span: Span, slots: &[Raw<'_>]) {
        self.starts.push(span.0);
        self.ends.push(span.1);
        for (builder, field) in self.builders.iter_mut().zip(&self.layout.fields) {
            let raw = first(&field.slots, slots);
            self.bytes += raw.len();
            self.unfit += u64::from(!builder.push(raw));
        }
    }

    /// True where the next row belongs to the next batch.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.starts.len() >= BATCH_ROWS_MOST || self.bytes >= BATCH_BYTES_MOST
    }

    /// The rows gathered so far, if any.
    pub(crate) fn take(&mut self) -> Option<RecordBatch> {
        if self.starts.is_empty() {
            return None;
        }
        self.bytes = 0;
        let fresh = || Vec::with_capacity(BATCH_ROWS_MOST);
        let starts = std::mem::replace(&mut self.starts, fresh());
        let ends = std::mem::replace(&mut self.ends, fresh());
        let times = [starts, ends].map(|times| Arc::new(Int64Array::from(times)) as ArrayRef);
        let arrays = times.into_iter().chain(self.builders.iter_mut().map(Builder::finish)).collect();
        Some(RecordBatch::try_new(self.layout.schema.clone(), arrays).expect("builders follow the schema"))
    }
}

/// The first value of `slots` that is not null.
#[inline]
fn first<'a>(slots: &[usize], values: &[Raw<'a>]) -> Raw<'a> {
    slots.iter().map(|slot| values[*slot]).find(|value| !matches!(value, Raw::Null)).unwrap_or_default()
}
