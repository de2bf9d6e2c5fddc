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
    /// First contacts, such as port scans and sweeps. Needs the list `tried`; the list `answered` says which of them did.
    Scan(#[garde(dive)] Scan),
    /// Members that an entity never showed before, such as verbs, agents or destinations. Judges every feature that is
    /// a list.
    Rare(#[garde(dive)] Rare),
    /// DNS tunnels: information in fresh names below one domain. Needs the list `names`.
    Tunnel(#[garde(dive)] Tunnel),
    /// Generated names (DGA), judged per client over a window. Needs the list `names`; the list `missing` says which of
    /// them do not exist.
    Dga(#[garde(dive)] Dga),
    /// Call-outs at regular intervals. Needs the list `destinations`.
    Beacon(#[garde(dive)] Beacon),
    /// One replica against the others of its workload.
    Cohort(#[garde(dive)] Cohort),
    /// Lasting shifts of a level.
    Changepoint(#[garde(dive)] Changepoint),
    /// All features of an entity together, with a share of blame for each. Needs at least two features; `direction` says
    /// on which side of the usual a feature counts. The score is that of all of them, shown as the feature `*`, whose value is
    /// a distance in standard deviations: `min_dev` and `min_value` are compared with it.
    Multivariate(#[garde(dive)] History),
    /// One network that forecasts the next value of all entities, trained here on their own past. For many entities of one
    /// kind; learns the day and the week by itself.
    Neural(#[garde(dive)] Network),
    /// Shapes that one series never showed before, whatever their level. It has no sides and expects nothing: of the gates
    /// only `score`, `min_value` and `sustained` mean something.
    Novelty(#[garde(dive)] Novelty),
}

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

    /// What the model learns from; `None` where there is nothing to learn.
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
            | Self::Neural(_)
            | Self::Novelty(_) => None,
            Self::Seasonal(history)
            | Self::Count(history)
            | Self::Ratio(history)
            | Self::Latency(history)
            | Self::Auto(history)
            | Self::Multivariate(history) => Some(history),
        }
    }
}

impl Model {
    /// Names of the features that the model needs to be lists of members, `array_agg(DISTINCT …)`; empty for models of
    /// numbers.
    #[must_use]
    pub fn lists(&self) -> &'static [&'static str] {
        match self {
            Self::Scan(_) => &["tried"],
            Self::Tunnel(_) | Self::Dga(_) => &["names"],
            Self::Beacon(_) => &["destinations"],
            _ => &[],
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

/// When members that were never met before are a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Scan {
    /// Fewer failing first contacts than this are never a scan. Raise it where clients often try what is not there.
    #[garde(range(min = 1, max = 1_000_000))]
    pub failed: u32,
    /// Fewer new members in one bucket than this are never a scan, unless they fail.
    #[garde(range(min = 1, max = 1_000_000))]
    pub any: u32,
    /// This many new members in one bucket are a scan, whatever was learnt.
    #[garde(range(min = 1, max = 1_000_000))]
    pub sure: u32,
    /// A member that was not met for so long is new again.
    #[garde(skip)]
    pub memory: Period,
}

impl Default for Scan {
    /// Eight failing ones, a hundred of any kind, five hundred for certain, in a week.
    fn default() -> Self {
        Self { failed: 8, any: 100, sure: 500, memory: Period::WEEK }
    }
}

/// What counts as new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Rare {
    /// A member that was not met for so long is new again.
    #[garde(skip)]
    pub memory: Period,
}

impl Default for Rare {
    /// Four weeks.
    fn default() -> Self {
        Self { memory: Period::WEEK.times(4) }
    }
}

/// When names are a tunnel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Tunnel {
    /// Less information in names than this, in bytes a bucket below one domain, is never a tunnel.
    #[garde(skip)]
    pub least: Quantity,
    /// This much information is a tunnel, whatever was learnt.
    #[garde(skip)]
    pub sure: Quantity,
}

impl Default for Tunnel {
    /// 150 bytes, and 1,500 for certain.
    fn default() -> Self {
        Self { least: Quantity(150.0), sure: Quantity(1500.0) }
    }
}

/// What is a beacon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Beacon {
    /// Fewest gaps between two appearances that are judged. More finds later and is surer.
    #[garde(range(min = 4, max = 24))]
    pub gaps: u32,
    /// Gaps that are shorter on average cannot be told apart, and are not judged: at least three buckets.
    #[garde(skip)]
    pub gap: Option<Period>,
}

impl Default for Beacon {
    /// Eight gaps of three buckets.
    fn default() -> Self {
        Self { gaps: 8, gap: None }
    }
}

/// Who is compared with whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Cohort {
    /// Columns of the entity that replicas have in common, such as the namespace and the name of the workload.
    #[garde(length(min = 1))]
    pub group: Vec<String>,
    /// Fewest replicas that are compared.
    #[serde(default = "default_members")]
    #[garde(range(min = 3, max = 10_000))]
    pub members: u32,
}

fn default_members() -> u32 {
    5
}

/// What is a lasting shift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Changepoint {
    /// Buckets that a shift must have lasted. Fewer finds sooner and takes outliers for shifts.
    #[garde(range(min = 2, max = 48))]
    pub lasting: u32,
    /// Mean time between two shifts of an entity. Longer asks for stronger evidence.
    #[garde(skip)]
    pub every: Period,
}

impl Default for Changepoint {
    /// Six buckets, one shift in four weeks.
    fn default() -> Self {
        Self { lasting: 6, every: Period::WEEK.times(4) }
    }
}

/// When names are generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Dga {
    /// Fewest domains new to the client that are judged. More is surer and misses patient malware.
    #[garde(range(min = 1, max = 100))]
    pub names: u32,
    /// Time over which the evidence of names is added up.
    #[garde(skip)]
    pub window: Period,
}

impl Default for Dga {
    /// Five names in an hour.
    fn default() -> Self {
        Self { names: 5, window: Period::HOUR }
    }
}

/// What a network learns from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// How far back a training looks. More makes it slower to forget.
    #[garde(skip)]
    pub history: Period,
}

impl Default for Network {
    /// Four weeks.
    fn default() -> Self {
        Self { history: Period::WEEK.times(4) }
    }
}

/// When shapes are judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Novelty {
    /// Time in which a series is only watched. Longer knows more shapes, a week the weekend too.
    #[garde(skip)]
    pub probation: Period,
}

impl Default for Novelty {
    /// Three days.
    fn default() -> Self {
        Self { probation: Period::DAY.times(3) }
    }
}
