//! Why something was not delivered.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

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
    /// The address of a sink is none.
    #[error("the address is not one of HTTP, such as https://host:9093")]
    Address,
    /// The sink lacks something, such as a secret.
    #[error("{reason}")]
    Unusable { reason: String },
    /// The client cannot be made: what it should trust cannot be read.
    #[error("the client of HTTP cannot be made")]
    Client { source: reqwest::Error },
    /// There is no thread or no timer for the client.
    #[error("the client of HTTP cannot be started")]
    Runtime { source: io::Error },
    /// The sink would call this machine.
    #[error("{host} is a local address; `allow_local: true` in the sink permits that")]
    Local { host: String },
    /// There is no connection, or no answer in time.
    #[error("no answer")]
    Request { source: reqwest::Error },
    /// The server sends on to elsewhere.
    #[error("answers {status}, a redirect, and none is followed: the address has moved")]
    Redirect { status: u16 },
    /// The server cannot take anything now.
    #[error("answers {status}{}", told(reason))]
    Busy { status: u16, reason: String, again_after: Option<Duration> },
    /// The server does not take anything from here, whatever it is: the login or the address is wrong.
    #[error("answers {status}{}: its login or its address is wrong", told(reason))]
    Barred { status: u16, reason: String },
    /// The server answers something that it should not.
    #[error("its answer cannot be read: {reason}")]
    Answer { reason: String },
    /// The server does not take this message.
    #[error("refuses it with {status}{}", told(reason))]
    Refused { status: u16, reason: String },
}

impl DeliverError {
    /// Whether the same request may go well in a moment.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Request { .. } | Self::Busy { .. } | Self::Answer { .. })
    }

    /// How long the other end asks to be left alone.
    #[must_use]
    pub fn again_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { again_after, .. } => *again_after,
            _ => None,
        }
    }
}

fn told(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

fn full(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": the disk is full",
        _ => "",
    }
}
