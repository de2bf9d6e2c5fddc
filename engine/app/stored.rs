//! Reads what `replay` wrote: scores from CSV or Parquet.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type};
use margay_core::{Score, ScoreState, Time};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

/// Rows read from Parquet at once.
const BATCH_ROWS: usize = 65_536;

/// Why stored scores cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// Neither `.csv` nor `.parquet`.
    #[error("{path}: scores are read from .csv or .parquet")]
    Ending { path: PathBuf },
    /// The file cannot be read.
    #[error("cannot read the scores in {path}")]
    Read { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// A column is missing or of another type.
    #[error("{path}: the column `{column}` of scores is missing, or holds something else")]
    Column { path: PathBuf, column: &'static str },
    /// A text is not what its column holds.
    #[error("{path}: row {row}: `{column}` cannot be `{text}`")]
    Value { path: PathBuf, row: u64, column: &'static str, text: String },
}

/// One row of the scores.
pub struct StoredRow<'a> {
    /// The entity as JSON.
    pub entity: &'a str,
    /// Start of the bucket.
    pub bucket: Time,
    /// Name of the feature.
    pub feature: &'a str,
    /// The judgement, without the bounds of its interval.
    pub score: Score,
}

/// Hands one detector's scores to `sink`, in the order in which they are stored.
///
/// # Errors
/// The file is not what `replay` writes.
pub fn read(path: &Path, detector: &str, sink: &mut dyn FnMut(StoredRow)) -> Result<(), StoredError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| StoredError::Read { path: path.into(), source };
    let file = File::open(path).map_err(|error| failed(error.into()))?;
    let mut texts =
        Texts { path, row: 0, bucket: (String::new(), Time(0)), state: (String::new(), ScoreState::NoData) };
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("parquet") => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(error.into()))?;
            let wanted = ["detector", "entity", "bucket_start", "feature", "value", "expected", "score", "state"];
            let mask = ProjectionMask::columns(builder.parquet_schema(), wanted);
            let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
            for batch in reader.map_err(|error| failed(error.into()))? {
                texts.batch(&batch.map_err(|error| failed(error.into()))?, detector, sink)?;
            }
            Ok(())
        }
        Some("csv") => {
            let mut reader = csv::Reader::from_reader(file);
            for record in reader.deserialize() {
                texts.record(&record.map_err(|error| failed(error.into()))?, detector, sink)?;
            }
            Ok(())
        }
        _ => Err(StoredError::Ending { path: path.into() }),
    }
}

/// A row of a CSV file.
#[derive(Deserialize)]
struct Record {
    detector: String,
    entity: String,
    bucket_start: String,
    feature: String,
    value: Option<f64>,
    expected: Option<f64>,
    score: Option<f64>,
    state: String,
}

/// What the last texts meant: neighbouring rows mostly have the same.
struct Texts<'a> {
    path: &'a Path,
    row: u64,
    bucket: (String, Time),
    state: (String, ScoreState),
}

impl Texts<'_> {
    fn batch(
        &mut self,
        batch: &RecordBatch,
        detector: &str,
        sink: &mut dyn FnMut(StoredRow),
    ) -> Result<(), StoredError> {
        let missing = |column| StoredError::Column { path: self.path.into(), column };
        let text = |name: &'static str| -> Result<&StringArray, StoredError> {
            let column = batch.column_by_name(name).filter(|column| *column.data_type() == DataType::Utf8);
            column.map(|column| column.as_string::<i32>()).ok_or_else(|| missing(name))
        };
        let figure = |name: &'static str| -> Result<&Float64Array, StoredError> {
            let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Float64Type>());
            column.ok_or_else(|| missing(name))
        };
        let (detectors, entities, features) = (text("detector")?, text("entity")?, text("feature")?);
        let (buckets, states) = (text("bucket_start")?, text("state")?);
        let (values, expected, scores) = (figure("value")?, figure("expected")?, figure("score")?);
        let number = |column: &Float64Array, row: usize| if column.is_null(row) { f64::NAN } else { column.value(row) };
        for row in 0..batch.num_rows() {
            self.row += 1;
            if detectors.value(row) != detector {
                continue;
            }
            let (value, expected) = (number(values, row), number(expected, row));
            let score = self.score(value, expected, number(scores, row), states.value(row))?;
            let bucket = self.bucket(buckets.value(row))?;
            sink(StoredRow { entity: entities.value(row), bucket, feature: features.value(row), score });
        }
        Ok(())
    }

    fn record(&mut self, record: &Record, detector: &str, sink: &mut dyn FnMut(StoredRow)) -> Result<(), StoredError> {
        self.row += 1;
        if record.detector != detector {
            return Ok(());
        }
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let (value, expected) = (number(record.value), number(record.expected));
        let score = self.score(value, expected, number(record.score), &record.state)?;
        let bucket = self.bucket(&record.bucket_start)?;
        sink(StoredRow { entity: &record.entity, bucket, feature: &record.feature, score });
        Ok(())
    }

    fn score(&mut self, value: f64, expected: f64, score: f64, state: &str) -> Result<Score, StoredError> {
        if self.state.0 != state {
            let text: StrDeserializer<ValueError> = state.into_deserializer();
            let known = ScoreState::deserialize(text).map_err(|_| self.wrong("state", state))?;
            self.state = (state.to_owned(), known);
        }
        Ok(Score { value, expected, lower: f64::NAN, upper: f64::NAN, score, state: self.state.1 })
    }

    fn bucket(&mut self, text: &str) -> Result<Time, StoredError> {
        if self.bucket.0 != text {
            let time = text.parse().map_err(|_| self.wrong("bucket_start", text))?;
            self.bucket = (text.to_owned(), time);
        }
        Ok(self.bucket.1)
    }

    fn wrong(&self, column: &'static str, text: &str) -> StoredError {
        let text = margay_render::plain(text);
        StoredError::Value { path: self.path.into(), row: self.row, column, text }
    }
}
