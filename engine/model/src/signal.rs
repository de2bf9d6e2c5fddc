//! Continuous values: a seasonal level in a space where deviations are comparable, and what is left.

use margay_core::{Period, Time};
use serde::{Deserialize, Serialize};

use crate::level::{CLIP_SIGMA, Shift, Spread, buckets_a_day, rate};
use crate::novelty::Novelty;
use crate::pool::Pool;
use crate::season::{Grid, Season};
use crate::tail::{Side, Tally};
use crate::views::{Distances, Pace, Views, clip};
use crate::{decompose, robust, season};

/// How a kind of model treats a continuous value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    /// The transform turns from linear to logarithmic at this multiple of the typical size.
    pub(crate) unit_ratio: f64,
    /// Days after which the level has forgotten half.
    pub(crate) half_life_days: f64,
    /// Judge in several views.
    pub(crate) views: bool,
}

/// Largest value that is told apart.
const LARGEST: f64 = 1e290;
/// Most units of the transform that are told apart: what it makes of them is below where its inverse is cut.
const UNITS_MOST: f64 = 1e300;
/// Spread of an entity of which nothing is known, relative to its size.
const SPREAD_PRIOR: f64 = 0.3;
/// A daily swing that has not been seen yet, relative to the size.
const SWING_PRIOR: f64 = 1.0;
/// Spreads are not taken to be smaller than this share of the size.
const SPREAD_FLOOR: f64 = 0.02;
/// Sizes below this share of the transform's unit do not lower the floor further.
const SIZE_FLOOR: f64 = 0.1;
/// Spreads of peers that are needed before they serve as prior.
const PEERS: f64 = 20.0;
/// Residuals of a training enter the tails at most this far out.
const TRAINED_MAX: f64 = 8.0;
/// Names the judged residual.
pub(crate) const JUDGED: usize = 0;
/// Names the residual that the interval is made of.
pub(crate) const SHOWN: usize = 1;

/// One value of one entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Signal {
    unit: f64,
    season: Season,
    seen: f64,
    level: f64,
    spread: Spread,
    shift: Shift,
    fractional: bool,
    pub(crate) views: Option<Box<Views>>,
    pub(crate) tallies: Vec<Tally>,
}

/// What is known of a bucket before its value is seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlook {
    centre: f64,
    sigma: f64,
    swing: f64,
    floor: f64,
    next: f64,
    next_sigma: f64,
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
    pub(crate) fn pace(&self) -> Pace {
        let day = buckets_a_day(self.bucket);
        Pace { bucket: self.bucket, day, half_life: self.shape.half_life_days * day }
    }
}

fn transform(value: f64, unit: f64) -> f64 {
    (value.clamp(-LARGEST, LARGEST) / unit).clamp(-UNITS_MOST, UNITS_MOST).asinh()
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

    pub(crate) fn seasons(&self) -> Vec<Period> {
        self.season.periods()
    }

    /// Standard deviation around the seasonal level; `None` where nothing was learnt.
    pub(crate) fn fit_error(&self) -> Option<f64> {
        (self.spread.seen() > 0.0).then(|| self.spread.sigma(0.0))
    }

    /// Logarithm of the spread, for peers.
    pub(crate) fn share(&self) -> Option<f64> {
        (self.spread.seen() > PEERS).then(|| self.spread.sigma(0.0).max(1e-9).ln())
    }

    /// What is expected of the bucket at `time`; `None` before anything was seen.
    pub(crate) fn outlook(&self, time: Time, weight: f64, setting: &Setting<'_>) -> Option<Outlook> {
        if self.seen == 0.0 {
            return None;
        }
        let offset = self.season.at(time);
        let centre = self.level + offset.centre;
        let size = elasticity(centre);
        let floor = (SPREAD_FLOOR * size.max(SIZE_FLOOR)).max(self.step(centre));
        let prior = setting.pool.spread.get(PEERS).map_or(SPREAD_PRIOR * size.max(SIZE_FLOOR), |(mean, _)| mean.exp());
        let wide = setting.pool.weight.factor(weight);
        let own = (self.spread.sigma(prior).max(floor) * wide).powi(2) * (1.0 + 1.0 / self.seen);
        let swing = SWING_PRIOR * size * (-2.0 * self.seen / buckets_a_day(setting.bucket)).exp();
        let uncertain = offset.spread.powi(2) + swing.powi(2);
        let sigma = (own + uncertain).sqrt();
        let (next, next_sigma) = match &self.views {
            Some(views) => {
                let (pointer, explained) = views.carry.pointer(time, setting.bucket, self.seen);
                let innovation = views.innovation_sigma(prior).max(floor);
                (centre + pointer, (innovation.powi(2) + uncertain * (1.0 - explained)).sqrt())
            }
            None => (centre, sigma),
        };
        Some(Outlook { centre, sigma, swing, floor, next, next_sigma })
    }

    /// What one event more is in the transformed space; 0 where values are not whole numbers.
    fn step(&self, centre: f64) -> f64 {
        if self.fractional { 0.0 } else { 1.0 / self.unit.hypot(restore(centre, self.unit)).max(1.0) }
    }

    fn distances(&self, value: f64, outlook: &Outlook) -> Distances {
        let transformed = transform(value, self.unit);
        Distances {
            seasonal: (transformed - outlook.centre, outlook.sigma),
            plain: transformed - self.level,
            swing: outlook.swing,
            floor: outlook.floor,
            seen: self.seen,
        }
    }

    /// Error of the forecast that is shown, and its standard deviation.
    fn next(&self, value: f64, outlook: &Outlook) -> (f64, f64) {
        (transform(value, self.unit) - outlook.next, outlook.next_sigma)
    }

    /// Standardised residuals of `value`: the judged one, and with views the one that is shown.
    pub(crate) fn residuals(&self, value: f64, outlook: &Outlook) -> Vec<f64> {
        let distances = self.distances(value, outlook);
        match &self.views {
            Some(views) => {
                let (error, sigma) = self.next(value, outlook);
                vec![views.residual(&distances), error / sigma]
            }
            None => vec![distances.seasonal.0 / distances.seasonal.1],
        }
    }

    /// Lower end of the 95 % interval, expected value, upper end.
    pub(crate) fn interval(&self, outlook: &Outlook, below: &Side, above: &Side) -> (f64, f64, f64) {
        let low = outlook.next - outlook.next_sigma * below.quantile(0.025);
        let high = outlook.next + outlook.next_sigma * above.quantile(0.025);
        (restore(low, self.unit), restore(outlook.next, self.unit), restore(high, self.unit))
    }

    /// Takes in a bucket after it was judged; returns the residuals that may enter the tails.
    pub(crate) fn learn(
        &mut self,
        (time, value, weight): (Time, f64, f64),
        held: bool,
        setting: &Setting<'_>,
    ) -> Option<Vec<f64>> {
        let Some(outlook) = self.outlook(time, weight, setting) else {
            self.begin(time, value, setting);
            return None;
        };
        let residuals = self.residuals(value, &outlook);
        let distances = self.distances(value, &outlook);
        let next = self.next(value, &outlook);
        let pace = setting.pace();
        if held {
            return self.hold(time, &distances, next, &pace).then_some(residuals);
        }
        self.shift.clear();
        let (rest, sigma) = distances.seasonal;
        if let Some(views) = &mut self.views {
            views.learn(time, &distances, next, &pace);
        }
        let wide = setting.pool.weight.factor(weight);
        self.level += rate(self.seen, pace.half_life) * clip(rest, CLIP_SIGMA * sigma);
        self.spread.learn(rest / wide, CLIP_SIGMA * sigma / wide, pace.half_life);
        self.seen = (self.seen + 1.0).min(1e9);
        self.fractional |= value.fract() != 0.0;
        Some(residuals)
    }

    fn begin(&mut self, time: Time, value: f64, setting: &Setting<'_>) {
        if self.unit == 0.0 {
            let size = value.abs();
            self.unit = if size > 0.0 { (setting.shape.unit_ratio * size).clamp(1e-280, 1e280) } else { 1.0 };
        }
        self.level = transform(value, self.unit) - self.season.at(time).centre;
        self.seen = 1.0;
        self.fractional = value.fract() != 0.0;
        self.views = setting.shape.views.then(|| self.views.take().unwrap_or_default());
    }

    /// Takes in a bucket of an open episode; true where it may enter the tails all the same.
    fn hold(&mut self, time: Time, distances: &Distances, next: (f64, f64), pace: &Pace) -> bool {
        let starts = self.shift.is_new();
        let moved = self.shift.hold(self.level + distances.seasonal.0, pace.day);
        let recurs = match &mut self.views {
            Some(views) => {
                views.pass(time, distances, next);
                if moved.is_some() {
                    views.reset();
                }
                starts && views.habit.recurs(time)
            }
            None => false,
        };
        if let Some(level) = moved {
            self.level = level;
            self.shift.clear();
        }
        recurs
    }

    /// Learns unit, season, level and spread from a regular past; also says the judged residual of each of its buckets,
    /// `NaN` where there is none.
    pub(crate) fn train(
        grid: &Grid<'_>,
        weights: &[f64],
        seasonality: &[Period],
        setting: &Setting<'_>,
    ) -> (Self, Vec<f32>) {
        let sizes = grid.values.iter().map(|value| value.abs());
        let typical = robust::median(&mut sizes.filter(|&size| size > 0.0 && size.is_finite()).collect::<Vec<_>>());
        let mut signal = Self::default();
        if typical.is_finite() {
            signal.unit = (setting.shape.unit_ratio * typical).clamp(1e-280, 1e280);
        }
        let unit = if signal.unit > 0.0 { signal.unit } else { 1.0 };
        let transformed: Vec<f64> =
            grid.values.iter().map(|&value| if value.is_nan() { f64::NAN } else { transform(value, unit) }).collect();
        let space = Grid { start: grid.start, bucket: grid.bucket, values: &transformed };
        signal.season = season::learn(&space, seasonality);
        let residuals = signal.replay(grid, weights, setting);
        if let Some(views) = &mut signal.views {
            views.novelty = Novelty::train(grid.start, grid.bucket, grid.values);
        }
        signal.follow_trend(&space);
        (signal, residuals)
    }

    fn replay(&mut self, grid: &Grid<'_>, weights: &[f64], setting: &Setting<'_>) -> Vec<f32> {
        let mut judged = vec![f32::NAN; grid.values.len()];
        for (at, &value) in grid.values.iter().enumerate() {
            if value.is_nan() {
                continue;
            }
            let time = grid.start.plus(grid.bucket.times(at as i64));
            let weight = weights.get(at).copied().unwrap_or(f64::NAN);
            let Some(residuals) = self.learn((time, value, weight), false, setting) else { continue };
            judged[at] = residuals[JUDGED] as f32;
            self.tallies.resize(residuals.len(), Tally::default());
            for (tally, z) in self.tallies.iter_mut().zip(residuals) {
                tally.add(clip(z, TRAINED_MAX));
            }
        }
        judged
    }

    /// Draws the level half way to where exponential smoothing of daily levels points.
    fn follow_trend(&mut self, space: &Grid<'_>) {
        let day = buckets_a_day(space.bucket).round() as usize;
        let rest =
            |at: usize| space.values[at] - self.season.at(space.start.plus(space.bucket.times(at as i64))).centre;
        let daily: Vec<f64> = (0..space.values.len())
            .step_by(day)
            .map(|from| {
                let known = (from..(from + day).min(space.values.len())).map(rest).filter(|value| value.is_finite());
                robust::median(&mut known.collect::<Vec<_>>())
            })
            .collect();
        if let Some(next) = decompose::next_level(&daily) {
            self.level += 0.5 * clip(next - self.level, CLIP_SIGMA * self.spread.sigma(0.0));
        }
    }

    /// Takes over what a training found. The level stays where it was followed for at least a day,
    /// and so does the evidence on tails where there is more of it here.
    pub(crate) fn adopt(&mut self, trained: &Self, day: f64) {
        if trained.seen == 0.0 {
            return;
        }
        let mut next = trained.clone();
        let total = |tallies: &[Tally]| tallies.first().map_or(0.0, Tally::total);
        if total(&self.tallies) > 0.0 && total(&self.tallies) >= 0.5 * total(&next.tallies) {
            next.tallies = std::mem::take(&mut self.tallies);
        }
        if self.seen > 0.0 {
            let move_over = |level: f64| transform(restore(level, self.unit), next.unit);
            next.shift = self.shift.moved(move_over);
            if self.seen >= day {
                next.level = move_over(self.level);
            }
            next.seen = next.seen.max(self.seen);
        }
        if let (Some(next), Some(views)) = (&mut next.views, &self.views) {
            next.habit = views.habit;
            next.unrest = views.unrest;
        }
        *self = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_in_the_smallest_unit_stays_finite() {
        for value in [f64::MAX, f64::INFINITY, f64::NEG_INFINITY] {
            let there = transform(value, 1e-280);
            assert!(there.is_finite() && restore(there, 1e-280).is_finite(), "{value} {there}");
        }
    }

    #[test]
    fn the_transform_keeps_all_finite_sizes_apart_and_comes_back() {
        for value in [-1e300, -3.0, 0.0, 1e-9, 7.5, 1e12, 1e289] {
            for unit in [1e-3, 1.0, 1e6] {
                let there = transform(value, unit);
                assert!(there.is_finite());
                let back = restore(there, unit);
                let wanted = value.clamp(-LARGEST, LARGEST);
                assert!((back - wanted).abs() <= 1e-6 * wanted.abs().max(unit), "{value} {unit} {back}");
            }
        }
    }
}
