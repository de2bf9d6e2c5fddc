//! Why something was not delivered.

use std::io;
use std::path::PathBuf;

/// Why something was not delivered.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum DeliverError {
    /// The file or its directory cannot be made or opened.
    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    /// The file cannot be read back to see where its last whole line ends.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The text cannot be written; what was there before is unchanged.
    #[error("cannot write {}{}", path.display(), full(source))]
    Write { path: PathBuf, source: io::Error },
    /// The name would leave its directory, or is no ordinary name.
    #[error("{name:?} is no name of a file")]
    Name { name: String },
    /// Standard output takes no more.
    #[error("cannot write to standard output")]
    Stdout { source: io::Error },
}

fn full(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": the disk is full",
        _ => "",
    }
}
