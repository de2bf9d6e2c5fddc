//! The scores file: every judgement, as CSV or Parquet by the file's ending.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use margay_core::Entity;
use parquet::arrow::ArrowWriter;

use crate::detect::Scored;

/// Rows written to Parquet at once.
const BATCH_ROWS: usize = 65_536;

const COLUMNS: [&str; 10] =
    ["detector", "entity", "bucket_start", "feature", "value", "expected", "lower", "upper", "score", "state"];

/// Why scores cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ScoresError {
    /// Neither `.csv` nor `.parquet`.
    #[error("{path}: scores are written as .csv or .parquet; give the file one of these endings")]
    Ending {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An open scores file.
pub struct ScoresFile {
    path: PathBuf,
    form: Form,
}

enum Form {
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Parquet(Box<ArrowWriter<File>>),
}

impl ScoresFile {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// The ending is neither `.csv` nor `.parquet`, or the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, ScoresError> {
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| ScoresError::Write { path: path.into(), source };
        let form = match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => {
                let file = File::create(path).map_err(|error| failed(error.into()))?;
                let mut writer = csv::Writer::from_writer(BufWriter::new(file));
                writer.write_record(COLUMNS).map_err(|error| failed(error.into()))?;
                Form::Csv(Box::new(writer))
            }
            Some("parquet") => {
                let file = File::create(path).map_err(|error| failed(error.into()))?;
                let writer = ArrowWriter::try_new(file, schema(), None).map_err(|error| failed(error.into()))?;
                Form::Parquet(Box::new(writer))
            }
            _ => return Err(ScoresError::Ending { path: path.into() }),
        };
        Ok(Self { path: path.into(), form })
    }

    /// Appends one detector's scores, in the order given.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(
        &mut self,
        detector: &str,
        entities: &[Entity],
        features: &[String],
        scores: &[Scored],
    ) -> Result<(), ScoresError> {
        let names: Vec<String> = entities.iter().map(Entity::to_json).collect();
        let written = match &mut self.form {
            Form::Csv(writer) => append_csv(writer, detector, &names, features, scores).map_err(Into::into),
            Form::Parquet(writer) => scores.chunks(BATCH_ROWS).try_for_each(|chunk| {
                let batch = batch(detector, &names, features, chunk);
                writer.write(&batch).map_err(Into::into)
            }),
        };
        written.map_err(|source| ScoresError::Write { path: self.path.clone(), source })
    }

    /// Completes the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> Result<(), ScoresError> {
        let path = self.path;
        let done: Result<(), Box<dyn std::error::Error + Send + Sync>> = match self.form {
            Form::Csv(mut writer) => writer.flush().map_err(Into::into),
            Form::Parquet(writer) => writer.close().map(drop).map_err(Into::into),
        };
        done.map_err(|source| ScoresError::Write { path, source })
    }
}

fn append_csv<W: Write>(
    writer: &mut csv::Writer<W>,
    detector: &str,
    entities: &[String],
    features: &[String],
    scores: &[Scored],
) -> Result<(), csv::Error> {
    for row in scores {
        let score = &row.score;
        writer.write_record([
            detector,
            &entities[row.entity],
            &row.bucket.to_string(),
            &features[row.feature],
            &number(score.value),
            &number(score.expected),
            &number(score.lower),
            &number(score.upper),
            &number(score.score),
            &score.state.to_string(),
        ])?;
    }
    Ok(())
}

/// Shortest text that reads back as the same number; empty where there is none.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { String::new() }
}

fn schema() -> SchemaRef {
    let fields = COLUMNS.map(|name| {
        let numeric = matches!(name, "value" | "expected" | "lower" | "upper" | "score");
        Field::new(name, if numeric { DataType::Float64 } else { DataType::Utf8 }, numeric)
    });
    Arc::new(Schema::new(fields.to_vec()))
}

fn batch(detector: &str, entities: &[String], features: &[String], scores: &[Scored]) -> RecordBatch {
    let text = |value: &dyn Fn(&Scored) -> String| -> ArrayRef {
        let mut builder = StringBuilder::new();
        scores.iter().for_each(|row| builder.append_value(value(row)));
        Arc::new(builder.finish())
    };
    let figure = |value: &dyn Fn(&Scored) -> f64| -> ArrayRef {
        let mut builder = Float64Builder::with_capacity(scores.len());
        scores.iter().for_each(|row| builder.append_option(Some(value(row)).filter(|value| value.is_finite())));
        Arc::new(builder.finish())
    };
    let columns = vec![
        text(&|_| detector.to_owned()),
        text(&|row| entities[row.entity].clone()),
        text(&|row| row.bucket.to_string()),
        text(&|row| features[row.feature].clone()),
        figure(&|row| row.score.value),
        figure(&|row| row.score.expected),
        figure(&|row| row.score.lower),
        figure(&|row| row.score.upper),
        figure(&|row| row.score.score),
        text(&|row| row.score.state.to_string()),
    ];
    RecordBatch::try_new(schema(), columns).expect("columns follow the schema")
}
