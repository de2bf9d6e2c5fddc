//! The online part: a level that follows slowly, and a lasting shift that it accepts after a day.

use margay_core::Period;
use serde::{Deserialize, Serialize};

/// Makes a mean absolute deviation comparable with a standard deviation.
const MEAN_DEVIATION_TO_SIGMA: f64 = 1.2533;
/// Residuals count at most this many spreads for the level.
pub(crate) const CLIP_SIGMA: f64 = 3.0;

/// Buckets of this length in a day, at least one.
pub(crate) fn buckets_a_day(bucket: Period) -> f64 {
    (Period::DAY.0 as f64 / bucket.0.max(1) as f64).max(1.0)
}

/// Share of the newest value in an average over `seen` values that forgets half in `half_life`.
pub(crate) fn rate(seen: f64, half_life: f64) -> f64 {
    let steady = 1.0 - (-std::f64::consts::LN_2 / half_life.max(1.0)).exp();
    steady.max(1.0 / (seen + 1.0))
}

/// A forgetting mean of absolute deviations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    mean: f64,
    seen: f64,
}

/// How many values a prior spread is worth.
const PRIOR_VALUES: f64 = 6.0;

impl Spread {
    /// The spread as a standard deviation, drawn towards `prior` while few values were seen.
    pub(crate) fn sigma(&self, prior: f64) -> f64 {
        let own = MEAN_DEVIATION_TO_SIGMA * self.mean;
        let variance = (PRIOR_VALUES * prior * prior + self.seen * own * own) / (PRIOR_VALUES + self.seen);
        variance.sqrt()
    }

    /// Takes in a deviation, at most `limit`.
    pub(crate) fn learn(&mut self, deviation: f64, limit: f64, half_life: f64) {
        let step = rate(self.seen, half_life);
        self.mean += step * (deviation.abs().min(limit) - self.mean);
        self.seen = (self.seen + 1.0).min(1e6);
    }

    /// How many values were seen.
    pub(crate) fn seen(&self) -> f64 {
        self.seen
    }
}

/// Where a held entity has gone: becomes the level once it has stayed for long enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shift {
    mean: f64,
    count: f64,
}

impl Shift {
    /// Takes in a bucket of an open episode; returns the new level after `patience` of them.
    pub(crate) fn hold(&mut self, value: f64, patience: f64) -> Option<f64> {
        self.count += 1.0;
        self.mean += (value - self.mean) / self.count.min(patience * 0.5).max(1.0);
        (self.count >= patience).then_some(self.mean)
    }

    /// The same shift after a change of the space of levels.
    pub(crate) fn moved(self, to: impl Fn(f64) -> f64) -> Self {
        if self.count > 0.0 { Self { mean: to(self.mean), ..self } } else { self }
    }

    /// True before the first bucket of an episode.
    pub(crate) fn is_new(&self) -> bool {
        self.count == 0.0
    }

    /// The episode is over.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_accepted_after_its_patience_and_forgotten_when_it_ends() {
        let mut shift = Shift::default();
        assert!((0..9).all(|_| shift.hold(7.0, 10.0).is_none()));
        assert!((shift.hold(7.0, 10.0).unwrap() - 7.0).abs() < 1e-9);
        shift.clear();
        assert_eq!(shift.hold(1.0, 10.0), None);
    }

    #[test]
    fn one_wild_value_moves_a_spread_by_no_more_than_its_limit() {
        let mut spread = Spread::default();
        (0..100).for_each(|_| spread.learn(1.0, 3.0, 1000.0));
        spread.learn(1e300, 3.0, 1000.0);
        assert!(spread.sigma(1.0) < 1.3);
    }
}
