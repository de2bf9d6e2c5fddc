//! Reads the files of a log on several threads.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use margay_core::{Grouping, TimeRange};

use crate::batch::{Gatherer, Layout, Span, hull, touches};
use crate::files::{Compression, Encoding, FileInfo, form};
use crate::json::RowReader;
use crate::raw::Raw;
use crate::report::{BAD_SAMPLES_MOST, FileReport, ScanReport};
use crate::{csv, ndjson, parquet};

/// Bytes of a plain NDJSON file that one thread takes at once.
const PART_BYTES: u64 = 8 * 1024 * 1024;

/// What is wanted of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Names of columns; those of the span are always added. Names that the log does not have are left out.
    pub columns: Vec<String>,
    /// Rows whose span shares an instant with this range are given to the sink.
    pub range: TimeRange,
    /// The files or stretches to read, as they were listed; all where there is none.
    pub files: Option<Vec<PathBuf>>,
    /// How rows of an index may be gathered before they are read; none where every row is to come. Rows of files, and
    /// those of which the server cannot do it, come one by one all the same.
    pub grouping: Option<Grouping>,
    /// Threads to read with, at least one.
    pub threads: usize,
}

/// Whether a scan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It ends; what was read meanwhile is dropped.
    Stop,
}

/// Takes batches, on several threads at once.
pub(crate) type Sink<'a> = &'a (dyn Fn(RecordBatch) -> Flow + Sync);
/// Takes the number of bytes read since the last call.
pub(crate) type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// What all threads of a scan share.
pub(crate) struct Task<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) sink: Sink<'a>,
    pub(crate) progress: Progress<'a>,
    stopped: AtomicBool,
    bytes: AtomicU64,
}

impl<'a> Task<'a> {
    /// Nothing read yet.
    pub(crate) fn new(layout: &'a Layout, sink: Sink<'a>, progress: Progress<'a>) -> Self {
        Self { layout, sink, progress, stopped: AtomicBool::new(false), bytes: AtomicU64::new(0) }
    }

    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Says that `count` bytes were read.
    pub(crate) fn read(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
        (self.progress)(count);
    }

    /// Hands a batch on.
    pub(crate) fn give(&self, batch: RecordBatch) {
        if !self.is_stopped() && (self.sink)(batch) == Flow::Stop {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    /// True once the sink had enough.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// A piece of work: a file, or lines that start in a part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) path: &'a Path,
    /// Lines that start in this range of bytes.
    pub(crate) bytes: (u64, u64),
}

/// What a part came to.
#[derive(Debug, Default)]
pub(crate) struct PartReport {
    pub(crate) rows: u64,
    pub(crate) bad_rows: u64,
    /// Line within the part, from 1, and reason.
    pub(crate) samples: Vec<(u64, String)>,
    pub(crate) unfit: u64,
    pub(crate) lines: u64,
    pub(crate) span: Option<TimeRange>,
    pub(crate) error: Option<String>,
}

impl PartReport {
    /// Counts a bad row.
    pub(crate) fn bad(&mut self, line: u64, reason: impl Into<String>) {
        self.bad_rows += 1;
        if self.samples.len() < BAD_SAMPLES_MOST {
            self.samples.push((line, reason.into()));
        }
    }

    /// Adds what another part came to, whose lines follow.
    pub(crate) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.bad_rows += other.bad_rows;
        let lines = self.lines;
        self.samples.extend(other.samples.into_iter().map(|(line, reason)| (lines + line, reason)));
        self.samples.truncate(BAD_SAMPLES_MOST);
        self.unfit += other.unfit;
        self.lines += other.lines;
        self.span = other.span.map_or(self.span, |span| Some(self.span.map_or(span, |known| known.hull(span))));
    }

    /// Notes a good row; true where the range wants it.
    #[inline]
    pub(crate) fn good(&mut self, span: Span, range: &TimeRange) -> bool {
        self.span = Some(hull(self.span, span));
        let wanted = touches(range, span);
        self.rows += u64::from(wanted);
        wanted
    }
}

/// One thread's means to read.
pub(crate) struct Worker<'a> {
    pub(crate) task: &'a Task<'a>,
    pub(crate) reader: RowReader,
    gatherer: Gatherer<'a>,
}

impl<'a> Worker<'a> {
    fn new(task: &'a Task<'a>) -> Self {
        let reader = RowReader::new(task.layout.paths.clone());
        Self { task, reader, gatherer: Gatherer::new(task.layout) }
    }

    /// Keeps the row if it is good and in the range.
    #[inline]
    pub(crate) fn keep(&mut self, line: u64, slots: &[Raw<'_>], report: &mut PartReport) {
        match self.gatherer.span(slots) {
            Err(reason) => report.bad(line, reason),
            Ok(span) => {
                if report.good(span, &self.task.layout.range) {
                    self.gatherer.push(span, slots);
                    if self.gatherer.is_full() {
                        self.flush();
                    }
                }
            }
        }
    }

    fn flush(&mut self) {
        if let Some(batch) = self.gatherer.take() {
            self.task.give(batch);
        }
    }

    fn read(&mut self, part: Part<'_>) -> PartReport {
        let mut report = PartReport::default();
        let read = match form(part.path) {
            (Encoding::Ndjson, _) => ndjson::read(self, part, &mut report),
            (Encoding::Csv, _) => csv::read(self, part.path, &mut report),
            (Encoding::Parquet, Compression::None) => parquet::read(self.task, part.path, &mut report),
            (Encoding::Parquet, _) => Err("Parquet within gzip or zstd is not read".into()),
        };
        report.error = read.err();
        report.unfit += std::mem::take(&mut self.gatherer.unfit);
        report
    }
}

/// Reads `files` into the sink.
pub(crate) fn run(
    layout: &Layout,
    files: &[&FileInfo],
    threads: usize,
    sink: Sink<'_>,
    progress: Progress<'_>,
) -> ScanReport {
    let parts: Vec<(usize, Part<'_>)> =
        files.iter().enumerate().flat_map(|(at, file)| parts(file).map(move |part| (at, part))).collect();
    let task = Task::new(layout, sink, progress);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(parts.len()));
    std::thread::scope(|scope| {
        let work = || {
            let mut worker = Worker::new(&task);
            while !task.is_stopped() {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((file, part)) = parts.get(at) else { break };
                let report = worker.read(*part);
                done.lock().expect("no panic while held").push((at, *file, report));
            }
            worker.flush();
        };
        for _ in 1..threads.min(parts.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().expect("all threads ended");
    done.sort_unstable_by_key(|(at, ..)| *at);
    merge(files, done.into_iter().map(|(_, file, report)| (file, report)), task.bytes())
}

/// Plain NDJSON is read in parts, all else as a whole.
fn parts(file: &FileInfo) -> impl Iterator<Item = Part<'_>> {
    let is_plain = form(&file.path) == (Encoding::Ndjson, Compression::None);
    let count = if is_plain { file.bytes.div_ceil(PART_BYTES).max(1) } else { 1 };
    (0..count).map(move |at| Part {
        path: &file.path,
        // The last part has no end: the file may have grown.
        bytes: (at * PART_BYTES, if at + 1 == count { u64::MAX } else { (at + 1) * PART_BYTES }),
    })
}

/// Puts the parts of each file together, in order.
fn merge(files: &[&FileInfo], parts: impl Iterator<Item = (usize, PartReport)>, bytes: u64) -> ScanReport {
    let fresh = |file: &&FileInfo| FileReport { path: file.path.clone(), ..FileReport::default() };
    let mut report = ScanReport { bytes, files: files.iter().map(fresh).collect(), ..ScanReport::default() };
    let mut lines = vec![0; files.len()];
    for (at, part) in parts {
        let file = &mut report.files[at];
        file.rows += part.rows;
        file.bad_rows += part.bad_rows;
        file.span = part.span.map_or(file.span, |span| Some(file.span.map_or(span, |known| known.hull(span))));
        file.error = file.error.take().or(part.error);
        let path = file.path.clone();
        report.note_bad(&path, lines[at], part.samples);
        lines[at] += part.lines;
        report.rows += part.rows;
        report.bad_rows += part.bad_rows;
        report.unfit_values += part.unfit;
    }
    report
}
