//! Files that are replaced whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::DeliverError;

/// Bytes of a name at most: what file systems take, less the ending of the temporary file.
const NAME_BYTES_MOST: usize = 200;

/// Writes `contents` to `name` in `dir`, which is made where it is missing. A reader sees the old
/// contents or the new ones, never a part, and after a return the new ones survive a crash.
///
/// # Errors
/// `name` has a separator, is hidden or no ordinary name; `dir` cannot be made; the contents cannot be
/// written, and then the old ones are still there.
pub fn write_file(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> Result<PathBuf, DeliverError> {
    if !is_ordinary(name) {
        return Err(DeliverError::Name { name: name.to_owned() });
    }
    fs::create_dir_all(dir).map_err(|source| DeliverError::Open { path: dir.to_owned(), source })?;
    let path = dir.join(name);
    let temporary = dir.join(format!(".{name}.{}.tmp", std::process::id()));
    let result = write(&temporary, text.as_ref())
        .and_then(|()| fs::rename(&temporary, &path))
        .and_then(|()| sync_directory(dir));
    if let Err(source) = result {
        // The temporary file may not exist; what went wrong before is what matters.
        let _ = fs::remove_file(&temporary);
        return Err(DeliverError::Write { path, source });
    }
    Ok(path)
}

/// Letters, digits, `-`, `_` and `.`, not starting with a `.`.
fn is_ordinary(name: &str) -> bool {
    (1..=NAME_BYTES_MOST).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a new or renamed entry of `directory` survive a crash.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("quarantine");
        for text in ["one", "two, longer", ""] {
            let path = write_file(&inner, "a.yaml", text).unwrap();
            assert_eq!(fs::read_to_string(path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            ["", ".", "..", "../a", "a/b", "/etc/passwd", "a\\b", ".hidden", "a\0b", "a\nb", "é", &"x".repeat(201)]
        {
            let result = write_file(directory.path(), name, "text");
            assert!(matches!(result, Err(DeliverError::Name { .. })), "{name:?}");
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_old_text_survives_when_the_new_one_cannot_be_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.yaml");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("old"), "old").unwrap();
        let error = write_file(directory.path(), "a.yaml", "new").unwrap_err();
        assert!(error.to_string().contains("a.yaml"), "{error}");
        assert_eq!(fs::read_to_string(path.join("old")).unwrap(), "old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_full_disk_says_so() {
        let error = DeliverError::Write { path: "a.yaml".into(), source: io::ErrorKind::StorageFull.into() };
        assert_eq!(error.to_string(), "cannot write a.yaml: the disk is full");
    }

    /// Needs a file system of a few hundred kilobytes: `mount -t tmpfs -o size=256k none DIR`.
    #[test]
    fn a_full_disk_leaves_what_was_there() {
        let Some(small) = std::env::var_os("MARGAY_SMALL_DISK").map(PathBuf::from) else {
            eprintln!("left out: MARGAY_SMALL_DISK names no directory on a small file system");
            return;
        };
        write_file(&small, "a.yaml", "old").unwrap();
        let mut sink = crate::Sink::File { path: small.join("alerts.ndjson") };
        let message = |text: &str| crate::Message { key: String::new(), text: text.to_owned() };
        sink.deliver(&[message("first")]).unwrap();
        let big = "x".repeat(1024 * 1024);
        let error = write_file(&small, "a.yaml", &big).unwrap_err();
        assert!(error.to_string().ends_with("a.yaml: the disk is full"), "{error}");
        let error = sink.deliver(&[message(&big)]).unwrap_err();
        assert!(error.to_string().ends_with("alerts.ndjson: the disk is full"), "{error}");
        assert_eq!(fs::read_to_string(small.join("a.yaml")).unwrap(), "old");
        assert_eq!(fs::read_to_string(small.join("alerts.ndjson")).unwrap(), "first\n");
        sink.deliver(&[message("second")]).unwrap();
        assert_eq!(fs::read_to_string(small.join("alerts.ndjson")).unwrap(), "first\nsecond\n");
        assert_eq!(fs::read_dir(&small).unwrap().count(), 2);
    }
}
