//! Bytes of a file, counted and decompressed.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::files::{self, Compression};
use crate::scan::Task;

/// Compressed bytes that are read at once.
const READ_BYTES: usize = 128 * 1024;
/// Why a file without a byte is an error.
pub(crate) const EMPTY: &str = "the file is empty";

/// Reads and says how much.
pub(crate) struct Counted<'a> {
    file: File,
    task: &'a Task<'a>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.task.read(count as u64);
        Ok(count)
    }
}

/// Opens a file for reading; also its length.
///
/// # Errors
/// It cannot be opened, is not a regular file, or is empty.
pub(crate) fn counted<'a>(path: &Path, task: &'a Task<'a>) -> Result<Counted<'a>, String> {
    let (file, metadata) = files::open(path).map_err(|error| reason(&error))?;
    if metadata.len() == 0 { Err(EMPTY.into()) } else { Ok(Counted { file, task }) }
}

impl Counted<'_> {
    /// The file itself, to seek in.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }
}

/// The text within `reader`.
///
/// # Errors
/// The decompressor cannot be set up.
pub(crate) fn decompressed<'a, R: Read + 'a>(reader: R, compression: Compression) -> io::Result<Box<dyn Read + 'a>> {
    let buffered = BufReader::with_capacity(READ_BYTES, reader);
    Ok(match compression {
        Compression::None => Box::new(buffered),
        Compression::Gzip => Box::new(MultiGzDecoder::new(buffered)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(buffered)?),
    })
}

/// An I/O error in a report: what kind of fault it is where the text does not say so.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "the file is not there any more".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory | io::ErrorKind::OutOfMemory => error.to_string(),
        io::ErrorKind::UnexpectedEof => format!("the file is cut short: {error}"),
        _ => format!("the file is corrupt or cannot be read: {error}"),
    }
}
