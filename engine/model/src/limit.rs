//! A plain rule: the value against a number.

use margay_core::{Score, ScoreState};
use serde::{Deserialize, Serialize};

/// The numbers that a value must not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Values at least this large are anomalous.
    pub above: Option<f64>,
    /// Values at most this small are anomalous.
    pub below: Option<f64>,
}

/// Score of a value that broke its rule.
const BROKEN: f64 = 100.0;

impl Limit {
    /// 100 where the value reaches a limit, else 0; the limits take the place of a forecast.
    #[must_use]
    pub fn score(&self, value: f64) -> Score {
        let over = self.above.is_some_and(|limit| value >= limit);
        let under = self.below.is_some_and(|limit| value <= limit);
        let expected = match (self.above, self.below) {
            (Some(above), Some(below)) if (value - below).abs() < (value - above).abs() => below,
            (Some(above), _) => above,
            (None, Some(below)) => below,
            (None, None) if value.is_finite() => value,
            (None, None) => 0.0,
        };
        Score {
            value,
            expected,
            lower: self.below.unwrap_or(f64::NEG_INFINITY),
            upper: self.above.unwrap_or(f64::INFINITY),
            score: if over || under { BROKEN } else { 0.0 },
            state: if value.is_nan() { ScoreState::NoData } else { ScoreState::Scored },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_at_the_limit_breaks_it_and_one_short_of_it_does_not() {
        let limit = Limit { above: Some(500.0), below: None };
        assert_eq!(limit.score(500.0).score, 100.0);
        assert_eq!(limit.score(499.9).score, 0.0);
        assert_eq!(limit.score(f64::INFINITY).score, 100.0);
        assert_eq!(limit.score(10.0).expected, 500.0);
    }

    #[test]
    fn a_band_is_judged_on_both_sides() {
        let band = Limit { above: Some(10.0), below: Some(1.0) };
        assert_eq!([0.5, 5.0, 11.0].map(|value| band.score(value).score), [100.0, 0.0, 100.0]);
        assert_eq!(band.score(0.5).expected, 1.0);
    }

    #[test]
    fn a_missing_value_is_no_data() {
        assert_eq!(Limit::default().score(f64::NAN).state, ScoreState::NoData);
        assert_eq!(Limit::default().score(3.0).score, 0.0);
    }
}
