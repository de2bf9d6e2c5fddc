//! CSV: a header, then one row a record.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use csv::{ByteRecord, Reader, ReaderBuilder};
use memchr::memchr_iter;

use crate::batch::LayoutTime;
use crate::files::form;
use crate::input::{EMPTY, counted, decompressed, reason};
use crate::lines::LINE_BYTES_MOST;
use crate::ndjson::BYTE_ORDER_MARK;
use crate::raw::Raw;
use crate::scan::{PartReport, Worker};

/// Reads a file.
///
/// # Errors
/// Why the file or its rest cannot be read.
pub(crate) fn read(worker: &mut Worker<'_>, path: &Path, report: &mut PartReport) -> Result<(), String> {
    let reader = counted(path, worker.task)?;
    let reader = decompressed(reader, form(path).1).map_err(|error| reason(&error))?;
    let mut records = Records::new(reader)?;
    let names = worker.task.layout.paths.slots();
    let places: Vec<Option<usize>> =
        names.iter().map(|name| records.header.iter().position(|field| field == name)).collect();
    check_time(&worker.task.layout.time, names, &places)?;
    let mut record = ByteRecord::new();
    while let Some(line) = records.next(&mut record)? {
        report.lines += 1;
        if record.len() != records.header.len() {
            report.bad(line, format!("{} fields where the header has {}", record.len(), records.header.len()));
            continue;
        }
        let slots: Vec<Raw<'_>> = places.iter().map(|place| field(&record, *place)).collect();
        worker.keep(line, &slots, report);
        if worker.task.is_stopped() {
            break;
        }
    }
    Ok(())
}

fn field(record: &ByteRecord, place: Option<usize>) -> Raw<'_> {
    match place.and_then(|place| record.get(place)) {
        None | Some(b"") => Raw::Null,
        Some(text) => Raw::Text(text),
    }
}

/// A file without the time is named once, instead of each of its rows.
fn check_time(time: &LayoutTime, names: &[String], places: &[Option<usize>]) -> Result<(), String> {
    if time.start.iter().any(|slot| places[*slot].is_some()) {
        return Ok(());
    }
    Err(missing_time(time.start.first().map_or("", |slot| &names[*slot])))
}

/// Why a file is not read.
pub(crate) fn missing_time(name: &str) -> String {
    format!("the file has no column `{name}`, which holds the time")
}

/// The records of a file, each of bounded length.
pub(crate) struct Records<'a> {
    /// Names of the columns.
    pub(crate) header: Vec<String>,
    reader: Reader<Bounded<Box<dyn Read + 'a>>>,
    used: Rc<Cell<usize>>,
    /// Lines that the reader is behind: one where lines end in `\r\n`, of which it counts the end only
    /// with the next record.
    behind: u64,
}

impl<'a> Records<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// The file is empty or cannot be read.
    pub(crate) fn new(reader: Box<dyn Read + 'a>) -> Result<Self, String> {
        let used = Rc::new(Cell::new(0));
        let bounded = Bounded { reader, used: used.clone() };
        let mut reader = ReaderBuilder::new().flexible(true).has_headers(false).from_reader(bounded);
        let mut record = ByteRecord::new();
        if !reader.read_byte_record(&mut record).map_err(|error| fault(&error))? {
            return Err(EMPTY.into());
        }
        let name = |(at, name): (usize, &[u8])| {
            let name = if at == 0 { name.strip_prefix(BYTE_ORDER_MARK).unwrap_or(name) } else { name };
            String::from_utf8_lossy(name.trim_ascii()).into_owned()
        };
        let header = record.iter().enumerate().map(name).collect();
        let lines_within = memchr_iter(b'\n', record.as_slice()).count() as u64;
        let behind = u64::from(reader.position().line() == 1 + lines_within);
        Ok(Self { header, reader, used, behind })
    }

    /// Reads the next record and says on which line it starts; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read, or a record is too long.
    pub(crate) fn next(&mut self, record: &mut ByteRecord) -> Result<Option<u64>, String> {
        self.used.set(0);
        let found = self.reader.read_byte_record(record).map_err(|error| fault(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        Ok(found.then_some(line + self.behind))
    }
}

fn fault(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => reason(error),
        _ => error.to_string(),
    }
}

/// Fails where more than [`LINE_BYTES_MOST`] are read for one record: a quote that is never closed
/// would take the rest of the file into memory.
struct Bounded<R> {
    reader: R,
    used: Rc<Cell<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.used.set(self.used.get() + count);
        if self.used.get() > LINE_BYTES_MOST {
            let text = format!("a record is longer than {LINE_BYTES_MOST} bytes, maybe a quote is not closed");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(count)
    }
}
