//! What a sink refused for good, kept so that somebody can look at it.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::{DeliverError, Message, file};

/// Bytes of a file of dead letters; a full one takes the place of the `.previous` one.
const FILE_BYTES_MOST: u64 = 16 << 20;

/// A message that was refused.
#[derive(Debug, Serialize)]
pub struct DeadLetter<'a> {
    /// When it was given up, RFC 3339.
    pub time: &'a str,
    /// The sink.
    pub sink: &'a str,
    /// What the sink said.
    pub reason: &'a str,
    /// The alert's id.
    pub alert: &'a str,
    /// The alert's revision.
    pub revision: u32,
    /// What was sent.
    pub body: &'a str,
}

/// Appends letters to `SINK.ndjson` in `dir`, one a line, and waits until they are on the disk.
///
/// # Errors
/// The file cannot be written.
pub fn bury(dir: &Path, letters: &[DeadLetter<'_>]) -> Result<(), DeliverError> {
    let Some(first) = letters.first() else { return Ok(()) };
    let path = dir.join(format!("{}.ndjson", first.sink));
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() >= FILE_BYTES_MOST) {
        let previous = path.with_extension("ndjson.previous");
        fs::rename(&path, &previous).map_err(|source| DeliverError::Write { path: previous, source })?;
    }
    let line = |letter: &DeadLetter<'_>| Message {
        key: String::new(),
        text: serde_json::to_string(letter).expect("a letter is texts and numbers"),
    };
    file::deliver(&path, &letters.iter().map(line).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn letters_are_kept_in_order_and_a_full_file_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let letter = |body| DeadLetter { time: "t", sink: "pager", reason: "no", alert: "a", revision: 1, body };
        bury(dir.path(), &[letter("one\n\"two\""), letter("three")]).unwrap();
        let path = dir.path().join("pager.ndjson");
        let lines: Vec<serde_json::Value> =
            fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["body"], &lines[1]["body"]), (&"one\n\"two\"".into(), &"three".into()));
        fs::write(&path, vec![b'\n'; usize::try_from(FILE_BYTES_MOST).unwrap()]).unwrap();
        bury(dir.path(), &[letter("four")]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert_eq!(fs::metadata(dir.path().join("pager.ndjson.previous")).unwrap().len(), FILE_BYTES_MOST);
    }
}
