//! Models that judge a bucket of an entity as a whole: its members, its peers, its regularity, or what a network expects.

use margay_core::{Direction, Entity, Period, Score, ScoreState, Time};
use margay_neural::Forecaster;
use serde::{Deserialize, Serialize};

use crate::beacon::Beacons;
use crate::changepoint::Changepoints;
use crate::cohort::Cohorts;
use crate::dga::Dgas;
use crate::neural::Neurals;
use crate::rare::Rares;
use crate::scan::Scans;
use crate::shapes::Watched;
use crate::spec::{Kind, Observation, Past};
use crate::tunnel::Tunnels;

/// What such a model keeps of all entities of a detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Panel {
    /// First contacts.
    Scan(Box<Scans>),
    /// Members never met before.
    Rare(Rares),
    /// Information in names.
    Tunnel(Tunnels),
    /// Generated names.
    Dga(Dgas),
    /// Regular appearances.
    Beacon(Beacons),
    /// Replicas.
    Cohort(Cohorts),
    /// Levels.
    Changepoint(Changepoints),
    /// One network for all series.
    Neural(Box<Neurals>),
    /// Shapes.
    Novelty(Watched),
}

/// The fixed surroundings of a step.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) features: &'a [String],
    pub(crate) direction: Direction,
    pub(crate) bucket: Period,
    pub(crate) seed: u64,
    pub(crate) entities: &'a [Entity],
    /// A number that stands for each entity in the random part of discrete scores.
    pub(crate) keys: &'a [u64],
}

/// What every such model does. Entities are known by their indices, which only grow.
pub(crate) trait Judge {
    /// Judges a bucket by what was known before it: one score a feature for each observation.
    fn score(&self, bucket: Time, seen: &[Observation<'_>], setting: &Setting<'_>) -> Vec<Vec<Score>>;

    /// Takes in a bucket after its decisions; `held[i]` tells that the entity has an open episode.
    fn learn(&mut self, bucket: Time, seen: &[Observation<'_>], held: &[bool], setting: &Setting<'_>);

    /// The members behind a score, the worst first; to be asked before the bucket is learnt.
    fn evidence(&self, bucket: Time, seen: &Observation<'_>, setting: &Setting<'_>) -> Vec<String>;

    /// Buckets of an entity that were learnt.
    fn seen(&self, entity: usize) -> f64;

    /// Learns a network from the stored past before `until`, and says its loss; `None` where the model has none, or the past
    /// is too short.
    fn train(&self, _until: Time, _past: &[Past], _setting: &Setting<'_>) -> Option<(Forecaster, f64)> {
        None
    }

    /// Takes over a network that was learnt.
    fn adopt(&mut self, _network: Forecaster) {}
}

impl Panel {
    /// The model of a kind that knows nothing yet; `None` for kinds that judge single values.
    pub(crate) fn of(kind: &Kind) -> Option<Self> {
        match kind {
            Kind::Scan(_) => Some(Self::Scan(Box::default())),
            Kind::Rare(_) => Some(Self::Rare(Rares::default())),
            Kind::Tunnel(_) => Some(Self::Tunnel(Tunnels::default())),
            Kind::Dga(_) => Some(Self::Dga(Dgas::default())),
            Kind::Beacon(_) => Some(Self::Beacon(Beacons::default())),
            Kind::Cohort(_) => Some(Self::Cohort(Cohorts::default())),
            Kind::Changepoint(_) => Some(Self::Changepoint(Changepoints::default())),
            Kind::Neural(_) => Some(Self::Neural(Box::default())),
            Kind::Novelty(_) => Some(Self::Novelty(Watched::default())),
            Kind::Limit(_)
            | Kind::Seasonal(_)
            | Kind::Count(_)
            | Kind::Ratio(_)
            | Kind::Latency(_)
            | Kind::Auto(_)
            | Kind::Multivariate(_) => None,
        }
    }

    pub(crate) fn judge(&self) -> &dyn Judge {
        match self {
            Self::Scan(scans) => &**scans,
            Self::Rare(rares) => rares,
            Self::Tunnel(tunnels) => tunnels,
            Self::Dga(dgas) => dgas,
            Self::Beacon(beacons) => beacons,
            Self::Cohort(cohorts) => cohorts,
            Self::Changepoint(changepoints) => changepoints,
            Self::Neural(neurals) => &**neurals,
            Self::Novelty(watched) => watched,
        }
    }

    pub(crate) fn judge_mut(&mut self) -> &mut dyn Judge {
        match self {
            Self::Scan(scans) => &mut **scans,
            Self::Rare(rares) => rares,
            Self::Tunnel(tunnels) => tunnels,
            Self::Dga(dgas) => dgas,
            Self::Beacon(beacons) => beacons,
            Self::Cohort(cohorts) => cohorts,
            Self::Changepoint(changepoints) => changepoints,
            Self::Neural(neurals) => &mut **neurals,
            Self::Novelty(watched) => watched,
        }
    }
}

impl Setting<'_> {
    /// Place of a feature.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.features.iter().position(|feature| feature == name)
    }

    /// Scores of one observation: `judged` for the feature at `place`, the others only shown.
    pub(crate) fn around(&self, seen: &Observation<'_>, place: usize, judged: Score) -> Vec<Score> {
        let score = |at: usize| if at == place { judged } else { companion(seen.value(at)) };
        (0..self.features.len()).map(score).collect()
    }

    /// The key of an entity.
    pub(crate) fn key(&self, entity: usize) -> u64 {
        self.keys.get(entity).copied().unwrap_or(0)
    }
}

/// A feature that only goes with others: shown, never anomalous.
pub(crate) fn companion(value: f64) -> Score {
    let state = if value.is_nan() { ScoreState::NoData } else { ScoreState::Scored };
    Score { value, expected: value, lower: value, upper: value, score: 0.0, state }
}

/// The place of an entity in a list by index, which is made long enough.
pub(crate) fn slot<T: Default>(list: &mut Vec<T>, at: usize) -> &mut T {
    if list.len() <= at {
        list.resize_with(at + 1, T::default);
    }
    &mut list[at]
}
