//! The text of a file, guarded before anything parses it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::problem::Problem;

/// Largest file that is read, in bytes.
pub(crate) const MAX_FILE_BYTES: usize = 256 * 1024;

/// A file's text.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A stretch of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
    /// First byte.
    pub(crate) start: usize,
    /// First byte after it.
    pub(crate) end: usize,
}

impl Source {
    /// Reads a file that can be YAML: regular, not too large, UTF-8, printable.
    pub(crate) fn read(path: &Path) -> Result<Self, Box<Problem>> {
        let whole = |rule, message| Box::new(Problem::new(path, (1, 1), rule, message));
        let unreadable = |error: std::io::Error| whole("unreadable-file", format!("cannot read the file: {error}"));
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if !metadata.is_file() {
            let kind = if metadata.is_dir() { "a directory" } else { "a device, pipe or socket" };
            return Err(whole("not-a-file", format!("this is {kind}, not a file")));
        }
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() > MAX_FILE_BYTES {
            let hint = "one file holds one detector; long lists of values belong into the log or into `exclude`";
            let message = format!("the file is larger than {} KiB", MAX_FILE_BYTES / 1024);
            return Err(Box::new(whole("file-too-large", message).hint(hint.to_owned())));
        }
        Self::from_bytes(path, &bytes)
    }

    /// The guarded text of `bytes`; a byte order mark is dropped.
    pub(crate) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, Box<Problem>> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let path = path.to_owned();
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(error) => {
                let source = Self { path, text: String::from_utf8_lossy(bytes).into_owned() };
                let place = source.place(error.valid_up_to());
                let problem = source.problem(place, "not-utf8", "the file is not UTF-8 text".to_owned());
                return Err(Box::new(problem.hint("save it with the encoding UTF-8".to_owned())));
            }
        };
        let source = Self { path, text };
        match source.text.char_indices().find(|(_, c)| !is_printable(*c)) {
            Some((at, c)) => {
                let message = format!("the character U+{:04X} is not allowed in YAML", u32::from(c));
                Err(Box::new(source.problem(source.place(at), "control-character", message)))
            }
            None => Ok(source),
        }
    }

    /// The character that starts at a byte.
    pub(crate) fn place(&self, start: usize) -> Place {
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = start + self.text[start..].chars().next().map_or(0, char::len_utf8);
        Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1, start, end }
    }

    /// An error at a place of this text.
    pub(crate) fn problem(&self, place: Place, rule: &str, message: String) -> Problem {
        Problem::new(&self.path, (place.line, place.column), rule, message).excerpt(&self.text, place.start..place.end)
    }
}

/// YAML 1.2, production `c-printable`.
fn is_printable(c: char) -> bool {
    let is_ascii = matches!(c, '\t' | '\n' | '\r' | ' '..='~');
    is_ascii || matches!(c, '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
