//! What a training learnt, and what there is to say of it.

use std::collections::BTreeMap;

use margay_core::{Entity, Period, Time, digest};
use margay_neural::Forecaster;
use serde::{Deserialize, Serialize};

use crate::multivariate::Learnt;
use crate::robust;
use crate::spec::{Past, Spec};
use crate::track::Track;

/// One track a feature of an entity.
pub(crate) type Tracks = (Entity, Vec<Option<Track>>);

/// What a training learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    trained_until: Time,
    digest: String,
    summary: Summary,
    pub(crate) parts: Parts,
}

/// The parts of a training that a model takes over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parts {
    /// One track a feature, by entity.
    pub(crate) tracks: Vec<Tracks>,
    /// Of features together, in the order of `tracks`.
    pub(crate) joints: Option<Learnt>,
    /// A network for all series.
    pub(crate) network: Option<Forecaster>,
}

/// What there is to say of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Entities whose past was read.
    pub entities: usize,
    /// From the first known bucket to the end of the past.
    pub history: Period,
    /// Series that follow each season, by its length; series without one under 0.
    pub seasonality: BTreeMap<Period, usize>,
    /// What the season leaves, as a standard deviation: the median of all series of continuous values, on their scale, which
    /// for amounts is the logarithm, so that 0.1 is 10 %. Nothing where no such series was learnt.
    pub fit_error: Option<f64>,
    /// Mean loss of a network in its last pass, in standard deviations of its series.
    pub network_loss: Option<f64>,
}

impl Snapshot {
    pub(crate) fn new(until: Time, parts: Parts, summary: Summary) -> Self {
        let bytes = postcard::to_allocvec(&parts).expect("numbers and texts serialise");
        Self { trained_until: until, digest: digest(&[bytes]), summary, parts }
    }

    /// Digest of all that was learnt.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// It learnt from buckets before this time.
    #[must_use]
    pub fn trained_until(&self) -> Time {
        self.trained_until
    }

    /// What there is to say of it.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}

impl Summary {
    pub(crate) fn of(parts: &Parts, past: &[Past], until: Time, spec: &Spec) -> Self {
        let first = past.iter().filter(|past| past.values.iter().flatten().any(|value| value.is_finite()));
        let longest = first.map(|past| until.since(past.start)).max().unwrap_or(Period(0));
        let most = spec.kind.history().map_or(longest, |history| history.history);
        let mut summary = Self { entities: past.len(), history: longest.min(most), ..Self::default() };
        let mut errors = Vec::new();
        for track in parts.tracks.iter().flat_map(|(_, tracks)| tracks).flatten() {
            let seasons = track.seasons();
            if seasons.is_empty() {
                *summary.seasonality.entry(Period(0)).or_default() += 1;
            }
            seasons.into_iter().for_each(|season| *summary.seasonality.entry(season).or_default() += 1);
            errors.extend(track.fit_error());
        }
        summary.fit_error = (!errors.is_empty()).then(|| robust::median(&mut errors));
        summary
    }
}
