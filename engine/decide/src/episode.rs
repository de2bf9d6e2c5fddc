//! What people are alerted to: adjacent findings as one.

use margay_core::{Gate, Reading, Time};
use serde::{Deserialize, Serialize};

/// Adjacent findings of one entity and one detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Start of the first anomalous bucket.
    pub start: Time,
    /// End of the last anomalous bucket so far.
    pub end: Time,
    /// Score of the bucket that passed every gate first.
    pub opening_score: f64,
    /// Verdicts of the gates in that bucket.
    pub gates: Vec<Gate>,
    /// The worst bucket so far.
    pub peak: Peak,
    /// Anomalous buckets so far: those that passed every gate before `sustained` and were not excluded.
    pub buckets: u32,
}

/// An anomalous bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// Its start.
    pub bucket: Time,
    /// Score of the feature that drives it.
    pub score: f64,
    /// Place of that feature in [`Rule::features`](crate::Rule::features).
    pub feature: usize,
    /// All features, in the order of [`Rule::features`](crate::Rule::features).
    pub readings: Vec<Reading>,
    /// Verdicts of the gates on the feature that drives it.
    pub gates: Vec<Gate>,
}

/// What people are told about an episode.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It began.
    Opened(Episode),
    /// Its highest score rose by 10, or past 50, 90 or 99, since people were last told.
    Worsened(Episode),
    /// It ended.
    Closed(Episode),
}
