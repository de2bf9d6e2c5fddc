//! From standardised residuals to the calibrated probability that a score states.

use margay_core::Direction;

use crate::pool::Pool;
use crate::tail::{Side, Tally};

/// How many values of the pool fill up an entity's own tail.
const POOL_WEIGHT: f64 = 200.0;
/// Residuals less likely than this enter the tail as if they were just this likely.
const WINSOR_P: f64 = 1e-5;
/// Highest score.
const SCORE_MAX: f64 = 100.0;

/// Calibrated tails of one residual of one entity.
pub(crate) struct Test<'a> {
    own: &'a Tally,
    peers: &'a Tally,
}

static NOTHING: Tally = Tally::NOTHING;

impl<'a> Test<'a> {
    /// The tails of the residual with this number.
    pub(crate) fn new(number: usize, own: &'a [Tally], pool: &'a Pool) -> Self {
        Self { own: own.get(number).unwrap_or(&NOTHING), peers: pool.tallies.get(number).unwrap_or(&NOTHING) }
    }

    /// The curve below and the curve above.
    pub(crate) fn sides(&self) -> (Side, Side) {
        let side = |below, above| Side::new(self.own, self.peers, POOL_WEIGHT, (below, above));
        (side(true, false), side(false, true))
    }

    /// The curve that judges a residual in the watched direction; `None` on the other side.
    ///
    /// Where both directions are watched, both tails are one: a skewed value does not make its short
    /// side as strange as its long one.
    fn watched(&self, z: f64, direction: Direction) -> Option<Side> {
        let (below, above) = match direction {
            Direction::Above => (false, true),
            Direction::Below => (true, false),
            Direction::Both => (true, true),
        };
        let unwatched = if z < 0.0 { !below } else { !above };
        (!unwatched).then(|| Side::new(self.own, self.peers, POOL_WEIGHT, (below, above)))
    }

    /// Probability of a residual at least this far out in the watched direction.
    pub(crate) fn probability(&self, z: f64, direction: Direction) -> f64 {
        self.watched(z, direction).map_or(1.0, |side| side.exceed(z.abs()))
    }

    /// The residual as it may enter the tails.
    pub(crate) fn winsorised(&self, z: f64) -> f64 {
        let side = Side::new(self.own, self.peers, POOL_WEIGHT, (z < 0.0, z >= 0.0));
        if side.exceed(z.abs()) >= WINSOR_P { z } else { side.quantile(WINSOR_P).copysign(z) }
    }
}

/// `min(100, -10·log10 p)`; 0 and never -0 for a certain value.
pub(crate) fn score(p: f64) -> f64 {
    (-10.0 * p.max(1e-300).log10()).clamp(0.0, SCORE_MAX) + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_watched_side_counts() {
        let pool = Pool::default();
        let test = Test::new(0, &[], &pool);
        assert_eq!(score(test.probability(-9.0, Direction::Above)), 0.0);
        assert!(score(test.probability(9.0, Direction::Above)) > 20.0);
        assert!(score(test.probability(-9.0, Direction::Both)) > 20.0);
        assert_eq!(score(0.0), 100.0);
        assert!(score(1.0).is_sign_positive());
    }

    #[test]
    fn an_unheard_of_residual_enters_as_a_rare_one() {
        let pool = Pool::default();
        let test = Test::new(0, &[], &pool);
        assert_eq!(test.winsorised(1.0), 1.0);
        assert!(test.winsorised(-1e9) < -3.0 && test.winsorised(-1e9) > -1e3);
    }
}
