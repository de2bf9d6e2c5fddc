//! The content of the configuration, as it is polled. Names and times of files say nothing where Kubernetes swaps a
//! ConfigMap's symbolic links.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use margay_config::Loaded;
use margay_core::digest;

/// Files that are compared at most; further ones are not noticed.
const FILES_MOST: usize = 10_000;
/// Bytes of each file that are compared.
const BYTES_MOST: u64 = 1 << 20;
/// Folders within folders that are looked into.
const DEPTH_MOST: usize = 3;

/// A digest of everything that the configuration is read from.
#[must_use]
pub fn content(config: &Path, loaded: &Loaded) -> String {
    let mut roots = vec![config.to_owned()];
    roots.extend(loaded.engine.sources().map(|path| loaded.root.join(path)));
    let mut files = Vec::new();
    roots.iter().for_each(|root| walk(root, DEPTH_MOST, &mut files));
    let mut parts: Vec<Vec<u8>> = Vec::with_capacity(2 * files.len());
    for file in files {
        parts.push(file.as_os_str().as_encoded_bytes().to_vec());
        parts.push(read(&file).unwrap_or_else(|error| error.to_string().into_bytes()));
    }
    digest(&parts)
}

/// Regular files below a path, sorted. Hidden ones are Kubernetes' own.
fn walk(path: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_file() && files.len() < FILES_MOST {
        files.push(path.to_owned());
    }
    if !metadata.is_dir() || depth == 0 {
        return;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let mut entries: Vec<PathBuf> = entries.filter(|path| !hidden(path)).collect();
    entries.sort_unstable();
    entries.iter().for_each(|entry| walk(entry, depth - 1, files));
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(BYTES_MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder as Kubernetes mounts a ConfigMap: names lead through a link to the data of one revision.
    #[test]
    fn a_swapped_link_is_a_change_and_another_name_of_the_same_revision_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (revision, text) in [("one", "a: 1"), ("two", "a: 2"), ("same", "a: 1")] {
            fs::create_dir_all(root.join(revision)).unwrap();
            fs::write(root.join(revision).join("margay.yaml"), text).unwrap();
        }
        symlink("one", root.join("..data")).unwrap();
        symlink("..data/margay.yaml", root.join("margay.yaml")).unwrap();
        let config = root.join("margay.yaml");
        let loaded = margay_config::load(&config);
        let swap = |revision: &str| {
            symlink(revision, root.join("..new")).unwrap();
            fs::rename(root.join("..new"), root.join("..data")).unwrap();
            content(&config, &loaded)
        };
        let first = content(&config, &loaded);
        assert_ne!(swap("two"), first);
        assert_eq!(swap("same"), first);
    }

    #[test]
    fn a_file_in_any_folder_that_the_configuration_names_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("margay.yaml");
        fs::write(&config, "templates: templates\n").unwrap();
        let loaded = margay_config::load(&config);
        let mut last = content(&config, &loaded);
        for folder in ["detectors.d", "exclusions.d", "silences.d", "calendars.d", "templates"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join("new"), "x").unwrap();
            let next = content(&config, &loaded);
            assert_ne!(next, last, "{folder}");
            last = next;
        }
    }
}
