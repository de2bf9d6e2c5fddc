//! What follows an extreme bucket surprises less: the score of an episode's later buckets, and
//! extremes that come again and again.

use margay_core::{Period, Time};
use serde::{Deserialize, Serialize};

/// Time after an extreme bucket in which further ones are expected, in days.
const QUIET_DAYS: f64 = 0.2;
/// Share of the first score that later buckets can reach: no more than what keeps an alert open.
const LATER_RATIO: f64 = 0.5;
/// The same after a mild extreme: those follow each other by chance.
const MILD_RATIO: f64 = 0.7;
/// An episode that began with less than this score is mild.
const MILD: f64 = 40.0;
/// A score so much above the first one is news again.
const NEWS: f64 = 3.0;
/// Scores from here on are extreme.
const EXTREME: f64 = 15.0;
/// Share of the first score that keeps the episode going.
const ONGOING_RATIO: f64 = 0.5;
/// Extremes that follow each other within this time, in days, are a habit and no outliers.
const RECURRING_DAYS: f64 = 0.4;

/// Memory of the last extreme buckets of one entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Habit {
    first: f64,
    last_at: Option<Time>,
    held_at: Option<Time>,
}

fn within(time: Time, at: Option<Time>, days: f64, bucket: Period) -> bool {
    let span = (Period::DAY.0 as f64 * days).max(3.0 * bucket.0 as f64);
    at.is_some_and(|at| time.since(at).0 as f64 <= span)
}

impl Habit {
    /// The score given what came just before.
    pub(crate) fn temper(&self, time: Time, score: f64, bucket: Period) -> f64 {
        if !within(time, self.last_at, QUIET_DAYS, bucket) || score > self.first + NEWS {
            return score;
        }
        score.min(if self.first < MILD { MILD_RATIO } else { LATER_RATIO } * self.first)
    }

    /// Takes in the untempered score of a bucket.
    pub(crate) fn learn(&mut self, time: Time, score: f64, bucket: Period) {
        let ongoing = within(time, self.last_at, QUIET_DAYS, bucket);
        if (!ongoing || score > self.first) && score >= EXTREME {
            self.first = score;
            self.last_at = Some(time);
        } else if ongoing && score >= ONGOING_RATIO * self.first {
            self.last_at = Some(time);
        }
    }

    /// Takes in the start of an episode; true where it comes so soon after the one before that it
    /// belongs to what is usual.
    pub(crate) fn recurs(&mut self, time: Time) -> bool {
        let recurs = within(time, self.held_at, RECURRING_DAYS, Period(0));
        self.held_at = Some(time);
        recurs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Time = Time(43_200_000);

    #[test]
    fn later_buckets_of_an_episode_score_lower_and_worse_ones_do_not() {
        let mut habit = Habit::default();
        habit.learn(NOON, 50.0, Period::MINUTE);
        let next = NOON.plus(Period::MINUTE);
        assert_eq!(habit.temper(next, 49.0, Period::MINUTE), 25.0);
        assert_eq!(habit.temper(next, 60.0, Period::MINUTE), 60.0);
        assert_eq!(habit.temper(NOON.plus(Period::DAY), 49.0, Period::MINUTE), 49.0);
        let mut mild = Habit::default();
        mild.learn(NOON, 20.0, Period::MINUTE);
        assert_eq!(mild.temper(next, 19.0, Period::MINUTE), 14.0);
    }

    #[test]
    fn episodes_that_follow_each_other_within_hours_recur() {
        let mut habit = Habit::default();
        assert!(!habit.recurs(NOON));
        assert!(habit.recurs(NOON.plus(Period::HOUR.times(5))));
        assert!(!habit.recurs(NOON.plus(Period::DAY.times(2))));
    }
}
