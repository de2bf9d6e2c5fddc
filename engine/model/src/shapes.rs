//! Shapes never seen before in one series, strictly causal: prototypes of the last steps (`prototypes`) and the relative
//! entropy of the last hours' histogram (`entropy`).
//!
//! A series is only watched for a while; then its range is frozen and the shapes so far are the known ones. From there on
//! a bucket is judged by how little the series up to it matches a prototype, in tails that are calibrated like those of
//! every other model, and by how seldom the histogram alarmed. A series that stays outside its range for a day begins anew.

use margay_core::{Period, Score, ScoreState, Time};
use serde::{Deserialize, Serialize};

use crate::entropy::Entropy;
use crate::level::buckets_a_day;
use crate::panel::{Judge, Setting, companion, slot};
use crate::prototypes::Prototypes;
use crate::spec::{Kind, Observation};
use crate::tails::Tails;
use crate::verdict::score;

/// Novelty of prototypes, 0 to 1, times this is in the range of the tails.
const SCALE: f64 = 10.0;

/// How long a series is only watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shapes {
    /// Until then nothing is judged.
    pub probation: Period,
}

impl Default for Shapes {
    /// Three days.
    fn default() -> Self {
        Self { probation: Period::DAY.times(3) }
    }
}

/// What is known of all series, by feature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watched {
    features: Vec<Feature>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Feature {
    series: Vec<Series>,
    tails: Tails,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Series {
    /// When the probation began.
    start: Option<Time>,
    /// Its buckets; empty once it is over.
    probation: Vec<f32>,
    judged: bool,
    prototypes: Prototypes,
    entropy: Entropy,
    /// Buckets in a row outside the range.
    outside: f64,
}

impl Series {
    fn learn(&mut self, time: Time, value: f64, held: bool, setting: &Setting<'_>) {
        if !self.judged {
            self.watch(time, value, setting);
            return;
        }
        self.outside = if self.prototypes.is_outside(value) { self.outside + 1.0 } else { 0.0 };
        if self.outside >= buckets_a_day(setting.bucket) {
            *self = Self::default();
            return;
        }
        if held {
            self.prototypes.pass(value);
            return;
        }
        self.prototypes.learn(value);
        self.entropy.learn(time, setting.bucket, value);
    }

    fn watch(&mut self, time: Time, value: f64, setting: &Setting<'_>) {
        let start = *self.start.get_or_insert(time);
        let place = usize::try_from(time.since(start).per(setting.bucket)).unwrap_or(0);
        self.probation.resize(place.max(self.probation.len()), f32::NAN);
        self.probation.push(value as f32);
        if time.since(start) < rules(setting).probation {
            return;
        }
        let values: Vec<f64> = std::mem::take(&mut self.probation).into_iter().map(f64::from).collect();
        self.prototypes = Prototypes::begin(&values);
        self.entropy = Entropy::train(start, setting.bucket, &values);
        self.judged = self.prototypes.novelty(value).is_some();
        if !self.judged {
            self.start = None;
        }
    }
}

fn rules<'a>(setting: &'a Setting<'_>) -> &'a Shapes {
    match setting.kind {
        Kind::Novelty(rules) => rules,
        other => unreachable!("a detector of the model `{}` knows no shapes", other.name()),
    }
}

impl Watched {
    fn judge(&self, time: Time, one: &Observation<'_>, place: usize, setting: &Setting<'_>) -> Score {
        let value = one.value(place);
        let nothing = companion(value);
        if value.is_nan() {
            return nothing;
        }
        let warming = Score { state: ScoreState::Warming, ..nothing };
        let Some(feature) = self.features.get(place) else { return warming };
        let Some(series) = feature.series.get(one.entity).filter(|series| series.judged) else { return warming };
        let Some(novelty) = series.prototypes.novelty(value) else { return warming };
        let p = feature.tails.exceed(one.entity, SCALE * novelty);
        let entropy = series.entropy.probability(time, setting.bucket, value);
        let known = feature.tails.seen(one.entity) >= buckets_a_day(setting.bucket);
        let state = if known { ScoreState::Scored } else { ScoreState::Warming };
        Score { score: score(p.min(entropy)), state, ..nothing }
    }
}

impl Judge for Watched {
    fn score(&self, time: Time, seen: &[Observation<'_>], setting: &Setting<'_>) -> Vec<Vec<Score>> {
        let all = |one: &Observation<'_>| {
            (0..setting.features.len()).map(|place| self.judge(time, one, place, setting)).collect()
        };
        seen.iter().map(all).collect()
    }

    fn learn(&mut self, time: Time, seen: &[Observation<'_>], held: &[bool], setting: &Setting<'_>) {
        let day = buckets_a_day(setting.bucket);
        for place in 0..setting.features.len() {
            let feature = slot(&mut self.features, place);
            for (at, one) in seen.iter().enumerate().filter(|(_, one)| one.value(place).is_finite()) {
                let (held, value) = (held.get(at).copied().unwrap_or(false), one.value(place));
                let series = slot(&mut feature.series, one.entity);
                let novelty = if series.judged && !held { series.prototypes.novelty(value) } else { None };
                series.learn(time, value, held, setting);
                if let Some(novelty) = novelty {
                    feature.tails.learn(one.entity, SCALE * novelty, day);
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
    use super::*;
    use crate::trial::{Numbers, Trial};

    fn trial() -> Trial {
        Trial::new(Kind::Novelty(Shapes::default()), Period::MINUTE.times(15), &["requests"])
    }

    fn value(random: &mut Numbers, at: usize) -> f64 {
        let hour = (at % 96) as f64 / 96.0 * std::f64::consts::TAU;
        100.0 + 40.0 * hour.sin() + 3.0 * random.normal()
    }

    #[test]
    fn a_flat_night_in_the_middle_of_the_usual_range_is_new_and_more_of_the_same_is_not() {
        let (mut trial, mut random) = (trial(), Numbers::new(1));
        let flat = 96 * 12 + 10..96 * 12 + 40;
        let mut scores = Vec::new();
        for at in 0..96 * 13 {
            let jagged = if at % 2 == 0 { 70.0 } else { 130.0 };
            let value = if flat.contains(&at) { jagged } else { value(&mut random, at) };
            scores.push(trial.feed_numbers(&[value])[0]);
        }
        let worst = |range: std::ops::Range<usize>| scores[range].iter().map(|one| one.score).fold(0.0, f64::max);
        assert!(
            worst(flat) >= 30.0 && worst(96 * 8..96 * 12) < 40.0,
            "{} {}",
            worst(96 * 12..96 * 13),
            worst(96 * 8..96 * 12)
        );
        assert!(scores[..96 * 3].iter().all(|one| (one.score, one.state) == (0.0, ScoreState::Warming)));
    }

    #[test]
    fn series_without_anomalies_score_as_promised() {
        let shares = trial().null_numbers(40, &|random, at| (0..20).map(|_| value(random, at)).collect());
        for (share, promised) in shares.into_iter().zip([1e-2, 1e-3, 1e-4]) {
            assert!((share / promised).ln().abs() <= 2f64.ln(), "{shares:?}");
        }
    }

    #[test]
    fn a_series_that_moved_out_of_its_range_for_a_day_begins_anew() {
        let (mut trial, mut random) = (trial(), Numbers::new(2));
        let mut last = ScoreState::Error;
        for at in 0..96 * 10 {
            let level = if at >= 96 * 8 { 1e4 } else { 0.0 };
            last = trial.feed_numbers(&[level + value(&mut random, at)])[0].state;
        }
        assert_eq!(last, ScoreState::Warming);
    }

    #[test]
    fn wild_and_missing_values_give_scores_in_range() {
        let mut trial = trial();
        for at in 0..96 * 6 {
            let value = [1.0, f64::NAN, f64::INFINITY, -1e300, 1e300, 0.0][at % 6];
            let score = trial.feed_numbers(&[value])[0].score;
            assert!((0.0..=100.0).contains(&score), "{at} {score}");
        }
    }
}
