//! What `auto` keeps beside the seasonal level: the level alone, the last buckets together, where
//! they point and how far they missed, courses never seen before, and habit.

use margay_core::{Period, Time};
use serde::{Deserialize, Serialize};

use crate::carry::Carry;
use crate::habit::Habit;
use crate::level::{CLIP_SIGMA, Spread};
use crate::novelty::Novelty;
use crate::unrest::Unrest;

/// Buckets of which the mean is judged with the newest one.
const TOGETHER: usize = 3;
/// A residual counts at most this much in the mean.
const RESIDUAL_MAX: f64 = 20.0;
/// A bucket points to the next one by at most this many spreads.
const CARRY_SIGMA: f64 = 6.0;
/// Smallest spread of the mean of several residuals.
const MEAN_FLOOR: f64 = 0.05;

/// Further views of one value of one entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Views {
    plain: Spread,
    mean: Spread,
    recent: Vec<f32>,
    pub(crate) carry: Carry,
    innovation: Spread,
    pub(crate) novelty: Novelty,
    pub(crate) habit: Habit,
    pub(crate) unrest: Unrest,
}

/// A bucket's distances, in the transformed space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Distances {
    /// From the seasonal level, and its standard deviation.
    pub(crate) seasonal: (f64, f64),
    /// From the level alone.
    pub(crate) plain: f64,
    /// Standard deviation of a daily swing that was not seen yet.
    pub(crate) swing: f64,
    /// Smallest standard deviation that is believed.
    pub(crate) floor: f64,
    /// Buckets learnt.
    pub(crate) seen: f64,
}

impl Views {
    /// The bucket against seasonal level and level alone, in equal parts: what only one of them
    /// finds strange counts half, so that neither a wrong season nor a missing one alarms alone.
    fn distance(&self, distances: &Distances) -> f64 {
        let (rest, sigma) = distances.seasonal;
        let own = self.plain.sigma(sigma).max(distances.floor).powi(2) * (1.0 + 1.0 / distances.seen.max(1.0));
        let plain = distances.plain / (own + distances.swing.powi(2)).sqrt().max(1e-9);
        0.5 * (plain + rest / sigma)
    }

    fn mean_of(&self, distance: f64) -> f64 {
        let before = &self.recent[self.recent.len().saturating_sub(TOGETHER - 1)..];
        let sum = before.iter().map(|&z| f64::from(z)).sum::<f64>() + clip(distance, RESIDUAL_MAX);
        sum / TOGETHER as f64
    }

    /// The standardised residual that `auto` judges: the newest bucket and the mean of the last ones.
    pub(crate) fn residual(&self, distances: &Distances) -> f64 {
        let distance = self.distance(distances);
        0.5 * (distance + self.mean_of(distance) / self.mean.sigma(1.0).max(MEAN_FLOOR))
    }

    /// Standard deviation around where the buckets before point.
    pub(crate) fn innovation_sigma(&self, prior: f64) -> f64 {
        self.innovation.sigma(prior)
    }

    /// Takes in a bucket of an open episode: what follows is forecast from it, within bounds, but it
    /// is no part of the normal.
    pub(crate) fn pass(&mut self, time: Time, distances: &Distances, next: (f64, f64)) {
        self.unrest.learn(next.0 / next.1);
        let distance = self.distance(distances);
        self.remember(distance);
        let (rest, sigma) = distances.seasonal;
        self.carry.pass(time, clip(rest, CARRY_SIGMA * sigma));
    }

    /// Forgets where the last buckets were: the level has moved.
    pub(crate) fn reset(&mut self) {
        self.carry.reset();
        self.unrest = Unrest::default();
        self.recent.clear();
    }

    /// Takes in a normal bucket; `next` is its forecast's error and standard deviation.
    pub(crate) fn learn(&mut self, time: Time, distances: &Distances, next: (f64, f64), pace: &Pace) {
        self.unrest.learn(next.0 / next.1);
        let distance = self.distance(distances);
        let mean = self.mean_of(distance);
        self.mean.learn(mean, CLIP_SIGMA, pace.half_life);
        self.remember(distance);
        let (rest, sigma) = distances.seasonal;
        self.innovation.learn(next.0, CLIP_SIGMA * next.1, pace.half_life);
        self.carry.learn(time, clip(rest, CARRY_SIGMA * sigma), distances.seen, pace);
        let limit = CLIP_SIGMA * self.plain.sigma(sigma);
        self.plain.learn(distances.plain, limit, pace.half_life);
    }

    fn remember(&mut self, distance: f64) {
        self.recent.push(clip(distance, RESIDUAL_MAX) as f32);
        if self.recent.len() >= TOGETHER {
            self.recent.remove(0);
        }
    }
}

/// How fast a model learns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) bucket: Period,
    pub(crate) day: f64,
    pub(crate) half_life: f64,
}

/// `value` within ±`limit`; not a number becomes 0.
pub(crate) fn clip(value: f64, limit: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(-limit.abs(), limit.abs()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distances(rest: f64) -> Distances {
        Distances { seasonal: (rest, 1.0), plain: rest, swing: 0.0, floor: 0.0, seen: 100.0 }
    }

    const PACE: Pace = Pace { bucket: Period::MINUTE, day: 1440.0, half_life: 1440.0 };

    #[test]
    fn three_high_buckets_in_a_row_are_stranger_than_one() {
        let mut views = Views::default();
        for minute in 0..200 {
            let rest = if minute % 2 == 0 { 1.0 } else { -1.0 };
            views.learn(Time(minute * 60_000), &distances(rest), (rest, 1.0), &PACE);
        }
        let alone = views.residual(&distances(4.0));
        views.pass(Time(200 * 60_000), &distances(4.0), (4.0, 1.0));
        views.pass(Time(200 * 60_000), &distances(4.0), (4.0, 1.0));
        assert!(views.residual(&distances(4.0)) > alone + 1.0);
    }
}
