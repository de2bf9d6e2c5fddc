//! One replica against the others of its workload in the same bucket.
//!
//! Robust leave-one-out comparison: the logarithm of a member's value over the median of the *others*, less what this
//! member usually has (a leader does more, always), in units of the others' spread: 1.4826 times their median absolute
//! deviation, at least the noise of a count of that size and a floor, averaged with how far this member used to be off.
//! The residual is judged by Student's distribution with as many degrees of freedom, and the tails of all members
//! correct it. What moves all replicas at once moves the median and is no outlier.

use std::collections::BTreeMap;

use margay_core::{Direction, Score, ScoreState, Time};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::distribution::score_of_tail;
use crate::level::buckets_a_day;
use crate::panel::{Judge, Setting, slot};
use crate::pool::Moments;
use crate::robust::{median, sigma};
use crate::spec::{Kind, Observation};
use crate::tails::Tails;
use crate::verdict::score;

/// Spread of logarithms below which replicas are never told apart: 10 %.
const SPREAD_LEAST: f64 = 0.1;
/// Added to values before the logarithm, as a share of the median: a replica that does nothing is not infinitely far.
const OFFSET_RATIO: f64 = 0.01;
/// Days after which half of a member's usual distance from its peers is forgotten.
const OWN_HALF_LIFE_DAYS: f64 = 1.0;
/// Buckets that a member's usual distance must have been seen before it is taken off.
const OWN_AFTER: f64 = 12.0;
/// How many peers the spread of a member's past distances is worth.
const PAST_WORTH: f64 = 20.0;
/// A member's usual distance is learnt from at most this many spreads.
const CLIP: f64 = 4.0;

/// Who is compared with whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cohort {
    /// Columns of the entity that replicas have in common.
    pub group: Vec<String>,
    /// Fewest replicas that are compared, the judged one among them.
    pub members: usize,
}

/// What is known of all members, by feature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cohorts {
    features: Vec<Feature>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Feature {
    /// Usual distance of each member from its peers.
    own: Vec<Moments>,
    tails: Tails,
}

impl Default for Feature {
    fn default() -> Self {
        Self { own: Vec::new(), tails: Tails::known() }
    }
}

/// A member beside its peers.
#[derive(Clone, Copy, Debug)]
struct Distance {
    /// Median of the others.
    expected: f64,
    /// Logarithm of the value over it.
    log: f64,
    spread: f64,
    others: usize,
}

fn rules<'a>(setting: &'a Setting<'_>) -> &'a Cohort {
    match setting.kind {
        Kind::Cohort(rules) => rules,
        other => unreachable!("a detector of the model `{}` compares no replicas", other.name()),
    }
}

/// Observations by what their entities have in common.
fn groups(seen: &[Observation<'_>], setting: &Setting<'_>) -> Vec<Vec<usize>> {
    let group = &rules(setting).group;
    let mut groups: BTreeMap<Vec<Option<&str>>, Vec<usize>> = BTreeMap::new();
    for (at, one) in seen.iter().enumerate() {
        let Some(entity) = setting.entities.get(one.entity) else { continue };
        groups.entry(group.iter().map(|column| entity.get(column)).collect()).or_default().push(at);
    }
    groups.into_values().collect()
}

/// Every member of a group beside the others; nothing where they are too few.
fn distances(seen: &[Observation<'_>], group: &[usize], feature: usize, least: usize) -> Vec<(usize, Distance)> {
    let known: Vec<(usize, f64)> =
        group.iter().map(|at| (*at, seen[*at].value(feature))).filter(|(_, value)| *value >= 0.0).collect();
    if known.len() < least.max(3) {
        return Vec::new();
    }
    let distance = |place: usize| {
        let mut others: Vec<f64> =
            known.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, one)| one.1).collect();
        let expected = median(&mut others);
        let offset = OFFSET_RATIO * expected + 1e-9;
        let log = |value: f64| ((value + offset) / (expected + offset)).ln();
        let mut logs: Vec<f64> = others.iter().map(|value| log(*value)).collect();
        let noise = if expected > 0.0 { 1.0 / expected.sqrt() } else { 1.0 };
        let spread = sigma(&mut logs, 0.0).max(noise.min(1.0)).max(SPREAD_LEAST);
        (known[place].0, Distance { expected, log: log(known[place].1), spread, others: others.len() })
    };
    (0..known.len()).map(distance).collect()
}

impl Feature {
    fn usual(&self, entity: usize) -> f64 {
        self.own.get(entity).and_then(|own| own.get(OWN_AFTER)).map_or(0.0, |(mean, _)| mean)
    }

    /// Spread of the distance and its degrees of freedom: that of the others now, and what this member's was so far.
    fn spread(&self, entity: usize, distance: &Distance) -> (f64, f64) {
        let free = (distance.others as f64 - 1.0).max(1.0);
        let now = distance.spread * (1.0 + 1.0 / distance.others as f64).sqrt();
        match self.own.get(entity).and_then(|own| own.get(OWN_AFTER)) {
            Some((_, past)) => {
                let variance = (free * now * now + PAST_WORTH * past * past) / (free + PAST_WORTH);
                (variance.sqrt().max(SPREAD_LEAST), free + PAST_WORTH)
            }
            None => (now, free),
        }
    }

    /// The residual as a standard normal score, positive in the watched direction.
    fn surprise(&self, entity: usize, distance: &Distance, direction: Direction) -> f64 {
        let (spread, free) = self.spread(entity, distance);
        let t = (distance.log - self.usual(entity)) / spread;
        let t = match direction {
            Direction::Above => t,
            Direction::Below => -t,
            Direction::Both => t.abs(),
        };
        let student = StudentsT::new(0.0, 1.0, free).expect("a positive freedom");
        let sides = if direction == Direction::Both { 2.0 } else { 1.0 };
        score_of_tail((sides * student.sf(t)).min(1.0))
    }
}

impl Cohorts {
    fn judge(
        &self,
        entity: usize,
        value: f64,
        feature: usize,
        distance: Option<&Distance>,
        setting: &Setting<'_>,
    ) -> Score {
        if value.is_nan() {
            return Score::absent(ScoreState::NoData);
        }
        let Some(distance) = distance else {
            return Score {
                value,
                expected: value,
                lower: value,
                upper: value,
                score: 0.0,
                state: ScoreState::Warming,
            };
        };
        let nothing = Feature::default();
        let learnt = self.features.get(feature).unwrap_or(&nothing);
        let z = learnt.surprise(entity, distance, setting.direction);
        let at = |sigmas: f64| distance.expected * (learnt.usual(entity) + sigmas * distance.spread).exp();
        Score {
            value,
            expected: at(0.0),
            lower: at(-2.0),
            upper: at(2.0),
            score: score(learnt.tails.exceed(entity, z)),
            state: ScoreState::Scored,
        }
    }
}

impl Judge for Cohorts {
    fn score(&self, _: Time, seen: &[Observation<'_>], setting: &Setting<'_>) -> Vec<Vec<Score>> {
        let groups = groups(seen, setting);
        let mut scores = vec![Vec::with_capacity(setting.features.len()); seen.len()];
        for feature in 0..setting.features.len() {
            let mut by_row: Vec<Option<Distance>> = vec![None; seen.len()];
            for group in &groups {
                for (at, distance) in distances(seen, group, feature, rules(setting).members) {
                    by_row[at] = Some(distance);
                }
            }
            for (at, one) in seen.iter().enumerate() {
                let judged = self.judge(one.entity, one.value(feature), feature, by_row[at].as_ref(), setting);
                scores[at].push(judged);
            }
        }
        scores
    }

    fn learn(&mut self, _: Time, seen: &[Observation<'_>], held: &[bool], setting: &Setting<'_>) {
        let day = buckets_a_day(setting.bucket);
        let groups = groups(seen, setting);
        for place in 0..setting.features.len() {
            let feature = slot(&mut self.features, place);
            for group in &groups {
                for (at, distance) in distances(seen, group, place, rules(setting).members) {
                    let entity = seen[at].entity;
                    if held.get(at).copied().unwrap_or(false) {
                        continue;
                    }
                    let z = feature.surprise(entity, &distance, setting.direction);
                    let clip = CLIP * distance.spread;
                    let usual = feature.usual(entity);
                    let log = distance.log.clamp(usual - clip, usual + clip);
                    slot(&mut feature.own, entity).learn(log, OWN_HALF_LIFE_DAYS * day);
                    feature.tails.learn(entity, z, day);
                }
            }
        }
    }

    fn evidence(&self, _: Time, _: &Observation<'_>, _: &Setting<'_>) -> Vec<String> {
        Vec::new()
    }

    fn seen(&self, entity: usize) -> f64 {
        self.features.iter().map(|feature| feature.tails.seen(entity)).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use margay_core::Period;

    use super::*;
    use crate::trial::{Numbers, Trial};

    fn trial() -> Trial {
        let rules = Cohort { group: vec!["deployment".to_owned()], members: 5 };
        Trial::new(Kind::Cohort(rules), Period::MINUTE.times(5), &["bytes"])
    }

    fn replicas(random: &mut Numbers, load: f64) -> Vec<f64> {
        several(random, load, 8)
    }

    fn several(random: &mut Numbers, load: f64, count: usize) -> Vec<f64> {
        (0..count).map(|_| load * (0.3 * random.normal()).exp()).collect()
    }

    #[test]
    fn a_replica_that_sends_ten_times_as_much_as_its_peers_is_found_and_a_rush_to_all_is_not() {
        let (mut trial, mut random) = (trial(), Numbers::new(1));
        (0..600).for_each(|_| drop(trial.feed_numbers(&replicas(&mut random, 1e5))));
        let mut one = replicas(&mut random, 1e5);
        one[3] *= 10.0;
        let scores = trial.feed_numbers(&one);
        assert!(scores[3].score >= 40.0, "{:?}", scores[3]);
        assert!(scores.iter().enumerate().all(|(at, score)| at == 3 || score.score < 30.0));
        let rush = trial.feed_numbers(&replicas(&mut random, 5e6));
        assert!(rush.iter().all(|score| score.score < 40.0), "{rush:?}");
    }

    #[test]
    fn a_leader_that_always_does_more_is_known_after_a_while() {
        let (mut trial, mut random) = (trial(), Numbers::new(2));
        let mut last = 0.0;
        for _ in 0..600 {
            let mut values = replicas(&mut random, 1e5);
            values[0] *= 2.0;
            last = trial.feed_numbers(&values)[0].score;
        }
        assert!(last < 25.0, "{last}");
    }

    #[test]
    fn fewer_replicas_than_asked_for_are_not_compared() {
        let scores = trial().feed_numbers(&[1.0, 1.0, 1.0, 900.0]);
        assert!(scores.iter().all(|score| (score.score, score.state) == (0.0, ScoreState::Warming)));
    }

    #[test]
    fn replicas_that_are_alike_score_no_more_than_they_promise() {
        let shares = trial().null_numbers(14, &|random, at| {
            let hour = (at % 288) as f64 / 288.0 * std::f64::consts::TAU;
            several(random, 1e4 * (1.0 + 0.6 * hour.sin()), 40)
        });
        for (share, promised) in shares.into_iter().zip([1e-2, 1e-3, 1e-4]) {
            assert!(share <= 2.0 * promised, "{shares:?}");
        }
    }
}
