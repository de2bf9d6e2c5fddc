//! One file a command.

pub mod alerts;
pub mod check;
pub mod demo;
pub mod explain;
pub mod generate;
pub mod import;
pub mod init;
pub mod label;
pub mod replay;
pub mod run;
pub mod schema;
pub mod silence;
pub mod status;
pub mod test;

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use margay_core::Time;
use serde::Serialize;

/// The wall clock: read here, handed down as an argument.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).min(Time::MAX)
}

/// Prints a text; a reader that went away is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Prints one JSON document.
pub fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
