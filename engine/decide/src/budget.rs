//! The score that keeps a detector within its budget of alerts.

use margay_core::{Period, Time};

use crate::measure::expected_false_per_week;
use crate::rule::Rule;

/// The lowest score that a budget chooses: below it, one bucket in a hundred counts as anomalous.
const SCORE_LEAST: u32 = 20;

/// The highest score there is.
const SCORE_MOST: u32 = 100;

/// What is known of a detector's past.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Start of the bucket, number of the entity, and score; in any order. Buckets that fail a gate other than the
    /// score's may be left out, so that only those count that could have opened an episode.
    pub scores: &'a [(Time, u32, f64)],
    /// Length of time from which they are.
    pub observed: Period,
    /// Buckets of all entities that the detector judges in a week.
    pub tests_per_week: f64,
}

/// The lowest whole score from 20 to 100 at which, and above which, the episodes replayed over the history are at most
/// `alerts` in each `per` on average; 100 where even that has more.
///
/// The replay has the rule's window, hysteresis and refractory time, and no gate but the score's. With less history
/// than one `per`, the lowest score whose [`expected_false_per_week`] is within the budget.
#[must_use]
pub fn budget_score(history: &History, rule: &Rule, alerts: u32, per: Period) -> f64 {
    let allowed_in = |time: Period| f64::from(alerts) * time.seconds() / per.seconds().max(f64::MIN_POSITIVE);
    if history.observed < per || history.observed <= Period(0) {
        let allowed = allowed_in(Period::WEEK);
        return lowest(|score| expected_false_per_week(score, history.tests_per_week, 1.0) <= allowed);
    }
    let (scores, allowed) = (by_entity(history.scores), allowed_in(history.observed));
    lowest(|score| {
        let series = scores.chunk_by(|one, next| one.1 == next.1);
        series.map(|series| episodes(series, rule, score)).sum::<u32>() as f64 <= allowed
    })
}

/// The lowest score such that it and all higher ones are within the budget. Taking the first from below would be wrong:
/// at a low score everything is one endless episode.
fn lowest(is_within: impl Fn(f64) -> bool) -> f64 {
    let scores = (SCORE_LEAST..=SCORE_MOST).rev().map(f64::from);
    scores.take_while(|score| is_within(*score)).last().unwrap_or(f64::from(SCORE_MOST))
}

/// Scores that can matter, by entity and time, one for each bucket.
fn by_entity(scores: &[(Time, u32, f64)]) -> Vec<(Time, u32, f64)> {
    let least = f64::from(SCORE_LEAST) * 0.5;
    let mut scores: Vec<_> = scores.iter().copied().filter(|(_, _, score)| *score >= least).collect();
    scores.sort_unstable_by(|one, other| (one.1, one.0).cmp(&(other.1, other.0)).then(other.2.total_cmp(&one.2)));
    scores.dedup_by_key(|(bucket, entity, _)| (*entity, *bucket));
    scores
}

/// How many episodes open in the scores of one entity. Does what [`crate::judge`] does where only the score decides.
fn episodes(series: &[(Time, u32, f64)], rule: &Rule, least: f64) -> u32 {
    let (count_least, _) = rule.sustained();
    let (mut opened, mut open, mut closed) = (0, None, None);
    for (at, &(bucket, _, score)) in series.iter().enumerate() {
        if let Some((_, last_loud)) = open
            && rule.is_over(last_loud, bucket.minus(rule.bucket))
        {
            (open, closed) = (None, Some(rule.closing_time(last_loud)));
        }
        if let Some((opening_score, last_loud)) = open {
            if Rule::is_loud(opening_score, score) {
                open = Some((opening_score, bucket));
            } else if rule.is_over(last_loud, bucket) {
                (open, closed) = (None, Some(rule.closing_time(last_loud)));
            }
        } else if score >= least && rule.is_rested(closed, bucket) {
            let start = rule.window_start(bucket).max(closed.unwrap_or(Time::MIN));
            let window = series[..=at].iter().rev().take_while(|(earlier, ..)| *earlier >= start);
            if window.filter(|(_, _, score)| *score >= least).count() >= count_least {
                opened += 1;
                open = Some((score, bucket));
            }
        }
    }
    opened
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::episode::Event;
    use crate::fixture::{at, judged, rule};
    use crate::tracker::{Tracker, judge};

    fn history(scores: &[(Time, u32, f64)], observed: Period) -> History<'_> {
        History { scores, observed, tests_per_week: 2016.0 }
    }

    #[test]
    fn the_lowest_score_with_few_enough_episodes_is_chosen() {
        let scores = [(at(0), 0, 90.0), (at(1000), 0, 70.0), (at(2000), 0, 50.0), (at(0), 1, 30.0), (at(5), 2, 12.0)];
        let two_weeks = history(&scores, Period::WEEK.times(2));
        let chosen = |alerts| budget_score(&two_weeks, &rule(), alerts, Period::WEEK);
        assert_eq!(chosen(0), 91.0);
        assert_eq!(chosen(1), 51.0);
        assert_eq!(chosen(2), 20.0);
    }

    #[test]
    fn buckets_of_one_episode_and_of_its_refractory_time_count_once() {
        let scores: Vec<_> = (0..8).map(|bucket| (at(bucket), 7, 80.0)).chain([(at(13), 7, 80.0)]).collect();
        assert_eq!(budget_score(&history(&scores, Period::WEEK), &rule(), 1, Period::WEEK), 20.0);
    }

    #[test]
    fn a_score_that_merges_everything_into_one_episode_is_not_taken() {
        let restless = Rule { refractory: Some(Period(0)), ..rule() };
        let scores: Vec<_> =
            (0..400).map(|bucket| (at(bucket), 0, if bucket % 40 == 0 { 80.0 } else { 25.0 })).collect();
        assert_eq!(budget_score(&history(&scores, Period::WEEK), &restless, 2, Period::WEEK), 81.0);
    }

    #[test]
    fn a_hundred_is_chosen_where_nothing_is_enough() {
        assert_eq!(budget_score(&history(&[(at(0), 0, 100.0)], Period::WEEK), &rule(), 0, Period::WEEK), 100.0);
    }

    #[test]
    fn without_enough_history_the_expected_number_of_false_alerts_decides() {
        let chosen = |alerts, per| budget_score(&history(&[], Period::DAY), &rule(), alerts, per);
        assert_eq!(chosen(2, Period::WEEK), 31.0);
        assert_eq!(chosen(0, Period::WEEK), 100.0);
        assert_eq!(budget_score(&history(&[], Period(0)), &rule(), 1, Period(0)), 20.0);
    }

    proptest! {
        #[test]
        fn the_replay_counts_the_episodes_that_judging_opens(
            points in proptest::collection::vec((1i64..9, 0u32..101), 0..80),
            sustained in prop::sample::select(vec![(1, 1), (2, 3), (3, 3)]),
            refractory in 0i64..8,
            least in 20u32..101,
        ) {
            let rule = Rule {
                sustained,
                score: f64::from(least),
                refractory: Some(rule().bucket.times(refractory)),
                ..rule()
            };
            let mut bucket = 0;
            let scores: Vec<_> = points.iter().map(|(gap, score)| {
                bucket += gap;
                (at(bucket), 0, f64::from(*score))
            }).collect();
            let mut tracker = Tracker::default();
            let judged_episodes = scores.iter().map(|(bucket, _, score)| {
                let verdict = judge(&rule, &mut tracker, *bucket, &[judged(*score)], None);
                verdict.events.iter().filter(|event| matches!(event, Event::Opened(_))).count() as u32
            }).sum::<u32>();
            prop_assert_eq!(episodes(&by_entity(&scores), &rule, rule.score), judged_episodes);
        }
    }
}
