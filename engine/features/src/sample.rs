//! Raw rows behind alerts.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, TimeUnit, TimestampMillisecondType};
use arrow::error::ArrowError;
use margay_core::log::BUCKET_START;
use margay_core::{Entity, Records, Time, TimeRange};
use serde_json::{Map, Value};

use crate::plan::{Compiled, Plan, panic_message};
use crate::run::{Feed, RunError, bucket_field, shaped, spans};
use crate::sql::table;

/// Whose rows are wanted, and of which time.
#[derive(Clone, Debug, PartialEq)]
pub struct Want {
    /// The entity.
    pub entity: Entity,
    /// The time.
    pub range: TimeRange,
}

/// Elements of a list that a sample shows; further ones are left out.
const ELEMENTS_MOST: usize = 64;

/// Columns to read for a sample: all of the log that hold single values or lists of them, and those that the plan needs.
#[must_use]
pub fn sample_columns(plan: &Plan) -> Vec<String> {
    let fields = plan.inner.sampler.table.fields().iter();
    let shown = fields.filter(|field| is_shown(field.data_type()) && field.name() != BUCKET_START);
    let mut columns: Vec<String> = shown.map(|field| field.name().clone()).collect();
    columns.extend(plan.columns().iter().filter(|name| !columns.contains(name)).cloned().collect::<Vec<_>>());
    columns
}

fn is_shown(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(element) => table::is_scalar(element.data_type()),
        other => table::is_scalar(other),
    }
}

/// Finds the rows that each want is about: those that pass the filters of the plan, belong to the entity and touch
/// the time. Of each, the first `per_want` by start and text are given with `columns`, nulls left out, and the
/// rest is counted. The result does not depend on the order of the rows.
///
/// # Errors
/// The rows do not follow the convention of [`margay_core::log`], or a value does not suit a filter.
pub fn sample(
    plan: &Plan,
    wants: &[Want],
    per_want: usize,
    columns: &[String],
    produce: &(dyn Fn(&Feed) + Sync),
) -> Result<Vec<Records>, RunError> {
    let search = Search::new(&plan.inner, wants, per_want, columns);
    let failure: Mutex<Option<RunError>> = Mutex::default();
    let take = |batch: RecordBatch| {
        let looked = catch_unwind(AssertUnwindSafe(|| search.look(&batch)));
        let looked = looked.unwrap_or_else(|panic| Err(RunError::Panic(panic_message(&*panic).to_owned())));
        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = looked {
            failure.get_or_insert(error);
        }
        failure.is_none()
    };
    produce(&Feed::new(&take));
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(search.found.into_iter().map(Found::finish).collect()),
    }
}

/// What is looked for, and what was found.
struct Search<'a> {
    plan: &'a Compiled,
    wants: &'a [Want],
    /// Wants by the values of their entity that a row tells.
    by_entity: HashMap<Vec<Option<&'a str>>, Vec<usize>>,
    per_want: usize,
    columns: &'a [String],
    schema: Arc<Schema>,
    found: Vec<Found>,
}

/// The first rows of a want by start and text.
struct Found(Mutex<First>);

#[derive(Default)]
struct First {
    rows: BTreeMap<(i64, String, u64), Map<String, Value>>,
    count: u64,
}

impl<'a> Search<'a> {
    fn new(plan: &'a Compiled, wants: &'a [Want], per_want: usize, columns: &'a [String]) -> Self {
        let told: Vec<bool> = plan.sampler.told().collect();
        let mut by_entity: HashMap<Vec<Option<&str>>, Vec<usize>> = HashMap::new();
        // Where no value of the entity can be told from a row, no row is known to belong to it.
        if told.iter().any(|told| *told) {
            for (at, want) in wants.iter().enumerate() {
                let values = want.entity.values().iter().zip(&told).filter(|(_, told)| **told);
                by_entity.entry(values.map(|(value, _)| value.as_deref()).collect()).or_default().push(at);
            }
        }
        let schema = plan.sampler.table.clone();
        let found = wants.iter().map(|_| Found(Mutex::default())).collect();
        Self { plan, wants, by_entity, per_want, columns, schema, found }
    }

    fn look(&self, batch: &RecordBatch) -> Result<(), RunError> {
        let unusable = |error: ArrowError| RunError::Rows(error.to_string());
        let (starts, ends) = spans(batch).map_err(unusable)?;
        let rows = self.rows(batch, starts).map_err(unusable)?;
        let failed = |error| RunError::of_query(&error, 0);
        let counts = self.plan.sampler.counts(&rows).map_err(failed)?;
        let keys = self.plan.sampler.keys(&rows).map_err(failed)?;
        let keys: Vec<StringArray> = keys.into_iter().flatten().collect();
        let mut entity = Vec::with_capacity(keys.len());
        for row in (0..rows.num_rows()).filter(|row| counts.value(*row)) {
            entity.clear();
            entity.extend(keys.iter().map(|key| key.is_valid(row).then(|| key.value(row))));
            let Some(wanted) = self.by_entity.get(&entity) else { continue };
            let start = starts.value(row);
            let span = TimeRange { start: Time(start), end: Time(ends.value(row).max(start.saturating_add(1))) };
            for at in wanted.iter().filter(|at| self.wants[**at].range.overlaps(&span)) {
                self.found[*at].add(start, self.per_want, || self.record(batch, row)).map_err(unusable)?;
            }
        }
        Ok(())
    }

    /// The batch in the shape that the filters expect.
    fn rows(&self, batch: &RecordBatch, starts: &Int64Array) -> Result<RecordBatch, ArrowError> {
        let buckets = starts.values().iter().map(|start| Time(*start).floor(self.plan.bucket).0);
        let buckets = TimestampMillisecondArray::from_iter_values(buckets).with_timezone("UTC");
        let named =
            batch.schema().fields().iter().filter(|field| field.name() != BUCKET_START).cloned().collect::<Vec<_>>();
        let columns = named.iter().filter_map(|field| batch.column_by_name(field.name()).cloned());
        let columns = columns.chain([Arc::new(buckets) as _]).collect();
        let fields: Vec<_> = named.iter().cloned().chain([Arc::new(bucket_field())]).collect();
        shaped(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?, &self.schema)
    }

    fn record(&self, batch: &RecordBatch, row: usize) -> Result<Map<String, Value>, ArrowError> {
        let mut record = Map::new();
        for name in self.columns {
            let Some(column) = batch.column_by_name(name) else { continue };
            if let Some(value) = json(column, row)? {
                record.insert(name.clone(), value);
            }
        }
        Ok(record)
    }
}

/// A value or a list of values as JSON; `None` for nulls and for what JSON has no form for.
fn json(column: &dyn Array, row: usize) -> Result<Option<Value>, ArrowError> {
    if column.is_null(row) {
        return Ok(None);
    }
    Ok(match column.data_type() {
        DataType::Utf8View => Some(Value::from(column.as_string_view().value(row))),
        DataType::Utf8 => Some(Value::from(column.as_string::<i32>().value(row))),
        DataType::Boolean => Some(Value::from(column.as_boolean().value(row))),
        DataType::Int64 => Some(Value::from(column.as_primitive::<Int64Type>().value(row))),
        DataType::Float64 => {
            serde_json::Number::from_f64(column.as_primitive::<Float64Type>().value(row)).map(Value::Number)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Some(Value::from(Time(column.as_primitive::<TimestampMillisecondType>().value(row)).to_string()))
        }
        DataType::List(_) => {
            let elements = column.as_list::<i32>().value(row);
            let shown = 0..elements.len().min(ELEMENTS_MOST);
            let values: Result<Vec<Option<Value>>, ArrowError> = shown.map(|at| json(&elements, at)).collect();
            Some(Value::Array(values?.into_iter().flatten().collect()))
        }
        other if table::is_scalar(other) => {
            let text = cast(&column.slice(row, 1), &DataType::Utf8)?;
            Some(Value::from(text.as_string::<i32>().value(0)))
        }
        _ => None,
    })
}

impl Found {
    fn add(
        &self,
        start: i64,
        most: usize,
        record: impl FnOnce() -> Result<Map<String, Value>, ArrowError>,
    ) -> Result<(), ArrowError> {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = first.count;
        first.count += 1;
        let last = first.rows.last_key_value().map(|((start, ..), _)| *start);
        if first.rows.len() >= most && last.is_none_or(|last| last < start) {
            return Ok(());
        }
        let record = record()?;
        let text = Value::Object(record.clone()).to_string();
        // Equal rows are kept apart by a number, which nobody sees.
        first.rows.insert((start, text, number), record);
        if first.rows.len() > most {
            first.rows.pop_last();
        }
        Ok(())
    }

    fn finish(self) -> Records {
        let first = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let left_out = first.count - first.rows.len() as u64;
        Records { rows: first.rows.into_values().collect(), left_out }
    }
}
