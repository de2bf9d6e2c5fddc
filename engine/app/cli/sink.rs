//! What may be asked of sinks.

use clap::Subcommand;

/// What can be asked of sinks.
#[derive(Debug, Subcommand)]
pub enum SinkCommand {
    /// Send a test alert, and say whether it was taken: 2 where it was not.
    Test {
        /// Name of the sink, or its kind where it has none; left out, every sink.
        name: Option<String>,
    },
}
