//! Arguments of the commands that tune and explain.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use margay_core::{Period, Time};

use crate::tune::Budget;

/// Arguments of `tune`.
#[derive(Debug, Args)]
pub struct TuneArgs {
    /// Name of the detector.
    pub detector: String,
    /// Alerts that are welcome, and the time in which they are.
    #[arg(long, value_name = "ALERTS/PERIOD", default_value = "3/1w")]
    pub budget: Budget,
    /// What is known to be true or false: CSV with the columns `alert` (an id), or `entity`, `start` and `end`, and
    /// `label`; or the same as JSON, one object a line or a list.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub labels: Option<PathBuf>,
    /// Scores that `replay --scores` wrote; without them, those of an earlier `tune`, or a replay.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub scores: Option<PathBuf>,
    /// First bucket to look at (RFC 3339, or a date).
    #[arg(long, value_name = "TIME")]
    pub from: Option<Time>,
    /// End of the last bucket to look at.
    #[arg(long, value_name = "TIME")]
    pub to: Option<Time>,
    /// Write what is recommended into the detector's file.
    #[arg(long)]
    pub write: bool,
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// What is in force: a folder with a margay.yaml, a margay.yaml, a folder of detectors, or a Git revision.
    #[arg(value_name = "A")]
    pub before: String,
    /// What it is compared with, likewise.
    #[arg(value_name = "B")]
    pub after: String,
    /// First bucket to compare (RFC 3339, or a date).
    #[arg(long, value_name = "TIME")]
    pub from: Option<Time>,
    /// End of the last bucket to compare.
    #[arg(long, value_name = "TIME")]
    pub to: Option<Time>,
    /// End with 1 where more alerts than this are added.
    #[arg(long, value_name = "ALERTS")]
    pub max_added: Option<usize>,
    /// Form of what is printed.
    #[arg(long, value_enum)]
    pub format: Option<DiffFormat>,
}

/// Form of what `diff` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For a terminal.
    Text,
    /// One JSON document.
    Json,
    /// For a pull request.
    Markdown,
}

/// Arguments of `reproduce`.
#[derive(Debug, Args)]
pub struct ReproduceArgs {
    /// An alert's id, or how it begins.
    pub alert: String,
}

/// Arguments of `forecast`.
#[derive(Debug, Args)]
pub struct ForecastArgs {
    /// Name of the detector.
    pub detector: String,
    /// The entity, as JSON or as its values joined by `/`.
    #[arg(long)]
    pub entity: String,
    /// How far ahead.
    #[arg(long, value_name = "PERIOD", default_value = "24h")]
    pub horizon: Period,
    /// Form of what is printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: ForecastFormat,
}

/// Form of what `forecast` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ForecastFormat {
    /// A chart for each feature.
    #[default]
    Chart,
    /// Rows of bucket, feature, expected value and interval.
    Csv,
}
