//! How a detector tells normal from not.

use garde::Validate;
use margay_core::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;
use crate::schema::one_key_of;

/// The method that judges the features: exactly one of the keys. `seasonal: {}` takes all defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = one_key_of)]
pub enum Model {
    /// A plain rule: the value against a number.
    Limit(#[garde(dive)] Limit),
    /// One value with an hourly, daily or weekly pattern, such as bytes or connections.
    Seasonal(#[garde(dive)] History),
    /// Low or sparse counts, such as restarts.
    Count(#[garde(dive)] History),
    /// A share, such as the errors among all requests. Needs the features `hits` and `total`.
    Ratio(#[garde(dive)] History),
    /// Durations in seconds, weighted by the feature `count` where there is one.
    Latency(#[garde(dive)] History),
    /// Looks at each series and chooses one of the others.
    Auto(#[garde(dive)] History),
}

/// Models of the design that this version does not have.
pub(crate) const MODELS_TO_COME: [&str; 10] =
    ["scan", "rare", "cohort", "multivariate", "neural", "novelty", "dga", "tunnel", "beacon", "changepoint"];

impl Model {
    /// The key under which the model is asked for.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Limit(_) => "limit",
            Self::Seasonal(_) => "seasonal",
            Self::Count(_) => "count",
            Self::Ratio(_) => "ratio",
            Self::Latency(_) => "latency",
            Self::Auto(_) => "auto",
        }
    }

    /// What the model learns from; `None` where there is nothing to learn.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        match self {
            Self::Limit(_) => None,
            Self::Seasonal(history)
            | Self::Count(history)
            | Self::Ratio(history)
            | Self::Latency(history)
            | Self::Auto(history) => Some(history),
        }
    }
}

/// A rule without learning: a value that reaches a bound scores 100, any other 0. Needs `above`, `below` or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// Values of at least this are anomalous.
    #[garde(skip)]
    pub above: Option<Quantity>,
    /// Values of at most this are anomalous.
    #[garde(skip)]
    pub below: Option<Quantity>,
}

/// What a model learns from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// Lengths of time after which the value repeats its pattern, each a multiple of the bucket.
    /// An empty list means none.
    #[garde(length(max = 4))]
    pub seasonality: Vec<Period>,
    /// How far back the model learns: at least twice the longest seasonality. More makes it slower to forget.
    #[garde(skip)]
    pub history: Period,
}

impl Default for History {
    /// A day and a week, learnt from four weeks.
    fn default() -> Self {
        Self { seasonality: vec![Period::DAY, Period::WEEK], history: Period::WEEK.times(4) }
    }
}
