//! From standardised residuals to the calibrated probability that a score states.

use margay_core::Direction;

use crate::distribution::score_of_tail;
use crate::pool::Pool;
use crate::tail::{Side, Tally};

/// How many values of the pool fill up an entity's own tail.
const POOL_WEIGHT: f64 = 200.0;
/// Residuals less likely than this enter the tail as if they were just this likely.
const WINSOR_P: f64 = 1e-4;
/// Highest score.
const SCORE_MAX: f64 = 100.0;

/// Calibrated tails of one test of one entity.
pub(crate) struct Test {
    pub(crate) below: Side,
    pub(crate) above: Side,
}

impl Test {
    /// The tails of the test with this number.
    pub(crate) fn new(number: usize, own: &[Tally], pool: &Pool) -> Self {
        let empty = Tally::default();
        let own = own.get(number).unwrap_or(&empty);
        let peers = pool.tallies.get(number).unwrap_or(&empty);
        Self { below: Side::new(own, peers, POOL_WEIGHT, false), above: Side::new(own, peers, POOL_WEIGHT, true) }
    }

    /// Probability of a residual at least this far out on its own side.
    pub(crate) fn one_sided(&self, z: f64) -> f64 {
        if z < 0.0 { self.below.exceed(-z) } else { self.above.exceed(z) }
    }

    /// Probability of a residual at least this far out in the watched direction.
    pub(crate) fn watched(&self, z: f64, direction: Direction) -> f64 {
        match direction {
            Direction::Above if z < 0.0 => 1.0,
            Direction::Below if z > 0.0 => 1.0,
            Direction::Both => (2.0 * self.one_sided(z)).min(1.0),
            Direction::Above | Direction::Below => self.one_sided(z),
        }
    }

    /// The residual as it may enter the tails.
    pub(crate) fn winsorised(&self, z: f64) -> f64 {
        if self.one_sided(z) >= WINSOR_P {
            return z;
        }
        let side = if z < 0.0 { &self.below } else { &self.above };
        side.quantile(WINSOR_P).copysign(z)
    }
}

/// `min(100, -10·log10 p)`.
pub(crate) fn score(p: f64) -> f64 {
    (-10.0 * p.max(1e-300).log10()).clamp(0.0, SCORE_MAX)
}

/// The most surprising of several tests as one residual: its sign is the side.
pub(crate) fn strongest(tests: &[Test], residuals: &[f64], direction: Direction) -> f64 {
    let mut best = (1.0, 0.0);
    for (test, &z) in tests.iter().zip(residuals) {
        let p = test.watched(z, direction);
        if p < best.0 {
            best = (p, score_of_tail(0.5 * p).copysign(z));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_watched_side_counts() {
        let test = Test::new(0, &[], &Pool::default());
        assert_eq!(score(test.watched(-9.0, Direction::Above)), 0.0);
        assert!(score(test.watched(9.0, Direction::Above)) > 20.0);
        assert!(score(test.watched(-9.0, Direction::Both)) > 20.0);
    }

    #[test]
    fn the_strongest_test_wins() {
        let tests = [Test::new(0, &[], &Pool::default()), Test::new(1, &[], &Pool::default())];
        assert!(strongest(&tests, &[1.0, -8.0], Direction::Both) < -2.0);
        assert_eq!(strongest(&tests, &[-1.0, -8.0], Direction::Above), 0.0);
    }
}
