//! Alerts of several detectors about one entity at one time, told as one incident.

use std::collections::{BTreeMap, BTreeSet};

use margay_core::{Alert, AlertStatus, Incident, Period, Records, SuspiciousRecords, Time};
use serde::{Deserialize, Serialize};

/// How far apart in time alerts of one incident may lie.
pub const NEAR: Period = Period::HOUR;

/// Incidents remembered for alerts to join; beyond, those that ended first are forgotten.
pub const INCIDENTS_MOST: usize = 4096;

/// Alerts remembered of an incident; beyond, the first ones are forgotten.
pub const ALERTS_MOST: usize = 256;

/// Rows of a log that an incident shows; further ones are counted.
pub const ROWS_MOST: usize = 100;

/// The incidents that alerts may join. Assigns each alert its incident as alerts come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Incidents {
    /// By the entity's identity, in order of their beginning.
    known: BTreeMap<String, Vec<Known>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    id: String,
    start: Time,
    end: Time,
    alerts: Vec<String>,
}

impl Incidents {
    /// The incident of an alert about the entity with this [identity](margay_core::Entity::identity), anomalous from
    /// `start` to `end`: the one it is in already, else the first that overlaps it or lies within [`NEAR`] of it, else
    /// a new one, named after the alert.
    pub fn assign(&mut self, alert_id: &str, identity: &str, start: Time, end: Time) -> String {
        let known = self.known.entry(identity.to_owned()).or_default();
        let own = known.iter().position(|one| one.alerts.iter().any(|id| id == alert_id));
        let near = |one: &Known| one.start <= end.plus(NEAR) && start <= one.end.plus(NEAR);
        let Some(at) = own.or_else(|| known.iter().position(near)) else {
            known.push(Known { id: alert_id.to_owned(), start, end, alerts: vec![alert_id.to_owned()] });
            known.sort_by_key(|one| one.start);
            self.forget();
            return alert_id.to_owned();
        };
        let joined = &mut known[at];
        if own.is_none() {
            joined.alerts.push(alert_id.to_owned());
            let surplus = joined.alerts.len().saturating_sub(ALERTS_MOST);
            joined.alerts.drain(..surplus);
        }
        joined.start = joined.start.min(start);
        joined.end = joined.end.max(end);
        let id = joined.id.clone();
        known.sort_by_key(|one| one.start);
        id
    }

    /// Drops the incident that ended first where there are too many.
    fn forget(&mut self) {
        if self.known.values().map(Vec::len).sum::<usize>() <= INCIDENTS_MOST {
            return;
        }
        let all =
            self.known.iter().flat_map(|(identity, known)| known.iter().map(move |one| (one.end, &one.id, identity)));
        let Some((_, id, identity)) = all.min().map(|(end, id, identity)| (end, id.clone(), identity.clone())) else {
            return;
        };
        if let Some(known) = self.known.get_mut(&identity) {
            known.retain(|one| one.id != id);
            if known.is_empty() {
                self.known.remove(&identity);
            }
        }
    }
}

/// Alerts grouped by incident, each in its latest revision, withdrawn ones left out; by start and id.
#[must_use]
pub fn incidents(alerts: &[Alert]) -> Vec<Incident> {
    let mut latest: BTreeMap<&str, &Alert> = BTreeMap::new();
    for alert in alerts {
        let known = latest.entry(&alert.id).or_insert(alert);
        if alert.revision >= known.revision {
            *known = alert;
        }
    }
    let mut groups: BTreeMap<&str, Vec<&Alert>> = BTreeMap::new();
    for alert in latest.into_values().filter(|alert| alert.status != AlertStatus::Withdrawn) {
        groups.entry(&alert.incident).or_default().push(alert);
    }
    let mut incidents: Vec<Incident> = groups.into_iter().filter_map(|(id, alerts)| incident(id, alerts)).collect();
    incidents.sort_by(|one, other| (one.start, &one.id).cmp(&(other.start, &other.id)));
    incidents
}

fn incident(id: &str, mut alerts: Vec<&Alert>) -> Option<Incident> {
    alerts.sort_by_key(|alert| (alert.start, &alert.id));
    let detectors: BTreeSet<&str> = alerts.iter().map(|alert| alert.detector.as_str()).collect();
    let first = alerts.first()?;
    Some(Incident {
        id: id.to_owned(),
        start: first.start,
        end: alerts.iter().map(|alert| alert.end).max()?,
        severity: alerts.iter().map(|alert| alert.severity).max()?,
        entity: first.entity.clone(),
        detectors: detectors.into_iter().map(str::to_owned).collect(),
        alerts: alerts.iter().map(|alert| alert.id.clone()).collect(),
        suspicious_records: merge(&alerts),
    })
}

/// Rows behind all alerts by log, each row once and at most [`ROWS_MOST`] of a log; the others add to those that the
/// alerts left out.
fn merge(alerts: &[&Alert]) -> SuspiciousRecords {
    let mut merged = SuspiciousRecords::new();
    let mut seen: BTreeSet<(&str, String)> = BTreeSet::new();
    for (log, records) in alerts.iter().flat_map(|alert| &alert.suspicious_records) {
        let into: &mut Records = merged.entry(log.clone()).or_default();
        into.left_out = into.left_out.saturating_add(records.left_out);
        for row in &records.rows {
            let fields: BTreeMap<&String, &serde_json::Value> = row.iter().collect();
            let text = serde_json::to_string(&fields).expect("a map of JSON values is JSON");
            if !seen.insert((log, text)) {
                continue;
            }
            if into.rows.len() < ROWS_MOST {
                into.rows.push(row.clone());
            } else {
                into.left_out = into.left_out.saturating_add(1);
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use margay_core::Entity;
    use serde_json::json;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn alert(id: &str, incident: &str, start: i64, end: i64) -> Alert {
        Alert {
            id: id.to_owned(),
            incident: incident.to_owned(),
            time: Time(end),
            start: Time(start),
            end: Time(end),
            detector: format!("detector-{id}"),
            entity: Entity::new(["namespace".to_owned()].into(), vec![Some(format!("entity-{id}"))]),
            ..crate::fixture::alert()
        }
    }

    fn rows(numbers: std::ops::Range<usize>) -> Vec<serde_json::Map<String, serde_json::Value>> {
        numbers.map(|number| json!({ "row": number }).as_object().unwrap().clone()).collect()
    }

    #[test]
    fn alerts_of_one_entity_within_an_hour_share_an_incident() {
        let mut known = Incidents::default();
        assert_eq!(known.assign("a", "web", Time(0), Time(HOUR)), "a");
        assert_eq!(known.assign("b", "web", Time(2 * HOUR), Time(3 * HOUR)), "a");
        assert_eq!(known.assign("c", "web", Time(4 * HOUR), Time(5 * HOUR)), "a");
        assert_eq!(known.assign("d", "web", Time(6 * HOUR + 1), Time(7 * HOUR)), "d");
        assert_eq!(known.assign("e", "db", Time(0), Time(HOUR)), "e");
    }

    #[test]
    fn an_alert_stays_in_its_incident_when_others_grow_over_it() {
        let mut known = Incidents::default();
        known.assign("a", "web", Time(0), Time(HOUR));
        known.assign("b", "web", Time(9 * HOUR), Time(10 * HOUR));
        assert_eq!(known.assign("a", "web", Time(0), Time(20 * HOUR)), "a");
        assert_eq!(known.assign("b", "web", Time(9 * HOUR), Time(11 * HOUR)), "b");
        assert_eq!(known.assign("c", "web", Time(10 * HOUR), Time(11 * HOUR)), "a");
    }

    #[test]
    fn the_incident_that_ended_first_is_forgotten_when_there_are_too_many() {
        let mut known = Incidents::default();
        for number in 0..=INCIDENTS_MOST as i64 {
            known.assign(&format!("alert-{number}"), &format!("entity-{number}"), Time(number), Time(number + 1));
        }
        assert_eq!(known.known.values().map(Vec::len).sum::<usize>(), INCIDENTS_MOST);
        assert_eq!(known.assign("again", "entity-0", Time(0), Time(1)), "again");
        assert_eq!(known.assign("again", "entity-9", Time(0), Time(1)), "alert-9");
    }

    #[test]
    fn an_incident_tells_the_latest_of_its_alerts() {
        let first = alert("a", "a", 0, HOUR);
        let latest = Alert { revision: 2, end: Time(3 * HOUR), severity: 70, ..first.clone() };
        let other = Alert { severity: 60, ..alert("b", "a", HOUR, 2 * HOUR) };
        let gone = Alert { status: AlertStatus::Withdrawn, severity: 99, ..alert("c", "a", 0, 9 * HOUR) };
        let apart = alert("d", "d", -HOUR, 0);
        let told = incidents(&[other.clone(), latest.clone(), gone, first, apart]);
        assert_eq!(told.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["d", "a"]);
        assert_eq!((told[1].start, told[1].end, told[1].severity), (Time(0), Time(3 * HOUR), 70));
        assert_eq!(told[1].alerts, ["a", "b"]);
        assert_eq!(told[1].detectors, ["detector-a", "detector-b"]);
        assert_eq!(told[1].entity, latest.entity);
        assert!(incidents(&[]).is_empty());
    }

    #[test]
    fn rows_of_several_alerts_stand_once_and_surplus_ones_are_counted() {
        let mut one = alert("a", "a", 0, HOUR);
        one.suspicious_records.insert("flows".to_owned(), Records { rows: rows(0..80), left_out: 5 });
        let mut other = alert("b", "a", 0, HOUR);
        other.suspicious_records.insert("flows".to_owned(), Records { rows: rows(60..130), left_out: 0 });
        other.suspicious_records.insert("dns".to_owned(), Records { rows: rows(0..1), left_out: 0 });
        let told = &incidents(&[one, other])[0].suspicious_records;
        assert_eq!(told["flows"], Records { rows: rows(0..ROWS_MOST), left_out: 35 });
        assert_eq!(told["dns"], Records { rows: rows(0..1), left_out: 0 });
    }
}
