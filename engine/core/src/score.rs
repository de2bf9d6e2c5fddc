//! How unusual a value is.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The side on which a value counts as anomalous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Higher than expected.
    #[default]
    Above,
    /// Lower than expected.
    Below,
    /// Either.
    Both,
}

/// Stands where a feature's name does for all features of a detector together. No feature can be called so.
pub const JOINT: &str = "*";

/// What a detector could say of an entity in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScoreState {
    /// Judged against a trained normal.
    Scored,
    /// Judged, but mostly against peers: the entity's own history is short.
    Warming,
    /// The log had no row in the bucket, or the feature no value.
    NoData,
    /// A required field was null throughout.
    InsufficientDetail,
    /// Taken out by an exclusion.
    Excluded,
    /// More entities than the limit allows.
    OverLimit,
    /// The detector failed.
    Error,
}

impl fmt::Display for ScoreState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scored => "scored",
            Self::Warming => "warming",
            Self::NoData => "no_data",
            Self::InsufficientDetail => "insufficient_detail",
            Self::Excluded => "excluded",
            Self::OverLimit => "over_limit",
            Self::Error => "error",
        })
    }
}

/// The judgement of one feature of one entity in one bucket. Never changed later.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What was measured; `NaN` when nothing was.
    pub value: f64,
    /// What was expected before the value was seen.
    pub expected: f64,
    /// Lower end of the 95 % prediction interval made before the value was seen.
    pub lower: f64,
    /// Upper end of that interval.
    pub upper: f64,
    /// `min(100, -10·log10 p)`, p the calibrated probability of a value at least this far out in
    /// the watched direction on a normal day; 0 when the value lies on the other side.
    pub score: f64,
    /// What the judgement rests on.
    pub state: ScoreState,
}

impl Score {
    /// A score that says only why there is none.
    #[must_use]
    pub fn absent(state: ScoreState) -> Self {
        Self { value: f64::NAN, expected: f64::NAN, lower: f64::NAN, upper: f64::NAN, score: 0.0, state }
    }

    /// The side on which the value lies: `Above` when it is at least the expected value.
    #[must_use]
    pub fn side(&self) -> Direction {
        if self.value < self.expected { Direction::Below } else { Direction::Above }
    }
}
