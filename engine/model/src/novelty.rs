//! Courses never seen before: the last levels of a value, in a few coarse steps.
//!
//! A value is smoothed a little and told apart in a few levels; the levels at three times, the newest one among them, are
//! its context. A context that the past does not hold is an alarm, as is an unknown sequence of system calls in "A sense
//! of self for Unix processes" (Forrest, Hofmeyr, Somayaji and Longstaff, S&P 1996). Each context there can be is one bit.

use margay_core::{Period, Time};
use serde::{Deserialize, Serialize};

use crate::level::buckets_a_day;
use crate::robust;

/// Levels that are told apart.
const LEVELS: usize = 12;
/// Times whose levels make up a context.
const TIMES: usize = 3;
/// Buckets between these times.
const LAG: usize = 4;
/// Share of the newest value in the smoothed one.
const SMOOTHING: f64 = 0.5;
/// Widths of the usual range that the levels reach beyond it on both sides.
const PADDING: f64 = 1.0;
/// Buckets a day from which on a context sees courses and not the rhythm.
const FINE_BUCKETS: f64 = 100.0;
/// Buckets that must be known before novelty means something.
const LEARNING_BUCKETS: f64 = 500.0;
/// The same in days.
const LEARNING_DAYS: f64 = 2.0;
/// Extreme scores come in runs of about so many buckets, an alarm comes alone: it stands for a run.
const RUN_BUCKETS: f64 = 2.0;
/// Alarms and tests that are assumed beforehand.
const PRIOR: (f64, f64) = (1.0, 1000.0);
/// Days after which alarms and tests have been half forgotten.
const HALF_LIFE_DAYS: f64 = 14.0;
/// Days without a further alarm after one.
const REFRACTORY_DAYS: f64 = 0.4;

/// Contexts of the past, and the levels that the next one is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Novelty {
    low: f64,
    width: f64,
    smooth: Option<f64>,
    levels: Vec<u8>,
    seen: Vec<u8>,
    alarms: f64,
    tests: f64,
    alarm_at: Option<Time>,
}

impl Novelty {
    /// Remembers the contexts of a regular past; knows nothing where it is short or constant.
    pub(crate) fn train(start: Time, bucket: Period, values: &[f64]) -> Self {
        let mut known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let (low, high) = (robust::quantile(&mut known, 0.005), robust::quantile(&mut known, 0.995));
        let range = high - low;
        let day = buckets_a_day(bucket);
        let wanted = LEARNING_BUCKETS.max(LEARNING_DAYS * day);
        let enough = day >= FINE_BUCKETS && known.len() as f64 >= wanted;
        if !enough || !range.is_finite() || range <= 0.0 {
            return Self::default();
        }
        let width = range * (1.0 + 2.0 * PADDING) / LEVELS as f64;
        let seen = vec![0; LEVELS.pow(TIMES as u32).div_ceil(8)];
        let mut novelty = Self { low: low - PADDING * range, width, seen, ..Self::default() };
        let mut learnt = 0.0;
        for (at, &value) in values.iter().enumerate() {
            learnt += f64::from(u8::from(value.is_finite()));
            novelty.learn(start.plus(bucket.times(at as i64)), bucket, value);
            if learnt < wanted {
                (novelty.alarms, novelty.tests, novelty.alarm_at) = (0.0, 0.0, None);
            }
        }
        novelty
    }

    /// Probability of an alarm such as this value raises; 1 where it raises none.
    pub(crate) fn probability(&self, time: Time, bucket: Period, value: f64) -> f64 {
        if self.quiet(time, bucket) || !self.context(value).is_some_and(|context| self.is_novel(context)) {
            return 1.0;
        }
        (PRIOR.0 + self.alarms) / (PRIOR.1 + self.tests) / RUN_BUCKETS
    }

    fn quiet(&self, time: Time, bucket: Period) -> bool {
        let refractory = (REFRACTORY_DAYS * Period::DAY.0 as f64).max(3.0 * bucket.0 as f64);
        self.alarm_at.is_some_and(|at| (time.since(at).0 as f64) < refractory)
    }

    fn smoothed(&self, value: f64) -> f64 {
        self.smooth.map_or(value, |before| before + SMOOTHING * (value - before))
    }

    fn level(&self, value: f64) -> u8 {
        ((self.smoothed(value) - self.low) / self.width).clamp(0.0, (LEVELS - 1) as f64) as u8
    }

    /// The context that `value` completes; `None` until there are levels enough.
    fn context(&self, value: f64) -> Option<usize> {
        if self.width <= 0.0 || !value.is_finite() {
            return None;
        }
        let mut context = usize::from(self.level(value));
        for time in 1..TIMES {
            let at = self.levels.len().checked_sub(time * LAG)?;
            context = context * LEVELS + usize::from(self.levels[at]);
        }
        Some(context)
    }

    fn is_novel(&self, context: usize) -> bool {
        self.seen[context / 8] >> (context % 8) & 1 == 0
    }

    /// Takes in a bucket.
    pub(crate) fn learn(&mut self, time: Time, bucket: Period, value: f64) {
        if self.width <= 0.0 || !value.is_finite() {
            return;
        }
        if let Some(context) = self.context(value) {
            let keep = (-std::f64::consts::LN_2 / (HALF_LIFE_DAYS * buckets_a_day(bucket))).exp();
            let alarm = !self.quiet(time, bucket) && self.is_novel(context);
            self.alarms = self.alarms * keep + f64::from(u8::from(alarm));
            self.tests = self.tests * keep + 1.0;
            if alarm {
                self.alarm_at = Some(time);
            }
            self.seen[context / 8] |= 1 << (context % 8);
        }
        self.levels.push(self.level(value));
        self.smooth = Some(self.smoothed(value));
        if self.levels.len() > LAG * (TIMES - 1) {
            self.levels.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(at: usize) -> f64 {
        if at.is_multiple_of(2) { 1.0 } else { 2.0 }
    }

    #[test]
    fn a_new_course_inside_the_usual_range_is_novel_once() {
        let bucket = Period::MINUTE.times(5);
        let values: Vec<f64> = (0..288 * 6).map(square).collect();
        let mut novelty = Novelty::train(Time(0), bucket, &values);
        let mut alarms = 0;
        for at in values.len()..values.len() + 80 {
            let time = Time(at as i64 * bucket.0);
            let value = if (at / 3).is_multiple_of(2) { 1.0 } else { 2.0 };
            alarms += usize::from(novelty.probability(time, bucket, value) < 1.0);
            novelty.learn(time, bucket, value);
        }
        assert_eq!(alarms, 1);
    }

    #[test]
    fn more_of_the_same_constant_short_coarse_or_missing_values_are_never_novel() {
        let bucket = Period::MINUTE.times(5);
        for values in [vec![], vec![3.0; 288 * 4], vec![f64::NAN; 288 * 4], (0..100).map(square).collect()] {
            let novelty = Novelty::train(Time(0), bucket, &values);
            assert_eq!(novelty.probability(Time(0), bucket, 9.0), 1.0);
        }
        let values: Vec<f64> = (0..288 * 6).map(square).collect();
        let novelty = Novelty::train(Time(0), bucket, &values);
        assert_eq!(novelty.probability(Time(288 * 6 * bucket.0), bucket, 1.0), 1.0);
        assert!(novelty.probability(Time(288 * 6 * bucket.0), bucket, 9.0) < 1.0);
        let hourly = Novelty::train(Time(0), Period::HOUR, &values);
        assert_eq!(hourly.probability(Time(288 * 6 * Period::HOUR.0), Period::HOUR, 9.0), 1.0);
    }
}
