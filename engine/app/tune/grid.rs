//! Which thresholds are tried.

use margay_decide::Rule;
use margay_decide::trial::{self, Opened};

use super::past::Past;

/// Lowest score that is tried.
pub const SCORE_LEAST: f64 = 20.0;
/// Highest score that is tried.
const SCORE_MOST: f64 = 100.0;
/// Ways to ask for several buckets.
const SUSTAINED: [(u32, u32); 3] = [(1, 1), (2, 3), (3, 5)];
/// Relative distances.
const MIN_REL_DEV: [f64; 4] = [0.25, 0.5, 1.0, 2.0];
/// Shares of the present alerts whose distance from the expected value is below what is tried as `min_dev`.
const MIN_DEV_SHARES: [f64; 4] = [0.5, 0.75, 0.9, 0.97];

/// The gates beside the score, as they are and changed in one or two places.
#[must_use]
pub fn gates(rule: &Rule, past: &Past) -> Vec<Rule> {
    let sustained = SUSTAINED.map(|sustained| Rule { sustained, ..rule.clone() });
    let relative = MIN_REL_DEV
        .into_iter()
        .filter(|least| rule.min_rel_dev.is_none_or(|present| *least > present))
        .map(|least| Rule { min_rel_dev: Some(least), ..rule.clone() });
    let absolute = distances(rule, past)
        .into_iter()
        .filter(|least| rule.min_dev.is_none_or(|present| *least > present))
        .map(|least| Rule { min_dev: Some(least), ..rule.clone() });
    let single: Vec<Rule> = sustained.into_iter().chain(relative).chain(absolute).collect();
    let stricter = (2, 3);
    let both = single.iter().filter(|one| one.sustained == rule.sustained && rule.sustained.0 < stricter.0);
    let both: Vec<Rule> = both.map(|one| Rule { sustained: stricter, ..one.clone() }).collect();
    let mut all = vec![rule.clone()];
    for one in single.into_iter().chain(both) {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// The whole scores from the lowest to the highest, and the present one.
#[must_use]
pub fn scores(present: f64) -> Vec<f64> {
    let mut scores: Vec<f64> = (SCORE_LEAST as u32..=SCORE_MOST as u32).map(f64::from).collect();
    if !scores.contains(&present) && (SCORE_LEAST..=SCORE_MOST).contains(&present) {
        scores.push(present);
        scores.sort_by(f64::total_cmp);
    }
    scores
}

/// Distances from the expected value below which a share of the present alerts lies, rounded up to two digits.
fn distances(rule: &Rule, past: &Past) -> Vec<f64> {
    let mut found: Vec<f64> = Vec::new();
    for series in &past.series {
        let opened = trial::episodes(rule, series);
        found.extend(opened.iter().filter_map(|one| largest_distance(series, one)));
    }
    found.sort_by(f64::total_cmp);
    if found.is_empty() {
        return Vec::new();
    }
    let at = |share: f64| found[((found.len() - 1) as f64 * share).round() as usize];
    let mut distances: Vec<f64> = MIN_DEV_SHARES.iter().map(|share| rounded_up(at(*share))).collect();
    distances.retain(|distance| distance.is_finite() && *distance > 0.0);
    distances.dedup();
    distances
}

/// The largest distance from the expected value in an episode, of the features that score.
fn largest_distance(series: &trial::Series, one: &Opened) -> Option<f64> {
    let within = series.iter().filter(|(bucket, _)| (one.start..one.end).contains(bucket));
    let scored = within.flat_map(|(_, judged)| judged).filter(|judged| judged.score.score >= SCORE_LEAST);
    let distance = scored.map(|judged| (judged.score.value - judged.score.expected).abs());
    distance.filter(|distance| distance.is_finite()).reduce(f64::max)
}

/// The next number with two digits.
fn rounded_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 10f64.powf(value.log10().floor() - 1.0);
    let rounded = (value / unit - 1e-9).ceil() * unit;
    format!("{rounded:.1e}").parse().unwrap_or(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_rounded_up_to_two_digits() {
        for (value, rounded) in [(1234.0, 1300.0), (1300.0, 1300.0), (0.0512, 0.052), (99.9, 100.0), (0.0, 0.0)] {
            assert_eq!(rounded_up(value), rounded);
        }
    }

    #[test]
    fn the_present_score_is_among_those_tried() {
        assert!(scores(34.6).contains(&34.6));
        assert_eq!(scores(30.0).len(), 81);
        assert_eq!(scores(10.0).len(), 81);
    }
}
