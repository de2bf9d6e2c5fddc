//! Where the last residuals point: a small regression of each one on the two before it and on the
//! same and the previous hour of yesterday, as a seasonal autoregressive model has it.

use margay_core::{Period, Time};
use serde::{Deserialize, Serialize};

use crate::level::rate;
use crate::views::{Pace, clip};

/// Residuals that the next one is told from.
const TERMS: usize = 4;
/// Hours that are remembered, by hour of the day.
const HOURS: usize = 24;
/// Days after which the regression has forgotten half.
const HALF_LIFE_DAYS: f64 = 14.0;
/// Added to the diagonal, as a share of the variance of the last residual, so that what is told twice does no harm.
const RIDGE: f64 = 0.01;
/// Buckets after which the regression is half believed.
const TRUST: f64 = 20.0;
/// Highest share of the variance that is believed to be explained.
const EXPLAINED_MAX: f64 = 0.96;
/// Highest correlation of neighbouring buckets that is believed over a gap.
const CORRELATION_MAX: f64 = 0.98;
/// The next residual is at most this multiple of the largest one that it is told from.
const OVERSHOOT: f64 = 1.2;

/// The last residuals of one value of one entity, and what they have meant for the next one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Carry {
    last: f64,
    before: f64,
    at: Option<Time>,
    hour: Hour,
    yesterday: Vec<f32>,
    products: [[f64; TERMS]; TERMS],
    towards: [f64; TERMS],
    variance: f64,
}

/// The hour under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hour {
    number: i64,
    sum: f64,
    count: f64,
}

impl Carry {
    /// How far the buckets before point away from the seasonal level, and the share of the variance
    /// that they explain.
    pub(crate) fn pointer(&self, time: Time, bucket: Period, seen: f64) -> (f64, f64) {
        let Some(last_at) = self.at else { return (0.0, 0.0) };
        let (Some(weights), true) = (self.weights(), self.variance > 0.0) else { return (0.0, 0.0) };
        let trust = seen / (seen + TRUST);
        let steps = time.since(last_at).per(bucket).clamp(1, 10_000) as i32;
        if steps > 1 {
            let correlation = (self.towards[0] / self.products[0][0]).clamp(0.0, CORRELATION_MAX);
            let memory = (trust * correlation).powi(steps);
            return (memory * self.last, memory * memory);
        }
        let terms = self.terms(time);
        let largest = terms.iter().fold(0.0f64, |largest, term| largest.max(term.abs()));
        let explained = (dot(&weights, &self.towards) / self.variance).clamp(0.0, EXPLAINED_MAX);
        (clip(trust * dot(&weights, &terms), OVERSHOOT * largest), trust * trust * explained)
    }

    /// Takes in a normal residual: what the ones before it meant, where none is missing in between.
    pub(crate) fn learn(&mut self, time: Time, residual: f64, seen: f64, pace: &Pace) {
        if self.at == Some(time.minus(pace.bucket)) {
            let terms = self.terms(time);
            let step = rate(seen, HALF_LIFE_DAYS * pace.day);
            for (row, &term) in self.products.iter_mut().zip(&terms) {
                row.iter_mut().zip(&terms).for_each(|(cell, &other)| *cell += step * (term * other - *cell));
            }
            self.towards.iter_mut().zip(&terms).for_each(|(cell, &term)| *cell += step * (term * residual - *cell));
            self.variance += step * (residual * residual - self.variance);
        }
        self.pass(time, residual);
    }

    /// Takes in a residual from which nothing is learnt.
    pub(crate) fn pass(&mut self, time: Time, residual: f64) {
        self.before = self.last;
        self.last = residual;
        self.at = Some(time);
        let number = hour_of(time);
        if number != self.hour.number {
            self.close_hour(number);
        }
        self.hour.sum += residual;
        self.hour.count += 1.0;
    }

    /// Forgets where the last buckets were: the level has moved.
    pub(crate) fn reset(&mut self) {
        (self.last, self.before, self.hour) = (0.0, 0.0, Hour::default());
        self.yesterday.clear();
    }

    fn close_hour(&mut self, next: i64) {
        if self.hour.count > 0.0 {
            self.yesterday.resize(HOURS, 0.0);
            let missed = (self.hour.number + 1).max(next - HOURS as i64)..next;
            missed.for_each(|number| self.yesterday[slot(number)] = 0.0);
            self.yesterday[slot(self.hour.number)] = (self.hour.sum / self.hour.count) as f32;
        }
        self.hour = Hour { number: next, ..Hour::default() };
    }

    /// What the residual at `time` is told from.
    fn terms(&self, time: Time) -> [f64; TERMS] {
        let yesterday = |number: i64| self.yesterday.get(slot(number)).map_or(0.0, |&mean| f64::from(mean));
        let number = hour_of(time);
        [self.last, self.before, yesterday(number), yesterday(number - 1)]
    }

    /// Weights of the terms by ridge regression; `None` while the residuals do not vary.
    fn weights(&self) -> Option<[f64; TERMS]> {
        let ridge = RIDGE * self.products[0][0];
        if ridge <= 0.0 || !ridge.is_finite() {
            return None;
        }
        let (mut left, mut right) = (self.products, self.towards);
        left.iter_mut().enumerate().for_each(|(at, row)| row[at] += ridge);
        for pivot in 0..TERMS {
            let upper = left[pivot];
            for row in pivot + 1..TERMS {
                let factor = left[row][pivot] / upper[pivot];
                left[row].iter_mut().zip(&upper).for_each(|(cell, above)| *cell -= factor * above);
                right[row] -= factor * right[pivot];
            }
        }
        let mut weights = [0.0; TERMS];
        for row in (0..TERMS).rev() {
            let known: f64 = (row + 1..TERMS).map(|column| left[row][column] * weights[column]).sum();
            weights[row] = (right[row] - known) / left[row][row];
        }
        weights.iter().all(|weight| weight.is_finite()).then_some(weights)
    }
}

fn hour_of(time: Time) -> i64 {
    time.0.div_euclid(Period::HOUR.0)
}

fn slot(hour: i64) -> usize {
    hour.rem_euclid(HOURS as i64) as usize
}

fn dot(left: &[f64; TERMS], right: &[f64; TERMS]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(bucket: Period, residuals: impl Fn(i64) -> f64, buckets: i64) -> Carry {
        let pace = Pace { bucket, day: (Period::DAY.0 / bucket.0) as f64, half_life: 100.0 };
        let mut carry = Carry::default();
        (0..buckets).for_each(|at| carry.learn(Time(at * bucket.0), residuals(at), at as f64, &pace));
        carry
    }

    #[test]
    fn neighbours_that_move_together_point_the_way() {
        let carry = fed(Period::MINUTE, |at| if (at / 20) % 2 == 0 { 1.0 } else { -1.0 }, 300);
        let (next, explained) = carry.pointer(Time(300 * 60_000), Period::MINUTE, 300.0);
        assert!(next.abs() > 0.6 && explained > 0.4, "{next} {explained}");
        let (later, _) = carry.pointer(Time(340 * 60_000), Period::MINUTE, 300.0);
        assert!(later.abs() < 0.5 * next.abs(), "{later}");
    }

    #[test]
    fn the_same_hour_of_yesterday_points_the_way() {
        let daily = |at: i64| if at % 24 == 5 { 2.0 } else { 0.1 * (at as f64 * 0.7).sin() };
        let carry = fed(Period::HOUR, daily, 24 * 20 + 5);
        let (at_five, _) = carry.pointer(Time((24 * 20 + 5) * 3_600_000), Period::HOUR, 485.0);
        assert!(at_five > 1.0, "{at_five}");
    }

    #[test]
    fn noise_constants_and_a_moved_level_point_nowhere() {
        let noise = fed(Period::MINUTE, |at| crate::distribution::tie(3, 1, at) - 0.5, 3000);
        assert!(noise.pointer(Time(3000 * 60_000), Period::MINUTE, 3000.0).0.abs() < 0.05);
        let constant = fed(Period::MINUTE, |_| 0.0, 300);
        assert_eq!(constant.pointer(Time(300 * 60_000), Period::MINUTE, 300.0), (0.0, 0.0));
        let mut moved = fed(Period::HOUR, |at| (at as f64 * 0.1).sin(), 300);
        moved.reset();
        assert_eq!(moved.pointer(Time(300 * 3_600_000), Period::HOUR, 300.0).0, 0.0);
    }
}
