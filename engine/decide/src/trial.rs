//! What another rule would have raised over scores that are kept, without writing out its reasons.

use margay_core::Time;

use crate::gate::choose;
use crate::rule::{Judged, Rule};

/// Judged buckets of one entity in order of time. Buckets whose highest score is below half of every rule's that is
/// tried may be left out: they open nothing and keep nothing open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    buckets: Vec<Time>,
    /// For each bucket one entry a feature.
    judged: Vec<Judged>,
    /// The highest score of each bucket.
    highest: Vec<f64>,
}

/// An episode that a rule opens.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// Start of its first anomalous bucket.
    pub start: Time,
    /// End of its last anomalous bucket.
    pub end: Time,
    /// The highest score of its anomalous buckets.
    pub score: f64,
    /// Its anomalous buckets.
    pub buckets: u32,
}

impl Series {
    /// Adds a bucket, one entry for each feature.
    pub fn push(&mut self, bucket: Time, judged: &[Judged]) {
        self.buckets.push(bucket);
        self.judged.extend_from_slice(judged);
        self.highest.push(highest(judged));
    }

    /// Buckets that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether no bucket is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The buckets with what was judged in them.
    pub fn iter(&self) -> impl Iterator<Item = (Time, &[Judged])> {
        let features = self.judged.len() / self.len().max(1);
        self.buckets.iter().copied().zip(self.judged.chunks(features.max(1)))
    }
}

/// The highest score of a bucket, 0 where there is none.
#[must_use]
pub fn highest(judged: &[Judged]) -> f64 {
    judged.iter().map(|one| one.score.score).fold(0.0, f64::max)
}

/// The episodes that [`judge`](crate::judge) would open over the series.
#[must_use]
pub fn episodes(rule: &Rule, series: &Series) -> Vec<Opened> {
    let mut trial = Trial { rule, recent: Vec::new(), ongoing: None, closed: None, done: Vec::new() };
    for ((bucket, judged), highest) in series.iter().zip(&series.highest) {
        if *highest >= rule.score / 2.0 {
            trial.step(bucket, judged);
        }
    }
    trial.done.extend(trial.ongoing.map(|ongoing| ongoing.opened));
    trial.done
}

/// As the tracker, with numbers in place of texts.
struct Trial<'a> {
    rule: &'a Rule,
    /// Passing buckets of the window, and their scores.
    recent: Vec<(Time, f64)>,
    ongoing: Option<Ongoing>,
    closed: Option<Time>,
    done: Vec<Opened>,
}

struct Ongoing {
    opened: Opened,
    opening_score: f64,
    last_loud: Time,
}

impl Trial<'_> {
    fn step(&mut self, bucket: Time, judged: &[Judged]) {
        let rule = self.rule;
        let choice = choose(rule, judged);
        self.close_if_over(bucket.minus(rule.bucket));
        let from = rule.window_start(bucket).max(self.closed.unwrap_or(Time::MIN));
        self.recent.retain(|(earlier, _)| *earlier >= from);
        let passed = choice.checks.passed();
        if passed {
            self.recent.push((bucket, choice.score));
        }
        let Some(ongoing) = &mut self.ongoing else {
            if passed && self.recent.len() >= rule.sustained().0 && rule.is_rested(self.closed, bucket) {
                self.open(bucket, choice.score);
            }
            return;
        };
        if passed {
            ongoing.opened.end = bucket.plus(rule.bucket);
            ongoing.opened.buckets += 1;
            ongoing.opened.score = ongoing.opened.score.max(choice.score);
        }
        if Rule::is_loud(ongoing.opening_score, choice.effect_score) {
            ongoing.last_loud = bucket;
        } else {
            self.close_if_over(bucket);
        }
    }

    fn open(&mut self, bucket: Time, opening_score: f64) {
        let opened = Opened {
            start: self.recent.first().map_or(bucket, |(first, _)| *first),
            end: bucket.plus(self.rule.bucket),
            score: self.recent.iter().map(|(_, score)| *score).fold(opening_score, f64::max),
            buckets: u32::try_from(self.recent.len()).unwrap_or(u32::MAX),
        };
        self.ongoing = Some(Ongoing { opened, opening_score, last_loud: bucket });
    }

    fn close_if_over(&mut self, bucket: Time) {
        if let Some(ongoing) = self.ongoing.take_if(|ongoing| self.rule.is_over(ongoing.last_loud, bucket)) {
            self.closed = Some(self.rule.closing_time(ongoing.last_loud));
            self.done.push(ongoing.opened);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::episode::Event;
    use crate::fixture::{at, judged, rule};
    use crate::tracker::{Tracker, judge};

    /// What judging one bucket after the other opens.
    fn judged_episodes(rule: &Rule, series: &Series) -> Vec<Opened> {
        let mut tracker = Tracker::default();
        let mut told = Vec::new();
        for (bucket, judged) in series.iter() {
            told.extend(judge(rule, &mut tracker, bucket, judged, None).events);
        }
        let closed = told.into_iter().filter_map(|event| match event {
            Event::Closed(episode) => Some(episode),
            _ => None,
        });
        let all = closed.chain(tracker.episode().cloned());
        all.map(|one| Opened { start: one.start, end: one.end, score: one.peak.score, buckets: one.buckets }).collect()
    }

    proptest! {
        #[test]
        fn a_trial_opens_what_judging_opens(
            points in proptest::collection::vec((1i64..9, 0u32..101, 0u32..101, 0u32..4), 0..80),
            sustained in prop::sample::select(vec![(1, 1), (2, 3), (3, 3)]),
            refractory in 0i64..8,
            least in 20u32..101,
            min_dev in prop::option::of(50u32..150),
        ) {
            let rule = Rule {
                features: vec!["a".to_owned(), "b".to_owned()],
                sustained,
                score: f64::from(least),
                min_dev: min_dev.map(f64::from),
                refractory: Some(rule().bucket.times(refractory)),
                ..rule()
            };
            let (mut whole, mut thin, mut bucket) = (Series::default(), Series::default(), 0);
            for (gap, one, other, shift) in points {
                bucket += gap;
                let mut pair = [judged(f64::from(one)), judged(f64::from(other))];
                pair[0].score.value += f64::from(shift) * 40.0;
                whole.push(at(bucket), &pair);
                if highest(&pair) >= rule.score / 2.0 {
                    thin.push(at(bucket), &pair);
                }
            }
            let expected = judged_episodes(&rule, &whole);
            prop_assert_eq!(&episodes(&rule, &whole), &expected);
            prop_assert_eq!(&episodes(&rule, &thin), &expected);
        }
    }
}
