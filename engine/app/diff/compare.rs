//! Alerts of both sides, beside each other.

use std::collections::BTreeMap;

use margay_core::Alert;
use serde::Serialize;

use super::side::{Cost, Side};

/// An episode that both sides alert, but not alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// As the first side tells it.
    pub before: Alert,
    /// As the second side tells it.
    pub after: Alert,
}

/// What changes for one detector.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// Its alerts on the first side; `None` where it is not there.
    pub before: Option<usize>,
    /// Its alerts on the second side.
    pub after: Option<usize>,
    /// Alerts that only the second side has.
    pub added: usize,
    /// Alerts that only the first side has.
    pub removed: usize,
    /// Alerts that differ.
    pub changed: usize,
    /// What it costs on the first side.
    pub cost_before: Cost,
    /// What it costs on the second side.
    pub cost_after: Cost,
}

/// What two configurations have in common and what not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// Alerts that only the second side has, by start.
    pub added: Vec<Alert>,
    /// Alerts that only the first side has, by start.
    pub removed: Vec<Alert>,
    /// Alerts of the same detector and entity at overlapping times that differ in time, score or severity.
    pub changed: Vec<Changed>,
    /// By detector.
    pub detectors: BTreeMap<String, Row>,
}

/// Compares two sides.
#[must_use]
pub fn compare(before: &Side, after: &Side) -> Difference {
    let mut difference = Difference::default();
    let names = before.detectors.keys().chain(after.detectors.keys());
    for name in names {
        if difference.detectors.contains_key(name) {
            continue;
        }
        let (one, other) = (before.detectors.get(name), after.detectors.get(name));
        let alerts = |side: Option<&super::side::Replayed>| side.map(|side| side.alerts.clone()).unwrap_or_default();
        let (added, removed, changed) = pair(alerts(one), alerts(other));
        let row = Row {
            before: one.map(|one| one.alerts.len()),
            after: other.map(|other| other.alerts.len()),
            added: added.len(),
            removed: removed.len(),
            changed: changed.len(),
            cost_before: one.map(|one| one.cost).unwrap_or_default(),
            cost_after: other.map(|other| other.cost).unwrap_or_default(),
        };
        difference.detectors.insert(name.clone(), row);
        difference.added.extend(added);
        difference.removed.extend(removed);
        difference.changed.extend(changed);
    }
    let place = |alert: &Alert| (alert.start, alert.detector.clone(), alert.entity.clone());
    difference.added.sort_by_key(place);
    difference.removed.sort_by_key(place);
    difference.changed.sort_by_key(|changed| place(&changed.after));
    difference
}

/// Alerts of one detector: added, removed, changed. Each alert is paired with the first one that overlaps it.
fn pair(before: Vec<Alert>, after: Vec<Alert>) -> (Vec<Alert>, Vec<Alert>, Vec<Changed>) {
    let mut before: Vec<Option<Alert>> = before.into_iter().map(Some).collect();
    let (mut added, mut changed) = (Vec::new(), Vec::new());
    for after in after {
        let is_same = |alert: &Alert| alert.entity == after.entity && alert.range().overlaps(&after.range());
        match before.iter_mut().find(|alert| alert.as_ref().is_some_and(is_same)).and_then(Option::take) {
            None => added.push(after),
            Some(before) if tells_the_same(&before, &after) => {}
            Some(before) => changed.push(Changed { before, after }),
        }
    }
    (added, before.into_iter().flatten().collect(), changed)
}

fn tells_the_same(one: &Alert, other: &Alert) -> bool {
    let told = |alert: &Alert| (alert.start, alert.end, alert.score.to_bits(), alert.severity);
    told(one) == told(other)
}
