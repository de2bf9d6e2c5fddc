//! A log that can be read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use margay_core::{Grouping, Time};

use crate::batch::Layout;
use crate::column::Columns;
use crate::error::SourceError;
use crate::files::{self, FileInfo};
use crate::index::{Examination, Index, IndexSpec};
use crate::report::{FileReport, ScanReport};
use crate::scan::{self, Flow, Scan};
use crate::spec::{LogSpec, Shape};
use crate::{infer, presets};

/// A log that can be read: its files and columns as they were when it was opened, or its index.
#[derive(Clone, Debug)]
pub struct Log {
    name: String,
    columns: Columns,
    schema: SchemaRef,
    place: Place,
}

/// Where the rows are.
#[derive(Clone, Debug)]
enum Place {
    Files { files: Vec<FileInfo>, unmatched: Vec<PathBuf> },
    Index(Arc<Index>),
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
        Ok(Self { name: spec.name, columns, schema, place: Place::Files { files, unmatched } })
    }

    /// Prepares to read an index. Where the log is not a preset, its columns are those of the index; a preset opens
    /// without asking the cluster.
    ///
    /// # Errors
    /// The settings are odd, or the columns cannot be had.
    pub fn connect(spec: IndexSpec) -> Result<Self, SourceError> {
        let name = spec.name.clone();
        let (index, columns) = Index::connect(spec)?;
        let schema = columns.schema();
        Ok(Self { name, columns, schema, place: Place::Index(Arc::new(index)) })
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

    /// What there is to read: the files, sorted by path, or the stretches of the index that start from `since` on. A
    /// file that cannot be read is among them, and named by every scan.
    ///
    /// # Errors
    /// The cluster cannot be asked, or no index has the name.
    pub fn list(&self, since: Time) -> Result<Vec<FileInfo>, SourceError> {
        match &self.place {
            Place::Files { files, .. } => Ok(files.clone()),
            Place::Index(index) => index.list(&self.columns, since),
        }
    }

    /// Why rows could not be gathered in this way before they are read, by index: none where they can be. For files
    /// there is nobody to do it.
    ///
    /// # Errors
    /// The cluster cannot be asked, or no index has the name.
    pub fn ungathered(&self, grouping: &Grouping) -> Result<Vec<String>, SourceError> {
        match &self.place {
            Place::Files { .. } => Ok(vec!["it is read from files".to_owned()]),
            Place::Index(index) => index.ungathered(&self.columns, grouping),
        }
    }

    /// What a look at the cluster shows; `None` for files.
    ///
    /// # Errors
    /// The cluster cannot be asked, or no index has the name.
    pub fn examine(&self) -> Result<Option<Examination>, SourceError> {
        match &self.place {
            Place::Files { .. } => Ok(None),
            Place::Index(index) => index.examine(&self.columns).map(Some),
        }
    }

    /// What the index was connected with; `None` for files.
    #[must_use]
    pub fn index(&self) -> Option<&IndexSpec> {
        match &self.place {
            Place::Files { .. } => None,
            Place::Index(index) => Some(index.spec()),
        }
    }

    /// Patterns that match no file, below the log's folder.
    #[must_use]
    pub fn unmatched(&self) -> &[PathBuf] {
        match &self.place {
            Place::Files { unmatched, .. } => unmatched,
            Place::Index(_) => &[],
        }
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
        let (files, unmatched) = match &self.place {
            Place::Files { files, unmatched } => (files, unmatched),
            Place::Index(index) => {
                return index.scan((&self.columns, &layout), request, (sink, progress));
            }
        };
        let chosen: Option<BTreeSet<&Path>> =
            request.files.as_ref().map(|files| files.iter().map(|file| &**file).collect());
        let is_chosen = |file: &&FileInfo| chosen.as_ref().is_none_or(|chosen| chosen.contains(&*file.path));
        let files: Vec<&FileInfo> = files.iter().filter(is_chosen).collect();
        let mut report = scan::run(&layout, &files, request.threads, sink, progress);
        if chosen.is_none() {
            report.files.extend(unmatched.iter().map(|pattern| FileReport {
                path: pattern.clone(),
                error: Some("no file matches the pattern".into()),
                ..FileReport::default()
            }));
        }
        report
    }
}
