//! What a sink refused for good, kept so that somebody can look at it and send it again.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use margay_core::Alert;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::{DeliverError, Message, file, write_file};

/// Bytes of a file of dead letters; a full one takes the place of the `.previous` one, whose letters are given up.
const FILE_BYTES_MOST: u64 = 16 << 20;

/// A message that was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it was given up, RFC 3339.
    pub time: String,
    /// The sink.
    pub sink: String,
    /// What the sink said.
    pub reason: String,
    /// The alert's id.
    pub alert: String,
    /// The alert's revision.
    pub revision: u32,
    /// What was sent.
    pub body: String,
    /// That revision of the alert.
    pub document: Box<Alert>,
}

/// What there is of a sink's dead letters.
#[derive(Debug, Default)]
pub struct DeadLetters {
    /// The letters, the oldest first.
    pub letters: Vec<DeadLetter>,
    /// Lines that are none.
    pub unreadable: usize,
}

/// Appends letters to `SINK.ndjson` in `dir`, one a line, and waits until they are on the disk.
///
/// # Errors
/// The file cannot be written.
pub fn bury(dir: &Path, letters: &[DeadLetter]) -> Result<(), DeliverError> {
    let Some(first) = letters.first() else { return Ok(()) };
    let _alone = alone(dir)?;
    let [previous, path] = paths(dir, &first.sink);
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() >= FILE_BYTES_MOST) {
        let lost = read(&previous)?.lines().count();
        if lost > 0 {
            warn!(sink = first.sink, lost, "the oldest dead letters are given up: nobody sent them again");
        }
        fs::rename(&path, &previous).map_err(|source| DeliverError::Write { path: previous, source })?;
    }
    let line = |letter: &DeadLetter| Message {
        key: String::new(),
        text: serde_json::to_string(letter).expect("a letter is texts and numbers"),
    };
    file::deliver(&path, &letters.iter().map(line).collect::<Vec<_>>())
}

/// The letters of a sink.
///
/// # Errors
/// A file is there and cannot be read.
pub fn dead_letters(dir: &Path, sink: &str) -> Result<DeadLetters, DeliverError> {
    let mut found = DeadLetters::default();
    for path in paths(dir, sink) {
        for line in read(&path)?.lines() {
            match serde_json::from_str(line) {
                Ok(letter) => found.letters.push(letter),
                Err(_) => found.unreadable += 1,
            }
        }
    }
    Ok(found)
}

/// How many letters a sink has, whether they can be read or not.
///
/// # Errors
/// A file is there and cannot be read.
pub fn count_dead_letters(dir: &Path, sink: &str) -> Result<usize, DeliverError> {
    let lines = paths(dir, sink).map(|path| Ok(read(&path)?.lines().count()));
    lines.into_iter().sum()
}

/// Takes out the letters of a sink with these alerts and revisions.
///
/// # Errors
/// A file cannot be read or replaced.
pub fn take_out(dir: &Path, sink: &str, sent: &BTreeSet<(String, u32)>) -> Result<(), DeliverError> {
    if sent.is_empty() {
        return Ok(());
    }
    let _alone = alone(dir)?;
    for path in paths(dir, sink) {
        let text = read(&path)?;
        let stays = |line: &&str| {
            let letter = serde_json::from_str::<DeadLetter>(line);
            letter.map_or(true, |letter| !sent.contains(&(letter.alert, letter.revision)))
        };
        let rest: String = text.lines().filter(stays).flat_map(|line| [line, "\n"]).collect();
        if rest.len() < text.len() {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            write_file(dir, name, rest)?;
        }
    }
    Ok(())
}

/// A sink's files, the older one first.
fn paths(dir: &Path, sink: &str) -> [PathBuf; 2] {
    ["ndjson.previous", "ndjson"].map(|ending| dir.join(format!("{sink}.{ending}")))
}

/// A file's text; none where there is no file.
fn read(path: &Path) -> Result<String, DeliverError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|source| DeliverError::Read { path: path.to_owned(), source }),
    }
}

/// Keeps other processes from changing the letters until it is dropped: a daemon may refuse while somebody sends again.
fn alone(dir: &Path) -> Result<File, DeliverError> {
    let path = dir.join(".lock");
    let locked = fs::create_dir_all(dir).and_then(|()| File::create(&path)).and_then(|file| {
        file.lock()?;
        Ok(file)
    });
    locked.map_err(|source| DeliverError::Open { path, source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use margay_core::{AlertStatus, Entity, ModelInfo, Time};

    use super::*;

    fn letter(body: &str, revision: u32) -> DeadLetter {
        let document = Box::new(Alert {
            id: "a".to_owned(),
            revision,
            status: AlertStatus::Open,
            incident: String::new(),
            time: Time(0),
            start: Time(0),
            end: Time(0),
            detector: "d".to_owned(),
            tags: Vec::new(),
            severity: 1,
            score: 1.0,
            expected_false_per_week: 0.0,
            entity: Entity::new(["x".to_owned()].as_slice().into(), vec![None]),
            description: String::new(),
            summary: String::new(),
            features: Default::default(),
            evidence: Vec::new(),
            suspicious_records: Default::default(),
            model: ModelInfo::default(),
            config_digest: String::new(),
            data_digest: String::new(),
            engine_version: String::new(),
            mitre: Vec::new(),
            mitigations: Vec::new(),
            runbook: None,
            gates: Vec::new(),
            silenced: None,
        });
        let text = |text: &str| text.to_owned();
        let (time, sink, reason, alert) = (text("t"), text("pager"), text("no"), text("a"));
        DeadLetter { time, sink, reason, alert, revision, body: body.to_owned(), document }
    }

    fn bodies(dir: &Path) -> Vec<String> {
        dead_letters(dir, "pager").unwrap().letters.into_iter().map(|letter| letter.body).collect()
    }

    #[test]
    fn letters_are_kept_in_order_and_a_full_file_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        bury(dir.path(), &[letter("one\n\"two\"", 1), letter("three", 2)]).unwrap();
        assert_eq!(bodies(dir.path()), ["one\n\"two\"", "three"]);
        let path = dir.path().join("pager.ndjson");
        fs::write(&path, vec![b'\n'; usize::try_from(FILE_BYTES_MOST).unwrap()]).unwrap();
        bury(dir.path(), &[letter("four", 4)]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert_eq!(fs::metadata(dir.path().join("pager.ndjson.previous")).unwrap().len(), FILE_BYTES_MOST);
    }

    #[test]
    fn what_was_sent_again_is_taken_out_of_both_files_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        bury(dir.path(), &[letter("one", 1), letter("two", 2)]).unwrap();
        let [previous, path] = paths(dir.path(), "pager");
        fs::rename(&path, previous).unwrap();
        bury(dir.path(), &[letter("three", 3), letter("four", 4)]).unwrap();
        fs::write(&path, fs::read_to_string(&path).unwrap() + "not a letter\n").unwrap();
        assert_eq!(count_dead_letters(dir.path(), "pager").unwrap(), 5);
        take_out(dir.path(), "pager", &[("a".to_owned(), 2), ("a".to_owned(), 3)].into()).unwrap();
        assert_eq!(bodies(dir.path()), ["one", "four"]);
        assert_eq!(dead_letters(dir.path(), "pager").unwrap().unreadable, 1);
        assert_eq!(count_dead_letters(dir.path(), "other").unwrap(), 0);
    }
}
