//! A transaction of the state: all of it is kept, or nothing.

use std::path::Path;

use margay_core::{Alert, TimeRange};
use redb::{ReadableTable, TableDefinition, WriteTransaction};

use crate::labels::Label;
use crate::records::{ActiveQuarantine, DetectorRecord, Dirty, Ingested};
use crate::state::{
    ALERTS, DETECTORS, DIRTY, INCIDENTS, INGESTED, LABELS, OUTBOX, QUARANTINES, SINGLES, STATUSES, StateError, failed,
    json,
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
        self.put(ALERTS, &alert.id, &bytes)?;
        if deliver {
            let mut outbox =
                self.transaction.open_table(OUTBOX).map_err(|source| failed(self.path, "writing", source))?;
            let last = outbox.last().map_err(|source| failed(self.path, "writing", source))?;
            let next = last.map_or(0, |(number, _)| number.value() + 1);
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

    /// Takes back what a person said of an alert.
    ///
    /// # Errors
    /// The store fails.
    pub fn remove_label(&self, alert: &str) -> Result<(), StateError> {
        let mut table = self.transaction.open_table(LABELS).map_err(|source| failed(self.path, "writing", source))?;
        table.remove(alert).map_err(|source| failed(self.path, "writing", source))?;
        Ok(())
    }

    /// Takes acknowledged alerts out of the outbox.
    ///
    /// # Errors
    /// The store fails.
    pub fn acknowledge(&self, numbers: &[u64]) -> Result<(), StateError> {
        let mut outbox = self.transaction.open_table(OUTBOX).map_err(|source| failed(self.path, "writing", source))?;
        for number in numbers {
            outbox.remove(number).map_err(|source| failed(self.path, "writing", source))?;
        }
        Ok(())
    }

    fn put(&self, table: TableDefinition<&str, &[u8]>, key: &str, bytes: &[u8]) -> Result<(), StateError> {
        let mut table = self.transaction.open_table(table).map_err(|source| failed(self.path, "writing", source))?;
        table.insert(key, bytes).map_err(|source| failed(self.path, "writing", source))?;
        Ok(())
    }
}
