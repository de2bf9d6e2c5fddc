//! Why a log cannot be opened.

use std::path::PathBuf;

/// Why a log cannot be opened. What goes wrong later is in the [`ScanReport`](crate::ScanReport).
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum SourceError {
    /// A glob pattern is malformed.
    #[error("log {log}: `{pattern}` is not a pattern of file names")]
    Pattern { log: String, pattern: String, source: glob::PatternError },
    /// The folder's name is not UTF-8.
    #[error("log {log}: the name of {} is not UTF-8", root.display())]
    Root { log: String, root: PathBuf },
    /// A log without known columns has no file to infer them from.
    #[error("log {log}: no file matches {patterns}")]
    NoFiles { log: String, patterns: String },
    /// A log without known columns has only files that cannot be read or lack the time field.
    #[error("log {log}: {}: {reason}", file.display())]
    NoColumns { log: String, file: PathBuf, reason: String },
    /// A log in an index cannot be opened or listed.
    #[error("log {log}: {reason}")]
    Index { log: String, reason: String },
}
