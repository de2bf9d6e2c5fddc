//! What it takes for a score to become an alert.

use margay_core::{Direction, Period, Score, Time};
use serde::{Deserialize, Serialize};

/// Quiet buckets in a row that close an episode.
pub const CLOSING_BUCKETS: i64 = 3;

/// The shortest refractory time in buckets, where the rule names none.
const REFRACTORY_BUCKETS: i64 = 3;

/// The shortest refractory time, where the rule names none: a fifth of a day (Numenta's benchmark rewards it most).
const REFRACTORY_LEAST: Period = Period(17_280_000);

/// An episode goes on while buckets score at least this share of the bucket that opened it.
const HYSTERESIS_RATIO: f64 = 0.5;

/// The thresholds of one detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Names of the features, in the order in which they are judged.
    pub features: Vec<String>,
    /// Lowest score of a finding, 0 to 100.
    pub score: f64,
    /// The side on which a value counts.
    pub direction: Direction,
    /// Smallest distance from the expected value, in the feature's unit.
    pub min_dev: Option<f64>,
    /// Smallest distance from the expected value as a share of it; any distance passes where 0 is expected.
    pub min_rel_dev: Option<f64>,
    /// Smallest volume, in the feature's unit.
    pub min_value: Option<f64>,
    /// `(n, m)`: of the last m buckets n pass the gates above, the present one among them.
    pub sustained: (u32, u32),
    /// Width of a bucket.
    pub bucket: Period,
    /// Time after an episode in which the entity opens no other; without it the longer of 3 buckets and a fifth of a day.
    pub refractory: Option<Period>,
}

/// One feature of one entity in one bucket, as the model judged it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// The model's judgement.
    pub score: Score,
    /// How much there was of it (compared with `min_value`): the value itself, or the total of a ratio.
    pub volume: f64,
}

impl Rule {
    /// Time after an episode in which the entity opens no other.
    #[must_use]
    pub fn rest(&self) -> Period {
        self.refractory.unwrap_or_else(|| self.bucket.times(REFRACTORY_BUCKETS).max(REFRACTORY_LEAST))
    }

    /// How many buckets must pass, of how many.
    pub(crate) fn sustained(&self) -> (usize, i64) {
        let window = self.sustained.1.max(1);
        (self.sustained.0.clamp(1, window) as usize, i64::from(window))
    }

    /// Start of the earliest bucket that counts as one of the last m when `bucket` is the present one.
    pub(crate) fn window_start(&self, bucket: Time) -> Time {
        bucket.minus(self.bucket.times(self.sustained().1 - 1))
    }

    /// Whether a bucket keeps an episode open.
    pub(crate) fn is_loud(opening_score: f64, score: f64) -> bool {
        score >= opening_score * HYSTERESIS_RATIO
    }

    /// Whether an episode whose last loud bucket is `last_loud` is over once `bucket` was quiet or missing.
    pub(crate) fn is_over(&self, last_loud: Time, bucket: Time) -> bool {
        bucket.since(last_loud).per(self.bucket) >= CLOSING_BUCKETS
    }

    /// When an episode whose last loud bucket is `last_loud` closes; the same whenever that is noticed.
    pub(crate) fn closing_time(&self, last_loud: Time) -> Time {
        last_loud.plus(self.bucket.times(CLOSING_BUCKETS + 1))
    }

    /// Whether the entity may open an episode in `bucket` after one that closed at `closed`.
    pub(crate) fn is_rested(&self, closed: Option<Time>, bucket: Time) -> bool {
        closed.is_none_or(|closed| bucket.since(closed) >= self.rest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refractory_time_is_a_fifth_of_a_day_or_three_buckets_or_what_the_rule_says() {
        let mut rule = Rule { refractory: None, ..crate::fixture::rule() };
        assert_eq!(rule.rest().to_string(), "4h48m");
        rule.bucket = Period::DAY;
        assert_eq!(rule.rest(), Period::DAY.times(3));
        rule.refractory = Some(Period::HOUR);
        assert_eq!(rule.rest(), Period::HOUR);
    }
}
