//! What may be asked of sinks, and of the Elasticsearch among them.

use clap::Subcommand;

/// What can be asked of sinks.
#[derive(Debug, Subcommand)]
pub enum SinkCommand {
    /// Send a test alert, and say whether it was taken: 2 where it was not.
    Test {
        /// Name of the sink, or its kind where it has none; left out, every sink.
        name: Option<String>,
    },
    /// List the alerts that sinks refused for good.
    DeadLetters {
        /// Name of the sink, or its kind where it has none; left out, every sink.
        name: Option<String>,
    },
    /// Send the alerts that sinks refused for good again, as the present configuration writes them: 2 where one is not taken.
    Resend {
        /// Name of the sink, or its kind where it has none; left out, every sink.
        name: Option<String>,
    },
}

/// What can be done with Elasticsearch.
#[derive(Debug, Subcommand)]
pub enum ElasticsearchCommand {
    /// Make what the sinks in Elasticsearch write to: how long alerts are kept, an index template, a data stream or an
    /// index. Doing so again changes nothing.
    Setup {
        /// Name of the sink, or its kind where it has none; left out, every sink in Elasticsearch.
        name: Option<String>,
        /// Only ask, and print what would be sent.
        #[arg(long)]
        dry_run: bool,
    },
}
