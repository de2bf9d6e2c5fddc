//! Text to the world: sinks that take whole lines, and files that are replaced whole.

mod error;
mod file;
mod replace;
mod stdout;

pub use error::DeliverError;
pub use replace::write_file;

use std::path::PathBuf;

/// What a sink took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Lines that are there to stay.
    pub delivered: usize,
}

/// Where lines go. Each kind lives in its own file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// The process's standard output.
    Stdout,
    /// A file that grows by whole lines; its directory is made where it is missing.
    File {
        /// The file. It is closed between deliveries, so it may be rotated.
        path: PathBuf,
    },
}

impl Sink {
    /// Writes `lines`, each with a line's end. At-least-once: after an error some may be there,
    /// and the caller delivers all of them again.
    ///
    /// # Errors
    /// The sink cannot be opened or written.
    pub fn deliver(&mut self, lines: &[String]) -> Result<Receipt, DeliverError> {
        match self {
            _ if lines.is_empty() => Ok(Receipt::default()),
            Self::Stdout => stdout::deliver(lines),
            Self::File { path } => file::deliver(path, lines),
        }
    }
}
