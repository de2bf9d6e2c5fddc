//! What the user may type.

mod import;
mod sink;
mod tuning;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use margay_core::{Period, Time};

pub use import::{ImportArgs, ImportFormat};
pub use sink::{ElasticsearchCommand, SinkCommand};
pub use tuning::{DiffArgs, DiffFormat, ForecastArgs, ForecastFormat, ReproduceArgs, TuneArgs};

/// Declarative anomaly detection for Kubernetes clusters: one YAML file a detector.
#[derive(Debug, Parser)]
#[command(name = "margay", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Configuration of the engine.
    #[arg(long, short, global = true, default_value = "margay.yaml", env = "MARGAY_CONFIG", value_hint = ValueHint::FilePath)]
    pub config: PathBuf,
    /// Form of what is printed on standard output.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub output: Output,
    /// What is logged on standard error: error, warn, info, debug, or a tracing filter.
    #[arg(long, global = true, default_value = "warn", env = "MARGAY_LOG")]
    pub log: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Form of what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// What margay can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write seeded logs with planted incidents, run the shipped detectors on them, print what was found.
    Demo(DemoArgs),
    /// Write a first configuration: margay.yaml, a detector, the schemas that editors check them by.
    Init(InitArgs),
    /// Load everything, plan every query, compile every template, and print all problems.
    Check(CheckArgs),
    /// Ask every log and sink, and say what is amiss and what to do: 1 where something is.
    Doctor,
    /// Print a JSON Schema (draft-07).
    Schema {
        /// Of which document.
        #[arg(value_enum)]
        kind: SchemaKind,
    },
    /// Run the unit tests of detectors.
    Test(TestArgs),
    /// Try other thresholds of a detector on its scored past, and recommend some.
    Tune(TuneArgs),
    /// Compare two configurations over the same logs and time.
    Diff(DiffArgs),
    /// Read what is new, judge every complete bucket, deliver alerts.
    Run(RunArgs),
    /// Bring detectors up to date, train them besides the daily schedule, and print what they learnt. Alerts that are found on
    /// the way are kept, and delivered by the next run.
    Train {
        /// Which ones; without any, all of them.
        #[arg(value_name = "DETECTOR")]
        detectors: Vec<String>,
    },
    /// Run over history with a virtual clock: the same results as live.
    Replay(ReplayArgs),
    /// Say why an alert fired, or why a bucket did not.
    Explain(ExplainArgs),
    /// Compute an alert again from what is stored, and say whether anything changed.
    Reproduce(ReproduceArgs),
    /// Print what a detector expects of an entity next.
    Forecast(ForecastArgs),
    /// Print the state of every detector.
    Status,
    /// List alerts.
    Alerts(AlertsArgs),
    /// Write a silence file: alerts that are kept and counted, but not delivered for a while.
    Silence(SilenceArgs),
    /// Ask sinks.
    Sink {
        /// What to ask.
        #[command(subcommand)]
        command: SinkCommand,
    },
    /// Prepare Elasticsearch and OpenSearch for the alerts that are written there.
    Elasticsearch {
        /// What to do.
        #[command(subcommand)]
        command: ElasticsearchCommand,
    },
    /// Say whether an alert was real: that tunes thresholds, and keeps real incidents out of training.
    Label(LabelArgs),
    /// Convert rules of another tool to detectors, and list what cannot be converted.
    Import(ImportArgs),
    /// Let a shadow detector take the place of the one that it shadows, unless it is worse: 1 where it is.
    Promote(PromoteArgs),
    /// Write seeded Calico logs of a small cluster.
    Generate(GenerateArgs),
    /// Read one DNS name a line and print how probably each was generated, as CSV `domain,probability`.
    Classify {
        /// File of names; `-` is standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// Documents that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaKind {
    /// margay.yaml.
    Engine,
    /// A file of detectors.d.
    Detector,
    /// A file of exclusions.d.
    Exclusion,
    /// A file of silences.d.
    Silence,
    /// A file of tests/detectors.
    Test,
    /// A YAML file of calendars.d.
    Calendar,
    /// An alert in JSON.
    Alert,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for logs, configuration, alerts and policies.
    #[arg(long, default_value = "margay-demo", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Seed of the logs: the same seed writes the same bytes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Days of logs.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(2..=90))]
    pub days: u32,
    /// Pods of the cluster.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(30..=5000))]
    pub pods: u32,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Detector files or folders; without any, everything that margay.yaml names.
    #[arg(value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Also asks the logs: compares what detectors read with the newest records.
    #[arg(long)]
    pub source: bool,
    /// Form of the problems.
    #[arg(long, value_enum)]
    pub format: Option<CheckFormat>,
}

/// Form of the problems that `check` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    Text,
    /// One JSON array.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// A JUnit report (XML).
    Junit,
    /// Workflow commands, which GitHub Actions shows at their lines.
    Github,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder to write to; it is made where it is missing.
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Files of cases or folders of them; without any, tests/detectors beside margay.yaml.
    #[arg(value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Form of the results.
    #[arg(long, value_enum)]
    pub format: Option<TestFormat>,
}

/// Form of the results that `test` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// A JUnit report (XML).
    Junit,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// One cycle, then end.
    #[arg(long)]
    pub once: bool,
    /// With --once: act as if it were this time (RFC 3339, or a date). Without: end at this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<Time>,
    /// Begin at this time, on a clock that jumps over every wait: a day of history in seconds, to see what the daemon
    /// would have done. Ends at --until.
    #[arg(long, value_name = "TIME", requires = "until", conflicts_with = "once")]
    pub accelerated_from: Option<Time>,
    /// Train every detector at the end of the cycle, besides the daily schedule.
    #[arg(long, requires = "once")]
    pub train: bool,
    /// Write the scores (.csv or .parquet).
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub scores: Option<PathBuf>,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// First bucket to report (RFC 3339, or a date); without it, the first there is.
    #[arg(long, value_name = "TIME")]
    pub from: Option<Time>,
    /// End of the last bucket to report; without it, the end of the logs.
    #[arg(long, value_name = "TIME")]
    pub to: Option<Time>,
    /// Write every score (.csv or .parquet).
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub scores: Option<PathBuf>,
    /// Write every alert (NDJSON).
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub alerts: Option<PathBuf>,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// An alert's id (or how it begins), or a detector's name.
    pub subject: String,
    /// With a detector: the entity, as JSON or as its values joined by `/`.
    #[arg(long)]
    pub entity: Option<String>,
    /// With a detector: a time in the bucket (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub at: Option<Time>,
}

/// Arguments of `alerts`.
#[derive(Debug, Args)]
pub struct AlertsArgs {
    /// Only of this detector.
    #[arg(long)]
    pub detector: Option<String>,
    /// Only of entities whose text contains this.
    #[arg(long)]
    pub entity: Option<String>,
    /// Only with this status.
    #[arg(long)]
    pub status: Option<String>,
    /// Only those that ended within this time before the newest one.
    #[arg(long, value_name = "PERIOD")]
    pub since: Option<Period>,
    /// Group alerts of one entity at the same time into incidents.
    #[arg(long)]
    pub incidents: bool,
    /// Only those that a silence kept back.
    #[arg(long)]
    pub silenced: bool,
    /// Those of shadow detectors, which are kept apart, instead of the others.
    #[arg(long)]
    pub shadow: bool,
}

/// Arguments of `silence`.
#[derive(Debug, Args)]
pub struct SilenceArgs {
    /// Alert whose like is silenced: its id, or how that begins. Without one, the selection below says what is.
    #[arg(required_unless_present_any = ["detector", "tag", "entity"], conflicts_with_all = ["detector", "tag", "entity"])]
    pub alert: Option<String>,
    /// Detectors, `*` standing for any text.
    #[arg(long)]
    pub detector: Vec<String>,
    /// Tags of detectors.
    #[arg(long)]
    pub tag: Vec<String>,
    /// Columns of the entity and their values, such as `namespace=shop` or `source_name_aggr=web-*`.
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = column_and_value)]
    pub entity: Vec<(String, String)>,
    /// How long, at most 90d.
    #[arg(long, value_name = "PERIOD")]
    pub r#for: Period,
    /// Why nobody wants to know.
    #[arg(long)]
    pub reason: String,
    /// Who answers for it: a team or a person.
    #[arg(long)]
    pub owner: String,
    /// From when on (RFC 3339, or a date); without it, from now on.
    #[arg(long, value_name = "TIME")]
    pub from: Option<Time>,
    /// Name of the file without `.yaml`; without it, one is made of the detector and the time.
    #[arg(long)]
    pub name: Option<String>,
}

fn column_and_value(text: &str) -> Result<(String, String), String> {
    let (column, value) = text.split_once('=').ok_or("write COLUMN=VALUE, such as namespace=shop")?;
    Ok((column.to_owned(), value.to_owned()))
}

/// Arguments of `promote`.
#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// Name of the shadow detector.
    pub detector: String,
    /// Only compare, and change no file.
    #[arg(long)]
    pub check: bool,
    /// Alerts that it may add, at most. Without it, its budget decides, or else what the running one raises.
    #[arg(long, value_name = "N")]
    pub max_added: Option<usize>,
}

/// Arguments of `label`.
#[derive(Debug, Args)]
pub struct LabelArgs {
    /// The alert's id, or how it begins.
    #[arg(required_unless_present = "list")]
    pub alert: Option<String>,
    /// Whether it told of something real.
    #[arg(action = clap::ArgAction::Set, value_name = "true|false")]
    pub verdict: Option<bool>,
    /// What there is to say about it.
    #[arg(long)]
    pub note: Option<String>,
    /// Take the label back.
    #[arg(long, conflicts_with_all = ["verdict", "note"])]
    pub remove: bool,
    /// List all labels.
    #[arg(long, conflicts_with_all = ["alert", "verdict", "note", "remove"])]
    pub list: bool,
}

/// Arguments of `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Folder to write to.
    #[arg(long, value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Seed: the same seed writes the same bytes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Days of logs.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=400))]
    pub days: u32,
    /// Pods of the cluster.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(30..=5000))]
    pub pods: u32,
    /// Incidents to plant: `all`, `none`, or kinds separated by commas.
    #[arg(long, default_value = "all")]
    pub incidents: String,
    /// End of the logs (RFC 3339, or a date).
    #[arg(long, value_name = "TIME", default_value = "2026-11-16")]
    pub end: Time,
}
