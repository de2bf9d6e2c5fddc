//! The files of a log.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use glob::{MatchOptions, Pattern};
use margay_core::{TimeRange, digest};

use crate::error::SourceError;
use crate::spec::LogSpec;

/// A file of a log, or a stretch of time of an index, which is listed as if it were one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Where it lies.
    pub path: PathBuf,
    /// Changes when the file does: digest of its size, its time of change in nanoseconds, and its first
    /// and last 4 KiB. Stays when the file is moved.
    pub fingerprint: String,
    /// Length in bytes, as it lies on the disk; of a stretch of an index it is not known.
    pub bytes: u64,
    /// Of a stretch of an index: the time that its records span. A file has to be read for that.
    pub span: Option<TimeRange>,
}

/// Bytes at each end of a file that its fingerprint covers.
const FINGERPRINT_BYTES: usize = 4096;

/// What the rows of a file are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Ndjson,
    Csv,
    Parquet,
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Encoding and compression, told by the name: `.csv` and `.parquet` are what they say, all else is
/// NDJSON; `.gz` and `.zst` may follow.
pub(crate) fn form(path: &Path) -> (Encoding, Compression) {
    let has = |path: &Path, ending: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
    let compression = match path {
        path if has(path, "gz") => Compression::Gzip,
        path if has(path, "zst") => Compression::Zstd,
        _ => Compression::None,
    };
    let inner = if compression == Compression::None { path.to_owned() } else { path.with_extension("") };
    let encoding = match &inner {
        path if has(path, "csv") => Encoding::Csv,
        path if has(path, "parquet") => Encoding::Parquet,
        _ => Encoding::Ndjson,
    };
    (encoding, compression)
}

/// Opens a regular file; anything else would block or never end.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let kind = fs::metadata(path)?;
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "a directory, not a file"));
    }
    if !kind.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// The files that the patterns of a log match, sorted, and the patterns that match none.
pub(crate) fn find(spec: &LogSpec) -> Result<(Vec<FileInfo>, Vec<PathBuf>), SourceError> {
    let root =
        spec.root.to_str().ok_or_else(|| SourceError::Root { log: spec.name.clone(), root: spec.root.clone() })?;
    let root = Path::new(&Pattern::escape(root)).to_owned();
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    let (mut paths, mut unmatched) = (Vec::new(), Vec::new());
    for pattern in &spec.files {
        let whole = root.join(pattern);
        let matches = glob::glob_with(&whole.to_string_lossy(), options).map_err(|source| SourceError::Pattern {
            log: spec.name.clone(),
            pattern: pattern.clone(),
            source,
        })?;
        let before = paths.len();
        paths.extend(matches.map(|found| found.unwrap_or_else(|error| error.path().to_owned())));
        if paths.len() == before {
            unmatched.push(spec.root.join(pattern));
        }
    }
    paths.sort_unstable();
    paths.dedup();
    Ok((paths.into_iter().map(info).collect(), unmatched))
}

/// A file that cannot be read has a fingerprint too: of the reason.
fn info(path: PathBuf) -> FileInfo {
    let (fingerprint, bytes) = match fingerprint(&path) {
        Ok(found) => found,
        Err(error) => (digest(&[path.as_os_str().as_encoded_bytes(), error.to_string().as_bytes()]), 0),
    };
    FileInfo { path, fingerprint, bytes, span: None }
}

fn fingerprint(path: &Path) -> io::Result<(String, u64)> {
    let (mut file, metadata) = open(path)?;
    let changed = metadata.modified()?;
    let changed_ns = match changed.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    };
    let most = FINGERPRINT_BYTES as u64;
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    file.by_ref().take(most).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(metadata.len().saturating_sub(most)))?;
    file.take(most).read_to_end(&mut tail)?;
    let text = digest(&[&metadata.len().to_le_bytes()[..], &changed_ns.to_le_bytes()[..], &head, &tail]);
    Ok((text, metadata.len()))
}
