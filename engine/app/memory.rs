//! What one detector is told to do, and what it remembers between two cycles.

use std::collections::BTreeMap;

use margay_core::{Entity, Fill, Period, ScoreState, Time};
use margay_decide::{Rule, Tracker};
use margay_model::{Model, Spec};
use serde::{Deserialize, Serialize};

use crate::exempt::Exempts;
use crate::records::Gaps;

/// Buckets in which a newcomer must be seen where it gets crowded.
const DOOR_BUCKETS: u8 = 3;
/// Newcomers that are remembered at a time; where there are more, all of them begin anew.
const DOOR_ENTITIES_MOST: usize = 10_000;

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
    /// Buckets before this time were forgotten for the budget, because there were too many.
    pub(crate) budget_from: Option<Time>,
    pub(crate) score: f64,
    pub(crate) next: Option<Time>,
    /// What the judged buckets were exempt from; see [`Exempts::digest_until`].
    pub(crate) exempted: String,
    pub(crate) trained_until: Option<Time>,
    pub(crate) started: Option<Time>,
    pub(crate) covered_buckets: u64,
    pub(crate) over_limit: u64,
    /// Buckets of entities whose lists did not hold all members.
    pub(crate) members_cut: u64,
    pub(crate) episodes_closed: u64,
    pub(crate) episode_buckets: u64,
    pub(crate) gaps: Gaps,
    /// Entities that wait to be seen more often, and in how many buckets they were seen.
    pub(crate) at_the_door: BTreeMap<Entity, u8>,
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
            budget_from: None,
            score: judgement.rule.score,
            next: None,
            exempted: String::new(),
            trained_until: None,
            started: None,
            covered_buckets: 0,
            over_limit: 0,
            members_cut: 0,
            episodes_closed: 0,
            episode_buckets: 0,
            gaps: Gaps::default(),
            at_the_door: BTreeMap::new(),
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

    /// Stretches without a row of the log.
    #[must_use]
    pub fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// Number of buckets of entities whose lists were cut to a sample of their members.
    #[must_use]
    pub fn members_cut(&self) -> u64 {
        self.members_cut
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

    /// How full the list of entities is: `ok`, `soft_limit` or `hard_limit`.
    #[must_use]
    pub fn fullness(&self, judgement: &Judgement) -> &'static str {
        match self.trackers.len() {
            known if known >= judgement.entities_most => "hard_limit",
            known if known >= soft_limit(judgement.entities_most) => "soft_limit",
            _ => "ok",
        }
    }

    /// When the entities will be mature, should they learn on as fast as until now.
    #[must_use]
    pub fn mature_at(&self, maturity: f64) -> Option<Time> {
        let (started, next) = (self.started?, self.next?);
        let rest = next.since(started).0 as f64 * (1.0 - maturity) / maturity;
        (maturity < 1.0 && rest.is_finite()).then(|| next.plus(Period(rest as i64)))
    }

    /// Whether so many newcomers in one bucket are a flood of names, not a cluster that grows: more than are known, and more
    /// than a twentieth of those that may be. The first buckets of all are none.
    pub(crate) fn is_flood(&self, newcomers: usize, most: usize) -> bool {
        self.covered_buckets >= u64::from(DOOR_BUCKETS) && newcomers > self.trackers.len().max(most / 20)
    }

    /// Makes room for an entity that was never seen before; `None` where there are too many. Where it gets crowded, and
    /// in a flood, an entity enters once it has been seen in three buckets: names that come once take no room, and
    /// teach what peers have in common nothing.
    pub(crate) fn enter(&mut self, entity: &Entity, bucket: Time, most: usize, is_flood: bool) -> Option<usize> {
        if self.trackers.len() >= most || !self.may_pass(entity, most, is_flood) {
            return None;
        }
        let at = self.model.entity(entity);
        self.trackers.push(Tracker::default());
        self.first_seen.push(bucket);
        self.last_seen.push(bucket);
        self.states.push(ScoreState::NoData);
        Some(at)
    }

    fn may_pass(&mut self, entity: &Entity, most: usize, is_flood: bool) -> bool {
        if !is_flood && self.trackers.len() < soft_limit(most) {
            return true;
        }
        if let Some(seen) = self.at_the_door.get_mut(entity) {
            *seen += 1;
            return *seen >= DOOR_BUCKETS && self.at_the_door.remove(entity).is_some();
        }
        if self.at_the_door.len() >= DOOR_ENTITIES_MOST {
            self.at_the_door.clear();
        }
        self.at_the_door.insert(entity.clone(), 1);
        false
    }
}

/// Entities from which on newcomers must be seen more often.
fn soft_limit(most: usize) -> usize {
    most - most / 5
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use margay_core::{Direction, FeatureTable, Members, TimeRange};
    use margay_model::{Dga, Kind};

    use super::*;
    use crate::detect::Wish;
    use crate::exempt::{Effect, Exempt, Span, Target};

    fn judgement(most: usize) -> Judgement {
        Judgement {
            model: Spec {
                kind: Kind::Limit(margay_model::Limit { above: Some(1.0), below: None }),
                direction: Direction::Above,
                bucket: Period::MINUTE,
                features: vec!["x".to_owned()],
                seed: 1,
                alone: true,
            },
            history: Period::DAY,
            rule: Rule {
                features: vec!["x".to_owned()],
                score: 30.0,
                direction: Direction::Above,
                min_dev: None,
                min_rel_dev: None,
                min_value: None,
                sustained: (1, 1),
                bucket: Period::MINUTE,
                refractory: None,
            },
            volume: vec![None],
            fill: vec![Fill::Zero],
            budget: None,
            exclusion: String::new(),
            exempts: crate::exempt::Exempts::default(),
            entities_most: most,
        }
    }

    fn entity(name: &str) -> Entity {
        Entity::new(Arc::from(["app".to_owned()]), vec![Some(name.to_owned())])
    }

    #[test]
    fn where_it_gets_crowded_names_that_come_once_take_no_room() {
        let judgement = judgement(10);
        let mut memory = Memory::new(&judgement);
        let mut enter = |name: &str| memory.enter(&entity(name), Time(0), 10, false).is_some();
        assert!((0..8).all(|at| enter(&format!("first-{at}"))));
        assert!((0..1000).all(|at| !enter(&format!("random-{at}"))));
        assert_eq!([enter("steady"), enter("steady"), enter("steady")], [false, false, true]);
        assert_eq!([enter("last"), enter("last"), enter("last")], [false, false, true]);
        assert_eq!([enter("more"), enter("more"), enter("more"), enter("more")], [false; 4]);
        assert_eq!(memory.fullness(&judgement), "hard_limit");
    }

    #[test]
    fn a_flood_of_names_waits_at_the_door_and_a_growing_cluster_does_not() {
        let judgement = judgement(100);
        let mut memory = Memory::new(&judgement);
        assert!(!memory.is_flood(90, 100), "everybody is new at first");
        assert!((0..20).all(|name| memory.enter(&entity(&format!("first-{name}")), Time(0), 100, false).is_some()));
        memory.covered_buckets = 3;
        assert!(!memory.is_flood(20, 100));
        assert!(memory.is_flood(21, 100));
        assert_eq!([1, 2, 3].map(|_| memory.enter(&entity("new"), Time(0), 100, true).is_some()), [false, false, true]);
    }

    /// Ten generated names in the first minute, and again after an hour and a half.
    fn asked_twice() -> FeatureTable {
        let mut dice: u64 = 42;
        let mut letter = || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + ((dice >> 33) % 26) as u8)
        };
        let mut names: Vec<String> = (0..10).map(|_| (0..14).map(|_| letter()).collect::<String>() + ".com").collect();
        names.sort_unstable();
        let mut members = Members::default();
        (0..2).for_each(|_| members.push(names.iter().map(String::as_str)));
        let times = vec![Time(0), Time(0).plus(Period::MINUTE.times(90))];
        FeatureTable {
            bucket: Period::MINUTE,
            features: vec!["names".to_owned(), "missing".to_owned()],
            entities: vec![entity("web")],
            entity: vec![0, 0],
            bucket_start: times.clone(),
            values: vec![vec![10.0; 2]; 2],
            members: vec![Some(members.clone()), Some(members)],
            detailed: vec![true; 2],
            excluded: vec![false; 2],
            covered: times,
            left_out: 0,
        }
    }

    #[test]
    fn names_of_a_time_that_is_not_learnt_are_new_when_they_come_again() {
        let second = |exempt: Option<Exempt>| {
            let mut judgement = judgement(10);
            judgement.model.kind = Kind::Dga(Dga::default());
            judgement.model.features = vec!["names".to_owned(), "missing".to_owned()];
            judgement.rule.features.clone_from(&judgement.model.features);
            (judgement.volume, judgement.fill) = (vec![None; 2], vec![Fill::Missing; 2]);
            exempt.into_iter().for_each(|one| judgement.exempts.push(one));
            let wish = Wish { scores_from: Some(Time::MIN), explain: None };
            let mut memory = Memory::new(&judgement);
            let scores = memory.advance(&judgement, &asked_twice(), Time::MAX, &wish).scores;
            scores.iter().filter(|row| row.bucket > Time(0)).map(|row| row.score.score).fold(0.0, f64::max)
        };
        let range = TimeRange { start: Time(0), end: Time(60_000) };
        let incident = Exempt {
            effect: Effect::Unlearnt,
            reason: "an incident".to_owned(),
            target: Target::One(entity("web")),
            spans: vec![Span { range, shift: Period(0) }],
        };
        assert_eq!(second(None), 0.0);
        assert!(second(Some(incident)) >= 60.0);
    }
}
