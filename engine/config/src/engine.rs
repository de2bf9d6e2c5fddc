//! margay.yaml: what is read, where state lives, who is told, what is allowed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use garde::Validate;
use margay_core::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::beside::Kind;
use crate::daemon::Daemon;
use crate::log::Log;
use crate::quantity::Quantity;
use crate::selector::Selector;
use crate::sink::{Delivery, Sink, StdoutSink};
use crate::web::Web;

/// The engine's configuration. Paths are relative to the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "margay.yaml")]
pub struct Engine {
    /// The logs by name. Detectors, and the SQL in them, use the names.
    #[garde(dive)]
    pub logs: BTreeMap<String, Log>,
    /// Directories of detectors, or single detector files.
    #[garde(skip)]
    pub detectors: Vec<PathBuf>,
    /// Directories of exclusions, or single files: times that are neither judged nor learnt.
    #[garde(skip)]
    pub exclusions: Vec<PathBuf>,
    /// Directories of silences, or single files: alerts that are kept and not delivered.
    #[garde(skip)]
    pub silences: Vec<PathBuf>,
    /// Directories of calendars, or single files: special days, for detectors that name them.
    #[garde(skip)]
    pub calendars: Vec<PathBuf>,
    /// How many alerts teams welcome, by a name of yours. `status` says what became of them, and ends with 1 where there
    /// were more.
    #[garde(dive)]
    pub budgets: BTreeMap<String, TeamBudget>,
    /// Directory of handlebars templates that replace the built-in ones of the same name.
    #[garde(skip)]
    pub templates: Option<PathBuf>,
    /// Where the engine keeps what it has learnt and said.
    #[garde(dive)]
    pub state: State,
    /// Where alerts go.
    #[garde(dive)]
    pub sinks: Vec<Sink>,
    /// How alerts are sent over the network.
    #[garde(dive)]
    pub delivery: Delivery,
    /// What may be done about alerts.
    #[garde(dive)]
    pub response: Response,
    /// Bounds on what the engine uses.
    #[garde(dive)]
    pub limits: Limits,
    /// How `margay run` goes on.
    #[garde(dive)]
    pub daemon: Daemon,
    /// Where `margay run` can be asked by HTTP; left out, nowhere.
    #[garde(dive)]
    pub web: Option<Web>,
}

impl Engine {
    /// Everything beside margay.yaml that the configuration is read from, as it is written there; the secrets of sinks
    /// included, so that a renewed one is taken over. Those of logs are read with each cycle.
    pub fn sources(&self) -> impl Iterator<Item = &PathBuf> {
        let beside = Kind::ALL.into_iter().flat_map(|kind| kind.entries(self));
        let secrets = self.sinks.iter().flat_map(Sink::secret_files);
        self.detectors.iter().chain(beside).chain(&self.templates).chain(secrets)
    }
}

impl Default for Engine {
    /// Detectors in `detectors.d`, what tunes them in the folders beside it, alerts on the terminal, no logs yet.
    fn default() -> Self {
        Self {
            logs: BTreeMap::new(),
            detectors: vec![PathBuf::from("detectors.d")],
            exclusions: vec![PathBuf::from("exclusions.d")],
            silences: vec![PathBuf::from("silences.d")],
            calendars: vec![PathBuf::from("calendars.d")],
            budgets: BTreeMap::new(),
            templates: None,
            state: State::default(),
            sinks: vec![Sink::Stdout(StdoutSink::default())],
            delivery: Delivery::default(),
            response: Response::default(),
            limits: Limits::default(),
            daemon: Daemon::default(),
            web: None,
        }
    }
}

/// How many alerts a team welcomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct TeamBudget {
    /// Which alerts are meant: those of a tag, of a namespace.
    #[garde(dive)]
    pub selector: Selector,
    /// Number of alerts that are delivered.
    #[garde(range(min = 1, max = 1_000_000))]
    pub alerts: u32,
    /// The length of time in which that many are welcome.
    #[garde(skip)]
    pub per: Period,
}

/// Where the engine keeps what it has learnt and said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Directory of the feature store, the models and the alerts. Removing it starts from nothing.
    #[garde(skip)]
    pub dir: PathBuf,
}

impl Default for State {
    fn default() -> Self {
        Self { dir: PathBuf::from(".margay") }
    }
}

/// What may be done about alerts. Empty means nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Response {
    /// Whether and how quarantine policies are written.
    #[garde(dive)]
    pub quarantine: Option<QuarantineSettings>,
}

/// Whether and how quarantine policies are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct QuarantineSettings {
    /// Directory for the policies, their undo and their reports.
    #[garde(skip)]
    pub output: PathBuf,
    /// Whether a policy only reports what it would do.
    #[garde(skip)]
    pub mode: QuarantineMode,
    /// Namespaces that no policy may select, besides the built-in ones.
    #[garde(inner(length(min = 1)))]
    pub protect: Vec<String>,
    /// Most policies that may be in force at once; further proposals wait.
    #[garde(range(min = 1, max = 1000))]
    pub max_active: u32,
}

impl Default for QuarantineSettings {
    fn default() -> Self {
        Self {
            output: PathBuf::from("quarantine"),
            mode: QuarantineMode::default(),
            protect: vec!["kube-system".to_owned(), "calico-system".to_owned()],
            max_active: 5,
        }
    }
}

/// Whether a policy only reports what it would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QuarantineMode {
    /// Policies are written as staged ones: they show their effect and stop nothing.
    #[default]
    Staged,
    /// Policies are written as ones that stop traffic.
    Enforced,
}

/// Bounds on what the engine uses. Where one bites, status and alerts say how much was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most entities of a detector; further ones have the state `over_limit`. Where a flood of them comes, those that are
    /// known stay, and of the others the same sample each time; an alert tagged `cardinality` says so.
    #[garde(range(min = 1, max = 10_000_000))]
    pub entities_per_detector: u32,
    /// Memory of the whole process. Queries share a quarter of it, and while the process has more, no detector remembers
    /// a new entity: its `limit` is then `hard_limit`. Those that are known are judged as before.
    #[garde(skip)]
    pub memory: Quantity,
    /// Longest time for the SQL of one detector over one read.
    #[garde(skip)]
    pub query_timeout: Period,
    /// Most memory for the SQL of one detector.
    #[garde(skip)]
    pub query_memory: Quantity,
    /// Log rows that an alert shows for each log.
    #[garde(range(min = 0, max = 1000))]
    pub records_per_alert: u32,
    /// Most rows that are read from Elasticsearch at once. Where there are more, nothing of them is used, and the
    /// detector's state says so.
    #[garde(range(min = 1, max = 100_000_000_000_u64))]
    pub pull_rows: u64,
    /// Most bytes of answers that are read from Elasticsearch at once.
    #[garde(skip)]
    pub pull_bytes: Quantity,
    /// Longest time for reading from Elasticsearch at once.
    #[garde(skip)]
    pub pull_time: Period,
}

impl Limits {
    /// Least `query_memory` that can be set: 16 MiB.
    pub const QUERY_MEMORY_LEAST: Quantity = Quantity(16.0 * 1024.0 * 1024.0);
    /// Least `memory` that can be set: 128 MiB.
    pub const MEMORY_LEAST: Quantity = Quantity(128.0 * 1024.0 * 1024.0);
    /// Least `pull_bytes` that can be set: 1 MiB.
    pub const PULL_BYTES_LEAST: Quantity = Quantity(1024.0 * 1024.0);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entities_per_detector: 20_000,
            memory: Quantity(4.0 * 1024.0 * 1024.0 * 1024.0),
            query_timeout: Period::MINUTE,
            query_memory: Quantity(512.0 * 1024.0 * 1024.0),
            records_per_alert: 5,
            pull_rows: 200_000_000,
            pull_bytes: Quantity(128.0 * 1024.0 * 1024.0 * 1024.0),
            pull_time: Period::HOUR.times(6),
        }
    }
}
