//! Where more alerts wait than people should get at once: the worst of them as they are, and the others as one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use margay_core::{Alert, AlertStatus, Entity, TimeRange, digest};
use margay_render::plain;

use crate::notice::notice;

/// The time that a ration is for.
const RATION_TIME: Duration = Duration::from_secs(60);
/// Alerts that a digest names, and those and the detectors that its summary names.
const NAMED_MOST: usize = 100;
const SUMMARY_ALERTS: usize = 5;
const SUMMARY_DETECTORS: usize = 5;

/// How many messages a sink may still get: so many in any minute.
#[derive(Debug)]
pub struct Ration {
    most: usize,
    sent: VecDeque<Instant>,
}

impl Ration {
    /// `most` messages in any minute.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, sent: VecDeque::new() }
    }

    /// Messages that may be sent at `now`.
    pub fn left(&mut self, now: Instant) -> usize {
        while self.sent.front().is_some_and(|sent| now.duration_since(*sent) >= RATION_TIME) {
            self.sent.pop_front();
        }
        self.most.saturating_sub(self.sent.len())
    }

    /// Notes a message.
    pub fn take(&mut self, now: Instant) {
        self.sent.push_back(now);
    }

    /// The same bound as `other` with what was sent until now.
    #[must_use]
    pub fn bounded_as(self, other: &Self) -> Self {
        Self { most: other.most, ..self }
    }
}

/// Places of the alerts that are told on their own: the worst ones, one of each incident, at most `most`. Of equal ones
/// some, by their ids: an entity that was not told this time may be the next.
#[must_use]
pub fn told_apart(alerts: &[Alert], most: usize) -> BTreeSet<usize> {
    let mut order: Vec<usize> = (0..alerts.len()).collect();
    order.sort_by_key(|at| {
        let alert = &alerts[*at];
        (alert.status != AlertStatus::Open, Reverse(alert.severity), Reverse((alert.score * 100.0) as i64), &alert.id)
    });
    let mut incidents = BTreeSet::new();
    order.into_iter().filter(|at| incidents.insert(&alerts[*at].incident)).take(most).collect()
}

/// Alerts as one, which has the severity of the worst of them. `None` of none.
#[must_use]
pub fn together(alerts: &[&Alert]) -> Option<Alert> {
    let worst = alerts.iter().min_by_key(|alert| (Reverse(alert.severity), alert.time, &alert.id))?;
    let mut named: Vec<&&Alert> = alerts.iter().collect();
    named.sort_by_key(|alert| (Reverse(alert.severity), &alert.id));
    let keys: Vec<String> = alerts.iter().map(|alert| format!("{}-{}", alert.id, alert.revision)).collect();
    let range = TimeRange {
        start: alerts.iter().map(|alert| alert.start).min()?,
        end: alerts.iter().map(|alert| alert.end).max()?,
    };
    let entity = Entity::new(["alerts".to_owned()].as_slice().into(), vec![Some(alerts.len().to_string())]);
    Some(Alert {
        time: alerts.iter().map(|alert| alert.time).max()?,
        severity: worst.severity,
        score: worst.score,
        expected_false_per_week: alerts.iter().map(|alert| alert.expected_false_per_week).fold(0.0, f64::max),
        description: "More alerts than a minute's `delivery.messages_per_minute`. `margay alerts` lists all."
            .to_owned(),
        summary: summary(alerts, &named),
        evidence: named.iter().take(NAMED_MOST).map(|alert| line(alert)).collect(),
        ..notice(digest(&keys), "margay-digest", "digest", entity, range)
    })
}

fn summary(alerts: &[&Alert], named: &[&&Alert]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for alert in alerts {
        *counts.entry(&alert.detector).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(name, count)| (Reverse(*count), *name));
    let shown = counts.iter().take(SUMMARY_DETECTORS).map(|(name, count)| format!("{count} of {name}"));
    let rest = counts.len().saturating_sub(SUMMARY_DETECTORS);
    let more = (rest > 0).then(|| format!("those of {rest} more detectors"));
    let detectors: Vec<String> = shown.chain(more).collect();
    let worst: Vec<String> = named.iter().take(SUMMARY_ALERTS).map(|alert| line(alert)).collect();
    format!("{} more alerts: {}. Among them: {}", alerts.len(), detectors.join(", "), worst.join("; "))
}

fn line(alert: &Alert) -> String {
    let entity = plain(&alert.entity.to_string());
    format!("{} [{}] severity {} {entity} ({})", alert.detector, alert.status, alert.severity, alert.id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use margay_core::Time;

    use super::*;
    use crate::commands::sink::test_alert;

    fn alert(number: usize, severity: u8) -> Alert {
        let id = format!("{number:04}");
        Alert { incident: id.clone(), id, severity, detector: "load".to_owned(), ..test_alert("x", Time(0)) }
    }

    #[test]
    fn a_minute_has_its_ration_and_the_next_one_another() {
        let mut ration = Ration::new(3);
        let start = Instant::now();
        (0..3).for_each(|_| ration.take(start));
        assert_eq!(ration.left(start + Duration::from_secs(59)), 0);
        assert_eq!(ration.left(start + Duration::from_secs(60)), 3);
    }

    #[test]
    fn the_worst_are_told_apart_one_of_each_incident_and_the_others_together() {
        let mut alerts: Vec<Alert> = (0..50).map(|at| alert(at, 10 + (at % 5) as u8)).collect();
        alerts[4].incident = alerts[9].incident.clone();
        let apart = told_apart(&alerts, 5);
        assert_eq!(apart.into_iter().collect::<Vec<_>>(), [4, 14, 19, 24, 29]);
        let rest: Vec<&Alert> = alerts.iter().skip(5).collect();
        let one = together(&rest).unwrap();
        assert_eq!((one.severity, one.evidence.len()), (14, 45));
        assert!(one.summary.starts_with("45 more alerts: 45 of load. Among them: load [open] severity 14 x (0009)"));
        assert_eq!(together(&[]), None);
    }
}
