//! Folders and files of the store.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::StoreError;

/// Ending of files that are being written.
const UNFINISHED: &str = ".tmp";

/// Letters, digits, `-`, `_` and `.`, but not a dot in front.
pub(super) fn check_name(name: &str) -> Result<(), StoreError> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.chars().all(plain) {
        Ok(())
    } else {
        Err(StoreError::Name(name.to_owned()))
    }
}

pub(super) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(folder).map_err(|source| StoreError::file("make", folder, source))
}

/// Names of the entries of a folder; none where there is no folder.
pub(super) fn file_names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let failed = |source| StoreError::file("read", folder, source);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let names = entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// Removes files whose writing was cut off.
pub(super) fn remove_leftovers(folder: &Path) -> Result<(), StoreError> {
    for name in file_names(folder)?.iter().filter(|name| name.ends_with(UNFINISHED)) {
        let path = folder.join(name);
        fs::remove_file(&path).map_err(|source| StoreError::file("remove", &path, source))?;
    }
    Ok(())
}

/// Removes folders of definitions until `most` are left: `current`, and those written to last.
pub(super) fn keep_newest(definitions: &Path, current: &str, most: usize) -> Result<(), StoreError> {
    let mut others: Vec<(SystemTime, String)> = Vec::new();
    for name in file_names(definitions)?.into_iter().filter(|name| name != current && check_name(name).is_ok()) {
        let metadata = fs::metadata(definitions.join(&name));
        let changed = metadata.and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        others.push((changed, name));
    }
    others.sort_unstable_by(|a, b| b.cmp(a));
    for (_, name) in others.iter().skip(most.saturating_sub(1)) {
        let path = definitions.join(name);
        fs::remove_dir_all(&path).map_err(|source| StoreError::file("remove", &path, source))?;
    }
    Ok(())
}

/// Writes a file so that a reader finds the old content or the new, whatever happens in between.
pub(super) fn replace<E>(
    path: &Path,
    write: impl FnOnce(File) -> Result<File, E>,
    failed: impl FnOnce(E) -> StoreError,
) -> Result<(), StoreError> {
    let unfinished = &beside(path, UNFINISHED);
    let finish = || {
        let file = File::create(unfinished).map_err(|source| StoreError::file("make", unfinished, source))?;
        let file = write(file).map_err(failed)?;
        file.sync_all().map_err(|source| StoreError::file("write", path, source))?;
        keep_previous(path)?;
        fs::rename(unfinished, path).map_err(|source| StoreError::file("replace", path, source))?;
        sync_folder_of(path)
    };
    let finished = finish();
    if finished.is_err() {
        // What is left of it is removed when the store is opened next, too.
        let _ = fs::remove_file(unfinished);
    }
    finished
}

/// The file's generation before.
pub(super) fn previous(path: &Path) -> PathBuf {
    beside(path, ".previous")
}

/// Gives the file, if it is there, a second name under which it stays when it is replaced.
fn keep_previous(path: &Path) -> Result<(), StoreError> {
    if path.exists() { put(path, &previous(path)) } else { Ok(()) }
}

/// Gives a file a second name, in place of what has it.
pub(super) fn put(path: &Path, name: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::file("keep", path, source);
    let unfinished = beside(name, ".link.tmp");
    let _ = fs::remove_file(&unfinished);
    fs::hard_link(path, &unfinished).map_err(failed)?;
    fs::rename(&unfinished, name).map_err(failed)?;
    // Where both names meant the same file already, nothing was renamed.
    let _ = fs::remove_file(&unfinished);
    Ok(())
}

/// Moves a damaged file away; it stays for who wants to see it.
pub(super) fn set_aside(path: &Path) -> Result<(), StoreError> {
    fs::rename(path, beside(path, ".damaged")).map_err(|source| StoreError::file("set aside", path, source))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder_of(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(StoreError::file("remove", path, source)),
    }
}

/// A new name is only as lasting as its folder.
fn sync_folder_of(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| StoreError::file("keep", folder, source))
}
