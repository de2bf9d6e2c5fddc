//! Alerts by time, and what lists and counts need of each: nothing that is asked often reads every alert.

use std::collections::BTreeMap;

use margay_core::{Alert, AlertStatus, TimeRange};
use redb::{ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::state::{ALERTS, State, StateError, failed, json};

/// Start in milliseconds and id of an alert → [`Brief`] in JSON.
pub(crate) const ORDER: TableDefinition<(i64, &str), &[u8]> = TableDefinition::new("alert_order");
/// Status → how many alerts have it.
pub(crate) const COUNTS: TableDefinition<&str, u64> = TableDefinition::new("alert_counts");

/// What lists need of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// Its id.
    pub id: String,
    /// Its detector.
    pub detector: String,
    /// Where it stands.
    pub status: AlertStatus,
    /// The silence that keeps it back.
    pub silence: Option<String>,
    /// 1 to 100.
    pub severity: u8,
    /// 0 to 100.
    pub score: f64,
}

impl Brief {
    fn of(alert: &Alert) -> Self {
        Self {
            id: alert.id.clone(),
            detector: alert.detector.clone(),
            status: alert.status,
            silence: alert.silenced.as_ref().map(|silenced| silenced.silence.clone()),
            severity: alert.severity,
            score: alert.score,
        }
    }
}

impl Change<'_> {
    /// Puts an alert into its place, in the place of its last revision.
    pub(crate) fn put_in_order(&self, alert: &Alert, before: Option<&Alert>) -> Result<(), StateError> {
        let writing = |source: redb::Error| failed(self.path, "writing", source);
        let mut order = self.transaction.open_table(ORDER).map_err(|source| writing(source.into()))?;
        let mut counts = self.transaction.open_table(COUNTS).map_err(|source| writing(source.into()))?;
        let mut count = |status: AlertStatus, add: i64| -> Result<(), redb::Error> {
            let name = status.to_string();
            let known = counts.get(&name[..])?.map_or(0, |count| count.value());
            counts.insert(&name[..], known.saturating_add_signed(add))?;
            Ok(())
        };
        if let Some(before) = before {
            order.remove((before.start.0, &before.id[..])).map_err(|source| writing(source.into()))?;
            count(before.status, -1).map_err(writing)?;
        }
        let brief = json(&Brief::of(alert));
        order.insert((alert.start.0, &alert.id[..]), &brief[..]).map_err(|source| writing(source.into()))?;
        count(alert.status, 1).map_err(writing)
    }
}

impl State {
    /// What lists need of alerts, the newest first; with `after`, those that follow that alert in this order. It goes on
    /// for as long as `wants` is true.
    ///
    /// # Errors
    /// The store fails, or a record is from another version.
    pub fn briefs(&self, after: Option<&Alert>, mut wants: impl FnMut(Brief) -> bool) -> Result<(), StateError> {
        let reading = |source: redb::Error| failed(self.path(), "reading", source);
        let read = self.read()?;
        let table = read.open_table(ORDER).map_err(|source| reading(source.into()))?;
        let end = after.map_or((i64::MAX, ""), |alert| (alert.start.0, &alert.id[..]));
        for entry in table.range(..end).map_err(|source| reading(source.into()))?.rev() {
            let (key, bytes) = entry.map_err(|source| reading(source.into()))?;
            let brief = serde_json::from_slice(bytes.value()).map_err(|_| self.unreadable(key.value().1))?;
            if !wants(brief) {
                break;
            }
        }
        Ok(())
    }

    /// The latest revisions of the alerts that start in a range of time, in order of time.
    ///
    /// # Errors
    /// The store fails, or a record is from another version.
    pub fn alerts_within(&self, range: TimeRange) -> Result<Vec<Alert>, StateError> {
        let reading = |source: redb::Error| failed(self.path(), "reading", source);
        let read = self.read()?;
        let table = read.open_table(ORDER).map_err(|source| reading(source.into()))?;
        let found = table.range((range.start.0, "")..(range.end.0, "")).map_err(|source| reading(source.into()))?;
        let mut alerts = Vec::new();
        for entry in found {
            let (key, _) = entry.map_err(|source| reading(source.into()))?;
            alerts.extend(self.alert(key.value().1)?);
        }
        Ok(alerts)
    }

    /// How many alerts have each status.
    ///
    /// # Errors
    /// The store fails.
    pub fn alert_counts(&self) -> Result<BTreeMap<AlertStatus, u64>, StateError> {
        let reading = |source: redb::Error| failed(self.path(), "reading", source);
        let read = self.read()?;
        let table = read.open_table(COUNTS).map_err(|source| reading(source.into()))?;
        let mut counts = BTreeMap::new();
        for status in AlertStatus::ALL {
            let count = table.get(&status.to_string()[..]).map_err(|source| reading(source.into()))?;
            counts.insert(status, count.map_or(0, |count| count.value()));
        }
        Ok(counts)
    }

    /// Puts alerts in order that a version before the order left.
    pub(crate) fn order_alerts(&self) -> Result<(), StateError> {
        let change = self.write()?;
        let writing = |source: redb::Error| failed(self.path(), "writing", source);
        {
            let order = change.transaction.open_table(ORDER).map_err(|source| writing(source.into()))?;
            change.transaction.open_table(COUNTS).map_err(|source| writing(source.into()))?;
            if order.first().map_err(|source| writing(source.into()))?.is_some() {
                return Ok(());
            }
        }
        for alert in self.all::<Alert>(ALERTS)? {
            change.put_in_order(&alert, None)?;
        }
        change.commit()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use margay_core::{Period, Time};

    use super::*;
    use crate::commands::sink::test_alert;

    fn alert(id: &str, start: i64, status: AlertStatus) -> Alert {
        Alert { id: id.to_owned(), start: Time(start), status, ..test_alert("x", Time(start).plus(Period::MINUTE)) }
    }

    fn ids(state: &State, after: Option<&Alert>) -> Vec<String> {
        let mut ids = Vec::new();
        let all = |brief: Brief| {
            ids.push(brief.id);
            true
        };
        state.briefs(after, all).unwrap();
        ids
    }

    #[test]
    fn alerts_are_listed_by_time_and_counted_by_their_latest_status() {
        let state = State::in_memory().unwrap();
        let put = |alert: &Alert| {
            let change = state.write().unwrap();
            change.put_alert(alert, false).unwrap();
            change.commit().unwrap();
        };
        for (id, start) in [("b", 20), ("a", 10), ("d", 30), ("c", 30)] {
            put(&alert(id, start, AlertStatus::Open));
        }
        put(&alert("a", 10, AlertStatus::Closed));
        assert_eq!(ids(&state, None), ["d", "c", "b", "a"]);
        assert_eq!(ids(&state, Some(&alert("c", 30, AlertStatus::Open))), ["b", "a"]);
        let counts = state.alert_counts().unwrap();
        assert_eq!((counts[&AlertStatus::Open], counts[&AlertStatus::Closed]), (3, 1));
        assert_eq!(counts[&AlertStatus::Withdrawn], 0);
        let within = state.alerts_within(TimeRange { start: Time(20), end: Time(30) }).unwrap();
        assert_eq!(within.iter().map(|alert| &alert.id[..]).collect::<Vec<_>>(), ["b"]);
        put(&alert("a", 40, AlertStatus::Amended));
        assert_eq!(ids(&state, None), ["a", "d", "c", "b"], "one that begins later than it was told");
    }

    #[test]
    fn alerts_of_an_older_store_are_put_in_order() {
        let state = State::in_memory().unwrap();
        let change = state.write().unwrap();
        change.put_alert(&alert("a", 10, AlertStatus::Open), false).unwrap();
        change.transaction.delete_table(ORDER).unwrap();
        change.transaction.delete_table(COUNTS).unwrap();
        change.commit().unwrap();
        state.order_alerts().unwrap();
        state.order_alerts().unwrap();
        assert_eq!((ids(&state, None).len(), state.alert_counts().unwrap()[&AlertStatus::Open]), (1, 1));
    }
}
