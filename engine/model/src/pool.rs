//! What the entities of one detector have in common, for one feature.

use serde::{Deserialize, Serialize};

use crate::level::rate;
use crate::tail::Tally;

/// Statistics over all entities of a detector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pool {
    /// Standardised residuals of every test that is made, in the order of the tests.
    pub(crate) tallies: Vec<Tally>,
    /// Scale at which the transform turns from linear to logarithmic; 0: not known.
    pub(crate) unit: f64,
    /// Levels of mature entities.
    pub(crate) level: Moments,
    /// Logarithms of the spreads of mature entities.
    pub(crate) spread: Moments,
    /// Extra variance of counts and shares.
    pub(crate) dispersion: Moments,
    /// How the variance of a duration falls with its weight.
    pub(crate) weight: Weighting,
}

/// A forgetting mean and variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moments {
    mean: f64,
    variance: f64,
    seen: f64,
}

impl Moments {
    /// Takes in a value.
    pub(crate) fn learn(&mut self, value: f64, half_life: f64) {
        let step = rate(self.seen, half_life);
        let distance = value - self.mean;
        self.mean += step * distance;
        self.variance = (1.0 - step) * (self.variance + step * distance * distance);
        self.seen = (self.seen + 1.0).min(1e9);
    }

    /// Mean and standard deviation once at least `fewest` values were seen.
    pub(crate) fn get(&self, fewest: f64) -> Option<(f64, f64)> {
        (self.seen >= fewest).then(|| (self.mean, self.variance.max(0.0).sqrt()))
    }
}

/// Variance = base + slope / weight, fitted to squared standardised residuals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Weighting {
    seen: f64,
    inverse: f64,
    inverse_squared: f64,
    square: f64,
    product: f64,
}

impl Weighting {
    const HALF_LIFE: f64 = 20_000.0;
    const FEWEST: f64 = 200.0;
    const SQUARE_MAX: f64 = 16.0;

    /// Takes in a squared residual, in units of its entity's variance, measured with this weight.
    pub(crate) fn learn(&mut self, square: f64, weight: f64) {
        let inverse = 1.0 / weight.max(1.0);
        let square = square.min(Self::SQUARE_MAX);
        let step = rate(self.seen, Self::HALF_LIFE);
        self.inverse += step * (inverse - self.inverse);
        self.inverse_squared += step * (inverse * inverse - self.inverse_squared);
        self.square += step * (square - self.square);
        self.product += step * (square * inverse - self.product);
        self.seen = (self.seen + 1.0).min(1e9);
    }

    /// Factor on the standard deviation at this weight; 1 at the usual weight.
    pub(crate) fn factor(&self, weight: f64) -> f64 {
        let spread = self.inverse_squared - self.inverse * self.inverse;
        if !weight.is_finite() || self.seen < Self::FEWEST || spread <= 1e-12 || self.square <= 0.0 {
            return 1.0;
        }
        let slope = ((self.product - self.inverse * self.square) / spread).max(0.0);
        let base = (self.square - slope * self.inverse).max(0.02 * self.square);
        let here = base + slope / weight.max(1.0);
        let usual = base + slope * self.inverse;
        (here / usual).sqrt().clamp(0.2, 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_requests_make_the_interval_wider() {
        let mut weighting = Weighting::default();
        for step in 0..4000 {
            let weight = if step % 2 == 0 { 1.0 } else { 100.0 };
            weighting.learn(0.1 + 1.0 / weight, weight);
        }
        assert!(weighting.factor(1.0) > 2.0 * weighting.factor(100.0));
        assert_eq!(Weighting::default().factor(1.0), 1.0);
    }
}
