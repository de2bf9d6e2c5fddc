//! Continuous values: a seasonal level in a space where deviations are comparable, and what is left.

use margay_core::{Period, Time};
use serde::{Deserialize, Serialize};

use crate::level::{CLIP_SIGMA, Shift, Spread, buckets_a_day, rate};
use crate::pool::Pool;
use crate::season::{Grid, Offset, Season};
use crate::tail::{Side, Tally};
use crate::{decompose, robust, season};

/// How a kind of model treats a continuous value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    /// The transform turns from linear to logarithmic at this share of the typical size.
    pub(crate) unit_ratio: f64,
    /// Days after which the level has forgotten half.
    pub(crate) half_life_days: f64,
    /// Judge innovations and means of several buckets as well.
    pub(crate) views: bool,
}

/// Largest transformed value that is told apart.
const LARGEST: f64 = 1e290;
/// Spread of an entity of which nothing is known, relative to its size.
const SPREAD_PRIOR: f64 = 0.3;
/// A daily swing that has not been seen yet, relative to the size.
const SWING_PRIOR: f64 = 1.0;
/// Spreads are not taken to be smaller than this share of the size.
const SPREAD_FLOOR: f64 = 0.02;
/// Buckets of which several are judged together.
const VIEWS: [usize; 2] = [3, 12];
/// Names the test of a bucket's distance from the seasonal level.
pub(crate) const DISTANCE: usize = 0;
/// Names the test of a bucket's distance from where the buckets before it pointed.
pub(crate) const INNOVATION: usize = 1;
/// Tests of one bucket: distance, innovation, means.
pub(crate) const TESTS: usize = 2 + VIEWS.len();

/// One value of one entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Signal {
    unit: f64,
    season: Season,
    seen: f64,
    level: f64,
    spread: Spread,
    carry: f64,
    carried_at: Option<Time>,
    covariance: f64,
    variance: f64,
    innovation: Spread,
    recent: Vec<f32>,
    views: [Spread; 2],
    shift: Shift,
    pub(crate) tallies: Vec<Tally>,
}

/// What is known of a bucket before its value is seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlook {
    /// Seasonal level.
    pub(crate) centre: f64,
    /// Standard deviation around it.
    pub(crate) sigma: f64,
    /// Where the buckets before point.
    pub(crate) next: f64,
    /// Standard deviation around that.
    pub(crate) next_sigma: f64,
}

/// The fixed surroundings of a step.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// The kind's treatment.
    pub(crate) shape: Shape,
    /// Length of the buckets.
    pub(crate) bucket: Period,
    /// What peers know.
    pub(crate) pool: &'a Pool,
}

impl Setting<'_> {
    pub(crate) fn day(&self) -> f64 {
        buckets_a_day(self.bucket)
    }

    fn half_life(&self) -> f64 {
        self.shape.half_life_days * self.day()
    }
}

fn transform(value: f64, unit: f64) -> f64 {
    (value.clamp(-LARGEST, LARGEST) / unit).asinh()
}

fn restore(transformed: f64, unit: f64) -> f64 {
    (transformed.clamp(-700.0, 700.0).sinh() * unit).clamp(-LARGEST, LARGEST)
}

/// How much a relative change moves the transformed value.
fn elasticity(transformed: f64) -> f64 {
    transformed.abs().tanh()
}

impl Signal {
    /// Buckets learnt.
    pub(crate) fn seen(&self) -> f64 {
        self.seen
    }

    fn unit_or(&self, value: f64, setting: &Setting<'_>) -> f64 {
        if self.unit > 0.0 {
            return self.unit;
        }
        let size = value.abs();
        if size > 0.0 { (setting.shape.unit_ratio * size).clamp(1e-280, 1e280) } else { 1.0 }
    }

    /// What is expected of the bucket at `time`; `None` before anything was seen.
    pub(crate) fn outlook(&self, time: Time, weight: f64, setting: &Setting<'_>) -> Option<Outlook> {
        if self.seen == 0.0 {
            return None;
        }
        let day = setting.day();
        let Offset { centre: offset, spread: slot_spread } = self.season.at(time);
        let centre = self.level + offset;
        let size = elasticity(centre);
        let prior = setting.pool.spread.get(20.0).map_or(SPREAD_PRIOR * size.max(0.1), |(mean, _)| mean.exp());
        let floor = SPREAD_FLOOR * size.max(0.1);
        let own = self.spread.sigma(prior).max(floor);
        let unknown_swing = SWING_PRIOR * size * (-2.0 * self.seen / day).exp();
        let wide = setting.pool.weight.factor(weight);
        let sigma =
            ((own * wide).powi(2) * (1.0 + 1.0 / self.seen) + slot_spread.powi(2) + unknown_swing.powi(2)).sqrt();
        let (next, next_sigma) = if setting.shape.views {
            let memory = self.memory(time, setting.bucket);
            let innovation = self.innovation.sigma(prior).max(floor);
            let extra = (slot_spread.powi(2) + unknown_swing.powi(2)) * (1.0 - memory * memory);
            (centre + memory * self.carry, (innovation.powi(2) + extra).sqrt())
        } else {
            (centre, sigma)
        };
        Some(Outlook { centre, sigma, next, next_sigma })
    }

    /// Correlation of neighbouring residuals; falls with the time since the last one.
    fn memory(&self, time: Time, bucket: Period) -> f64 {
        let Some(last) = self.carried_at else { return 0.0 };
        if self.variance <= 0.0 {
            return 0.0;
        }
        let steps = time.since(last).per(bucket).clamp(1, 10_000) as i32;
        let trust = self.seen / (self.seen + 20.0);
        (trust * self.covariance / self.variance).clamp(0.0, 0.98).powi(steps)
    }

    /// Standardised residuals of `value` in the order of the tests.
    pub(crate) fn residuals(&self, value: f64, outlook: &Outlook, setting: &Setting<'_>) -> [f64; TESTS] {
        let transformed = transform(value, self.unit);
        let distance = (transformed - outlook.centre) / outlook.sigma;
        let mut residuals = [distance; TESTS];
        if setting.shape.views {
            residuals[INNOVATION] = (transformed - outlook.next) / outlook.next_sigma;
            for (view, &length) in VIEWS.iter().enumerate() {
                let before = &self.recent[self.recent.len().saturating_sub(length - 1)..];
                let sum = before.iter().map(|&z| f64::from(z)).sum::<f64>() + clip(distance, 20.0);
                let mean = sum / length as f64;
                residuals[2 + view] = mean / self.views[view].sigma(1.0).max(0.05);
            }
        }
        residuals
    }

    /// The 95 % interval that `tests` of calibrated sides give, and the expected value.
    pub(crate) fn interval(&self, outlook: &Outlook, below: &Side, above: &Side) -> (f64, f64, f64) {
        let low = outlook.next - outlook.next_sigma * below.quantile(0.025);
        let high = outlook.next + outlook.next_sigma * above.quantile(0.025);
        (restore(low, self.unit), restore(outlook.next, self.unit), restore(high, self.unit))
    }

    /// Takes in a bucket after it was judged; returns the residuals that it was judged by.
    pub(crate) fn learn(
        &mut self,
        time: Time,
        value: f64,
        weight: f64,
        held: bool,
        setting: &Setting<'_>,
    ) -> Option<[f64; TESTS]> {
        if self.seen == 0.0 {
            self.unit = self.unit_or(value, setting);
            self.level = transform(value, self.unit) - self.season.at(time).centre;
            self.seen = 1.0;
            self.tallies = vec![Tally::default(); if setting.shape.views { TESTS + 1 } else { 1 }];
            return None;
        }
        let outlook = self.outlook(time, weight, setting)?;
        let residuals = self.residuals(value, &outlook, setting);
        let transformed = transform(value, self.unit);
        let rest = transformed - outlook.centre;
        if held {
            if let Some(level) = self.shift.hold(transformed - (outlook.centre - self.level), setting.day()) {
                self.level = level;
                self.carry = 0.0;
                self.recent.clear();
                self.shift.clear();
            }
            self.remember(residuals[DISTANCE], setting);
            return None;
        }
        self.shift.clear();
        let clipped = clip(rest, CLIP_SIGMA * outlook.sigma);
        self.learn_views(&residuals, setting);
        self.learn_memory(time, transformed, clipped, &outlook, setting);
        self.level += rate(self.seen, setting.half_life()) * clipped;
        let wide = setting.pool.weight.factor(weight);
        self.spread.learn(rest / wide, CLIP_SIGMA * outlook.sigma / wide, setting.half_life());
        self.seen = (self.seen + 1.0).min(1e9);
        Some(residuals)
    }

    fn learn_memory(&mut self, time: Time, transformed: f64, clipped: f64, outlook: &Outlook, setting: &Setting<'_>) {
        if !setting.shape.views {
            return;
        }
        let innovation = transformed - outlook.next;
        self.innovation.learn(innovation, CLIP_SIGMA * outlook.next_sigma, setting.half_life());
        if self.carried_at == Some(time.minus(setting.bucket)) {
            let step = rate(self.seen, 2.0 * setting.day());
            self.covariance += step * (self.carry * clipped - self.covariance);
            self.variance += step * (self.carry * self.carry - self.variance);
        }
        self.carry = clipped;
        self.carried_at = Some(time);
    }

    fn learn_views(&mut self, residuals: &[f64; TESTS], setting: &Setting<'_>) {
        if !setting.shape.views {
            return;
        }
        for view in 0..VIEWS.len() {
            let mean = residuals[2 + view] * self.views[view].sigma(1.0).max(0.05);
            self.views[view].learn(mean, 3.0, setting.half_life());
        }
        self.remember(residuals[DISTANCE], setting);
    }

    fn remember(&mut self, distance: f64, setting: &Setting<'_>) {
        if setting.shape.views {
            self.recent.push(clip(distance, 20.0) as f32);
            if self.recent.len() >= VIEWS[1] {
                self.recent.remove(0);
            }
        }
    }

    /// Learns unit, season, level and spread from a regular past.
    pub(crate) fn train(
        grid: &Grid<'_>,
        weights: Option<&[f64]>,
        seasonality: &[Period],
        setting: &Setting<'_>,
    ) -> Self {
        let mut sizes: Vec<f64> =
            grid.values.iter().map(|value| value.abs()).filter(|&size| size > 0.0 && size.is_finite()).collect();
        let typical = robust::median(&mut sizes);
        if !typical.is_finite() {
            let mut signal = Self::default();
            signal.replay(grid, weights, setting);
            return signal;
        }
        let unit = (setting.shape.unit_ratio * typical).clamp(1e-280, 1e280);
        let transformed: Vec<f64> =
            grid.values.iter().map(|&value| if value.is_nan() { f64::NAN } else { transform(value, unit) }).collect();
        let space = Grid { start: grid.start, bucket: grid.bucket, values: &transformed };
        let season = season::learn(&space, seasonality);
        let mut signal = Self { unit, season, ..Self::default() };
        signal.replay(grid, weights, setting);
        signal.follow_trend(&space);
        signal
    }

    fn replay(&mut self, grid: &Grid<'_>, weights: Option<&[f64]>, setting: &Setting<'_>) {
        for (at, &value) in grid.values.iter().enumerate() {
            if value.is_nan() {
                continue;
            }
            let time = grid.start.plus(grid.bucket.times(at as i64));
            let weight = weights.and_then(|weights| weights.get(at)).copied().unwrap_or(f64::NAN);
            if let Some(residuals) = self.learn(time, value, weight, false, setting) {
                for (tally, z) in self.tallies.iter_mut().zip(residuals) {
                    tally.add(clip(z, 8.0));
                }
            }
        }
    }

    /// Draws the level half way to where exponential smoothing of daily levels points.
    fn follow_trend(&mut self, space: &Grid<'_>) {
        let day = (Period::DAY.0 / space.bucket.0.max(1)).max(1) as usize;
        let daily: Vec<f64> = space
            .values
            .chunks(day)
            .enumerate()
            .map(|(index, chunk)| {
                let start = space.start.plus(space.bucket.times((index * day) as i64));
                let rest = chunk.iter().enumerate().filter(|(_, value)| value.is_finite());
                let mut rest: Vec<f64> = rest
                    .map(|(at, value)| value - self.season.at(start.plus(space.bucket.times(at as i64))).centre)
                    .collect();
                robust::median(&mut rest)
            })
            .collect();
        if let Some(next) = decompose::next_level(&daily) {
            let step = clip(next - self.level, CLIP_SIGMA * self.spread.sigma(0.0));
            self.level += 0.5 * step;
        }
    }

    /// Takes over what a training found. Evidence on tails is kept where there is more of it here.
    pub(crate) fn adopt(&mut self, trained: &Self, day: f64) {
        let mut next = trained.clone();
        let known: f64 = self.tallies.iter().map(Tally::total).sum();
        let found: f64 = next.tallies.iter().map(Tally::total).sum();
        if known >= 0.5 * found && !self.tallies.is_empty() {
            next.tallies = std::mem::take(&mut self.tallies);
        }
        if next.seen == 0.0 {
            return;
        }
        if self.seen > 0.0 {
            let move_over = |level: f64| transform(restore(level, self.unit), next.unit);
            next.shift = self.shift.moved(move_over);
            if self.seen >= day {
                next.level = move_over(self.level);
            }
            next.seen = next.seen.max(self.seen);
        }
        *self = next;
    }
}

/// `value` within ±`limit`; not a number becomes 0.
pub(crate) fn clip(value: f64, limit: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(-limit.abs(), limit.abs()) }
}

/// Days after which the residuals of an entity have been half forgotten.
const TALLY_HALF_LIFE_DAYS: f64 = 14.0;

/// Enters residuals into an entity's tails, which forget a little each day.
pub(crate) fn tally(tallies: &mut Vec<Tally>, residuals: &[f64], seen: f64, day: f64) {
    if tallies.len() < residuals.len() {
        tallies.resize(residuals.len(), Tally::default());
    }
    let forgets = seen.rem_euclid(day.round().max(1.0)) < 0.5;
    for (tally, &z) in tallies.iter_mut().zip(residuals) {
        if forgets {
            tally.forget((-std::f64::consts::LN_2 / TALLY_HALF_LIFE_DAYS).exp());
        }
        tally.add(z);
    }
}
