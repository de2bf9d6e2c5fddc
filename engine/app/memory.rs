//! What one detector is told to do, and what it remembers between two cycles.

use std::collections::BTreeMap;

use margay_core::{Entity, Fill, Period, ScoreState, Time};
use margay_decide::{Rule, Tracker};
use margay_model::{Model, Spec};
use serde::{Deserialize, Serialize};

use crate::exempt::Exempts;

/// What a detector asks of the stages.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Model to build.
    pub model: Spec,
    /// How far back training looks.
    pub history: Period,
    /// Gates.
    pub rule: Rule,
    /// Place of the feature that says how much there was of another one, by feature: `total` of a ratio.
    pub volume: Vec<Option<usize>>,
    /// What a bucket without rows of the entity means, by feature.
    pub fill: Vec<Fill>,
    /// Alerts per period that the score threshold must keep to.
    pub budget: Option<(u32, Period)>,
    /// Why buckets may be excluded, as one text.
    pub exclusion: String,
    /// Times in which buckets are not judged or learnt as usual.
    pub exempts: Exempts,
    /// Most entities; later ones are counted as over the limit.
    pub entities_most: usize,
}

/// What one detector remembers between two cycles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memory {
    pub(crate) model: Model,
    pub(crate) trackers: Vec<Tracker>,
    pub(crate) first_seen: Vec<Time>,
    pub(crate) last_seen: Vec<Time>,
    pub(crate) states: Vec<ScoreState>,
    /// Stretches that must not train: open or past episodes, and excluded buckets.
    pub(crate) held: BTreeMap<(u32, Time), Time>,
    /// The budget that the score was chosen for.
    pub(crate) budgeted: Option<(u32, Period)>,
    pub(crate) budget: Vec<(Time, u32, f64)>,
    pub(crate) score: f64,
    pub(crate) next: Option<Time>,
    /// What the judged buckets were exempt from; see [`Exempts::digest_until`].
    pub(crate) exempted: String,
    pub(crate) trained_until: Option<Time>,
    pub(crate) started: Option<Time>,
    pub(crate) covered_buckets: u64,
    pub(crate) over_limit: u64,
    pub(crate) episodes_closed: u64,
    pub(crate) episode_buckets: u64,
}

impl Memory {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(judgement: &Judgement) -> Self {
        Self {
            model: Model::new(judgement.model.clone()),
            trackers: Vec::new(),
            first_seen: Vec::new(),
            last_seen: Vec::new(),
            states: Vec::new(),
            held: BTreeMap::new(),
            budgeted: judgement.budget,
            budget: Vec::new(),
            score: judgement.rule.score,
            next: None,
            exempted: String::new(),
            trained_until: None,
            started: None,
            covered_buckets: 0,
            over_limit: 0,
            episodes_closed: 0,
            episode_buckets: 0,
        }
    }

    /// First bucket not yet judged.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.next
    }

    /// Whether buckets that were judged are exempt from something else now.
    #[must_use]
    pub fn is_exempted_otherwise(&self, judgement: &Judgement) -> bool {
        self.next.is_some_and(|next| judgement.exempts.digest_until(next) != self.exempted)
    }

    /// Whether the score in force was chosen for another budget than the one that is asked for.
    #[must_use]
    pub fn is_budgeted_otherwise(&self, judgement: &Judgement) -> bool {
        self.budgeted != judgement.budget
    }

    /// Models learnt from buckets before this time.
    #[must_use]
    pub fn trained_until(&self) -> Option<Time> {
        self.trained_until
    }

    /// Entities seen so far; scores refer to them by index.
    #[must_use]
    pub fn entities(&self) -> &[Entity] {
        self.model.entities()
    }

    /// Number of buckets judged in which the log had rows.
    #[must_use]
    pub fn covered_buckets(&self) -> u64 {
        self.covered_buckets
    }

    /// The score threshold in force.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.score
    }

    /// Entities by their latest state, and their mean maturity.
    #[must_use]
    pub fn census(&self) -> (BTreeMap<String, u64>, f64) {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for state in &self.states {
            *counts.entry(state.to_string()).or_default() += 1;
        }
        if self.over_limit > 0 {
            counts.insert(ScoreState::OverLimit.to_string(), self.over_limit);
        }
        let known = self.entities().len();
        let total = (0..known).fold(0.0, |total, entity| total + self.model.maturity(entity));
        let maturity = total / known.max(1) as f64;
        (counts, maturity)
    }

    /// Remembers that `[bucket, end)` of these entities must not train.
    pub(crate) fn hold(&mut self, entities: impl Iterator<Item = usize>, bucket: Time, end: Time) {
        for entity in entities {
            let entity = entity as u32;
            match self.held.range_mut((entity, Time::MIN)..(entity, bucket)).next_back() {
                Some((_, stretch_end)) if *stretch_end == bucket => *stretch_end = end,
                _ => drop(self.held.insert((entity, bucket), end)),
            }
        }
    }

    /// Makes room for an entity that was never seen before; `None` where there are too many.
    pub(crate) fn enter(&mut self, entity: &Entity, bucket: Time, most: usize) -> Option<usize> {
        if self.trackers.len() >= most {
            return None;
        }
        let at = self.model.entity(entity);
        self.trackers.push(Tracker::default());
        self.first_seen.push(bucket);
        self.last_seen.push(bucket);
        self.states.push(ScoreState::NoData);
        Some(at)
    }
}
