//! How restless an entity has been lately: the mean square of its last forecast errors.
//!
//! Where a forecast fits, its standardised errors are independent, so the squared Mahalanobis distance of the last buckets
//! together is the sum of their squared errors (Mehra and Peschon, "An innovations approach to fault detection and
//! diagnosis in dynamic systems", Automatica 7, 1971). A mean that forgets keeps the same in one number, where a distance
//! of subsequences keeps a window and its covariance.

use margay_core::Period;
use serde::{Deserialize, Serialize};

use crate::level::buckets_a_day;
use crate::verdict::score;
use crate::views::clip;

/// Buckets after which an error counts half.
const HALF_LIFE_BUCKETS: f64 = 50.0;
/// An error counts at most as so many spreads.
const ERROR_MAX: f64 = 40.0;
/// Exceedances of an entity in a day from which a detector alerts that names no score.
const ALERTS_A_DAY: f64 = 0.1;
/// Share of the score of such an alert that keeps it open.
const ONGOING_RATIO: f64 = 0.5;
/// Grades stay below this: half of the lowest score that an alert budget chooses.
const GRADE_MAX: f64 = 10.0;
/// The mean square that is graded half of the most.
const HALF_GRADE: f64 = 5.0;

/// Memory of the last errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unrest {
    /// Mean square of the standardised errors above the 1 that is usual.
    excess: f64,
}

impl Unrest {
    /// Takes in the standardised forecast error of a bucket.
    pub(crate) fn learn(&mut self, error: f64) {
        self.excess = self.after(error);
    }

    fn after(&self, error: f64) -> f64 {
        let step = 1.0 - (-std::f64::consts::LN_2 / HALF_LIFE_BUCKETS).exp();
        self.excess + step * (clip(error, ERROR_MAX).powi(2) - 1.0 - self.excess)
    }

    /// The score of a bucket with this forecast error. Where it could neither open an alert nor keep one open, it says
    /// how restless the last buckets were: that ranks calm buckets, which their own probability does not.
    pub(crate) fn grade(&self, own: f64, error: f64, bucket: Period) -> f64 {
        let least = ONGOING_RATIO * score(ALERTS_A_DAY / buckets_a_day(bucket));
        if own >= least {
            return own;
        }
        let square = (1.0 + self.after(error)).max(0.0);
        least.min(GRADE_MAX) * square / (square + HALF_GRADE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKET: Period = Period(300_000);

    #[test]
    fn calm_buckets_after_wild_ones_rank_above_calm_ones_and_below_every_alert() {
        let mut unrest = Unrest::default();
        let before = unrest.grade(1.0, 0.5, BUCKET);
        (0..20).for_each(|_| unrest.learn(4.0));
        let after = unrest.grade(1.0, 0.5, BUCKET);
        assert!(after > 1.5 * before && after < GRADE_MAX, "{before} {after}");
        assert_eq!(unrest.grade(35.0, 0.5, BUCKET), 35.0);
        (0..500).for_each(|_| unrest.learn(1.0));
        assert!((unrest.grade(1.0, 1.0, BUCKET) - GRADE_MAX / (1.0 + HALF_GRADE)).abs() < 0.01);
    }

    #[test]
    fn errors_that_are_no_numbers_and_long_buckets_do_no_harm() {
        let mut unrest = Unrest::default();
        for error in [f64::NAN, f64::INFINITY, -1e300] {
            unrest.learn(error);
            for bucket in [Period(1), Period::DAY, Period::WEEK] {
                let grade = unrest.grade(0.0, error, bucket);
                assert!((0.0..GRADE_MAX).contains(&grade), "{error} {bucket} {grade}");
            }
        }
    }
}
