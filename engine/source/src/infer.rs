//! Columns of a log that only declares its time, from its first rows.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::datatypes::{DataType, Fields};
use csv::ByteRecord;
use margay_core::log::{END, START};
use tracing::warn;

use crate::column::{Column, Columns, Kind, TimeFields};
use crate::csv::{Records, missing_time};
use crate::error::SourceError;
use crate::files::{self, Compression, Encoding, FileInfo, form};
use crate::input::{EMPTY, decompressed, reason};
use crate::json::{self, Paths, RowReader};
use crate::lines::{LineBlocks, Piece};
use crate::ndjson::BYTE_ORDER_MARK;
use crate::parquet;
use crate::raw::Raw;
use crate::spec::{LogSpec, Shape, TimeFormat};

/// Rows and bytes that the columns are inferred from at least, where there are as many: a count may
/// turn out to be a ratio only after thousands of rows.
const ROWS_LEAST: usize = 1000;
const BYTES_LEAST: usize = 2 * 1024 * 1024;
/// Columns of an inferred log at most; the log says how many it leaves out.
const COLUMNS_MOST: usize = 1000;

/// The columns of a declared log, in alphabetical order.
///
/// # Errors
/// No file can be read, or none has the time.
pub(crate) fn columns(spec: &LogSpec, files: &[FileInfo]) -> Result<Columns, SourceError> {
    let time = time_fields(&spec.shape);
    let mut sample = Sample::default();
    let (mut readable, mut fault) = (false, None);
    for file in files {
        let rows_before = sample.rows;
        match sample.file(&file.path, &time.start[0]) {
            Ok(()) => readable = true,
            // A file that is cut later on has columns all the same; the scan names the cut.
            Err(_) if sample.rows > rows_before => readable = true,
            Err(reason) => fault = fault.or(Some((file.path.clone(), reason))),
        }
        if sample.is_enough() {
            break;
        }
    }
    let log = spec.name.clone();
    match fault {
        Some((file, reason)) if !readable => return Err(SourceError::NoColumns { log, file, reason }),
        None if !readable => return Err(SourceError::NoFiles { log, patterns: spec.files.join(", ") }),
        _ => {}
    }
    if sample.left_out > 0 {
        warn!(log, left_out = sample.left_out, "fields beyond the limit of columns");
    }
    for name in time.start.iter().chain(&time.end) {
        sample.kinds.insert(name.clone(), Seen::Time);
    }
    let columns = sample.kinds.into_iter().filter(|(name, _)| name != START && name != END && !name.is_empty());
    let columns =
        columns.map(|(name, seen)| Column { paths: vec![name.clone()], name, kind: seen.kind(), additive: false });
    Ok(Columns { columns: columns.collect(), time, signs_are_null: false })
}

fn time_fields(shape: &Shape) -> TimeFields {
    match shape {
        Shape::Declared { time_field, end_field, format } => {
            TimeFields { start: vec![time_field.clone()], end: end_field.iter().cloned().collect(), format: *format }
        }
        Shape::Preset(_) => TimeFields { start: Vec::new(), end: Vec::new(), format: TimeFormat::Auto },
    }
}

/// What the values of a column were so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    Nothing,
    Bool,
    Int,
    Float,
    Time,
    List,
    Text,
}

impl Seen {
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, seen) | (seen, Self::Nothing) => seen,
            (one, other) if one == other => one,
            (Self::Int | Self::Float, Self::Int | Self::Float) => Self::Float,
            _ => Self::Text,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::Int => Kind::Int,
            Self::Float => Kind::Float,
            Self::Time => Kind::Time,
            Self::List => Kind::List,
            Self::Nothing | Self::Text => Kind::Text,
        }
    }

    fn of_json(value: Raw<'_>) -> Self {
        match value {
            Raw::Null => Self::Nothing,
            Raw::Bool(_) => Self::Bool,
            Raw::Number(text) | Raw::Whole(text, _) => Self::of_number(text),
            Raw::List(_) => Self::List,
            Raw::Text(_) | Raw::Escaped(_) | Raw::Object(_) => Self::Text,
        }
    }

    fn of_csv(text: &[u8]) -> Self {
        match text {
            b"" => Self::Nothing,
            _ if Raw::Text(text).bool().is_some() => Self::Bool,
            _ => Self::of_number(text.trim_ascii()),
        }
    }

    /// A number written with a fraction or an exponent is not taken as whole: the next one may not be.
    fn of_number(text: &[u8]) -> Self {
        let text = std::str::from_utf8(text).unwrap_or_default();
        match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(_), _) => Self::Int,
            (Err(_), Ok(_)) => Self::Float,
            _ => Self::Text,
        }
    }

    fn of_arrow(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Nothing,
            DataType::Boolean => Self::Bool,
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Self::Time,
            DataType::List(_) | DataType::LargeList(_) | DataType::Map(..) | DataType::Struct(_) => Self::List,
            data_type if data_type.is_integer() => Self::Int,
            data_type if data_type.is_numeric() => Self::Float,
            _ => Self::Text,
        }
    }
}

/// What the first rows hold.
#[derive(Debug, Default)]
struct Sample {
    /// Rows looked at, and their bytes.
    rows: usize,
    bytes: usize,
    kinds: BTreeMap<String, Seen>,
    /// Values beyond the limit of columns.
    left_out: usize,
}

impl Sample {
    fn is_enough(&self) -> bool {
        self.rows >= ROWS_LEAST && self.bytes >= BYTES_LEAST
    }

    fn count(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
    }

    fn note(&mut self, name: &str, seen: Seen) {
        if let Some(known) = self.kinds.get_mut(name) {
            *known = known.or(seen);
        } else if self.kinds.len() < COLUMNS_MOST {
            self.kinds.insert(name.to_owned(), seen);
        } else {
            self.left_out += 1;
        }
    }

    fn file(&mut self, path: &Path, time_field: &str) -> Result<(), String> {
        match form(path) {
            (Encoding::Ndjson, compression) => self.ndjson(path, compression),
            (Encoding::Csv, compression) => self.csv(path, compression, time_field),
            (Encoding::Parquet, _) => self.parquet(path, time_field),
        }
    }

    fn ndjson(&mut self, path: &Path, compression: Compression) -> Result<(), String> {
        let (file, _) = files::open(path).map_err(|error| reason(&error))?;
        let reader = decompressed(file, compression).map_err(|error| reason(&error))?;
        let mut blocks = LineBlocks::new(reader);
        let mut check = RowReader::new(Paths::new());
        let mut is_empty = true;
        while let Some(piece) = blocks.next_piece().map_err(|error| reason(&error))? {
            let Piece::Lines(block) = piece else { continue };
            let block = if is_empty { block.strip_prefix(BYTE_ORDER_MARK).unwrap_or(block) } else { block };
            is_empty = false;
            for line in block.split(|byte| *byte == b'\n') {
                if check.read(line, &mut []).is_err() {
                    continue;
                }
                self.object(line.trim_ascii());
                self.count(line.len());
                if self.is_enough() {
                    return Ok(());
                }
            }
        }
        if is_empty { Err(EMPTY.into()) } else { Ok(()) }
    }

    /// Notes the fields of an object; those of objects within it by dotted names, one level deep.
    fn object(&mut self, object: &[u8]) {
        json::entries(object, &mut |key, value| {
            let Some(name) = key.text() else { return };
            match value {
                Raw::Object(inner) => json::entries(inner, &mut |key, value| {
                    self.note(&format!("{name}.{}", key.text().unwrap_or_default()), Seen::of_json(value));
                }),
                value => self.note(&name, Seen::of_json(value)),
            }
        });
    }

    fn csv(&mut self, path: &Path, compression: Compression, time_field: &str) -> Result<(), String> {
        let (file, _) = files::open(path).map_err(|error| reason(&error))?;
        let reader = decompressed(file, compression).map_err(|error| reason(&error))?;
        let mut records = Records::new(reader)?;
        let header = records.header.clone();
        if header.iter().all(|name| name != time_field) {
            return Err(missing_time(time_field));
        }
        header.iter().for_each(|name| self.note(name, Seen::Nothing));
        let mut record = ByteRecord::new();
        while !self.is_enough() && records.next(&mut record)?.is_some() {
            if record.len() == header.len() {
                header.iter().zip(&record).for_each(|(name, text)| self.note(name, Seen::of_csv(text)));
                self.count(record.as_slice().len());
            }
        }
        Ok(())
    }

    fn parquet(&mut self, path: &Path, time_field: &str) -> Result<(), String> {
        let (schema, rows) = parquet::schema(path)?;
        let mut names = Vec::new();
        flatten(schema.fields(), &mut names);
        if names.iter().all(|(name, _)| name != time_field) {
            return Err(missing_time(time_field));
        }
        names.iter().for_each(|(name, data_type)| self.note(name, Seen::of_arrow(data_type)));
        self.rows += rows;
        self.bytes += BYTES_LEAST;
        Ok(())
    }
}

/// Names of columns; those of objects dotted, one level deep.
fn flatten(fields: &Fields, names: &mut Vec<(String, DataType)>) {
    for field in fields {
        match field.data_type() {
            DataType::Struct(inner) => names.extend(
                inner.iter().map(|part| (format!("{}.{}", field.name(), part.name()), part.data_type().clone())),
            ),
            data_type => names.push((field.name().clone(), data_type.clone())),
        }
    }
}
