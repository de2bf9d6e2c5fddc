//! Text to the world: sinks that take rendered alerts, and files that are replaced whole.

mod dead_letter;
mod elasticsearch;
mod error;
mod file;
mod guard;
mod http;
#[cfg(test)]
mod listener;
mod post;
mod replace;
mod stdout;

pub use dead_letter::{DeadLetter, DeadLetters, bury, count_dead_letters, dead_letters, take_out};
pub use elasticsearch::{Elasticsearch, IndexKind, Plan, SetupError, Step, Wish};
pub use error::DeliverError;
pub use http::Server;
pub use post::{Batch, Post};
pub use replace::write_file;

use std::path::PathBuf;

/// Messages that are delivered together at most: lines, alerts of a list, and documents.
const LINES_MOST: usize = 1000;
const LIST_MOST: usize = 64;
const DOCUMENTS_MOST: usize = 100;

/// A rendered alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same for the same revision of an alert: it tells a repetition from news.
    pub key: String,
    /// The alert in the sink's form.
    pub text: String,
}

/// What a sink took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Messages that are there to stay.
    pub delivered: usize,
    /// Messages that it will never take.
    pub refused: Vec<Refusal>,
}

/// A message that a sink does not take, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its place among the messages.
    pub at: usize,
    /// Why.
    pub reason: String,
}

/// Where messages go. Each kind lives in its own file.
#[derive(Debug)]
pub enum Sink {
    /// The process's standard output.
    Stdout,
    /// A file that grows by whole lines; its directory is made where it is missing.
    File {
        /// The file. It is closed between deliveries, so it may be rotated.
        path: PathBuf,
    },
    /// An endpoint of HTTP.
    Post(Box<Post>),
    /// An index or a data stream.
    Elasticsearch(Box<Elasticsearch>),
}

impl Sink {
    /// Messages that it takes at a time at most.
    #[must_use]
    pub fn messages_most(&self) -> usize {
        match self {
            Self::Stdout | Self::File { .. } => LINES_MOST,
            Self::Post(post) => match post.batch {
                Batch::One => 1,
                Batch::List => LIST_MOST,
            },
            Self::Elasticsearch(_) => DOCUMENTS_MOST,
        }
    }

    /// Delivers messages, at most [`Sink::messages_most`]. At-least-once: after an error some may be there,
    /// and the caller delivers all of them again.
    ///
    /// # Errors
    /// The sink cannot be opened, written or reached, or takes nothing now.
    pub fn deliver(&mut self, messages: &[Message]) -> Result<Receipt, DeliverError> {
        let delivered = Receipt { delivered: messages.len(), refused: Vec::new() };
        match self {
            _ if messages.is_empty() => Ok(delivered),
            Self::Stdout => stdout::deliver(messages).map(|()| delivered),
            Self::File { path } => file::deliver(path, messages).map(|()| delivered),
            Self::Post(post) => post.deliver(messages),
            Self::Elasticsearch(elasticsearch) => elasticsearch.deliver(messages),
        }
    }
}
