//! A file that grows by whole lines.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tracing::warn;

use crate::replace::sync_directory;
use crate::{DeliverError, Message};

/// Bytes read at a time in search of the end of the last whole line.
const BACKWARD_BYTES: u64 = 64 * 1024;

/// Appends the lines and waits until they are on the disk. What a crash left of a last line is
/// cut off first; when writing fails, so is what was written of these lines.
pub(crate) fn deliver(path: &Path, messages: &[Message]) -> Result<(), DeliverError> {
    let (mut file, is_new) = open(path).map_err(|source| DeliverError::Open { path: path.to_owned(), source })?;
    let length = repair(&mut file, path).map_err(|source| DeliverError::Read { path: path.to_owned(), source })?;
    let text: String = messages.iter().flat_map(|message| [message.text.trim_end_matches('\n'), "\n"]).collect();
    let written = append(&mut file, length, text.as_bytes()).and_then(|()| match path.parent() {
        Some(directory) if is_new => sync_directory(directory),
        _ => Ok(()),
    });
    written.map_err(|source| DeliverError::Write { path: path.to_owned(), source })
}

fn open(path: &Path) -> io::Result<(File, bool)> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory)?;
    }
    let is_new = !path.exists();
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    Ok((file, is_new))
}

/// Cuts off what follows the last line's end; returns the length that is left.
fn repair(file: &mut File, path: &Path) -> io::Result<u64> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let length = metadata.len();
    let whole = whole_lines(file, length)?;
    if whole < length {
        warn!(path = %path.display(), bytes = length - whole, "cut off a line that was not finished");
        file.set_len(whole)?;
    }
    Ok(whole)
}

/// Bytes up to and with the last line's end.
fn whole_lines(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BACKWARD_BYTES);
        let mut chunk = vec![0; usize::try_from(end - start).expect("a chunk is small")];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn append(file: &mut File, length: u64, text: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(length))?;
    let result = file.write_all(text).and_then(|()| file.sync_all());
    if result.is_err() {
        let cut = file.set_len(length).and_then(|()| file.sync_all());
        if let Err(error) = cut {
            warn!(%error, "what was written before the failure could not be cut off; the next delivery does");
        }
    }
    result
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::Sink;

    fn texts(lines: &[&str]) -> Vec<Message> {
        lines.iter().map(|line| Message { key: String::new(), text: (*line).to_owned() }).collect()
    }

    #[test]
    fn lines_are_appended_and_the_directory_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out/alerts.ndjson");
        let mut sink = Sink::File { path: path.clone() };
        assert_eq!(sink.deliver(&texts(&["a", "b"])).unwrap().delivered, 2);
        assert_eq!(sink.deliver(&[]).unwrap().delivered, 0);
        assert_eq!(sink.deliver(&texts(&["c\n"])).unwrap().delivered, 1);
        assert_eq!(fs::read_to_string(path).unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn what_a_crash_left_of_a_line_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alerts.ndjson");
        let partial = "x".repeat(3 * 64 * 1024);
        for (before, kept) in [("whole\n", "whole\n"), ("", ""), ("a\nb\n\n", "a\nb\n\n")] {
            fs::write(&path, format!("{before}{partial}")).unwrap();
            Sink::File { path: path.clone() }.deliver(&texts(&["next"])).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{kept}next\n"));
        }
    }

    #[test]
    fn a_directory_in_place_of_the_file_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let error = Sink::File { path: directory.path().to_owned() }.deliver(&texts(&["a"])).unwrap_err();
        assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
    }

    #[test]
    fn a_device_is_not_a_file_to_repair() {
        assert!(matches!(
            Sink::File { path: "/dev/full".into() }.deliver(&texts(&["a"])),
            Err(DeliverError::Read { .. })
        ));
    }
}
