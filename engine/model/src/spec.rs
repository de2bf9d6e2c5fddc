//! What a model is asked to do, and the shapes in which it is fed.

use margay_core::{Direction, Period, Time};
use serde::{Deserialize, Serialize};

use crate::beacon::Beacon;
use crate::changepoint::Changepoint;
use crate::cohort::Cohort;
use crate::dga::Dga;
use crate::limit::Limit;
use crate::rare::Rare;
use crate::scan::Scan;
use crate::shapes::Shapes;
use crate::tunnel::Tunnel;

/// What to model, in which grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Which model.
    pub kind: Kind,
    /// The side on which a value counts as anomalous.
    pub direction: Direction,
    /// Length of the buckets.
    pub bucket: Period,
    /// Names of the features, in the order of every `values`.
    pub features: Vec<String>,
    /// Decides ties of discrete distributions, so that equal runs give equal scores.
    pub seed: u64,
    /// Whether one bucket is enough for an alert. `auto` lets the later buckets of an episode score less then; where several
    /// are asked for, that would keep them from ever coming together.
    pub alone: bool,
}

/// The models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The value against a number.
    Limit(Limit),
    /// Amounts with a daily and weekly rhythm, such as bytes.
    Seasonal(History),
    /// Low or sparse counts.
    Count(History),
    /// A share: `hits` of `total`.
    Ratio(History),
    /// Durations, weighted by `count`.
    Latency(History),
    /// Looks at the series and chooses.
    Auto(History),
    /// First contacts: lists `tried` and, where the log tells, `answered`.
    Scan(Scan),
    /// Members never met before, of every feature that is a list.
    Rare(Rare),
    /// Information in the list `names` below one domain.
    Tunnel(Tunnel),
    /// Generated names in the list `names`; `missing` lists those that do not exist.
    Dga(Dga),
    /// Regular appearances in the list `destinations`.
    Beacon(Beacon),
    /// Replicas beside each other.
    Cohort(Cohort),
    /// Lasting shifts.
    Changepoint(Changepoint),
    /// All features of an entity together: one score more, that of [`margay_core::JOINT`].
    Multivariate(History),
    /// One network that forecasts for all entities.
    Neural(History),
    /// Shapes never seen before in one series.
    Novelty(Shapes),
}

impl Kind {
    /// The name under which a detector asks for the model.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Limit(_) => "limit",
            Self::Seasonal(_) => "seasonal",
            Self::Count(_) => "count",
            Self::Ratio(_) => "ratio",
            Self::Latency(_) => "latency",
            Self::Auto(_) => "auto",
            Self::Scan(_) => "scan",
            Self::Rare(_) => "rare",
            Self::Tunnel(_) => "tunnel",
            Self::Dga(_) => "dga",
            Self::Beacon(_) => "beacon",
            Self::Cohort(_) => "cohort",
            Self::Changepoint(_) => "changepoint",
            Self::Multivariate(_) => "multivariate",
            Self::Neural(_) => "neural",
            Self::Novelty(_) => "novelty",
        }
    }

    /// What it learns from; `None` where there is nothing to learn.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        match self {
            Self::Limit(_)
            | Self::Scan(_)
            | Self::Rare(_)
            | Self::Tunnel(_)
            | Self::Dga(_)
            | Self::Beacon(_)
            | Self::Cohort(_)
            | Self::Changepoint(_)
            | Self::Novelty(_) => None,
            Self::Seasonal(history)
            | Self::Count(history)
            | Self::Ratio(history)
            | Self::Latency(history)
            | Self::Auto(history)
            | Self::Multivariate(history)
            | Self::Neural(history) => Some(history),
        }
    }
}

/// How far a model looks back, and for which rhythms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Lengths after which the value may repeat, each a multiple of the bucket.
    pub seasonality: Vec<Period>,
    /// How much of the past a training reads.
    pub history: Period,
}

impl Default for History {
    /// A day and a week, learnt from four weeks.
    fn default() -> Self {
        Self { seasonality: vec![Period::DAY, Period::WEEK], history: Period::DAY.times(28) }
    }
}

/// One entity in one bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation<'a> {
    /// Index of the entity, from [`crate::Model::entity`].
    pub entity: usize,
    /// One value for each feature; `NaN` is missing.
    pub values: &'a [f64],
    /// Members of each feature that is a list, in alphabetical order; nothing for numbers.
    pub members: &'a [Vec<&'a str>],
}

impl<'a> Observation<'a> {
    /// An observation without lists.
    #[must_use]
    pub fn numbers(entity: usize, values: &'a [f64]) -> Self {
        Self { entity, values, members: &[] }
    }

    pub(crate) fn value(&self, feature: usize) -> f64 {
        self.values.get(feature).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn members(&self, feature: usize) -> &'a [&'a str] {
        self.members.get(feature).map_or(&[], Vec::as_slice)
    }
}

/// The stored past of one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// Index of the entity, from [`crate::Model::entity`].
    pub entity: usize,
    /// Start of the first bucket.
    pub start: Time,
    /// For each feature one value a bucket without jumps; `NaN` is a gap or held out of training.
    pub values: Vec<Vec<f64>>,
}
