//! Rules and judgements for tests.

use margay_core::{Direction, Period, Score, ScoreState, Time};

use crate::rule::{Judged, Rule};

/// A rule that only asks for a score of 60; buckets of five minutes, half an hour of refractory time.
pub(crate) fn rule() -> Rule {
    Rule {
        features: vec!["bytes".to_owned()],
        score: 60.0,
        direction: Direction::Above,
        min_dev: None,
        min_rel_dev: None,
        min_value: None,
        sustained: (1, 1),
        bucket: Period::MINUTE.times(5),
        refractory: Some(Period::MINUTE.times(30)),
    }
}

/// Start of the bucket with this number.
pub(crate) fn at(bucket: i64) -> Time {
    Time(0).plus(rule().bucket.times(bucket))
}

/// 150 where 100 was expected.
pub(crate) fn judged(score: f64) -> Judged {
    let score = Score { value: 150.0, expected: 100.0, lower: 80.0, upper: 120.0, score, state: ScoreState::Scored };
    Judged { score, volume: 150.0 }
}
