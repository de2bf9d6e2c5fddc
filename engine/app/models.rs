//! Trained models on disk: one file a training, named by its content, the newest ones kept.

use std::path::{Path, PathBuf};

use margay_deliver::DeliverError;
use margay_model::Snapshot;

/// Snapshots kept of each detector.
const KEPT: usize = 5;
const ENDING: &str = "model";

/// Why a snapshot cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] DeliverError),
    /// What was written cannot be read.
    #[error("cannot read {path} back")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What was read is not what was written.
    #[error("{path} reads back as something else than was written")]
    Unlike {
        /// The file.
        path: PathBuf,
    },
    /// Old snapshots cannot be removed.
    #[error("cannot tidy {path}")]
    Tidy {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Writes a snapshot into `dir` and removes all but the newest five. The file's name is the time
/// until which it learnt and the digest of its content, so that names sort by age.
///
/// # Errors
/// The folder cannot be written.
pub fn write(dir: &Path, snapshot: &Snapshot) -> Result<PathBuf, ModelFileError> {
    let bytes = postcard::to_allocvec(snapshot).expect("a snapshot has no unsized parts");
    let time = snapshot.trained_until().to_string().replace(':', "");
    let name = format!("{time}-{}.{ENDING}", snapshot.digest());
    let path = margay_deliver::write_file(dir, &name, &bytes)?;
    let read = std::fs::read(&path).map_err(|source| ModelFileError::Read { path: path.clone(), source })?;
    if read != bytes {
        return Err(ModelFileError::Unlike { path });
    }
    tidy(dir).map_err(|source| ModelFileError::Tidy { path: dir.into(), source })?;
    Ok(path)
}

fn tidy(dir: &Path) -> std::io::Result<()> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
    }
    files.sort_unstable();
    let surplus = files.len().saturating_sub(KEPT);
    files.iter().take(surplus).try_for_each(std::fs::remove_file)
}
