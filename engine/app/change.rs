//! A transaction of the state: all of it is kept, or nothing.

use std::path::Path;

use margay_core::{Alert, Time, TimeRange};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::labels::Label;
use crate::records::{ActiveQuarantine, DetectorRecord, Dirty, Ingested, SinkFailure};
use crate::state::{
    ALERTS, DETECTORS, DIRTY, INCIDENTS, INGESTED, LABELS, OUTBOX, PLACES, QUARANTINES, RAISED, SINGLES, SINK_FAILURES,
    STATUSES, StateError, failed, json,
};

/// A transaction.
pub struct Change<'a> {
    pub(crate) transaction: WriteTransaction,
    pub(crate) path: &'a Path,
}

impl Change<'_> {
    /// Keeps everything that was put.
    ///
    /// # Errors
    /// The store fails: nothing is kept.
    pub fn commit(self) -> Result<(), StateError> {
        self.transaction.commit().map_err(|source| failed(self.path, "committing", source))
    }

    /// Replaces what a detector remembers.
    ///
    /// # Errors
    /// The store fails.
    pub fn put_detector(&self, name: &str, record: &DetectorRecord) -> Result<(), StateError> {
        let bytes = postcard::to_allocvec(record).expect("a record has no unsized parts");
        self.put(DETECTORS, name, &bytes)?;
        self.put(STATUSES, name, &json(&record.status))
    }

    /// Replaces the list of files that a detector's features include.
    ///
    /// # Errors
    /// The store fails.
    pub fn put_ingested(&self, key: &str, ingested: &Ingested) -> Result<(), StateError> {
        self.put(INGESTED, key, &json(ingested))
    }

    /// Remembers that features of `range` are about to change, until a run has judged them.
    ///
    /// # Errors
    /// The store fails.
    pub fn mark_dirty(&self, key: &str, range: TimeRange, before: Option<Dirty>) -> Result<(), StateError> {
        let dirty = match before {
            Some(before) => Dirty { range: before.range.hull(range), serial: before.serial + 1 },
            None => Dirty { range, serial: 1 },
        };
        self.put(DIRTY, key, &json(&dirty))
    }

    /// Forgets a mark that a run has dealt with, unless features changed again since.
    ///
    /// # Errors
    /// The store fails.
    pub fn clear_dirty(&self, key: &str, done: &Dirty) -> Result<(), StateError> {
        let mut table = self.transaction.open_table(DIRTY).map_err(|source| failed(self.path, "writing", source))?;
        let known = table.get(key).map_err(|source| failed(self.path, "writing", source))?;
        if known.is_some_and(|known| known.value() == json(done)) {
            table.remove(key).map_err(|source| failed(self.path, "writing", source))?;
        }
        Ok(())
    }

    /// Replaces the memory that groups alerts into incidents.
    ///
    /// # Errors
    /// The store fails.
    pub fn put_incidents(&self, bytes: &[u8]) -> Result<(), StateError> {
        self.put(SINGLES, INCIDENTS, bytes)
    }

    /// Replaces the list of quarantines.
    ///
    /// # Errors
    /// The store fails.
    pub fn put_quarantines(&self, quarantines: &[ActiveQuarantine]) -> Result<(), StateError> {
        self.put(SINGLES, QUARANTINES, &json(&quarantines))
    }

    /// Records an alert's new revision; `deliver` puts it into the outbox as well.
    ///
    /// # Errors
    /// The store fails.
    pub fn put_alert(&self, alert: &Alert, deliver: bool) -> Result<(), StateError> {
        let bytes = json(alert);
        self.put_in_order(alert, self.alert(&alert.id)?.as_ref())?;
        self.put(ALERTS, &alert.id, &bytes)?;
        if deliver {
            let next = self.next()?;
            let mut outbox = self.outbox()?;
            outbox.insert(next, &bytes[..]).map_err(|source| failed(self.path, "writing", source))?;
        }
        Ok(())
    }

    /// Records what a person says of an alert.
    ///
    /// # Errors
    /// The store fails.
    pub fn put_label(&self, label: &Label) -> Result<(), StateError> {
        self.put(LABELS, &label.alert, &json(label))
    }

    /// Notes why a sink takes nothing; nothing where it does again.
    ///
    /// # Errors
    /// The store fails.
    pub fn put_sink_failure(&self, sink: &str, failure: Option<&SinkFailure>) -> Result<(), StateError> {
        let Some(failure) = failure else { return self.remove(SINK_FAILURES, sink) };
        self.put(SINK_FAILURES, sink, &json(failure))
    }

    /// Takes back what a person said of an alert.
    ///
    /// # Errors
    /// The store fails.
    pub fn remove_label(&self, alert: &str) -> Result<(), StateError> {
        self.remove(LABELS, alert)
    }

    /// From now on the outbox is for these sinks. A new one begins with the oldest alert that is still there.
    ///
    /// # Errors
    /// The store fails.
    pub fn address(&self, sinks: &[&str]) -> Result<(), StateError> {
        let next = self.next()?;
        let outbox = self.outbox()?;
        let oldest = outbox.first().map_err(|source| failed(self.path, "reading", source))?;
        let oldest = oldest.map_or(next, |(number, _)| number.value());
        let mut raised = self.raised()?;
        raised.retain(|(sink, _), _| sinks.contains(&sink)).map_err(|source| failed(self.path, "writing", source))?;
        let mut places = self.places()?;
        places.retain(|sink, _| sinks.contains(&sink)).map_err(|source| failed(self.path, "writing", source))?;
        let mut failures =
            self.transaction.open_table(SINK_FAILURES).map_err(|source| failed(self.path, "writing", source))?;
        failures.retain(|sink, _| sinks.contains(&sink)).map_err(|source| failed(self.path, "writing", source))?;
        for sink in sinks {
            let known = places.get(sink).map_err(|source| failed(self.path, "reading", source))?.is_some();
            if !known {
                places.insert(sink, oldest).map_err(|source| failed(self.path, "writing", source))?;
            }
        }
        Ok(())
    }

    /// Notes that a sink was told that the alert is raised.
    ///
    /// # Errors
    /// The store fails.
    pub fn put_raised(&self, sink: &str, alert: &str, time: Time) -> Result<(), StateError> {
        let mut raised = self.raised()?;
        raised.insert((sink, alert), time.0).map_err(|source| failed(self.path, "writing", source))?;
        Ok(())
    }

    /// Notes that a sink need not be told again of an alert.
    ///
    /// # Errors
    /// The store fails.
    pub fn remove_raised(&self, sink: &str, alert: &str) -> Result<(), StateError> {
        let mut raised = self.raised()?;
        raised.remove((sink, alert)).map_err(|source| failed(self.path, "writing", source))?;
        Ok(())
    }

    /// Notes that a sink took everything up to this number. What all took leaves the outbox.
    ///
    /// # Errors
    /// The store fails.
    pub fn acknowledge(&self, sink: &str, number: u64) -> Result<(), StateError> {
        let mut places = self.places()?;
        places.insert(sink, number + 1).map_err(|source| failed(self.path, "writing", source))?;
        let slowest = lowest(&places).map_err(|source| failed(self.path, "reading", source))?.unwrap_or(0);
        let mut outbox = self.outbox()?;
        outbox.retain_in(..slowest, |_, _| false).map_err(|source| failed(self.path, "writing", source))
    }

    /// The last revision of an alert, one of this change included.
    fn alert(&self, id: &str) -> Result<Option<Alert>, StateError> {
        let table = self.transaction.open_table(ALERTS).map_err(|source| failed(self.path, "reading", source))?;
        let bytes = table.get(id).map_err(|source| failed(self.path, "reading", source))?;
        let unreadable = |_| StateError::Record { path: self.path.to_owned(), key: id.to_owned() };
        bytes.map(|bytes| serde_json::from_slice(bytes.value()).map_err(unreadable)).transpose()
    }

    /// The number of the next alert: never one that a sink has passed already.
    fn next(&self) -> Result<u64, StateError> {
        let mut next = 0;
        for entry in self.places()?.iter().map_err(|source| failed(self.path, "reading", source))? {
            let (_, place) = entry.map_err(|source| failed(self.path, "reading", source))?;
            next = next.max(place.value());
        }
        let outbox = self.outbox()?;
        let last = outbox.last().map_err(|source| failed(self.path, "reading", source))?;
        Ok(last.map_or(next, |(number, _)| next.max(number.value() + 1)))
    }

    fn outbox(&self) -> Result<Table<'_, u64, &'static [u8]>, StateError> {
        self.transaction.open_table(OUTBOX).map_err(|source| failed(self.path, "writing", source))
    }

    fn raised(&self) -> Result<Table<'_, (&'static str, &'static str), i64>, StateError> {
        self.transaction.open_table(RAISED).map_err(|source| failed(self.path, "writing", source))
    }

    fn places(&self) -> Result<Table<'_, &'static str, u64>, StateError> {
        self.transaction.open_table(PLACES).map_err(|source| failed(self.path, "writing", source))
    }

    fn put(&self, table: TableDefinition<&str, &[u8]>, key: &str, bytes: &[u8]) -> Result<(), StateError> {
        let mut table = self.transaction.open_table(table).map_err(|source| failed(self.path, "writing", source))?;
        table.insert(key, bytes).map_err(|source| failed(self.path, "writing", source))?;
        Ok(())
    }

    fn remove(&self, table: TableDefinition<&str, &[u8]>, key: &str) -> Result<(), StateError> {
        let mut table = self.transaction.open_table(table).map_err(|source| failed(self.path, "writing", source))?;
        table.remove(key).map_err(|source| failed(self.path, "writing", source))?;
        Ok(())
    }
}

fn lowest(places: &Table<'_, &'static str, u64>) -> Result<Option<u64>, redb::StorageError> {
    let mut lowest = None;
    for entry in places.iter()? {
        let place = entry?.1.value();
        lowest = Some(lowest.map_or(place, |least: u64| least.min(place)));
    }
    Ok(lowest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use crate::commands::sink::test_alert;
    use crate::state::State;

    #[test]
    fn each_sink_has_its_own_place_and_what_all_took_is_gone() {
        let state = State::in_memory().unwrap();
        let put = |id: &str| {
            let change = state.write().unwrap();
            change
                .put_alert(&margay_core::Alert { id: id.to_owned(), ..test_alert("x", margay_core::Time(0)) }, true)
                .unwrap();
            change.commit().unwrap();
        };
        let address = |sinks: &[&str]| {
            let change = state.write().unwrap();
            change.address(sinks).unwrap();
            change.commit().unwrap();
        };
        let waits = |sink: &str| -> Vec<(u64, String)> {
            state.outbox(sink, 9).unwrap().into_iter().map(|(number, alert)| (number, alert.id)).collect()
        };
        let acknowledge = |sink: &str, number| {
            let change = state.write().unwrap();
            change.acknowledge(sink, number).unwrap();
            change.commit().unwrap();
        };
        put("a");
        address(&["fast", "slow"]);
        put("b");
        acknowledge("fast", 1);
        assert_eq!(waits("fast"), []);
        assert_eq!(waits("slow"), [(0, "a".to_owned()), (1, "b".to_owned())]);
        acknowledge("slow", 0);
        address(&["fast", "slow", "new"]);
        assert_eq!(waits("new"), [(1, "b".to_owned())], "a new sink gets what is still there");
        assert_eq!(state.waiting().unwrap(), [("fast".into(), 0), ("new".into(), 1), ("slow".into(), 1)].into());
        acknowledge("slow", 1);
        acknowledge("new", 1);
        put("c");
        assert_eq!(waits("fast"), [(2, "c".to_owned())], "numbers go on when the outbox was empty");
        address(&["fast"]);
        acknowledge("fast", 2);
        assert_eq!(waits("slow"), [], "what a removed sink did not take is gone");
    }

    #[test]
    fn what_a_sink_was_told_long_ago_is_told_again_and_what_is_over_is_not() {
        let state = State::in_memory().unwrap();
        let time = margay_core::Time;
        let change = state.write().unwrap();
        change.put_raised("one", "a", time(0)).unwrap();
        change.put_raised("one", "b", time(9)).unwrap();
        change.put_raised("two", "c", time(0)).unwrap();
        change.commit().unwrap();
        assert_eq!(state.raised("one", time(5), 9).unwrap(), ["a"]);
        assert_eq!(state.raised("one", time(10), 9).unwrap(), ["a", "b"]);
        let change = state.write().unwrap();
        change.remove_raised("one", "a").unwrap();
        change.address(&["one"]).unwrap();
        change.commit().unwrap();
        assert_eq!(state.raised("one", time(10), 9).unwrap(), ["b"]);
        assert_eq!(state.raised("two", time(10), 9).unwrap(), [""; 0]);
    }
}
