//! Values that an entity never showed before: verbs, agents, destinations.
//!
//! The chance that a member is a new one is estimated as Good and Turing did it (Good, "The population frequencies of
//! species and the estimation of population parameters", Biometrika 1953): by how many members were met only once,
//! smoothed by a Dirichlet prior that the entities of the detector share. A bucket with m members of which u are new
//! is as unlikely as u or more of m at that chance. An entity that always meets new members is not surprising when it
//! meets another; one that showed three verbs for a week is when it shows a fourth.

use margay_core::{Period, Score, ScoreState, Time};
use serde::{Deserialize, Serialize};

use crate::distribution::{ratio_score, tie};
use crate::edges::{hour, print};
use crate::level::buckets_a_day;
use crate::panel::{Judge, Setting, companion, slot};
use crate::pool::Moments;
use crate::spec::{Kind, Observation};
use crate::tails::Tails;
use crate::verdict::score;

/// Members remembered of one entity and feature at most; those met longest ago go first.
const MEMBERS_MOST: usize = 1_024;
/// New members that the prior has seen, and of how many.
const PRIOR: (f64, f64) = (0.5, 50.0);
/// How many of an entity's own meetings the peers' share of new ones is worth.
const PEERS_WORTH: f64 = 30.0;
/// How uncertain the chance of a new member is, as a correlation of the members of one bucket.
const BURST: f64 = 0.02;
/// Score below which a first bucket of an entity stays: nothing is old to it.
const FIRST_BUCKETS_DAY_SHARE: f64 = 0.5;

/// What counts as new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rare {
    /// A member that was not met for so long is new again.
    pub memory: Period,
}

impl Default for Rare {
    fn default() -> Self {
        Self { memory: Period::WEEK.times(4) }
    }
}

/// What is known of all entities, by feature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rares {
    features: Vec<Feature>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Feature {
    ledgers: Vec<Ledger>,
    /// Shares of new members of entities that are known.
    peers: Moments,
    tails: Tails,
}

impl Default for Feature {
    fn default() -> Self {
        Self { ledgers: Vec::new(), peers: Moments::default(), tails: Tails::known() }
    }
}

/// Members of one entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ledger {
    /// Print, buckets in which it was met, hour in which it was met last; ordered by print.
    met: Vec<(u32, u32, u32)>,
    /// Meetings so far, forgetting with the members.
    meetings: f64,
    seen: f64,
}

impl Ledger {
    fn knows(&self, member: &str, now: Time, memory: Period) -> bool {
        let found = self.met.binary_search_by_key(&print(member), |(print, ..)| *print);
        found.is_ok_and(|at| hour(now) - i64::from(self.met[at].2) <= memory.per(Period::HOUR))
    }

    /// Chance that a member is new.
    fn unseen(&self, peers: Option<f64>) -> f64 {
        let once = self.met.iter().filter(|(_, count, _)| *count == 1).count() as f64;
        let (new, worth) = peers.map_or(PRIOR, |share| (share * PEERS_WORTH, PEERS_WORTH));
        ((once + new + PRIOR.0) / (self.meetings + worth + 1.0)).clamp(1e-6, 0.95)
    }

    fn meet(&mut self, members: &[&str], now: Time, memory: Period) {
        let present = hour(now).max(0) as u32;
        for member in members {
            let print = print(member);
            match self.met.binary_search_by_key(&print, |(print, ..)| *print) {
                Ok(at) => self.met[at] = (print, self.met[at].1.saturating_add(1), present),
                Err(at) => self.met.insert(at, (print, 1, present)),
            }
        }
        self.meetings += members.len() as f64;
        let oldest = i64::from(present) - memory.per(Period::HOUR);
        let before = self.met.len();
        self.met.retain(|(.., met)| i64::from(*met) >= oldest);
        if self.met.len() > MEMBERS_MOST {
            let mut by_age = std::mem::take(&mut self.met);
            by_age.sort_unstable_by_key(|(print, _, met)| (std::cmp::Reverse(*met), *print));
            by_age.truncate(MEMBERS_MOST);
            by_age.sort_unstable();
            self.met = by_age;
        }
        if self.met.len() < before {
            self.meetings = self.met.iter().map(|(_, count, _)| f64::from(*count)).sum();
        }
    }
}

impl Rares {
    fn judge(&self, bucket: Time, seen: &Observation<'_>, feature: usize, setting: &Setting<'_>) -> Score {
        let value = seen.value(feature);
        if value.is_nan() {
            return Score::absent(ScoreState::NoData);
        }
        let learnt = self.features.get(feature);
        let ledger = learnt.and_then(|feature| feature.ledgers.get(seen.entity));
        let day = buckets_a_day(setting.bucket);
        let old_enough = ledger.is_some_and(|ledger| ledger.seen >= FIRST_BUCKETS_DAY_SHARE * day);
        let mut judged =
            Score { value, expected: value, lower: 0.0, upper: value, score: 0.0, state: ScoreState::Scored };
        if !old_enough {
            judged.state = ScoreState::Warming;
            return judged;
        }
        let fresh = self.fresh(bucket, seen, feature, setting).len();
        judged.expected = value - fresh as f64;
        judged.upper = judged.expected;
        if let Some(learnt) = learnt.filter(|_| fresh > 0) {
            let z = learnt.surprise(bucket, seen, (feature, fresh), setting);
            judged.score = score(learnt.tails.exceed(seen.entity, z));
        }
        judged
    }

    fn fresh<'a>(&self, bucket: Time, seen: &Observation<'a>, feature: usize, setting: &Setting<'_>) -> Vec<&'a str> {
        let memory = rules(setting).memory;
        let ledger = self.features.get(feature).and_then(|feature| feature.ledgers.get(seen.entity));
        let is_new = |member: &&&str| !ledger.is_some_and(|ledger| ledger.knows(member, bucket, memory));
        seen.members(feature).iter().filter(is_new).copied().collect()
    }
}

impl Feature {
    /// The number of new members as a standard normal score, were the chance of one right.
    fn surprise(
        &self,
        bucket: Time,
        seen: &Observation<'_>,
        (at, fresh): (usize, usize),
        setting: &Setting<'_>,
    ) -> f64 {
        let nobody = Ledger::default();
        let ledger = self.ledgers.get(seen.entity).unwrap_or(&nobody);
        let peers = self.peers.get(20.0).map(|(share, _)| share);
        let total = seen.members(at).len().max(1) as f64;
        let tie = tie(setting.seed, setting.key(seen.entity) ^ at as u64, bucket.0);
        ratio_score(fresh as f64, total, ledger.unseen(peers), BURST, tie)
    }
}

fn rules<'a>(setting: &'a Setting<'_>) -> &'a Rare {
    match setting.kind {
        Kind::Rare(rules) => rules,
        other => unreachable!("a detector of the model `{}` looks for nothing rare", other.name()),
    }
}

impl Judge for Rares {
    fn score(&self, bucket: Time, seen: &[Observation<'_>], setting: &Setting<'_>) -> Vec<Vec<Score>> {
        let one = |one: &Observation<'_>| {
            let score = |at: usize| match one.members.get(at) {
                Some(_) => self.judge(bucket, one, at, setting),
                None => companion(one.value(at)),
            };
            (0..setting.features.len()).map(score).collect()
        };
        seen.iter().map(one).collect()
    }

    fn learn(&mut self, bucket: Time, seen: &[Observation<'_>], held: &[bool], setting: &Setting<'_>) {
        let memory = rules(setting).memory;
        let day = buckets_a_day(setting.bucket);
        for (at, one) in seen.iter().enumerate() {
            let held = held.get(at).copied().unwrap_or(false);
            for place in 0..one.members.len().min(setting.features.len()) {
                if one.value(place).is_nan() {
                    continue;
                }
                let fresh = self.fresh(bucket, one, place, setting).len();
                let feature = slot(&mut self.features, place);
                let z = feature.surprise(bucket, one, (place, fresh), setting);
                let ledger = slot(&mut feature.ledgers, one.entity);
                let is_known = ledger.seen >= FIRST_BUCKETS_DAY_SHARE * day;
                ledger.meet(one.members(place), bucket, memory);
                ledger.seen += 1.0;
                if held || !is_known || one.members(place).is_empty() {
                    continue;
                }
                let share = fresh as f64 / one.members(place).len() as f64;
                feature.peers.learn(share, day * setting.entities.len().max(1) as f64);
                feature.tails.learn(one.entity, z, day);
            }
        }
    }

    fn evidence(&self, bucket: Time, seen: &Observation<'_>, setting: &Setting<'_>) -> Vec<String> {
        let fresh = (0..seen.members.len()).flat_map(|at| self.fresh(bucket, seen, at, setting));
        fresh.map(str::to_owned).collect()
    }

    fn seen(&self, entity: usize) -> f64 {
        let seen = self.features.iter().filter_map(|feature| feature.ledgers.get(entity)).map(|ledger| ledger.seen);
        seen.fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Numbers, Trial};

    fn trial() -> Trial {
        Trial::new(Kind::Rare(Rare::default()), Period::MINUTE.times(5), &["verbs"])
    }

    fn verbs(random: &mut Numbers) -> Vec<String> {
        ["GET", "POST", "PUT"].iter().filter(|_| random.next() < 0.7).map(|&verb| verb.to_owned()).collect()
    }

    #[test]
    fn a_verb_never_seen_in_a_week_is_found_and_named_and_the_usual_ones_are_not() {
        let (mut trial, mut random) = (trial(), Numbers::new(1));
        for _ in 0..2016 {
            let row = [verbs(&mut random)];
            assert!(trial.feed(&[row])[0].score < 30.0);
        }
        let row = [[verbs(&mut random), vec!["CONNECT".to_owned()]].concat()];
        assert_eq!(trial.evidence(&row), ["CONNECT"]);
        let judged = trial.feed(std::slice::from_ref(&row))[0];
        assert!(judged.score >= 30.0, "{judged:?}");
        assert!(trial.feed(&[row])[0].score < 20.0, "the second time it is known");
    }

    #[test]
    fn an_entity_that_always_meets_new_members_may_meet_another() {
        let (mut trial, mut random, mut loud) = (trial(), Numbers::new(2), 0);
        let agent = |random: &mut Numbers| format!("agent-{}", (random.next().powi(4) * 5e4) as usize);
        for at in 0..2016 {
            let score = trial.feed(&[[(0..4).map(|_| agent(&mut random)).collect()]])[0].score;
            loud += usize::from(at > 300 && score >= 30.0);
        }
        assert!(loud <= 5, "{loud} of 1,700 buckets");
    }

    #[test]
    fn members_drawn_from_a_long_tail_score_no_more_than_they_promise() {
        let shares = trial().null(20, 14, &|random, entity, _| {
            let spread = 10f64.powi(1 + (entity % 4) as i32);
            let count = (random.next() * 5.0) as usize;
            [(0..count).map(|_| format!("m{}", (random.next().powi(5) * spread) as usize)).collect()]
        });
        for (share, promised) in shares.into_iter().zip([1e-2, 1e-3, 1e-4]) {
            assert!(share <= 2.0 * promised, "{shares:?}");
        }
    }
}
