//! The gates that look at one feature of one bucket.

use margay_core::{Direction, Gate, GateName, Score, ScoreState};

use crate::number::{beside, short};
use crate::rule::{Judged, Rule};

/// Gates that look at one feature, in their order.
const GATES: [GateName; 6] =
    [GateName::State, GateName::Direction, GateName::Score, GateName::MinDev, GateName::MinRelDev, GateName::MinValue];

/// Where [`GateName::Score`] stands among them.
const SCORE: usize = 2;

/// Text of a limit that the rule does not set.
const UNLIMITED: &str = "none";

/// Which gates a feature passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checks([bool; GATES.len()]);

/// The feature that drives a bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// Its place among the features.
    pub(crate) feature: usize,
    /// Which gates it passed.
    pub(crate) checks: Checks,
    /// Its score.
    pub(crate) score: f64,
    /// The highest score of a feature that passes every gate but perhaps the score's; 0 where none does.
    pub(crate) effect_score: f64,
    /// The highest score of all.
    pub(crate) highest_score: f64,
}

/// What stands in for a bucket in which nothing was judged.
const NOTHING: Judged = Judged {
    score: Score {
        value: f64::NAN,
        expected: f64::NAN,
        lower: f64::NAN,
        upper: f64::NAN,
        score: 0.0,
        state: ScoreState::NoData,
    },
    volume: f64::NAN,
};

/// Picks the feature that gets through most gates, and of those the one with the highest score.
pub(crate) fn choose(rule: &Rule, judged: &[Judged]) -> Choice {
    let mut choice = Choice {
        feature: 0,
        checks: check(rule, judged.first().unwrap_or(&NOTHING)),
        score: judged.first().map_or(0.0, points),
        effect_score: 0.0,
        highest_score: 0.0,
    };
    for (feature, judged) in judged.iter().enumerate() {
        let (checks, score) = (check(rule, judged), points(judged));
        if (checks.reached(), score) > (choice.checks.reached(), choice.score) {
            choice = Choice { feature, checks, score, ..choice };
        }
        if checks.has_effect() {
            choice.effect_score = choice.effect_score.max(score);
        }
        choice.highest_score = choice.highest_score.max(score);
    }
    choice
}

/// The verdicts behind `checks`, as people read them.
pub(crate) fn trace(rule: &Rule, judged: &[Judged], choice: &Choice) -> Vec<Gate> {
    let judged = judged.get(choice.feature).unwrap_or(&NOTHING);
    let bound = |value: f64, limit: Option<f64>| match limit {
        Some(limit) => (beside(value, limit), short(limit)),
        None => (short(value), UNLIMITED.to_owned()),
    };
    let texts = [
        (judged.score.state.to_string(), "scored or warming".to_owned()),
        (side(&judged.score).to_owned(), watched(rule.direction).to_owned()),
        bound(choice.score, Some(rule.score)),
        bound(deviation(&judged.score), rule.min_dev),
        bound(relative_deviation(&judged.score), rule.min_rel_dev),
        bound(judged.volume, rule.min_value),
    ];
    let verdicts = GATES.into_iter().zip(choice.checks.0).zip(texts);
    verdicts.map(|((gate, passed), (value, limit))| Gate { gate, value, limit, passed }).collect()
}

impl Checks {
    /// Whether all gates let the feature through.
    pub(crate) fn passed(&self) -> bool {
        self.0.iter().all(|passed| *passed)
    }

    /// Whether all gates but perhaps the score's let the feature through.
    fn has_effect(&self) -> bool {
        self.0.iter().enumerate().all(|(at, passed)| *passed || at == SCORE)
    }

    /// How many gates the feature passed before the first that stopped it.
    fn reached(&self) -> usize {
        self.0.iter().take_while(|passed| **passed).count()
    }
}

fn check(rule: &Rule, judged: &Judged) -> Checks {
    let score = &judged.score;
    let reaches = |value: f64, limit: Option<f64>| limit.is_none_or(|limit| value >= limit);
    Checks([
        !matches!(
            score.state,
            ScoreState::NoData | ScoreState::InsufficientDetail | ScoreState::OverLimit | ScoreState::Error
        ),
        is_watched(rule.direction, score),
        points(judged) >= rule.score,
        reaches(deviation(score), rule.min_dev),
        reaches(relative_deviation(score), rule.min_rel_dev),
        reaches(judged.volume, rule.min_value),
    ])
}

/// The score, 0 where the model gave no number.
pub(crate) fn points(judged: &Judged) -> f64 {
    if judged.score.score.is_nan() { 0.0 } else { judged.score.score.clamp(0.0, 100.0) }
}

/// Whether the value lies on the watched side. A model that expects nothing in particular has no sides, and neither has a
/// value that is the expected one, such as that of a rule's bound: the score alone decides.
fn is_watched(direction: Direction, score: &Score) -> bool {
    let has_no_side = score.expected.is_nan() || score.value == score.expected;
    !score.value.is_nan() && (direction == Direction::Both || has_no_side || score.side() == direction)
}

/// Distance from the expected value, in the feature's unit.
fn deviation(score: &Score) -> f64 {
    (score.value - score.expected).abs()
}

/// Distance from the expected value as a share of it; infinite where 0 is expected and something else came.
fn relative_deviation(score: &Score) -> f64 {
    let deviation = deviation(score);
    if deviation == 0.0 { 0.0 } else { deviation / score.expected.abs() }
}

fn side(score: &Score) -> &'static str {
    let has_none = score.value.is_nan() || score.expected.is_nan() || score.value == score.expected;
    if has_none { "none" } else { watched(score.side()) }
}

fn watched(direction: Direction) -> &'static str {
    match direction {
        Direction::Above => "above",
        Direction::Below => "below",
        Direction::Both => "both",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_at_the_bound_of_a_rule_is_on_either_side_of_it() {
        let at = |value: f64| Score {
            value,
            expected: 0.0,
            lower: 0.0,
            upper: f64::INFINITY,
            score: 100.0,
            state: ScoreState::Scored,
        };
        assert!(is_watched(Direction::Below, &at(0.0)) && is_watched(Direction::Above, &at(0.0)));
        assert!(!is_watched(Direction::Below, &at(1.0)) && !is_watched(Direction::Below, &at(f64::NAN)));
        assert_eq!((side(&at(0.0)), side(&at(1.0))), ("none", "above"));
    }
}
