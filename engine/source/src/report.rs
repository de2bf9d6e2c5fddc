//! What a scan came to.

use std::path::{Path, PathBuf};

use margay_core::TimeRange;

/// Bad rows that a report shows at most; the others are only counted.
pub const BAD_SAMPLES_MOST: usize = 20;

/// What a scan came to. Does not depend on the number of threads, unless the sink stopped it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanReport {
    /// Rows that the sink was given, one by one or gathered: good ones that touch the range.
    pub rows: u64,
    /// Rows that were left out: broken, without a time, or with the wrong number of fields.
    pub bad_rows: u64,
    /// The first bad rows by file and line, at most [`BAD_SAMPLES_MOST`].
    pub bad_samples: Vec<BadRow>,
    /// Values of rows given to the sink that did not fit the type of their column and were read as null.
    pub unfit_values: u64,
    /// Bytes read, as they lie on the disk.
    pub bytes: u64,
    /// Every file that was asked for, in the order of [`Log::list`](crate::Log::list), then patterns
    /// that match no file; of a log in an index, the indices.
    pub files: Vec<FileReport>,
    /// Of the rows, the sink was given so many groups in place of those that could be gathered.
    pub groups: u64,
    /// Why rows of some indices came one by one though they might have been gathered.
    pub ungathered: Vec<String>,
    /// Why rows could not be gathered after all: what the sink was given must not be used, and the scan should be done
    /// again without a grouping.
    pub refused: Option<String>,
    /// Why a log in an index was not read whole: what the sink was given is not all, and must not be used. What goes
    /// wrong with a file is in its own report.
    pub failed: Option<String>,
}

impl ScanReport {
    /// Shows bad rows of a file, `lines` of which were read before, as far as there is room.
    pub(crate) fn note_bad(&mut self, file: &Path, lines: u64, samples: Vec<(u64, String)>) {
        let room = BAD_SAMPLES_MOST.saturating_sub(self.bad_samples.len());
        let bad = samples.into_iter().take(room);
        self.bad_samples.extend(bad.map(|(line, reason)| BadRow { file: file.to_owned(), line: lines + line, reason }));
    }
}

/// What reading one file came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Rows that the sink was given.
    pub rows: u64,
    /// Rows that were left out.
    pub bad_rows: u64,
    /// Time that all good rows span, in the scanned range or not.
    pub span: Option<TimeRange>,
    /// Why the file, or its rest, could not be read; rows before the fault count.
    pub error: Option<String>,
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BadRow {
    /// The file.
    pub file: PathBuf,
    /// Line in the file, from 1; in Parquet and in an index the row.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}
