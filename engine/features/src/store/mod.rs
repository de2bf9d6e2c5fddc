//! Features on disk: a Parquet file a day, in a folder for each detector and definition.

mod checksum;
mod day;
mod disk;
mod rows;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use margay_core::{FeatureTable, Period, TimeRange};
use parquet::errors::ParquetError;

use day::{Day, DayFile};

/// Definitions of a detector whose features are kept at most; those written to longest ago go first.
pub const DEFINITIONS_MOST: usize = 3;

/// What the features of a detector look like.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Length of the buckets.
    pub bucket: Period,
    /// Names of the entity's columns.
    pub entity_columns: Vec<String>,
    /// Names of the features.
    pub features: Vec<String>,
    /// Which of them are lists of members.
    pub lists: Vec<bool>,
}

/// Why features cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum StoreError {
    /// A name that could lead out of the folder.
    #[error("`{0}` cannot be the name of a folder of features")]
    Name(String),
    /// A file or folder cannot be made, read or written.
    #[error("cannot {doing} {path}")]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    /// A file is damaged.
    #[error("{path} is damaged")]
    Damaged { path: PathBuf, source: ParquetError },
    /// A file is intact but holds something else.
    #[error("{path} does not hold these features: {message}")]
    Foreign { path: PathBuf, message: String },
    /// A file cannot be written.
    #[error("cannot write features to {path}")]
    Write { path: PathBuf, source: ParquetError },
    /// A table does not have the layout of the store.
    #[error("the features do not have the layout of their store: {0}")]
    Layout(String),
}

/// Features of one definition of one detector. Safe to read while it is written.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    layout: Layout,
}

impl Store {
    /// Opens the store in `dir` for a detector and the digest of its definition, and makes it where it is missing.
    /// Features of other definitions stay, up to [`DEFINITIONS_MOST`]. What a crash left behind is removed.
    ///
    /// # Errors
    /// The names are odd, or the folders cannot be made or read.
    pub fn open(dir: &Path, detector: &str, digest: &str, layout: Layout) -> Result<Self, StoreError> {
        for name in [detector, digest] {
            disk::check_name(name)?;
        }
        let definitions = dir.join(detector);
        let folder = definitions.join(digest);
        disk::make_folder(&folder)?;
        disk::remove_leftovers(&folder)?;
        disk::keep_newest(&definitions, digest, DEFINITIONS_MOST)?;
        Ok(Self { folder, layout })
    }

    /// Replaces all that is known of buckets that start within `range` by what the table says of them.
    ///
    /// # Errors
    /// The table has another layout, or a file cannot be read or written; it is named, and the days before it are
    /// written, it and those after it are as they were.
    pub fn write(&self, table: &FeatureTable, range: TimeRange) -> Result<(), StoreError> {
        self.check(table)?;
        let mut days: BTreeSet<Day> = self.days()?.into_iter().filter(|day| day.range().overlaps(&range)).collect();
        let starts = table.bucket_start.iter().chain(&table.covered).filter(|start| range.contains(**start));
        days.extend(starts.map(|start| Day::of(*start)));
        for day in days {
            let file = self.file(day);
            let here = TimeRange { start: range.start.max(day.range().start), end: range.end.min(day.range().end) };
            let old = if here == day.range() { None } else { file.read()? };
            let Some(old) = old else {
                file.write(table, here)?;
                continue;
            };
            let kept = rows::select(&old, &|start| !range.contains(start));
            let new = rows::select(table, &|start| here.contains(start));
            file.write(&rows::merge(&self.layout, &[kept, new]), day.range())?;
        }
        Ok(())
    }

    /// Features of buckets that start within `range`, as they were last written.
    ///
    /// # Errors
    /// A file cannot be read, or is damaged; it is named.
    pub fn read(&self, range: TimeRange) -> Result<FeatureTable, StoreError> {
        let mut tables = Vec::new();
        for day in self.days()?.into_iter().filter(|day| day.range().overlaps(&range)) {
            let inside = range.start <= day.range().start && day.range().end <= range.end;
            let Some(table) = self.file(day).read()? else { continue };
            tables.push(if inside { table } else { rows::select(&table, &|start| range.contains(start)) });
        }
        Ok(rows::merge(&self.layout, &tables))
    }

    /// From the first bucket in which the log had rows to the end of the last one; `None` where nothing is kept.
    /// A file that cannot be read counts for its whole day.
    #[must_use]
    pub fn span(&self) -> Option<TimeRange> {
        let days = self.days().ok()?;
        let covered = |day: &Day| match self.file(*day).covered() {
            Ok(covered) => {
                let last = covered.last()?.plus(self.layout.bucket);
                Some(TimeRange { start: *covered.first()?, end: last })
            }
            Err(_) => Some(day.range()),
        };
        let first = days.iter().find_map(covered)?;
        let last = days.iter().rev().find_map(covered)?;
        Some(first.hull(last))
    }

    /// Where the error is that a file is damaged, or is none of this store: moves it away, puts its previous generation into
    /// its place where there is one, and says which time the file was about. What came since must be made anew.
    ///
    /// # Errors
    /// The file cannot be moved.
    pub fn set_aside(&self, error: &StoreError) -> Result<Option<TimeRange>, StoreError> {
        let (StoreError::Damaged { path, .. } | StoreError::Foreign { path, .. }) = error else { return Ok(None) };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(day) = Day::of_file_name(&name) else { return Ok(None) };
        self.file(day).set_aside()?;
        Ok(Some(day.range()))
    }

    fn days(&self) -> Result<Vec<Day>, StoreError> {
        let names = disk::file_names(&self.folder)?;
        let mut days: Vec<Day> = names.iter().filter_map(|name| Day::of_file_name(name)).collect();
        days.sort_unstable();
        Ok(days)
    }

    fn file(&self, day: Day) -> DayFile<'_> {
        DayFile::new(&self.folder, day, &self.layout)
    }

    fn check(&self, table: &FeatureTable) -> Result<(), StoreError> {
        let wrong = |what: String| Err(StoreError::Layout(what));
        if table.bucket != self.layout.bucket {
            return wrong(format!("buckets of {}, not of {}", table.bucket, self.layout.bucket));
        }
        if table.features != self.layout.features {
            return wrong(format!("features {:?}, not {:?}", table.features, self.layout.features));
        }
        let lists: Vec<bool> = (0..table.features.len()).map(|at| table.members(at).is_some()).collect();
        if !table.is_empty() && lists != self.layout.lists {
            return wrong(format!("lists {lists:?}, not {:?}", self.layout.lists));
        }
        match table.entities.iter().find(|entity| entity.columns()[..] != self.layout.entity_columns[..]) {
            Some(entity) => wrong(format!("entities of {:?}, not {:?}", entity.columns(), self.layout.entity_columns)),
            None => Ok(()),
        }
    }
}

impl StoreError {
    fn file(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { doing, path: path.to_owned(), source }
    }

    fn foreign(path: &Path, message: impl ToString) -> Self {
        Self::Foreign { path: path.to_owned(), message: message.to_string() }
    }

    fn arrow(path: &Path, error: ArrowError) -> Self {
        Self::Damaged { path: path.to_owned(), source: ParquetError::from(error) }
    }
}
