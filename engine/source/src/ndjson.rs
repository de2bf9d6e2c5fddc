//! NDJSON: one JSON object a line.

use std::io::{Read, Seek, SeekFrom};

use memchr::memchr;

use crate::files::{Compression, form};
use crate::input::{EMPTY, counted, decompressed, reason};
use crate::lines::{LINE_BYTES_MOST, LineBlocks, Piece};
use crate::raw::Raw;
use crate::scan::{Part, PartReport, Worker};

/// What a file may start with.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a part of a file.
///
/// # Errors
/// Why the file or its rest cannot be read.
pub(crate) fn read(worker: &mut Worker<'_>, part: Part<'_>, report: &mut PartReport) -> Result<(), String> {
    let mut reader = counted(part.path, worker.task)?;
    match form(part.path).1 {
        Compression::None => {
            let (start, end) = part.bytes;
            let blocks = if start == 0 {
                LineBlocks::part(reader, 0, end)
            } else {
                reader.file().seek(SeekFrom::Start(start - 1)).map_err(|error| reason(&error))?;
                LineBlocks::part_after(reader, start, end).map_err(|error| reason(&error))?
            };
            rows(worker, blocks, start == 0, report)
        }
        compression => {
            let reader = decompressed(reader, compression).map_err(|error| reason(&error))?;
            rows(worker, LineBlocks::new(reader), true, report)?;
            if report.lines == 0 { Err(EMPTY.into()) } else { Ok(()) }
        }
    }
}

fn rows<R: Read>(
    worker: &mut Worker<'_>,
    mut blocks: LineBlocks<R>,
    mut at_start: bool,
    report: &mut PartReport,
) -> Result<(), String> {
    while let Some(piece) = blocks.next_piece().map_err(|error| reason(&error))? {
        match piece {
            Piece::Lines(block) if at_start => {
                block_rows(worker, block.strip_prefix(BYTE_ORDER_MARK).unwrap_or(block), report);
            }
            Piece::Lines(block) => block_rows(worker, block, report),
            Piece::TooLong => {
                report.lines += 1;
                report.bad(report.lines, format!("longer than {LINE_BYTES_MOST} bytes"));
            }
        }
        at_start = false;
        if worker.task.is_stopped() {
            break;
        }
    }
    Ok(())
}

fn block_rows(worker: &mut Worker<'_>, block: &[u8], report: &mut PartReport) {
    let mut slots = vec![Raw::Null; worker.task.layout.paths.slots().len()];
    let mut rest = block;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        report.lines += 1;
        slots.fill(Raw::Null);
        match worker.reader.read(line, &mut slots) {
            Ok(()) => worker.keep(report.lines, &slots, report),
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(broken) => report.bad(report.lines, format!("broken JSON: {}", broken.0)),
        }
    }
}
