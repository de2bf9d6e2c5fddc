//! Thresholds and what comes of them; which of them to take.

use std::str::FromStr;

use margay_core::{Period, TimeRange};
use margay_decide::trial::{self, Opened};
use margay_decide::{Rule, expected_false_per_week};
use rayon::prelude::*;
use serde::Serialize;

use super::grid;
use super::labels::Label;
use super::past::Past;

/// Distance of the scores that are shown for the gates in force.
const SHOWN_STEP: f64 = 5.0;
/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// How many alerts are welcome in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Alerts of all entities.
    pub alerts: u32,
    /// The time.
    pub per: Period,
}

impl Budget {
    /// Alerts a week.
    #[must_use]
    pub fn per_week(self) -> f64 {
        f64::from(self.alerts) * Period::WEEK.seconds() / self.per.seconds()
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no budget; write alerts and a time, such as 3/1w");
        let (alerts, per) = text.split_once('/').ok_or_else(wrong)?;
        let alerts = alerts.trim().parse().map_err(|_| wrong())?;
        let per: Period = per.trim().parse().map_err(|_| wrong())?;
        if per > Period(0) { Ok(Self { alerts, per }) } else { Err(wrong()) }
    }
}

/// Thresholds that were tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Lowest score that alerts.
    pub score: f64,
    /// Smallest distance from the expected value.
    pub min_dev: Option<f64>,
    /// The same as a share of the expected value.
    pub min_rel_dev: Option<f64>,
    /// Buckets that must be anomalous, of how many.
    pub sustained: String,
    /// Alerts a week over the past that was looked at.
    pub alerts_per_week: f64,
    /// Alerts a week that are to be expected where nothing is wrong, by the score alone: other gates spare some.
    pub expected_false_per_week: f64,
    /// Share of true ones among labelled alerts.
    pub precision: Option<f64>,
    /// Its 95 % interval (Wilson).
    pub precision_interval: Option<(f64, f64)>,
    /// Share of labelled true incidents that are alerted.
    pub recall: Option<f64>,
    /// Its 95 % interval (Wilson).
    pub recall_interval: Option<(f64, f64)>,
    /// Labelled true incidents that the thresholds in force alert and these do not.
    pub lost: usize,
    /// Whether these are in force.
    pub in_force: bool,
    #[serde(skip)]
    pub(super) rule: Rule,
}

/// What came of trying.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The candidates worth showing: by gates, then score.
    pub candidates: Vec<Candidate>,
    /// The one to take; `None` where none keeps to the budget without losing a labelled true incident.
    pub recommended: Option<Candidate>,
    /// Alerts a week by score, with the other gates as they are.
    pub curve: Vec<(f64, f64)>,
}

/// Tries thresholds around those of `rule`, which are in force.
#[must_use]
pub fn tune(rule: &Rule, past: &Past, labels: &[Label], budget: Budget) -> Tuned {
    let bench = Bench { rule, past, labels, caught: caught(&opened(rule, past), past, labels), budget };
    let in_force = bench.candidate(rule);
    let curve: Vec<Candidate> = grid::scores(rule.score)
        .par_iter()
        .map(|score| bench.candidate(&Rule { score: *score, ..rule.clone() }))
        .collect();
    let others: Vec<Candidate> = grid::gates(rule, past).par_iter().filter_map(|gates| bench.best(gates)).collect();
    let recommended = if bench.is_eligible(&in_force) {
        Some(in_force.clone())
    } else {
        others.iter().filter(|one| bench.is_eligible(one)).min_by_key(|one| bench.preference(one)).cloned()
    };
    let is_shown = |one: &Candidate| one.score % SHOWN_STEP == 0.0 && !one.in_force;
    let mut candidates: Vec<Candidate> = curve.iter().filter(|one| is_shown(one)).cloned().collect();
    for one in std::iter::once(in_force).chain(others) {
        if !candidates.iter().any(|known| known.rule == one.rule) {
            candidates.push(one);
        }
    }
    candidates.sort_by(|a, b| {
        let gates = |one: &Candidate| bench.changed(one);
        (gates(a), &a.sustained).cmp(&(gates(b), &b.sustained)).then(a.score.total_cmp(&b.score))
    });
    Tuned { candidates, recommended, curve: curve.iter().map(|one| (one.score, one.alerts_per_week)).collect() }
}

/// Everything against which thresholds are tried.
struct Bench<'a> {
    rule: &'a Rule,
    past: &'a Past,
    labels: &'a [Label],
    /// Labels that the thresholds in force alert.
    caught: Vec<bool>,
    budget: Budget,
}

impl Bench<'_> {
    fn candidate(&self, rule: &Rule) -> Candidate {
        let opened = opened(rule, self.past);
        let weeks = self.past.weeks();
        let buckets: u32 = opened.iter().map(|(_, one)| one.buckets).sum();
        let episode_buckets = f64::from(buckets) / opened.len().max(1) as f64;
        let tests_per_week = self.past.tests as f64 / weeks;
        let caught = caught(&opened, self.past, self.labels);
        let trues = || self.labels.iter().zip(&caught).filter(|(label, _)| label.real);
        let (found, all) = (trues().filter(|(_, caught)| **caught).count(), trues().count());
        let (right, labelled) = self.labelled(&opened);
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        let lost = self.labels.iter().zip(self.caught.iter().zip(&caught));
        Candidate {
            score: rule.score,
            min_dev: rule.min_dev,
            min_rel_dev: rule.min_rel_dev,
            sustained: format!("{} of {}", rule.sustained.0, rule.sustained.1),
            alerts_per_week: opened.len() as f64 / weeks,
            expected_false_per_week: expected_false_per_week(rule.score, tests_per_week, episode_buckets),
            precision: share(right, labelled),
            precision_interval: wilson(right, labelled),
            recall: share(found, all),
            recall_interval: wilson(found, all),
            lost: lost.filter(|(label, (before, now))| label.real && **before && !**now).count(),
            in_force: rule == self.rule,
            rule: rule.clone(),
        }
    }

    /// Labelled alerts that are true, and all labelled ones.
    fn labelled(&self, opened: &[(usize, Opened)]) -> (usize, usize) {
        let touching = |one: &(usize, Opened), real: bool| {
            self.labels.iter().any(|label| label.real == real && touches(label, one, self.past))
        };
        let right = opened.iter().filter(|one| touching(one, true)).count();
        let wrong = opened.iter().filter(|one| !touching(one, true) && touching(one, false)).count();
        (right, right + wrong)
    }

    /// The best of the scores at which, and above all of which, these gates keep to the budget.
    fn best(&self, gates: &Rule) -> Option<Candidate> {
        let scores = grid::scores(self.rule.score).into_iter().rev();
        let candidates = scores.map(|score| self.candidate(&Rule { score, ..gates.clone() }));
        let within = candidates.take_while(|one| one.alerts_per_week <= self.budget.per_week());
        within.filter(|one| one.lost == 0).min_by_key(|one| self.preference(one))
    }

    fn is_eligible(&self, one: &Candidate) -> bool {
        one.lost == 0 && one.alerts_per_week <= self.budget.per_week()
    }

    /// Gates beside the score that differ from those in force.
    fn changed(&self, one: &Candidate) -> usize {
        let (rule, other) = (self.rule, &one.rule);
        usize::from(rule.min_dev != other.min_dev)
            + usize::from(rule.min_rel_dev != other.min_rel_dev)
            + usize::from(rule.sustained != other.sustained)
    }

    /// Smaller is better: more true ones alerted, fewer false ones, less changed, and the most sensitive of the rest.
    fn preference(&self, one: &Candidate) -> (i64, i64, usize, i64, i64) {
        let parts = |share: Option<f64>| (share.unwrap_or(0.0) * 1e6) as i64;
        let often = (one.alerts_per_week * 1e6) as i64;
        (-parts(one.recall), -parts(one.precision), self.changed(one), -often, (one.score * 1e6) as i64)
    }
}

/// Episodes of all entities.
fn opened(rule: &Rule, past: &Past) -> Vec<(usize, Opened)> {
    let of_entity = |(entity, series)| trial::episodes(rule, series).into_iter().map(move |one| (entity, one));
    past.series.iter().enumerate().flat_map(of_entity).collect()
}

/// Which labels an alert touches.
fn caught(opened: &[(usize, Opened)], past: &Past, labels: &[Label]) -> Vec<bool> {
    labels.iter().map(|label| opened.iter().any(|one| touches(label, one, past))).collect()
}

fn touches(label: &Label, (entity, one): &(usize, Opened), past: &Past) -> bool {
    label.range.overlaps(&TimeRange { start: one.start, end: one.end }) && past.entities[*entity] == label.entity
}

/// The 95 % interval of a share (Wilson 1927), which holds for few cases and for shares of 0 and 1.
fn wilson(part: usize, whole: usize) -> Option<(f64, f64)> {
    if whole == 0 {
        return None;
    }
    let (n, p) = (whole as f64, part as f64 / whole as f64);
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use margay_core::{Direction, Entity, Score, ScoreState, Time};

    use super::super::past::Collector;
    use super::*;

    fn rule() -> Rule {
        Rule {
            features: vec!["bytes".to_owned()],
            score: 30.0,
            direction: Direction::Above,
            min_dev: None,
            min_rel_dev: None,
            min_value: None,
            sustained: (1, 1),
            bucket: Period::MINUTE.times(5),
            refractory: Some(Period(0)),
        }
    }

    fn at(bucket: i64) -> Time {
        Time(0).plus(rule().bucket.times(bucket))
    }

    /// A week in which `web` scores so much at these buckets, and 0 at all others.
    fn past(loud: &[(i64, f64)]) -> Past {
        let rule = rule();
        let mut collector = Collector::new(&rule, &[None], TimeRange::ALL);
        collector.enter(Entity::new(["name".to_owned()].into(), vec![Some("web".to_owned())]));
        for bucket in 0..2016 {
            let points = loud.iter().find(|(at, _)| *at == bucket).map_or(0.0, |(_, points)| *points);
            let score = Score {
                value: 100.0 + points,
                expected: 100.0,
                lower: 90.0,
                upper: 110.0,
                score: points,
                state: ScoreState::Scored,
            };
            collector.take(at(bucket), 0, 0, score);
        }
        collector.finish().unwrap()
    }

    fn label(bucket: i64, real: bool) -> Label {
        let entity = Entity::new(["name".to_owned()].into(), vec![Some("web".to_owned())]);
        Label { entity, range: TimeRange { start: at(bucket), end: at(bucket + 1) }, real }
    }

    const THREE_A_WEEK: Budget = Budget { alerts: 3, per: Period::WEEK };

    /// Ten single spikes of 40, three of 60, and one lasting incident of 45.
    fn noisy() -> Vec<(i64, f64)> {
        let spikes = (0..10).map(|at| (at * 50, 40.0)).chain((0..3).map(|at| (1000 + at * 50, 60.0)));
        spikes.chain((1500..1510).map(|at| (at, 45.0))).collect()
    }

    #[test]
    fn without_labels_the_lowest_score_within_the_budget_is_taken() {
        let tuned = tune(&rule(), &past(&noisy()), &[], THREE_A_WEEK);
        let recommended = tuned.recommended.unwrap();
        assert_eq!((recommended.score, recommended.alerts_per_week, &recommended.sustained[..]), (46.0, 3.0, "1 of 1"));
        assert_eq!((recommended.precision, recommended.recall), (None, None));
        assert_eq!(tuned.curve[10], (30.0, 14.0));
        assert_eq!(tuned.candidates.iter().filter(|one| one.in_force).count(), 1);
    }

    #[test]
    fn a_labelled_true_incident_is_kept_by_another_gate() {
        let labels: Vec<Label> = [label(1502, true), label(1000, false), label(0, false)].into();
        let tuned = tune(&rule(), &past(&noisy()), &labels, THREE_A_WEEK);
        let recommended = tuned.recommended.unwrap();
        assert_eq!((&recommended.sustained[..], recommended.lost), ("2 of 3", 0));
        assert_eq!((recommended.recall, recommended.precision), (Some(1.0), Some(1.0)));
        assert_eq!(recommended.alerts_per_week, 1.0);
    }

    #[test]
    fn rather_than_lose_a_labelled_true_incident_nothing_is_recommended() {
        let labels: Vec<Label> = (0..10).map(|at| label(at * 50, true)).collect();
        assert!(tune(&rule(), &past(&noisy()), &labels, THREE_A_WEEK).recommended.is_none());
    }

    #[test]
    fn thresholds_that_keep_to_the_budget_stay() {
        let tuned = tune(&rule(), &past(&[(5, 90.0)]), &[], THREE_A_WEEK);
        assert!(tuned.recommended.unwrap().in_force);
    }

    #[test]
    fn shares_of_few_cases_have_wide_intervals() {
        let (low, high) = wilson(1, 1).unwrap();
        assert!((low - 0.206_5).abs() < 1e-3 && high == 1.0, "{low} {high}");
        let (low, high) = wilson(5, 10).unwrap();
        assert!((low - 0.236_6).abs() < 1e-3 && (high - 0.763_4).abs() < 1e-3, "{low} {high}");
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn a_budget_is_alerts_and_a_time() {
        assert_eq!("3/1w".parse(), Ok(THREE_A_WEEK));
        assert_eq!("1/1d".parse::<Budget>().unwrap().per_week(), 7.0);
        for text in ["3", "3/", "x/1w", "3/0s", "-1/1w", "3/1 fortnight"] {
            assert!(text.parse::<Budget>().is_err(), "{text}");
        }
    }
}
