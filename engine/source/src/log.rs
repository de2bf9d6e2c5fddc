//! A log that can be read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::batch::Layout;
use crate::column::Columns;
use crate::error::SourceError;
use crate::files::{self, FileInfo};
use crate::report::{FileReport, ScanReport};
use crate::scan::{self, Flow, Scan};
use crate::spec::{LogSpec, Shape};
use crate::{infer, presets};

/// A log that can be read: its files and columns as they were when it was opened.
#[derive(Clone, Debug)]
pub struct Log {
    name: String,
    columns: Columns,
    schema: SchemaRef,
    files: Vec<FileInfo>,
    unmatched: Vec<PathBuf>,
}

impl Log {
    /// Finds the files and, where the log is not a preset, infers the columns from their first rows. A
    /// preset opens without files, too.
    ///
    /// # Errors
    /// A pattern is malformed, or the columns cannot be inferred from any file.
    pub fn open(spec: LogSpec) -> Result<Self, SourceError> {
        let (files, unmatched) = files::find(&spec)?;
        let columns = match &spec.shape {
            Shape::Preset(preset) => presets::columns(*preset),
            Shape::Declared { .. } => infer::columns(&spec, &files)?,
        };
        let schema = columns.schema();
        Ok(Self { name: spec.name, columns, schema, files, unmatched })
    }

    /// Name of the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All columns, those of the span first.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The files, sorted by path. One that cannot be read is among them, and named by every scan.
    #[must_use]
    pub fn files(&self) -> &[FileInfo] {
        &self.files
    }

    /// Patterns that match no file, below the log's folder.
    #[must_use]
    pub fn unmatched(&self) -> &[PathBuf] {
        &self.unmatched
    }

    /// Reads what `request` asks for. `sink` is called on several threads, in no particular order, with
    /// batches of at most 4,096 rows; `progress` with the bytes read since its last call.
    pub fn scan(
        &self,
        request: &Scan,
        sink: &(dyn Fn(RecordBatch) -> Flow + Sync),
        progress: &(dyn Fn(u64) + Sync),
    ) -> ScanReport {
        let layout = Layout::new(&self.columns, &request.columns, request.range);
        let chosen: Option<BTreeSet<&Path>> =
            request.files.as_ref().map(|files| files.iter().map(|file| &**file).collect());
        let is_chosen = |file: &&FileInfo| chosen.as_ref().is_none_or(|chosen| chosen.contains(&*file.path));
        let files: Vec<&FileInfo> = self.files.iter().filter(is_chosen).collect();
        let mut report = scan::run(&layout, &files, request.threads, sink, progress);
        if chosen.is_none() {
            report.files.extend(self.unmatched.iter().map(|pattern| FileReport {
                path: pattern.clone(),
                error: Some("no file matches the pattern".into()),
                ..FileReport::default()
            }));
        }
        report
    }
}
