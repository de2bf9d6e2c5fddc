//! What the state holds, as it is written down.

use std::collections::BTreeMap;

use margay_core::{Period, Time, TimeRange};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one detector remembers, and what `status` shows of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DetectorRecord {
    /// Digest of everything that makes the memory valid: features, model, direction.
    pub model_digest: String,
    /// The detector's memory in postcard; see [`crate::memory::Memory`].
    pub memory: Vec<u8>,
    /// What `status` shows.
    #[serde(skip)]
    pub status: DetectorStatus,
}

/// State of one detector after its last cycle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DetectorStatus {
    /// `ok`, `no_data`, `running` (longer than the others wait for it) or `error`.
    pub state: String,
    /// Why, where the state is not `ok`.
    pub reason: Option<String>,
    /// When the last cycle ended.
    pub last_run: Option<Time>,
    /// Every bucket before this time was judged.
    pub watermark: Option<Time>,
    /// Log rows read for this detector so far.
    pub rows: u64,
    /// Models learnt from buckets before this time.
    pub trained_until: Option<Time>,
    /// Entities by their latest score state.
    pub entities: BTreeMap<String, u64>,
    /// How full the list of entities is: `ok`; `soft_limit` from four fifths on, where newcomers must be seen in three
    /// buckets; `hard_limit`, where some were left out, or where the process is at its limit of memory.
    pub limit: String,
    /// About how many entities were not counted because they were too many; of them the same sample is kept each time.
    #[serde(default)]
    pub left_out: u64,
    /// Since when there have been too many of them.
    #[serde(default)]
    pub crowded_since: Option<Time>,
    /// Values of an entity in a bucket that changed after the bucket had been judged, because rows of the log came late.
    #[serde(default)]
    pub late: u64,
    /// Mean maturity of the entities, 0 to 1.
    pub maturity: f64,
    /// When they will be mature, should they learn on as fast.
    pub mature_at: Option<Time>,
    /// Buckets judged in which the log had rows.
    pub covered_buckets: u64,
    /// Score threshold in force.
    pub threshold: f64,
    /// Buckets of entities whose lists were cut to a sample of their members.
    pub members_cut: u64,
    /// Stretches that were never judged, because the log has no rows of them.
    pub gaps: Gaps,
}

/// Stretches of a log without a row, longer than [`Gaps::LEAST`]: margay stood still and history is gone since, or
/// the log did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gaps {
    /// How many there were.
    pub count: u64,
    /// The newest ones, at most [`Gaps::SHOWN`].
    pub newest: Vec<TimeRange>,
}

impl Gaps {
    /// Shorter silences are not called gaps.
    pub const LEAST: Period = Period::HOUR;
    /// Gaps that are shown.
    pub const SHOWN: usize = 16;

    /// Adds a silence, if it is long enough.
    pub fn note(&mut self, range: TimeRange) {
        if range.end.since(range.start) < Self::LEAST {
            return;
        }
        self.count += 1;
        self.newest.push(range);
        let surplus = self.newest.len().saturating_sub(Self::SHOWN);
        self.newest.drain(..surplus);
    }
}

/// Files whose rows are in the feature store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ingested {
    /// By fingerprint, so that a renamed file is known.
    pub files: BTreeMap<String, TimeRange>,
    /// Rows read so far.
    pub rows: u64,
    /// Entities left out so far because they were too many, about.
    #[serde(default)]
    pub left_out: u64,
    /// Rows of features so far that changed after they had been judged.
    #[serde(default)]
    pub late: u64,
}

/// Why a sink takes nothing, while it does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkFailure {
    /// What went wrong last.
    pub error: String,
    /// When it first failed.
    pub since: Time,
}

/// A quarantine that was proposed and has not expired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveQuarantine {
    /// Alert that asked for it.
    pub alert: String,
    /// When it ends.
    pub expires: Time,
}

impl DetectorRecord {
    /// Of a detector that has learnt nothing.
    #[must_use]
    pub fn empty(model_digest: &str) -> Self {
        Self { model_digest: model_digest.to_owned(), memory: Vec::new(), status: DetectorStatus::default() }
    }

    /// False where the detector failed before it learnt anything.
    #[must_use]
    pub fn has_memory(&self) -> bool {
        !self.memory.is_empty()
    }
}

/// Features that changed and were not judged since. Written before they change, so that no crash hides late rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dirty {
    /// Starts of the buckets.
    pub range: TimeRange,
    /// Grows with every change.
    pub serial: u64,
}
