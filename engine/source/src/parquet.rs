//! Parquet: column by column instead of row by row.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StructArray};
use arrow::compute::filter;
use arrow::datatypes::{SchemaRef, TimestampMillisecondType};

use crate::arrays;
use crate::batch::{BATCH_ROWS_MOST, Layout, NO_TIME, ODD_TIME, Span, span};
use crate::csv::missing_time;
use crate::files;
use crate::input::{EMPTY, reason};
use crate::scan::{PartReport, Task};

/// Schema of a file and its number of rows.
///
/// # Errors
/// Why the file cannot be read.
pub(crate) fn schema(path: &Path) -> Result<(SchemaRef, usize), String> {
    let (builder, _) = open(path)?;
    let rows = builder.metadata().file_metadata().num_rows();
    Ok((builder.schema().clone(), usize::try_from(rows).unwrap_or_default()))
}

/// Reads a file.
///
/// # Errors
/// Why the file or its rest cannot be read.
pub(crate) fn read(task: &Task<'_>, path: &Path, report: &mut PartReport) -> Result<(), String> {
    let (builder, bytes) = open(path)?;
    let roots: Vec<usize> = wanted_roots(task.layout, builder.schema());
    let time = &task.layout.time;
    let paths = task.layout.paths.slots();
    if !time.start.iter().any(|slot| is_there(builder.schema(), &paths[*slot])) {
        return Err(missing_time(time.start.first().map_or("", |slot| &paths[*slot])));
    }
    let rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let builder = builder.with_projection(mask).with_batch_size(BATCH_ROWS_MOST);
    let reader = guarded(|| builder.build())?;
    let mut told = 0;
    let mut reader = reader.map_err(|error| fault(&error))?;
    while let Some(batch) = guarded(|| reader.next())? {
        let batch = batch.map_err(|error| fault(&error))?;
        convert(task, &batch, report);
        let done = bytes * report.lines / rows;
        task.read(done - told);
        told = done;
        if task.is_stopped() {
            return Ok(());
        }
    }
    task.read(bytes - told);
    Ok(())
}

type Builder = ParquetRecordBatchReaderBuilder<std::fs::File>;

fn open(path: &Path) -> Result<(Builder, u64), String> {
    let (file, metadata) = files::open(path).map_err(|error| reason(&error))?;
    if metadata.len() == 0 {
        return Err(EMPTY.into());
    }
    let builder = guarded(|| Builder::try_new(file))?.map_err(|error| fault(&error))?;
    Ok((builder, metadata.len()))
}

/// The Parquet reader panics on some damaged files; that must not end the scan of the others.
fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| "the file is cut short or corrupt: its reader gave up".into())
}

fn fault(error: &dyn std::error::Error) -> String {
    format!("the file is cut short or corrupt: {error}")
}

/// Columns of the file that hold any wanted path.
fn wanted_roots(layout: &Layout, schema: &SchemaRef) -> Vec<usize> {
    let paths = layout.paths.slots();
    let is_wanted = |name: &str| {
        paths.iter().any(|path| path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    };
    (0..schema.fields().len()).filter(|at| is_wanted(schema.field(*at).name())).collect()
}

fn is_there(schema: &SchemaRef, path: &str) -> bool {
    schema.fields().find(path).is_some()
        || path.split_once('.').is_some_and(|(outer, _)| schema.fields().find(outer).is_some())
}

/// The column at `path`: of this name, or within columns of objects.
fn resolve(batch: &RecordBatch, path: &str) -> Option<ArrayRef> {
    if let Some(column) = batch.column_by_name(path) {
        return Some(column.clone());
    }
    let mut names = path.split('.');
    let mut array = batch.column_by_name(names.next()?)?.clone();
    for name in names {
        let inner = array.as_any().downcast_ref::<StructArray>()?.column_by_name(name)?.clone();
        array = inner;
    }
    Some(array)
}

/// Hands the good rows of the range on.
fn convert(task: &Task<'_>, batch: &RecordBatch, report: &mut PartReport) {
    let layout = task.layout;
    let slots: Vec<Option<ArrayRef>> = layout.paths.slots().iter().map(|path| resolve(batch, path)).collect();
    let there = |wanted: &[usize]| wanted.iter().find_map(|slot| slots[*slot].clone());
    let spans = spans(layout, &slots, batch.num_rows());
    let mut keep = Vec::with_capacity(batch.num_rows());
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for found in spans {
        report.lines += 1;
        let wanted = match found {
            Ok(span) => report.good(span, &layout.range).then_some(span),
            Err(reason) => {
                report.bad(report.lines, reason);
                None
            }
        };
        keep.push(wanted.is_some());
        starts.extend(wanted.map(|span| span.0));
        ends.extend(wanted.map(|span| span.1));
    }
    if starts.is_empty() {
        return;
    }
    let keep = BooleanArray::from(keep);
    let times = [starts, ends].map(|times| std::sync::Arc::new(Int64Array::from(times)) as ArrayRef);
    let fields = layout.fields.iter().map(|field| {
        let Some(array) = there(&field.slots) else {
            return arrow::array::new_null_array(&field.kind.data_type(), keep.true_count());
        };
        let array = filter(&array, &keep).expect("a mask as long as the array");
        let (array, unfit) = arrays::normalise(&array, field, layout.signs_are_null);
        report.unfit += unfit;
        array
    });
    let arrays = times.into_iter().chain(fields).collect();
    task.give(RecordBatch::try_new(layout.schema.clone(), arrays).expect("arrays follow the schema"));
}

/// The span of each row.
fn spans(layout: &Layout, slots: &[Option<ArrayRef>], rows: usize) -> Vec<Result<Span, &'static str>> {
    let times = |wanted: &[usize]| {
        let arrays = wanted.iter().filter_map(|slot| slots[*slot].as_ref());
        arrays.map(|array| (array.clone(), arrays::times(array, layout.time.format))).collect::<Vec<_>>()
    };
    let value = |times: &[(ArrayRef, ArrayRef)], row: usize| {
        let (_, millis) = times.iter().find(|(array, _)| array.is_valid(row)).ok_or(NO_TIME)?;
        if millis.is_null(row) {
            return Err(ODD_TIME);
        }
        Ok(millis.as_primitive::<TimestampMillisecondType>().value(row))
    };
    let (start, end) = (times(&layout.time.start), times(&layout.time.end));
    let row_span = |row| {
        let start = value(&start, row)?;
        match value(&end, row) {
            Ok(end) => Ok(span(start, Some(end))),
            Err(NO_TIME) => Ok(span(start, None)),
            Err(reason) => Err(reason),
        }
    };
    (0..rows).map(row_span).collect()
}
