//! Plans that share a bucket width, and the rows split for them once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef, TimestampMillisecondType};
use arrow::error::ArrowError;
use margay_core::log::BUCKET_START;
use margay_core::{Period, Time, TimeRange};

use super::queue::Queue;
use super::split::{Pieces, Splitter, spans};
use crate::plan::Compiled;

/// Plans with buckets of one width.
pub(crate) struct Lane {
    pub(crate) width: Period,
    splitter: Splitter,
    /// Columns that any of the plans needs.
    columns: BTreeSet<String>,
    outlets: Vec<Outlet>,
    covered: Mutex<BTreeSet<i64>>,
    too_long: AtomicU64,
}

/// Where pieces of rows leave for one plan.
pub(crate) struct Outlet {
    pub(crate) queue: Arc<Queue>,
    schema: SchemaRef,
    /// For each required column that the plan does not look at itself: the buckets in which it had a value.
    detailed: Vec<(String, Mutex<BTreeSet<i64>>)>,
}

impl Lane {
    /// A lane without plans.
    pub(crate) fn new(width: Period, range: TimeRange) -> Self {
        Self {
            width,
            splitter: Splitter::new(width, range),
            columns: BTreeSet::new(),
            outlets: Vec::new(),
            covered: Mutex::default(),
            too_long: AtomicU64::new(0),
        }
    }

    /// Adds a plan, and returns the index of its outlet.
    pub(crate) fn add(&mut self, plan: &Compiled, queue: Arc<Queue>) -> usize {
        self.columns.extend(plan.table.fields().iter().map(|field| field.name().clone()));
        self.columns.extend(plan.required.iter().cloned());
        let detailed = plan.required.iter().map(|name| (name.clone(), Mutex::default())).collect();
        self.outlets.push(Outlet { queue, schema: plan.table.clone(), detailed });
        self.outlets.len() - 1
    }

    /// Splits a batch and hands its pieces to the plans; false where none listens.
    ///
    /// # Errors
    /// The batch does not follow the convention.
    pub(crate) fn push(&self, batch: &RecordBatch) -> Result<bool, ArrowError> {
        if !self.is_open() {
            return Ok(false);
        }
        let schema = batch.schema();
        let fields = schema.fields().iter().enumerate();
        let needed = fields.filter(|(_, field)| self.columns.contains(field.name()) && field.name() != BUCKET_START);
        let needed = batch.project(&needed.map(|(at, _)| at).collect::<Vec<_>>())?;
        let (mut listening, mut failed) = (true, None);
        let too_long = self.splitter.split(&needed, spans(batch)?, &mut |pieces| {
            listening = self.hand_on(pieces).unwrap_or_else(|error| {
                failed = Some(error);
                false
            });
            listening
        })?;
        self.too_long.fetch_add(too_long, Ordering::Relaxed);
        failed.map_or(Ok(listening), Err)
    }

    fn hand_on(&self, pieces: Pieces) -> Result<bool, ArrowError> {
        let Pieces { batch, buckets } = pieces;
        let mut listening = false;
        for outlet in &self.outlets {
            outlet.note_detail(&batch);
            listening |= outlet.queue.push(shaped(&batch, &outlet.schema)?);
        }
        self.covered.lock().unwrap_or_else(PoisonError::into_inner).extend(buckets);
        Ok(listening)
    }

    /// True where a plan still takes rows.
    pub(crate) fn is_open(&self) -> bool {
        self.outlets.iter().any(|outlet| outlet.queue.is_open())
    }

    /// Says that no more rows will come.
    pub(crate) fn finish(&self) {
        self.outlets.iter().for_each(|outlet| outlet.queue.finish());
    }

    /// Ends all plans.
    pub(crate) fn close(&self) {
        self.outlets.iter().for_each(|outlet| outlet.queue.close());
    }

    /// Buckets in which the log had a row.
    pub(crate) fn covered(&self) -> Vec<Time> {
        self.covered.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().map(Time).collect()
    }

    /// Records that were too long to be split.
    pub(crate) fn too_long(&self) -> u64 {
        self.too_long.load(Ordering::Relaxed)
    }

    /// Buckets in which every required column of a plan had a value; `None` where none is looked for here.
    pub(crate) fn detailed(&self, outlet: usize) -> Option<BTreeSet<i64>> {
        let sets = self.outlets[outlet].detailed.iter();
        let sets = sets.map(|(_, buckets)| buckets.lock().unwrap_or_else(PoisonError::into_inner).clone());
        sets.reduce(|one, other| one.intersection(&other).copied().collect())
    }
}

impl Outlet {
    fn note_detail(&self, batch: &RecordBatch) {
        let starts = batch.column_by_name(BUCKET_START);
        let Some(starts) = starts.and_then(|column| column.as_primitive_opt::<TimestampMillisecondType>()) else {
            return;
        };
        for (name, buckets) in &self.detailed {
            let Some(column) = batch.column_by_name(name) else { continue };
            let mut found: Vec<i64> =
                (0..column.len()).filter(|row| column.is_valid(*row)).map(|row| starts.value(row)).collect();
            found.dedup();
            buckets.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        }
    }
}

/// The columns of `schema`: those that the batch lacks are null, those of other types are cast.
///
/// # Errors
/// A type cannot be cast.
pub(crate) fn shaped(batch: &RecordBatch, schema: &Arc<Schema>) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
        Some(column) => cast(column, field.data_type()),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_, _>>()?, &options)
}
