//! Call-outs at regular intervals.
//!
//! Of each destination of an entity the gaps between its appearances are kept. If it came by chance, at whatever rate,
//! the gaps as shares of their sum would be spread evenly over a simplex (the spacings of a Poisson process; Greenwood,
//! "The statistical study of infectious diseases", JRSS 1946). Gaps that are all alike lie near its centre, and the
//! chance to come so near is at most the volume of a ball of that radius over the volume of the simplex: a bound that
//! holds for any number of gaps, with the rounding of appearances to buckets counted as jitter. It is multiplied by the
//! number of destinations that could have been it. A programme that calls out on the hour is regular too: only
//! destinations that came up after the entity was known for two days are judged.

use std::f64::consts::PI;

use margay_core::{Period, Score, ScoreState, Time};
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use crate::edges::print;
use crate::panel::{Judge, Setting, slot};
use crate::spec::{Kind, Observation};

/// Destinations kept of one entity at most; those met longest ago go first.
const DESTINATIONS_MOST: usize = 64;
/// Gaps kept of one destination at most, the latest.
const GAPS_MOST: usize = 24;
/// Destinations that came up within this time of the entity belong to it.
const BELONGS: Period = Period(2 * Period::DAY.0);
/// Variance of a gap that is due to rounding both its ends to buckets, in squared buckets.
const ROUNDING: f64 = 1.0 / 6.0;

/// What is a beacon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beacon {
    /// Fewest gaps that are judged.
    pub gaps: usize,
    /// Gaps shorter than this many buckets on average cannot be told apart and are not judged.
    pub gap_buckets: f64,
}

impl Default for Beacon {
    fn default() -> Self {
        Self { gaps: 8, gap_buckets: 3.0 }
    }
}

/// What is known of all entities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beacons {
    ledgers: Vec<Ledger>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ledger {
    /// Ordered by print.
    destinations: Vec<Destination>,
    /// When the entity was first seen.
    started: Option<Time>,
    seen: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Destination {
    print: u32,
    first: Time,
    last: Time,
    /// In buckets, the oldest first.
    gaps: Vec<u32>,
}

impl Destination {
    /// Gaps with the one that ends now.
    fn gaps(&self, now: Time, setting: &Setting<'_>) -> Vec<u32> {
        let gap = now.since(self.last).per(setting.bucket).clamp(0, i64::from(u32::MAX)) as u32;
        let mut gaps: Vec<u32> = self.gaps.iter().copied().chain([gap]).filter(|gap| *gap > 0).collect();
        let surplus = gaps.len().saturating_sub(GAPS_MOST);
        gaps.drain(..surplus);
        gaps
    }
}

/// Bound on the natural logarithm of the chance that gaps are so alike.
fn ln_chance(gaps: &[u32], rules: &Beacon) -> f64 {
    let count = gaps.len() as f64;
    let mean = gaps.iter().map(|gap| f64::from(*gap)).sum::<f64>() / count.max(1.0);
    if gaps.len() < rules.gaps.max(3) || mean < rules.gap_buckets {
        return 0.0;
    }
    let variance = gaps.iter().map(|gap| (f64::from(*gap) - mean).powi(2)).sum::<f64>() / count;
    let variation = ((variance + ROUNDING) / (mean * mean)).sqrt();
    let (free, radius) = (count - 1.0, variation / count.sqrt());
    let ball = 0.5 * free * PI.ln() + free * radius.ln() - ln_gamma(0.5 * free + 1.0);
    let simplex = 0.5 * count.ln() - ln_gamma(count);
    (ball - simplex).min(0.0)
}

fn rules<'a>(setting: &'a Setting<'_>) -> &'a Beacon {
    match setting.kind {
        Kind::Beacon(rules) => rules,
        other => unreachable!("a detector of the model `{}` looks for no beacons", other.name()),
    }
}

/// The feature that lists whom the entity spoke to.
const DESTINATIONS: &str = "destinations";

impl Beacons {
    /// Destinations of this bucket by the chance of their regularity, the least first.
    fn chances<'a>(&self, now: Time, seen: &Observation<'a>, setting: &Setting<'_>) -> Vec<(f64, &'a str)> {
        let Some(ledger) = self.ledgers.get(seen.entity) else { return Vec::new() };
        let place = setting.place(DESTINATIONS).unwrap_or(0);
        let many = (ledger.destinations.len().max(1) as f64).ln();
        let chance = |member: &&'a str| {
            let at = ledger.destinations.binary_search_by_key(&print(member), |one| one.print).ok()?;
            let destination = &ledger.destinations[at];
            if ledger.started.is_some_and(|started| destination.first.since(started) < BELONGS) {
                return None;
            }
            let chance = ln_chance(&destination.gaps(now, setting), rules(setting)) + many;
            (chance < 0.0).then_some((chance, *member))
        };
        let mut chances: Vec<(f64, &str)> = seen.members(place).iter().filter_map(chance).collect();
        chances.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        chances
    }
}

impl Judge for Beacons {
    fn score(&self, now: Time, seen: &[Observation<'_>], setting: &Setting<'_>) -> Vec<Vec<Score>> {
        let place = setting.place(DESTINATIONS).unwrap_or(0);
        let one = |one: &Observation<'_>| {
            let value = one.value(place);
            let least = self.chances(now, one, setting).first().map_or(0.0, |(chance, _)| *chance);
            let judged = if value.is_nan() {
                Score::absent(ScoreState::NoData)
            } else {
                let points = (-10.0 * std::f64::consts::LOG10_E * least).clamp(0.0, 100.0);
                let unknown = f64::NAN;
                Score {
                    value,
                    expected: unknown,
                    lower: unknown,
                    upper: unknown,
                    score: points,
                    state: ScoreState::Scored,
                }
            };
            setting.around(one, place, judged)
        };
        seen.iter().map(one).collect()
    }

    fn learn(&mut self, now: Time, seen: &[Observation<'_>], _: &[bool], setting: &Setting<'_>) {
        let place = setting.place(DESTINATIONS).unwrap_or(0);
        for one in seen.iter().filter(|one| !one.value(place).is_nan()) {
            let ledger = slot(&mut self.ledgers, one.entity);
            ledger.seen += 1.0;
            ledger.started.get_or_insert(now);
            for member in one.members(place) {
                let print = print(member);
                match ledger.destinations.binary_search_by_key(&print, |one| one.print) {
                    Ok(at) => {
                        let destination = &mut ledger.destinations[at];
                        destination.gaps = destination.gaps(now, setting);
                        destination.last = now;
                    }
                    Err(at) => {
                        ledger.destinations.insert(at, Destination { print, first: now, last: now, gaps: Vec::new() })
                    }
                }
            }
            while ledger.destinations.len() > DESTINATIONS_MOST {
                let oldest = (0..ledger.destinations.len()).min_by_key(|at| (ledger.destinations[*at].last, *at));
                drop(oldest.map(|at| ledger.destinations.remove(at)));
            }
        }
    }

    fn evidence(&self, now: Time, seen: &Observation<'_>, setting: &Setting<'_>) -> Vec<String> {
        self.chances(now, seen, setting).into_iter().map(|(_, member)| member.to_owned()).collect()
    }

    fn seen(&self, entity: usize) -> f64 {
        self.ledgers.get(entity).map_or(0.0, |ledger| ledger.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Numbers, Trial};

    fn trial() -> Trial {
        Trial::new(Kind::Beacon(Beacon::default()), Period::MINUTE.times(5), &["destinations"])
    }

    #[test]
    fn a_call_every_hour_with_some_jitter_is_found_within_half_a_day_and_named() {
        let (mut trial, mut random) = (trial(), Numbers::new(1));
        let (mut next, mut found) = (3 * 288 + 12, None);
        for at in 0..4 * 288 {
            let mut members: Vec<String> = (0..2).map(|_| format!("h{}", (random.next() * 20.0) as usize)).collect();
            if at == next {
                members.push("203.0.113.9".to_owned());
                next += 11 + (random.next() * 3.0) as usize;
                if found.is_none() {
                    let evidence = trial.evidence(&[members.clone()]);
                    if trial.feed(&[[members]])[0].score >= 60.0 {
                        assert_eq!(evidence[0], "203.0.113.9");
                        found = Some(at);
                        break;
                    }
                    continue;
                }
            }
            let score = trial.feed(&[[members]])[0].score;
            assert!(score < 40.0, "{score}");
        }
        assert!(found.is_some_and(|at| at <= 3 * 288 + 170), "{found:?}");
    }

    #[test]
    fn calls_at_random_times_score_no_more_than_they_promise() {
        let shares = trial().null(20, 14, &|random, _, _| {
            let member = |at: usize| (random.next() < 0.02 * (1 + at) as f64).then(|| format!("h{at}"));
            [(0..6).filter_map(member).collect()]
        });
        for (share, promised) in shares.into_iter().zip([1e-2, 1e-3, 1e-4]) {
            assert!(share <= 2.0 * promised, "{shares:?}");
        }
    }

    #[test]
    fn a_regular_call_that_was_there_from_the_first_day_belongs_to_the_entity() {
        let mut trial = trial();
        for at in 0usize..4 * 288 {
            let members = if at.is_multiple_of(12) { vec!["hourly".to_owned()] } else { Vec::new() };
            assert_eq!(trial.feed(&[[members]])[0].score, 0.0);
        }
    }

    #[test]
    fn what_is_there_in_every_bucket_is_no_beacon() {
        let mut trial = trial();
        for _ in 0..300 {
            assert_eq!(trial.feed(&[[vec!["db".to_owned()]]])[0].score, 0.0);
        }
    }
}
