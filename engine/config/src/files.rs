//! Which files of a directory are read.

use std::fs;
use std::path::{Path, PathBuf};

/// Most files in one directory.
const MAX_FILES: usize = 10_000;

/// Endings of YAML files.
pub(crate) const YAML: &[&str] = &["yaml", "yml"];

/// The file itself, or the `.yaml` and `.yml` files of a directory by name; hidden ones are none of them.
/// An error is a rule and a message.
pub(crate) fn list(path: &Path) -> Result<Vec<PathBuf>, (&'static str, String)> {
    let files = list_all(path, YAML)?;
    if files.is_empty() {
        return Err(("no-detectors", format!("`{}` holds no .yaml files", path.display())));
    }
    Ok(files)
}

/// Like [`list`], of files with one of these endings, and of a directory that may hold none.
pub(crate) fn list_all(path: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, (&'static str, String)> {
    let unreadable = |error: std::io::Error| ("unreadable-file", format!("cannot read `{}`: {error}", path.display()));
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if is_meant(&file, endings) {
            files.push(file);
        }
    }
    if files.len() > MAX_FILES {
        return Err(("too-many-files", format!("`{}` holds more than {MAX_FILES} files", path.display())));
    }
    files.sort();
    Ok(files)
}

fn is_meant(file: &Path, endings: &[&str]) -> bool {
    let is_meant = file.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one));
    let is_hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    is_meant && !is_hidden
}
