//! Lasting shifts of a level.
//!
//! Bayesian online changepoint detection (Adams and MacKay, 2007, arXiv 0710.3742): the distribution over the time
//! since the level last changed is carried from bucket to bucket, each hypothesis predicting the next value by a
//! normal distribution of unknown mean and variance (Student's, with a normal-gamma prior). The value is the logarithm
//! less what the hour of the day usually adds. The score is how improbable it has become that the last change lies
//! further back than the last [`Changepoint::within`] buckets, less those too few to be told from an outlier, corrected by the tails of all entities.

use margay_core::{Direction, Period, Score, ScoreState, Time};
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use crate::distribution::score_of_tail;
use crate::level::{buckets_a_day, rate};
use crate::panel::{Judge, Setting, slot};
use crate::spec::{Kind, Observation};
use crate::tails::Tails;
use crate::verdict::score;

/// Hypotheses kept at most: the longer ones are one.
const RUNS_MOST: usize = 96;
/// Hours whose usual share is learnt.
const HOURS: usize = 24;
/// Days after which half of an hour's usual share is forgotten.
const HOUR_HALF_LIFE_DAYS: f64 = 4.0;
/// Prior of a level: how many values its mean and its variance are worth.
const PRIOR_WORTH: (f64, f64) = (0.1, 1.0);
/// Smallest spread of logarithms.
const SPREAD_LEAST: f64 = 0.05;
/// Values count at most this many spreads from the level that was.
const CLIP: f64 = 8.0;

/// What is a lasting shift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changepoint {
    /// Buckets within which a shift is reported.
    pub within: usize,
    /// Buckets that it must have lasted.
    pub lasting: usize,
    /// Mean time between two shifts of an entity.
    pub every: Period,
}

impl Default for Changepoint {
    fn default() -> Self {
        Self { within: 24, lasting: 6, every: Period::WEEK.times(4) }
    }
}

/// What is known of all entities, by feature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Changepoints {
    features: Vec<Feature>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Feature {
    lines: Vec<Line>,
    tails: Tails,
}

/// One value of one entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Line {
    /// By buckets since the last change, the present one first.
    runs: Vec<Run>,
    /// What each hour adds to the level.
    hours: Vec<f64>,
    /// Level and spread over a long time.
    level: f64,
    spread: f64,
    seen: f64,
}

/// Values since a supposed change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Run {
    probability: f64,
    count: f32,
    mean: f64,
    square: f64,
}

impl Run {
    /// Density of a value after these, with `prior` as the variance expected before any.
    fn density(&self, value: f64, centre: f64, prior: f64) -> f64 {
        let count = f64::from(self.count);
        let (worth, freedom) = (PRIOR_WORTH.0 + count, 2.0 * PRIOR_WORTH.1 + count);
        let mean = (PRIOR_WORTH.0 * centre + count * self.mean) / worth;
        let between = PRIOR_WORTH.0 * count / worth * (self.mean - centre).powi(2);
        let sum = 2.0 * PRIOR_WORTH.1 * prior + self.square + if count > 0.0 { between } else { 0.0 };
        let scale = sum / freedom * (1.0 + 1.0 / worth);
        let t = (value - mean).powi(2) / scale.max(1e-12);
        let ln = ln_gamma((freedom + 1.0) / 2.0)
            - ln_gamma(freedom / 2.0)
            - 0.5 * (std::f64::consts::PI * freedom * scale.max(1e-12)).ln()
            - (freedom + 1.0) / 2.0 * (1.0 + t / freedom).ln();
        ln.exp()
    }

    fn with(&self, value: f64) -> Self {
        let count = f64::from(self.count) + 1.0;
        let mean = self.mean + (value - self.mean) / count;
        let square = self.square + (value - self.mean) * (value - mean);
        Self { probability: self.probability, count: count as f32, mean, square }
    }
}

impl Line {
    fn plain(&self, time: Time, value: f64) -> f64 {
        (1.0 + value.max(0.0)).ln() - self.hours.get(hour(time)).copied().unwrap_or(0.0)
    }

    fn variance(&self) -> f64 {
        self.spread.max(SPREAD_LEAST).powi(2)
    }

    /// The hypotheses after one more value.
    fn step(&self, value: f64, hazard: f64) -> Vec<Run> {
        let clip = CLIP * self.spread.max(SPREAD_LEAST);
        let value = if self.seen > 0.0 { value.clamp(self.level - clip, self.level + clip) } else { value };
        let fresh = Run { probability: 1.0, ..Run::default() };
        let before = if self.runs.is_empty() { std::slice::from_ref(&fresh) } else { &self.runs[..] };
        let (mut runs, mut changed) = (Vec::with_capacity(before.len() + 1), 0.0);
        for run in before {
            let joint = run.probability * run.density(value, self.level, self.variance());
            changed += joint * hazard;
            runs.push(Run { probability: joint * (1.0 - hazard), ..run.with(value) });
        }
        runs.insert(0, Run { probability: changed, ..Run::default() });
        if runs.len() > RUNS_MOST {
            let last = runs.pop().unwrap_or_default();
            if let Some(longest) = runs.last_mut() {
                let probability = longest.probability + last.probability;
                *longest = Run { probability, ..last };
            }
        }
        let total: f64 = runs.iter().map(|run| run.probability).sum();
        if !(total > 0.0 && total.is_finite()) {
            return vec![fresh];
        }
        runs.iter_mut().for_each(|run| run.probability /= total);
        runs
    }

    /// Probability that the level did not change between `lasting` and `within` buckets ago; and the new level less the old one.
    fn unchanged(runs: &[Run], rules: &Changepoint) -> f64 {
        let recent = runs.iter().take(rules.within + 1).skip(rules.lasting).map(|run| run.probability).sum::<f64>();
        (1.0 - recent).clamp(1e-15, 1.0)
    }

    fn learn(&mut self, time: Time, raw: f64, hazard: f64, day: f64) {
        let value = self.plain(time, raw);
        self.runs = self.step(value, hazard);
        let step = rate(self.seen, day);
        let distance = value - self.level;
        if self.seen > 0.0 {
            let clip = 3.0 * self.spread.max(SPREAD_LEAST);
            self.spread += step * (1.2533 * distance.abs().min(clip) - self.spread);
        }
        self.level += step * distance;
        self.seen += 1.0;
        self.hours.resize(HOURS, 0.0);
        if self.seen > day / 2.0 {
            let pace = rate(self.seen / day, HOUR_HALF_LIFE_DAYS) * HOURS as f64 / day.max(HOURS as f64);
            let clip = 3.0 * self.spread.max(SPREAD_LEAST);
            self.hours[hour(time)] += pace * (value - self.level).clamp(-clip, clip);
        }
    }
}

fn hour(time: Time) -> usize {
    (time.0.rem_euclid(Period::DAY.0) / Period::HOUR.0) as usize
}

fn rules<'a>(setting: &'a Setting<'_>) -> &'a Changepoint {
    match setting.kind {
        Kind::Changepoint(rules) => rules,
        other => unreachable!("a detector of the model `{}` looks for no shifts", other.name()),
    }
}

fn hazard(setting: &Setting<'_>) -> f64 {
    1.0 / (rules(setting).every.per(setting.bucket).max(2) as f64)
}

impl Changepoints {
    fn judge(&self, time: Time, one: &Observation<'_>, feature: usize, setting: &Setting<'_>) -> Score {
        let value = one.value(feature);
        let learnt = self.features.get(feature);
        let Some((learnt, line)) = learnt.and_then(|learnt| Some((learnt, learnt.lines.get(one.entity)?))) else {
            let state = if value.is_nan() { ScoreState::NoData } else { ScoreState::Warming };
            return Score { value, expected: value, lower: value, upper: value, score: 0.0, state };
        };
        let day = buckets_a_day(setting.bucket);
        let add = line.hours.get(hour(time)).copied().unwrap_or(0.0);
        let at = |sigmas: f64| ((line.level + add + sigmas * line.spread.max(SPREAD_LEAST)).exp() - 1.0).max(0.0);
        let mut judged =
            Score { value, expected: at(0.0), lower: at(-2.0), upper: at(2.0), score: 0.0, state: ScoreState::Scored };
        if value.is_nan() {
            judged.state = ScoreState::NoData;
            return judged;
        }
        if line.seen < day {
            judged.state = ScoreState::Warming;
            return judged;
        }
        let runs = line.step(line.plain(time, value), hazard(setting));
        let up = line.plain(time, value) >= line.level;
        let watched = match setting.direction {
            Direction::Above => up,
            Direction::Below => !up,
            Direction::Both => true,
        };
        if watched {
            let z = score_of_tail(Line::unchanged(&runs, rules(setting)));
            judged.score = score(learnt.tails.exceed(one.entity, z));
        }
        judged
    }
}

impl Judge for Changepoints {
    fn score(&self, time: Time, seen: &[Observation<'_>], setting: &Setting<'_>) -> Vec<Vec<Score>> {
        let all = |one: &Observation<'_>| {
            (0..setting.features.len()).map(|feature| self.judge(time, one, feature, setting)).collect()
        };
        seen.iter().map(all).collect()
    }

    fn learn(&mut self, time: Time, seen: &[Observation<'_>], held: &[bool], setting: &Setting<'_>) {
        let day = buckets_a_day(setting.bucket);
        let hazard = hazard(setting);
        for place in 0..setting.features.len() {
            let feature = slot(&mut self.features, place);
            for (at, one) in seen.iter().enumerate().filter(|(_, one)| one.value(place).is_finite()) {
                let line = slot(&mut feature.lines, one.entity);
                line.learn(time, one.value(place), hazard, day);
                if line.seen > day && !held.get(at).copied().unwrap_or(false) {
                    let z = score_of_tail(Line::unchanged(&line.runs, rules(setting)));
                    feature.tails.learn(one.entity, z, day);
                }
            }
        }
    }

    fn evidence(&self, _: Time, _: &Observation<'_>, _: &Setting<'_>) -> Vec<String> {
        Vec::new()
    }

    fn seen(&self, entity: usize) -> f64 {
        self.features.iter().filter_map(|feature| feature.lines.get(entity)).map(|line| line.seen).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Numbers, Trial};

    fn trial() -> Trial {
        Trial::new(Kind::Changepoint(Changepoint::default()), Period::MINUTE.times(15), &["bytes"])
    }

    fn value(random: &mut Numbers, at: usize, level: f64) -> f64 {
        let hour = (at % 96) as f64 / 96.0 * std::f64::consts::TAU;
        level * (1.0 + 0.3 * hour.sin()) * (0.2 * random.normal()).exp()
    }

    #[test]
    fn a_level_that_doubles_and_stays_is_found_within_three_hours_and_then_accepted() {
        let (mut trial, mut random) = (trial(), Numbers::new(1));
        let mut scores = Vec::new();
        for at in 0..96 * 14 {
            let level = if at >= 96 * 10 { 2e4 } else { 1e4 };
            scores.push(trial.feed_numbers(&[value(&mut random, at, level)])[0].score);
        }
        let worst = |range: std::ops::Range<usize>| scores[range].iter().copied().fold(0.0, f64::max);
        assert!(worst(96 * 4..96 * 10) < 40.0, "{}", worst(96 * 4..96 * 10));
        assert!(worst(96 * 10..96 * 10 + 24) >= 35.0, "{}", worst(96 * 10..96 * 10 + 24));
        assert!(worst(96 * 13..96 * 14) < 30.0, "{}", worst(96 * 13..96 * 14));
    }

    #[test]
    fn a_single_outlier_is_no_shift() {
        let (mut trial, mut random) = (trial(), Numbers::new(2));
        for at in 0..96 * 8 {
            let level = if at == 96 * 6 { 2e5 } else { 1e4 };
            let score = trial.feed_numbers(&[value(&mut random, at, level)])[0].score;
            assert!(at < 96 * 4 || score < 40.0, "{at} {score}");
        }
    }

    #[test]
    fn a_level_that_stays_scores_no_more_than_it_promises() {
        let mut trial = trial();
        let shares = trial.null_numbers(30, &|random, at| (0..20).map(|_| value(random, at, 1e4)).collect());
        for (share, promised) in shares.into_iter().zip([1e-2, 1e-3, 1e-4]) {
            assert!(share <= 2.0 * promised, "{shares:?}");
        }
    }
}
