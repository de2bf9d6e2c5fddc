//! One day of features in one Parquet file.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use arrow::error::ArrowError;
use margay_core::{Entity, FeatureTable, Members, Period, Time, TimeRange};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::checksum::Checksum;
use super::{Layout, StoreError, disk, rows};
use crate::exact::list_type;

/// Key of the file's metadata under which the covered buckets stand.
const COVERED: &str = "margay.covered";
/// Key under which the checksum of the rows stands.
const CHECKSUM: &str = "margay.checksum";

/// Rows that are handed to the writer at once.
const WRITTEN_ROWS: usize = 8192;

/// A day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(Time);

impl Day {
    /// The day of a time.
    pub(super) fn of(time: Time) -> Self {
        Self(time.floor(Period::DAY))
    }

    /// The day of a file such as `2026-11-24.parquet`; `None` for other files.
    pub(super) fn of_file_name(name: &str) -> Option<Self> {
        let date = name.strip_suffix(".parquet")?;
        let day = Self::of(date.parse().ok()?);
        (day.file_name() == name).then_some(day)
    }

    fn file_name(self) -> String {
        let text = self.0.to_string();
        format!("{}.parquet", text.split('T').next().unwrap_or_default())
    }

    /// The times within.
    pub(super) fn range(self) -> TimeRange {
        TimeRange { start: self.0, end: self.0.plus(Period::DAY) }
    }
}

/// The file of a day.
pub(super) struct DayFile<'a> {
    path: PathBuf,
    layout: &'a Layout,
}

impl<'a> DayFile<'a> {
    pub(super) fn new(folder: &Path, day: Day, layout: &'a Layout) -> Self {
        Self { path: folder.join(day.file_name()), layout }
    }

    /// The generation before, as it was when the file was last replaced.
    pub(super) fn previous(&self) -> Self {
        Self { path: disk::previous(&self.path), layout: self.layout }
    }

    /// Moves the file away, and its previous generation into its place where that can be read.
    pub(super) fn set_aside(&self) -> Result<(), StoreError> {
        disk::set_aside(&self.path)?;
        let previous = self.previous();
        if previous.read().is_ok_and(|table| table.is_some()) { disk::put(&previous.path, &self.path) } else { Ok(()) }
    }

    /// All of the day; `None` where there is no file.
    pub(super) fn read(&self) -> Result<Option<FeatureTable>, StoreError> {
        self.guarded(|| self.read_all())
    }

    /// Covered buckets of the day, from the file's metadata alone.
    pub(super) fn covered(&self) -> Result<Vec<Time>, StoreError> {
        self.guarded(|| self.open()?.map_or(Ok(Vec::new()), |builder| self.covered_in(builder.metadata())))
    }

    /// Damaged bytes make the reader of Parquet fail in any way, panics among them.
    fn guarded<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let failed = |_| Err(self.damaged(ParquetError::General("the reader failed".to_owned())));
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(failed)
    }

    fn read_all(&self) -> Result<Option<FeatureTable>, StoreError> {
        let Some(builder) = self.open()? else { return Ok(None) };
        let covered = self.covered_in(builder.metadata())?;
        let expected = Self::pair(builder.metadata(), CHECKSUM).map(str::to_owned);
        let mut checksum = Checksum::new(Self::pair(builder.metadata(), COVERED).unwrap_or_default());
        let mut tables = Vec::new();
        for batch in builder.build().map_err(|error| self.damaged(error))? {
            let batch = batch.map_err(|error| StoreError::arrow(&self.path, error))?;
            tables.push(self.table(&batch)?);
            checksum.add(&batch);
        }
        if expected.as_deref() != Some(&checksum.text()[..]) {
            return Err(self.damaged(ParquetError::General("its rows do not have its checksum".to_owned())));
        }
        let mut table = rows::merge(self.layout, &tables);
        table.covered = covered;
        Ok(Some(table))
    }

    /// Replaces the file by what a table says of buckets that start within `range`; removes it where there is nothing
    /// to keep.
    pub(super) fn write(&self, table: &FeatureTable, range: TimeRange) -> Result<(), StoreError> {
        let rows = rows::within(&table.bucket_start, range);
        let covered = &table.covered[rows::within(&table.covered, range)];
        if rows.is_empty() && covered.is_empty() {
            return disk::remove(&self.path);
        }
        let properties = self.properties(covered);
        let write = |file: File| -> Result<File, ParquetError> {
            let mut writer = ArrowWriter::try_new(file, self.schema(), Some(properties))?;
            let mut checksum = Checksum::new(&runs_to_text(covered, self.layout.bucket));
            for start in rows.clone().step_by(WRITTEN_ROWS) {
                let batch = self.batch(table, start..rows.end.min(start + WRITTEN_ROWS))?;
                checksum.add(&batch);
                writer.write(&batch)?;
            }
            writer.append_key_value_metadata(KeyValue::new(CHECKSUM.to_owned(), checksum.text()));
            writer.into_inner()
        };
        disk::replace(&self.path, write, |source| StoreError::Write { path: self.path.clone(), source })
    }

    fn properties(&self, covered: &[Time]) -> WriterProperties {
        let covered = KeyValue::new(COVERED.to_owned(), runs_to_text(covered, self.layout.bucket));
        let column = |name: String| ColumnPath::new(vec![name]);
        let bucket_start = column("bucket_start".to_owned());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(vec![covered]))
            // Whole files are read, so nothing is chosen by statistics.
            .set_statistics_enabled(EnabledStatistics::None)
            .set_column_dictionary_enabled(bucket_start.clone(), false)
            .set_column_encoding(bucket_start, Encoding::DELTA_BINARY_PACKED);
        // Measured numbers rarely repeat: a dictionary of them costs time and saves nothing.
        let features = self.layout.features.iter().map(|name| column(format!("feature.{name}")));
        features
            .fold(properties, |properties, feature| properties.set_column_dictionary_enabled(feature, false))
            .build()
    }

    fn open(&self) -> Result<Option<ParquetRecordBatchReaderBuilder<File>>, StoreError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::file("read", &self.path, source)),
        };
        ParquetRecordBatchReaderBuilder::try_new(file).map(Some).map_err(|error| self.damaged(error))
    }

    fn damaged(&self, source: ParquetError) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), source }
    }

    fn covered_in(&self, metadata: &ParquetMetaData) -> Result<Vec<Time>, StoreError> {
        let text = Self::pair(metadata, COVERED);
        text.and_then(|text| text_to_times(text, self.layout.bucket))
            .ok_or_else(|| StoreError::foreign(&self.path, "the covered buckets are missing"))
    }

    fn pair<'m>(metadata: &'m ParquetMetaData, key: &str) -> Option<&'m str> {
        let pairs = metadata.file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    fn schema(&self) -> SchemaRef {
        let instant = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let mut fields = vec![Field::new("bucket_start", instant, false)];
        let entity = self.layout.entity_columns.iter();
        fields.extend(entity.map(|name| Field::new(format!("entity.{name}"), DataType::Utf8, true)));
        let features = self.layout.features.iter();
        fields.extend(features.map(|name| Field::new(format!("feature.{name}"), DataType::Float64, true)));
        fields.extend(["detailed", "excluded"].map(|name| Field::new(name, DataType::Boolean, false)));
        let lists = self.layout.features.iter().zip(&self.layout.lists).filter(|(_, list)| **list);
        fields.extend(lists.map(|(name, _)| Field::new(format!("members.{name}"), list_type(), false)));
        Arc::new(Schema::new(fields))
    }

    fn batch(&self, table: &FeatureTable, rows: Range<usize>) -> Result<RecordBatch, ArrowError> {
        let starts = table.bucket_start[rows.clone()].iter().map(|start| start.0);
        let starts = TimestampMillisecondArray::from_iter_values(starts);
        let mut columns: Vec<ArrayRef> = vec![Arc::new(starts.with_timezone("UTC"))];
        let entity = &table.entity[rows.clone()];
        for column in 0..self.layout.entity_columns.len() {
            let texts = entity.iter().map(|entity| table.entities[*entity as usize].values()[column].as_deref());
            columns.push(Arc::new(texts.collect::<StringArray>()));
        }
        for values in &table.values {
            let numbers = values[rows.clone()].iter().map(|number| (!number.is_nan()).then_some(*number));
            columns.push(Arc::new(numbers.collect::<Float64Array>()));
        }
        for flags in [&table.detailed, &table.excluded] {
            columns.push(Arc::new(BooleanArray::from(flags[rows.clone()].to_vec())));
        }
        for members in table.members.iter().flatten() {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for row in rows.clone() {
                members.row(row).for_each(|text| lists.values().append_value(text));
                lists.append(true);
            }
            columns.push(Arc::new(lists.finish()));
        }
        RecordBatch::try_new(self.schema(), columns)
    }

    fn table(&self, batch: &RecordBatch) -> Result<FeatureTable, StoreError> {
        let schema = self.schema();
        let same = |(field, other): (&Arc<Field>, &Arc<Field>)| {
            field.name() == other.name() && field.data_type() == other.data_type()
        };
        let fields = batch.schema_ref().fields();
        if fields.len() != schema.fields().len() || !fields.iter().zip(schema.fields()).all(same) {
            return Err(StoreError::foreign(&self.path, "it has other columns"));
        }
        let (entity_count, feature_count) = (self.layout.entity_columns.len(), self.layout.features.len());
        let columns = batch.columns();
        let (entities, entity) = self.entities(&columns[1..1 + entity_count], batch.num_rows());
        let values = columns[1 + entity_count..][..feature_count].iter().map(|column| {
            column.as_primitive::<Float64Type>().iter().map(|number| number.unwrap_or(f64::NAN)).collect()
        });
        let mut lists = columns[3 + entity_count + feature_count..].iter();
        let members = self.layout.lists.iter().map(|list| if *list { lists.next().map(members) } else { None });
        let flags = |column: &ArrayRef| column.as_boolean().iter().map(|flag| flag == Some(true)).collect();
        let starts = columns[0].as_primitive::<TimestampMillisecondType>();
        Ok(FeatureTable {
            bucket: self.layout.bucket,
            features: self.layout.features.clone(),
            entities,
            entity,
            bucket_start: starts.values().iter().copied().map(Time).collect(),
            values: values.collect(),
            members: members.collect(),
            detailed: flags(&columns[1 + entity_count + feature_count]),
            excluded: flags(&columns[2 + entity_count + feature_count]),
            covered: Vec::new(),
            left_out: 0,
        })
    }

    fn entities(&self, columns: &[ArrayRef], row_count: usize) -> (Vec<Entity>, Vec<u32>) {
        let names: Arc<[String]> = self.layout.entity_columns.clone().into();
        let texts: Vec<&StringArray> = columns.iter().map(|column| column.as_string::<i32>()).collect();
        let mut known: std::collections::HashMap<Vec<Option<&str>>, u32> = std::collections::HashMap::new();
        let (mut entities, mut entity) = (Vec::new(), Vec::with_capacity(row_count));
        for row in 0..row_count {
            let key: Vec<Option<&str>> = texts.iter().map(|text| text.is_valid(row).then(|| text.value(row))).collect();
            let at = *known.entry(key).or_insert_with_key(|key| {
                let values = key.iter().map(|value| value.map(str::to_owned)).collect();
                entities.push(Entity::new(names.clone(), values));
                (entities.len() - 1) as u32
            });
            entity.push(at);
        }
        (entities, entity)
    }
}

fn members(column: &ArrayRef) -> Members {
    let mut members = Members::default();
    for list in column.as_list::<i32>().iter() {
        let items = list.as_ref().map(|items| items.as_string::<i32>());
        members.push(items.into_iter().flatten().flatten());
    }
    members
}

/// Ordered times as runs `start+count` of buckets in a row: `1790000000000+12 1790010000000+3`.
fn runs_to_text(times: &[Time], bucket: Period) -> String {
    let mut runs: Vec<(Time, i64)> = Vec::new();
    for time in times {
        match runs.last_mut() {
            Some((start, count)) if start.plus(bucket.times(*count)) == *time => *count += 1,
            _ => runs.push((*time, 1)),
        }
    }
    let runs: Vec<String> = runs.iter().map(|(start, count)| format!("{}+{count}", start.0)).collect();
    runs.join(" ")
}

/// Reads what [`runs_to_text`] wrote; `None` where it is something else.
fn text_to_times(text: &str, bucket: Period) -> Option<Vec<Time>> {
    let most = Period::DAY.per(bucket) + 1;
    let mut times = Vec::new();
    for run in text.split_whitespace() {
        let (start, count) = run.split_once('+')?;
        let (start, count) = (start.parse().ok()?, count.parse::<i64>().ok()?);
        if count > most {
            return None;
        }
        times.extend((0..count).map(|step| Time(start).plus(bucket.times(step))));
    }
    Some(times)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn covered_buckets_read_back_as_they_were() {
        let times: Vec<Time> = [0, 1, 2, 5, 9, 10].map(|step| Time(step * 60_000)).to_vec();
        let text = runs_to_text(&times, Period::MINUTE);
        assert_eq!(text, "0+3 300000+1 540000+2");
        assert_eq!(text_to_times(&text, Period::MINUTE).unwrap(), times);
        assert_eq!(text_to_times("0+99999999", Period::MINUTE), None);
        assert_eq!(text_to_times("x", Period::MINUTE), None);
    }

    #[test]
    fn only_names_of_days_are_files_of_days() {
        let day = Day::of("2026-11-24T12:00:00Z".parse().unwrap());
        assert_eq!(Day::of_file_name("2026-11-24.parquet"), Some(day));
        for name in ["2026-11-24.parquet.tmp", "2026-13-24.parquet", "notes.parquet", "2026-11-24T00:00:00Z.parquet"] {
            assert_eq!(Day::of_file_name(name), None, "{name}");
        }
    }
}
