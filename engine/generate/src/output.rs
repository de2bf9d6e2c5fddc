//! Compressed logs, and how far they are.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use crate::GenerateError;
use crate::clock::Interval;

/// Bytes that are gathered before they are compressed.
const BUFFER_BYTES: usize = 256 * 1024;
/// Seconds of log time between two reports of progress.
const REPORT_S: i64 = 6 * 3600;

/// A log that is being written: one JSON document a line, compressed.
pub(crate) struct Log<W: Write> {
    path: PathBuf,
    sink: GzEncoder<W>,
    buffer: Vec<u8>,
}

impl Log<File> {
    /// Creates the file `name` in `directory`.
    pub(crate) fn create(directory: &Path, name: &str) -> Result<Self, GenerateError> {
        let path = directory.join(name);
        let file = File::create(&path).map_err(|source| GenerateError::Write { path: path.clone(), source })?;
        Ok(Self::new(path, file))
    }
}

impl<W: Write> Log<W> {
    fn new(path: PathBuf, sink: W) -> Self {
        // Level 1: the logs are read back once, so time counts more than size.
        Self { path, sink: GzEncoder::new(sink, Compression::fast()), buffer: Vec::with_capacity(2 * BUFFER_BYTES) }
    }

    /// Adds a document.
    pub(crate) fn row<T: Serialize>(&mut self, row: &T) -> Result<(), GenerateError> {
        serde_json::to_writer(&mut self.buffer, row).map_err(|error| self.failed(error.into()))?;
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER_BYTES { self.drain() } else { Ok(()) }
    }

    /// Writes what is left and closes the log.
    pub(crate) fn finish(mut self) -> Result<W, GenerateError> {
        self.drain()?;
        let path = self.path.clone();
        self.sink.finish().map_err(|source| GenerateError::Write { path, source })
    }

    fn drain(&mut self) -> Result<(), GenerateError> {
        self.sink.write_all(&self.buffer).map_err(|error| self.failed(error))?;
        self.buffer.clear();
        Ok(())
    }

    fn failed(&self, source: io::Error) -> GenerateError {
        GenerateError::Write { path: self.path.clone(), source }
    }
}

/// Tells how much of a log is written.
pub(crate) struct Progress {
    sender: Sender<f64>,
    weight: f64,
    told: Cell<f64>,
}

impl Progress {
    /// Progress of a log that is `weight` of the whole work.
    pub(crate) fn new(sender: Sender<f64>, weight: f64) -> Self {
        Self { sender, weight, told: Cell::new(0.0) }
    }

    /// The log has reached `time` of `period`.
    pub(crate) fn at(&self, period: Interval, time: i64) {
        if (time - period.start).rem_euclid(REPORT_S) == 0 {
            let done = self.weight * (time - period.start) as f64 / (period.end - period.start) as f64;
            // Nobody may be listening any more; that is no reason to stop writing.
            let _ = self.sender.send(done - self.told.replace(done));
        }
    }
}
