//! Events for each unit of exposure: counts (exposure 1) and shares (exposure `total`).

use margay_core::{Period, Time};
use serde::{Deserialize, Serialize};

use crate::distribution::{count_score, ratio_score};
use crate::level::{Shift, buckets_a_day};
use crate::pool::Pool;
use crate::season::{self, Grid, Season};
use crate::tail::{Side, Tally};

/// What the events are counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Negative binomial: any number of events in a bucket.
    Count,
    /// Beta-binomial: at most `total` events.
    Ratio,
}

/// Days after which the rate has forgotten half.
const HALF_LIFE_DAYS: f64 = 3.0;
/// Relative variance of the rate of an entity of which nothing is known.
const PRIOR_VARIANCE: f64 = 4.0;
/// Relative variance of a daily swing that was not seen yet.
const SWING_VARIANCE: f64 = 0.5;
/// Residuals count at most this many spreads.
const CLIP_SIGMA: f64 = 4.0;
/// Fewest events in a cell from which a season is learnt.
const EVENTS_PER_CELL: f64 = 8.0;
/// Events that every cell is given beforehand when logarithms are taken.
const PSEUDO_EVENTS: f64 = 1.0;
/// Most events that are told apart.
pub(crate) const EVENTS_MAX: f64 = 1e100;
/// Smallest extra variance.
const DISPERSION_FLOOR: f64 = 1e-3;

/// The rate of one entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rate {
    season: Season,
    seen: f64,
    events: f64,
    exposure: f64,
    excess: f64,
    scale: f64,
    shift: Shift,
    pub(crate) tallies: Vec<Tally>,
}

/// What is known of a bucket before its events are seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation {
    /// Events for each unit of exposure.
    pub(crate) rate: f64,
    /// Extra variance, relative to the mean squared (count) or as correlation (ratio).
    pub(crate) dispersion: f64,
    factor: f64,
}

/// The fixed surroundings of a step.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) family: Family,
    pub(crate) bucket: Period,
    pub(crate) pool: &'a Pool,
}

impl Setting<'_> {
    pub(crate) fn day(&self) -> f64 {
        buckets_a_day(self.bucket)
    }
}

impl Rate {
    /// Buckets learnt.
    pub(crate) fn seen(&self) -> f64 {
        self.seen
    }

    /// What is expected of the bucket at `time`; `None` before anything was seen here or by peers.
    pub(crate) fn outlook(&self, time: Time, setting: &Setting<'_>) -> Option<Expectation> {
        let peers = setting.pool.level.get(1.0);
        if self.seen == 0.0 && peers.is_none() {
            return None;
        }
        let own = if self.exposure > 0.0 { self.events / self.exposure } else { 0.0 };
        let (prior_rate, prior_variance) = match peers {
            Some((mean, sigma)) => (mean.exp(), (sigma * sigma).min(3.0).exp_m1().max(0.05)),
            None => (own.max(1e-6), PRIOR_VARIANCE),
        };
        let shape = 1.0 / prior_variance.max(0.25 * PRIOR_VARIANCE);
        let base = (shape + self.events) / (shape / prior_rate.max(1e-12) + self.exposure);
        let dispersion = self.dispersion(setting);
        let offset = self.season.at(time);
        let factor = offset.centre.clamp(-20.0, 20.0).exp();
        let informative = match setting.family {
            Family::Count => self.events / (1.0 + dispersion * base),
            Family::Ratio => self.events / (1.0 + dispersion * (self.exposure / self.seen.max(1.0))),
        };
        let unknown = 1.0 / (shape + informative)
            + SWING_VARIANCE * (-2.0 * self.seen / setting.day()).exp()
            + offset.spread * offset.spread;
        let rate = (base * factor).min(EVENTS_MAX);
        Some(match setting.family {
            Family::Count => Expectation { rate, dispersion: dispersion + unknown, factor },
            Family::Ratio => {
                let share = rate.clamp(1e-9, 1.0 - 1e-9);
                let unknown = unknown * share / (1.0 - share);
                Expectation { rate: share, dispersion: (dispersion + unknown).min(0.5), factor }
            }
        })
    }

    fn dispersion(&self, setting: &Setting<'_>) -> f64 {
        let peers = setting.pool.dispersion.get(50.0).map_or(0.1, |(mean, _)| mean.max(0.0));
        let own = if self.scale > 0.0 { (self.excess / self.scale).max(0.0) } else { peers };
        let trust = self.seen / (self.seen + 0.5 * setting.day());
        (trust * own + (1.0 - trust) * peers).clamp(DISPERSION_FLOOR, 10.0)
    }

    /// Standard normal score of the events.
    pub(crate) fn residual(events: f64, exposure: f64, outlook: &Expectation, tie: f64, setting: &Setting<'_>) -> f64 {
        match setting.family {
            Family::Count => count_score(events, outlook.rate * exposure, outlook.dispersion, tie),
            Family::Ratio => ratio_score(events, exposure, outlook.rate, outlook.dispersion, tie),
        }
    }

    /// 95 % interval of the events: lower end, expected, upper end.
    pub(crate) fn interval(
        outlook: &Expectation,
        exposure: f64,
        sides: (&Side, &Side),
        setting: &Setting<'_>,
    ) -> (f64, f64, f64) {
        let (low, high) = (sides.0.quantile(0.025), sides.1.quantile(0.025));
        let mean = outlook.rate * exposure;
        match setting.family {
            Family::Count => {
                let size = 1.0 / outlook.dispersion;
                let middle = (mean / size).sqrt().asinh();
                let at = |z: f64| (size * (middle + z / (2.0 * size.sqrt())).max(0.0).sinh().powi(2)).min(1e290);
                ((at(-low) - 0.5).floor().max(0.0), mean, (at(high) + 0.5).ceil())
            }
            Family::Ratio => {
                let relative = (1.0 + (exposure - 1.0).max(0.0) * outlook.dispersion) / exposure.max(1.0);
                let middle = outlook.rate.sqrt().asin();
                let at = |z: f64| {
                    let angle = (middle + 0.5 * z * relative.sqrt()).clamp(0.0, std::f64::consts::FRAC_PI_2);
                    exposure * angle.sin().powi(2)
                };
                ((at(-low) - 0.5).max(0.0).floor(), mean, (at(high) + 0.5).ceil().min(exposure))
            }
        }
    }

    /// Takes in a bucket after it was judged; true where it was learnt.
    pub(crate) fn learn(&mut self, time: Time, events: f64, exposure: f64, held: bool, setting: &Setting<'_>) -> bool {
        let events = events.clamp(0.0, EVENTS_MAX);
        let Some(outlook) = self.outlook(time, setting) else {
            self.events = events;
            self.exposure = exposure;
            self.seen = 1.0;
            return true;
        };
        if held {
            let level = events / exposure.max(1e-12) / outlook.factor;
            if let Some(level) = self.shift.hold(level, setting.day()) {
                self.events *= 0.2;
                self.exposure *= 0.2;
                self.events = level * self.exposure;
                self.shift.clear();
            }
            return false;
        }
        self.shift.clear();
        let mean = outlook.rate * exposure;
        let (plain, weight) = match setting.family {
            Family::Count => (mean, mean * mean),
            Family::Ratio => {
                let plain = mean * (1.0 - outlook.rate);
                (plain, plain * (exposure - 1.0).max(0.0))
            }
        };
        let sigma = (plain + outlook.dispersion * weight).max(0.0).sqrt();
        let clipped = if self.seen < 3.0 {
            events
        } else {
            events.clamp(mean - CLIP_SIGMA * sigma - 1.0, mean + CLIP_SIGMA * sigma + 1.0)
        };
        let keep = (-std::f64::consts::LN_2 / (HALF_LIFE_DAYS * setting.day())).exp();
        let fraction = if self.seen < 3.0 { 0.0 } else { (clipped - mean).powi(2) - plain };
        self.excess = keep * self.excess + fraction;
        self.scale = keep * self.scale + if self.seen < 3.0 { 0.0 } else { weight };
        self.events = keep * self.events + clipped.max(0.0);
        self.exposure = keep * self.exposure + exposure * outlook.factor;
        self.seen = (self.seen + 1.0).min(1e9);
        true
    }

    pub(crate) fn seasons(&self) -> Vec<Period> {
        self.season.periods()
    }

    /// What this entity tells its peers: logarithm of its rate and its dispersion.
    pub(crate) fn share(&self) -> Option<(f64, f64)> {
        let rate = (self.events + 0.5) / self.exposure.max(1e-12);
        let dispersion = if self.scale > 0.0 { self.excess / self.scale } else { 0.0 };
        (self.seen > 10.0 && self.exposure > 0.0).then_some((rate.ln(), dispersion))
    }

    /// Learns season and rate from a regular past.
    pub(crate) fn train(grid: &Grid<'_>, exposure: &[f64], seasonality: &[Period], setting: &Setting<'_>) -> Self {
        let counted = setting.family == Family::Count;
        let exposed = |at: usize| if counted { 1.0 } else { exposure.get(at).copied().unwrap_or(f64::NAN) };
        let known = |at: usize| grid.values[at].is_finite() && exposed(at).is_finite() && exposed(at) > 0.0;
        let season = learn_season(grid, &exposed, seasonality);
        let mut rate = Self { season, tallies: vec![Tally::default()], ..Self::default() };
        for at in (0..grid.values.len()).filter(|&at| known(at)) {
            let time = grid.start.plus(grid.bucket.times(at as i64));
            if let Some(outlook) = rate.outlook(time, setting) {
                let z = Self::residual(grid.values[at].max(0.0), exposed(at), &outlook, 0.5, setting);
                rate.tallies[0].add(z.clamp(-8.0, 8.0));
            }
            rate.learn(time, grid.values[at].max(0.0), exposed(at), false, setting);
        }
        rate
    }

    /// Takes over what a training found. Evidence on tails is kept where there is more of it here.
    pub(crate) fn adopt(&mut self, trained: &Self, day: f64) {
        if trained.seen == 0.0 {
            return;
        }
        let mut next = trained.clone();
        let (known, found) = (self.tallies.first().map_or(0.0, Tally::total), next.tallies[0].total());
        if known >= 0.5 * found && known > 0.0 {
            next.tallies = std::mem::take(&mut self.tallies);
        }
        if self.seen >= day && self.exposure > 0.0 {
            next.events = self.events / self.exposure * next.exposure;
        }
        next.shift = self.shift;
        next.seen = next.seen.max(self.seen);
        *self = next;
    }
}

/// Season of the logarithm of the rate, on cells wide enough to hold several events.
fn learn_season(grid: &Grid<'_>, exposed: &impl Fn(usize) -> f64, seasonality: &[Period]) -> Season {
    let (mut events, mut exposure, mut cells) = (0.0, 0.0, 0.0);
    for (at, &value) in grid.values.iter().enumerate() {
        if value.is_finite() && exposed(at) > 0.0 {
            events += value.max(0.0);
            exposure += exposed(at);
            cells += 1.0;
        }
    }
    if cells == 0.0 || events <= 0.0 || !events.is_finite() {
        return Season::default();
    }
    let hour = (Period::HOUR.0 / grid.bucket.0.max(1)).max(1) as usize;
    let widths = [1, (hour / 4).max(1), hour, 3 * hour];
    let Some(width) = widths.into_iter().find(|&width| events / cells * width as f64 >= EVENTS_PER_CELL) else {
        return Season::default();
    };
    let rate = events / exposure;
    let first = (grid.start.0.rem_euclid(width as i64 * grid.bucket.0) / grid.bucket.0) as usize;
    let skip = if first == 0 { 0 } else { width - first };
    let logs: Vec<f64> = (skip..grid.values.len())
        .step_by(width)
        .map(|from| {
            let (mut here, mut expected) = (0.0, 0.0);
            for at in from..(from + width).min(grid.values.len()) {
                if grid.values[at].is_finite() && exposed(at) > 0.0 {
                    here += grid.values[at].max(0.0);
                    expected += rate * exposed(at);
                }
            }
            if expected > 0.0 { ((here + PSEUDO_EVENTS) / (expected + PSEUDO_EVENTS)).ln() } else { f64::NAN }
        })
        .collect();
    let cells = Grid {
        start: grid.start.plus(grid.bucket.times(skip as i64)),
        bucket: grid.bucket.times(width as i64),
        values: &logs,
    };
    season::learn(&cells, seasonality)
}
