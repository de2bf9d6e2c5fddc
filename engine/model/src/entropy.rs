//! Shapes of the distribution never seen before: relative entropy of the recent window.
//!
//! The last buckets are a histogram; it is compared with earlier ones by twice the window times the
//! Kullback-Leibler divergence, which is χ² distributed where they are alike (Wang et al., ICAC 2011).

use margay_core::{Period, Time};
use serde::{Deserialize, Serialize};

use crate::level::buckets_a_day;
use crate::robust;

/// Buckets in the window.
const WINDOW: usize = 52;
/// Bins of the histogram.
const BINS: usize = 8;
/// 99 % quantile of χ² with one degree of freedom less than bins.
const ACCEPTED: f64 = 18.48;
/// Widths of the usual range that the histogram reaches beyond it on both sides.
const PADDING: f64 = 1.0;
/// The window must be shorter than this share of a day, so that it sees shapes and not the rhythm.
const WINDOW_DAYS: f64 = 0.5;
/// Most histograms that are remembered; the least seen is dropped.
const REMEMBERED: usize = 64;
/// Days of known values from which on an alarm means something.
const LEARNING_DAYS: f64 = 2.0;
/// Alarms and tests that are assumed beforehand.
const PRIOR: (f64, f64) = (1.0, 1000.0);
/// Days after which alarms and tests have been half forgotten.
const HALF_LIFE_DAYS: f64 = 14.0;
/// Days without a further alarm after one.
const REFRACTORY_DAYS: f64 = 0.4;

/// One remembered histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Shape {
    counts: [u8; BINS],
    seen: u16,
}

/// Histograms of the past and the window that is compared with them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entropy {
    low: f64,
    width: f64,
    window: Vec<u8>,
    shapes: Vec<Shape>,
    alarms: f64,
    tests: f64,
    alarm_at: Option<Time>,
}

impl Entropy {
    /// Remembers the shapes of a regular past; knows nothing where it is short or constant.
    pub(crate) fn train(start: Time, bucket: Period, values: &[f64]) -> Self {
        let day = buckets_a_day(bucket);
        let mut known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let (low, high) = (robust::quantile(&mut known, 0.005), robust::quantile(&mut known, 0.995));
        let range = high - low;
        let enough = WINDOW as f64 <= WINDOW_DAYS * day && known.len() as f64 >= LEARNING_DAYS * day;
        if !enough || !range.is_finite() || range <= 0.0 {
            return Self::default();
        }
        let width = range * (1.0 + 2.0 * PADDING) / BINS as f64;
        let mut entropy = Self { low: low - PADDING * range, width, ..Self::default() };
        let mut learnt = 0.0;
        for (at, &value) in values.iter().enumerate() {
            learnt += f64::from(u8::from(value.is_finite()));
            entropy.learn(start.plus(bucket.times(at as i64)), bucket, value);
            if learnt < LEARNING_DAYS * day {
                (entropy.alarms, entropy.tests, entropy.alarm_at) = (0.0, 0.0, None);
            }
        }
        entropy
    }

    /// Probability of an alarm such as this value raises; 1 where it raises none.
    pub(crate) fn probability(&self, time: Time, bucket: Period, value: f64) -> f64 {
        if self.quiet(time, bucket) || !self.after(value).is_some_and(|counts| self.is_novel(&counts)) {
            return 1.0;
        }
        (PRIOR.0 + self.alarms) / (PRIOR.1 + self.tests)
    }

    fn quiet(&self, time: Time, bucket: Period) -> bool {
        let refractory = (REFRACTORY_DAYS * Period::DAY.0 as f64).max(3.0 * bucket.0 as f64);
        self.alarm_at.is_some_and(|at| (time.since(at).0 as f64) < refractory)
    }

    fn bin(&self, value: f64) -> u8 {
        ((value - self.low) / self.width).clamp(0.0, (BINS - 1) as f64) as u8
    }

    /// Histogram of the window that ends with `value`; `None` until it is full.
    fn after(&self, value: f64) -> Option<[u8; BINS]> {
        if self.width <= 0.0 || !value.is_finite() || self.window.len() + 1 < WINDOW {
            return None;
        }
        let mut counts = [0u8; BINS];
        let before = &self.window[self.window.len() + 1 - WINDOW..];
        before.iter().for_each(|&bin| counts[bin as usize] += 1);
        counts[self.bin(value) as usize] += 1;
        Some(counts)
    }

    fn nearest(&self, counts: &[u8; BINS]) -> Option<(usize, f64)> {
        let distance = |shape: &Shape| {
            let pairs = counts.iter().zip(&shape.counts).filter(|(here, _)| **here > 0);
            pairs.map(|(&here, &there)| 2.0 * f64::from(here) * (f64::from(here) / f64::from(there)).ln()).sum::<f64>()
        };
        let all = self.shapes.iter().enumerate().map(|(at, shape)| (at, distance(shape)));
        all.min_by(|left, right| left.1.total_cmp(&right.1)).filter(|(_, distance)| *distance < ACCEPTED)
    }

    fn is_novel(&self, counts: &[u8; BINS]) -> bool {
        self.nearest(counts).is_none_or(|(at, _)| self.shapes[at].seen <= 1)
    }

    /// Takes in a bucket.
    pub(crate) fn learn(&mut self, time: Time, bucket: Period, value: f64) {
        if self.width <= 0.0 || !value.is_finite() {
            return;
        }
        if let Some(counts) = self.after(value) {
            let keep = (-std::f64::consts::LN_2 / (HALF_LIFE_DAYS * buckets_a_day(bucket))).exp();
            let alarm = !self.quiet(time, bucket) && self.is_novel(&counts);
            self.alarms = self.alarms * keep + f64::from(u8::from(alarm));
            self.tests = self.tests * keep + 1.0;
            if alarm {
                self.alarm_at = Some(time);
            }
            match self.nearest(&counts) {
                Some((at, _)) => self.shapes[at].seen = self.shapes[at].seen.saturating_add(1),
                None => self.remember(counts),
            }
        }
        self.window.push(self.bin(value));
        if self.window.len() > WINDOW {
            self.window.remove(0);
        }
    }

    fn remember(&mut self, counts: [u8; BINS]) {
        if self.shapes.len() >= REMEMBERED {
            let rarest = self.shapes.iter().enumerate().min_by_key(|(_, shape)| shape.seen).map_or(0, |(at, _)| at);
            self.shapes.remove(rarest);
        }
        self.shapes.push(Shape { counts, seen: 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(at: usize) -> f64 {
        if at.is_multiple_of(2) { 1.0 } else { 2.0 }
    }

    #[test]
    fn a_new_distribution_inside_the_usual_range_is_novel_once() {
        let bucket = Period::MINUTE.times(5);
        let values: Vec<f64> = (0..288 * 6).map(square).collect();
        let mut entropy = Entropy::train(Time(0), bucket, &values);
        let mut alarms = 0;
        for at in values.len()..values.len() + 80 {
            let time = Time(at as i64 * bucket.0);
            alarms += usize::from(entropy.probability(time, bucket, 1.5) < 1.0);
            entropy.learn(time, bucket, 1.5);
        }
        assert_eq!(alarms, 1);
    }

    #[test]
    fn more_of_the_same_constant_short_or_missing_values_are_never_novel() {
        let bucket = Period::MINUTE.times(5);
        for values in [vec![], vec![3.0; 288 * 4], vec![f64::NAN; 288 * 4], (0..100).map(square).collect()] {
            let entropy = Entropy::train(Time(0), bucket, &values);
            assert_eq!(entropy.probability(Time(0), bucket, 9.0), 1.0);
        }
        let values: Vec<f64> = (0..288 * 6).map(square).collect();
        let entropy = Entropy::train(Time(0), bucket, &values);
        assert_eq!(entropy.probability(Time(288 * 6 * bucket.0), bucket, 1.0), 1.0);
    }
}
