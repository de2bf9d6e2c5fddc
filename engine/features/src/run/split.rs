//! Records that span time, split over the buckets that they overlap.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, TimestampMillisecondArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit};
use arrow::error::ArrowError;
use margay_core::log::{ADDITIVE, BUCKET_START, END, START};
use margay_core::{Period, TimeRange};

use crate::rows::ROWS_MOST;

/// Buckets that one record is split over at most; a longer one counts as a whole in the bucket of its start.
pub(crate) const RECORD_BUCKETS_MOST: i64 = 10_000;

/// The field of [`BUCKET_START`].
pub(crate) fn bucket_field() -> Field {
    Field::new(BUCKET_START, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true)
}

/// Start and end columns of a batch.
///
/// # Errors
/// They are missing, of another type, or hold nulls.
pub(crate) fn spans(batch: &RecordBatch) -> Result<(&Int64Array, &Int64Array), ArrowError> {
    let column = |name: &str| {
        let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        column.filter(|column| column.null_count() == 0).ok_or_else(|| {
            ArrowError::SchemaError(format!("a batch of the log has no column `{name}` of Int64 without nulls"))
        })
    };
    Ok((column(START)?, column(END)?))
}

/// How the records of a batch lie on a grid of buckets.
pub(crate) struct Splitter {
    width: Period,
    range: TimeRange,
}

/// A record's share in one bucket: the stretch `elapsed` of its `whole` duration, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Share {
    elapsed: Range<i64>,
    whole: i64,
}

/// Pieces of records, and the distinct buckets that they lie in.
pub(crate) struct Pieces {
    /// Rows with [`BUCKET_START`] as the last column.
    pub(crate) batch: RecordBatch,
    /// Starts of the buckets.
    pub(crate) buckets: BTreeSet<i64>,
}

impl Splitter {
    /// Splits over buckets of `width`, and keeps those that start within `range`.
    pub(crate) fn new(width: Period, range: TimeRange) -> Self {
        Self { width: Period(width.0.max(1)), range }
    }

    /// Hands the pieces of all records of `columns` to `emit`, some thousand rows at a time, until that says false.
    /// Returns how many records were too long to be split.
    ///
    /// # Errors
    /// Columns and spans do not fit together.
    pub(crate) fn split(
        &self,
        columns: &RecordBatch,
        (starts, ends): (&Int64Array, &Int64Array),
        emit: &mut dyn FnMut(Pieces) -> bool,
    ) -> Result<u64, ArrowError> {
        let buckets: Vec<i64> = starts.values().iter().map(|start| self.floor(*start)).collect();
        let spans = || starts.values().iter().zip(ends.values()).zip(&buckets);
        let fits = spans().all(|((start, end), bucket)| *end <= bucket.saturating_add(self.width.0).max(*start));
        if fits && buckets.iter().all(|bucket| self.keeps(*bucket)) {
            emit(pieces(columns.clone(), buckets)?);
            return Ok(0);
        }
        let (mut chunk, mut too_long) = (Chunk::default(), 0);
        for (row, ((start, end), first)) in spans().enumerate() {
            let last = self.floor((*end).saturating_sub(1).max(*start));
            let count = (last - first) / self.width.0 + 1;
            let count = if count > RECORD_BUCKETS_MOST { 1 } else { count };
            too_long += u64::from(count == 1 && last > *first);
            for bucket in (0..count).map(|step| first + step * self.width.0).filter(|bucket| self.keeps(*bucket)) {
                let until = if count == 1 { *end } else { bucket.saturating_add(self.width.0).min(*end) };
                let elapsed = bucket.max(*start) - start..until.max(*start) - start;
                chunk.push(row, bucket, Share { elapsed, whole: end - start });
                if chunk.rows.len() >= ROWS_MOST && !emit(std::mem::take(&mut chunk).cut(columns)?) {
                    return Ok(too_long);
                }
            }
        }
        if !chunk.rows.is_empty() {
            emit(chunk.cut(columns)?);
        }
        Ok(too_long)
    }

    fn floor(&self, time: i64) -> i64 {
        time.saturating_sub(time.rem_euclid(self.width.0))
    }

    fn keeps(&self, bucket: i64) -> bool {
        self.range.start.0 <= bucket && bucket < self.range.end.0
    }
}

/// Pieces on their way into a batch.
#[derive(Default)]
struct Chunk {
    rows: Vec<u32>,
    buckets: Vec<i64>,
    shares: Vec<Share>,
}

impl Chunk {
    fn push(&mut self, row: usize, bucket: i64, share: Share) {
        self.rows.push(row as u32);
        self.buckets.push(bucket);
        self.shares.push(share);
    }

    fn cut(self, columns: &RecordBatch) -> Result<Pieces, ArrowError> {
        let rows = UInt32Array::from(self.rows);
        let schema = columns.schema();
        let mut arrays = Vec::with_capacity(columns.num_columns());
        for (column, field) in columns.columns().iter().zip(schema.fields()) {
            let copied = take(column, &rows, None)?;
            let adds_up = field.metadata().contains_key(ADDITIVE);
            arrays.push(if adds_up { apportion(&copied, &self.shares) } else { copied });
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        pieces(RecordBatch::try_new_with_options(schema, arrays, &options)?, self.buckets)
    }
}

fn pieces(batch: RecordBatch, buckets: Vec<i64>) -> Result<Pieces, ArrowError> {
    let mut distinct = buckets.clone();
    distinct.dedup();
    distinct.sort_unstable();
    let fields = batch.schema().fields().iter().cloned().chain([Arc::new(bucket_field())]).collect::<Vec<_>>();
    let starts: ArrayRef = Arc::new(TimestampMillisecondArray::from(buckets).with_timezone("UTC"));
    let arrays = batch.columns().iter().cloned().chain([starts]).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
    Ok(Pieces { batch, buckets: distinct.into_iter().collect() })
}

/// Amounts of whole records to amounts of their shares. Whole numbers stay whole, and add up to what they were.
fn apportion(amounts: &ArrayRef, shares: &[Share]) -> ArrayRef {
    match amounts.data_type() {
        DataType::Int64 => {
            let amounts = amounts.as_primitive::<Int64Type>();
            let parts = amounts.values().iter().zip(shares).map(|(amount, share)| share.of_whole(*amount));
            Arc::new(Int64Array::new(parts.collect(), amounts.nulls().cloned()))
        }
        DataType::Float64 => {
            let amounts = amounts.as_primitive::<Float64Type>();
            let parts = amounts.values().iter().zip(shares).map(|(amount, share)| share.of_real(*amount));
            Arc::new(Float64Array::new(parts.collect(), amounts.nulls().cloned()))
        }
        _ => amounts.clone(),
    }
}

impl Share {
    fn is_all(&self) -> bool {
        self.whole <= 0 || (self.elapsed.start == 0 && self.elapsed.end >= self.whole)
    }

    /// What had come by the end of the stretch less what had come before it, each rounded down.
    fn of_whole(&self, amount: i64) -> i64 {
        if self.is_all() {
            return amount;
        }
        let short = |elapsed: i64| amount.checked_mul(elapsed).map(|product| product.div_euclid(self.whole));
        if let (Some(by_end), Some(before)) = (short(self.elapsed.end), short(self.elapsed.start)) {
            return by_end - before;
        }
        let long = |elapsed: i64| (i128::from(amount) * i128::from(elapsed)).div_euclid(i128::from(self.whole));
        (long(self.elapsed.end) - long(self.elapsed.start)) as i64
    }

    fn of_real(&self, amount: f64) -> f64 {
        if self.is_all() {
            return amount;
        }
        amount * ((self.elapsed.end - self.elapsed.start) as f64 / self.whole as f64)
    }
}
