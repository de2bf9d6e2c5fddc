//! What outlives a cycle: cursors, detectors' memory, alerts, the outbox. One transactional store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use margay_core::{Alert, Time, TimeRange};
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::labels::Label;

/// Detector name → [`DetectorRecord`] in postcard.
const DETECTORS: TableDefinition<&str, &[u8]> = TableDefinition::new("detectors");
/// Alert id → latest revision in JSON.
const ALERTS: TableDefinition<&str, &[u8]> = TableDefinition::new("alerts");
/// Sequence number → alert in JSON that sinks have not acknowledged.
const OUTBOX: TableDefinition<u64, &[u8]> = TableDefinition::new("outbox");
/// Detector and digest of its features → [`Ingested`] in JSON.
const INGESTED: TableDefinition<&str, &[u8]> = TableDefinition::new("ingested");
/// Alert id → [`Label`] in JSON.
const LABELS: TableDefinition<&str, &[u8]> = TableDefinition::new("labels");
/// Name → bytes, for what exists once.
const SINGLES: TableDefinition<&str, &[u8]> = TableDefinition::new("singles");

const FILE: &str = "state.redb";
const INCIDENTS: &str = "incidents";
const QUARANTINES: &str = "quarantines";

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store itself failed.
    #[error("state {path}: {step} failed")]
    Store {
        /// The store's file.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// Why.
        source: Box<redb::Error>,
    },
    /// The folder cannot be made.
    #[error("cannot make the state folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A record is not what this version writes.
    #[error("state {path}: the record `{key}` cannot be read; delete the file to learn anew")]
    Record {
        /// The store's file.
        path: PathBuf,
        /// Which record.
        key: String,
    },
}

/// What one detector remembers, and what `status` shows of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DetectorRecord {
    /// Digest of everything that makes the memory valid: features, model, direction.
    pub model_digest: String,
    /// The detector's memory in postcard; see [`crate::memory::Memory`].
    pub memory: Vec<u8>,
    /// What `status` shows.
    pub status: DetectorStatus,
}

/// State of one detector after its last cycle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DetectorStatus {
    /// `ok`, `no_data` or `error`.
    pub state: String,
    /// Why, where the state is not `ok`.
    pub reason: Option<String>,
    /// When the last cycle ended.
    pub last_run: Option<Time>,
    /// Every bucket before this time was judged.
    pub watermark: Option<Time>,
    /// Log rows read for this detector so far.
    pub rows: u64,
    /// Models learnt from buckets before this time.
    pub trained_until: Option<Time>,
    /// Entities by their latest score state.
    pub entities: BTreeMap<String, u64>,
    /// Mean maturity of the entities, 0 to 1.
    pub maturity: f64,
    /// Buckets judged in which the log had rows.
    pub covered_buckets: u64,
    /// Score threshold in force.
    pub threshold: f64,
}

/// Files whose rows are in the feature store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ingested {
    /// By fingerprint, so that a renamed file is known.
    pub files: BTreeMap<String, TimeRange>,
}

/// A quarantine that was proposed and has not expired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveQuarantine {
    /// Alert that asked for it.
    pub alert: String,
    /// When it ends.
    pub expires: Time,
}

/// The store.
pub struct State {
    database: Database,
    path: PathBuf,
}

impl State {
    /// Opens or makes the store in `dir`.
    ///
    /// # Errors
    /// The folder cannot be made, or the file is no store or is in use.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        std::fs::create_dir_all(dir).map_err(|source| StateError::Folder { path: dir.into(), source })?;
        let path = dir.join(FILE);
        let database = Database::create(&path).map_err(|source| failed(&path, "opening", source))?;
        Self { database, path }.with_tables()
    }

    /// The store in `dir`, if there is one and no other process has it open.
    #[must_use]
    pub fn open_existing(dir: &Path) -> Option<Self> {
        let path = dir.join(FILE);
        if !path.is_file() {
            return None;
        }
        Self::open(dir).inspect_err(|error| warn!(%error, "what ran before is not looked at")).ok()
    }

    /// A store in memory, for replays.
    ///
    /// # Errors
    /// There is no memory.
    pub fn in_memory() -> Result<Self, StateError> {
        let path = PathBuf::from("(memory)");
        let database = Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .map_err(|source| failed(&path, "opening", source))?;
        Self { database, path }.with_tables()
    }

    fn with_tables(self) -> Result<Self, StateError> {
        let write = self.write()?;
        for table in [DETECTORS, ALERTS, INGESTED, LABELS, SINGLES] {
            write.transaction.open_table(table).map_err(|source| failed(&self.path, "opening a table", source))?;
        }
        write.transaction.open_table(OUTBOX).map_err(|source| failed(&self.path, "opening a table", source))?;
        write.commit()?;
        Ok(self)
    }

    /// Starts a transaction; nothing is kept unless it is committed.
    ///
    /// # Errors
    /// The store fails.
    pub fn write(&self) -> Result<Change<'_>, StateError> {
        let transaction =
            self.database.begin_write().map_err(|source| failed(&self.path, "beginning a change", source))?;
        Ok(Change { transaction, path: &self.path })
    }

    /// What a detector remembers.
    ///
    /// # Errors
    /// The store fails, or the record is from another version.
    pub fn detector(&self, name: &str) -> Result<Option<DetectorRecord>, StateError> {
        let Some(bytes) = self.bytes(DETECTORS, name)? else { return Ok(None) };
        postcard::from_bytes(&bytes).map(Some).map_err(|_| self.unreadable(name))
    }

    /// Files that a detector's features include.
    ///
    /// # Errors
    /// The store fails, or the record is from another version.
    pub fn ingested(&self, key: &str) -> Result<Ingested, StateError> {
        Ok(self.json(INGESTED, key)?.unwrap_or_default())
    }

    /// The latest revision of an alert.
    ///
    /// # Errors
    /// The store fails, or the record is from another version.
    pub fn alert(&self, id: &str) -> Result<Option<Alert>, StateError> {
        self.json(ALERTS, id)
    }

    /// The latest revisions of all alerts, by time, detector and entity.
    ///
    /// # Errors
    /// The store fails, or a record is from another version.
    pub fn alerts(&self) -> Result<Vec<Alert>, StateError> {
        let mut alerts: Vec<Alert> = self.all(ALERTS)?;
        alerts.sort_by(|a, b| (a.start, &a.detector, &a.entity).cmp(&(b.start, &b.detector, &b.entity)));
        Ok(alerts)
    }

    /// What people said of alerts, by the alert's id.
    ///
    /// # Errors
    /// The store fails, or a record is from another version.
    pub fn labels(&self) -> Result<Vec<Label>, StateError> {
        self.all(LABELS)
    }

    /// Alerts that no sink has acknowledged, oldest first, with their numbers.
    ///
    /// # Errors
    /// The store fails, or a record is from another version.
    pub fn outbox(&self) -> Result<Vec<(u64, Alert)>, StateError> {
        let read = self.database.begin_read().map_err(|source| failed(&self.path, "reading", source))?;
        let table = read.open_table(OUTBOX).map_err(|source| failed(&self.path, "reading", source))?;
        let mut waiting = Vec::new();
        for entry in table.iter().map_err(|source| failed(&self.path, "reading", source))? {
            let (number, bytes) = entry.map_err(|source| failed(&self.path, "reading", source))?;
            let alert = serde_json::from_slice(bytes.value()).map_err(|_| self.unreadable("outbox"))?;
            waiting.push((number.value(), alert));
        }
        Ok(waiting)
    }

    /// The memory that groups alerts into incidents, in postcard.
    ///
    /// # Errors
    /// The store fails.
    pub fn incidents(&self) -> Result<Option<Vec<u8>>, StateError> {
        self.bytes(SINGLES, INCIDENTS)
    }

    /// Quarantines that were proposed.
    ///
    /// # Errors
    /// The store fails, or the record is from another version.
    pub fn quarantines(&self) -> Result<Vec<ActiveQuarantine>, StateError> {
        Ok(self.json(SINGLES, QUARANTINES)?.unwrap_or_default())
    }

    fn bytes(&self, table: TableDefinition<&str, &[u8]>, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        let read = self.database.begin_read().map_err(|source| failed(&self.path, "reading", source))?;
        let table = read.open_table(table).map_err(|source| failed(&self.path, "reading", source))?;
        let value = table.get(key).map_err(|source| failed(&self.path, "reading", source))?;
        Ok(value.map(|bytes| bytes.value().to_vec()))
    }

    /// Everything in a table of JSON, by key.
    fn all<T: DeserializeOwned>(&self, table: TableDefinition<&str, &[u8]>) -> Result<Vec<T>, StateError> {
        let read = self.database.begin_read().map_err(|source| failed(&self.path, "reading", source))?;
        let table = read.open_table(table).map_err(|source| failed(&self.path, "reading", source))?;
        let mut all = Vec::new();
        for entry in table.iter().map_err(|source| failed(&self.path, "reading", source))? {
            let (key, bytes) = entry.map_err(|source| failed(&self.path, "reading", source))?;
            all.push(serde_json::from_slice(bytes.value()).map_err(|_| self.unreadable(key.value()))?);
        }
        Ok(all)
    }

    fn json<T: DeserializeOwned>(
        &self,
        table: TableDefinition<&str, &[u8]>,
        key: &str,
    ) -> Result<Option<T>, StateError> {
        let Some(bytes) = self.bytes(table, key)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| self.unreadable(key))
    }

    fn unreadable(&self, key: &str) -> StateError {
        StateError::Record { path: self.path.clone(), key: key.to_owned() }
    }
}

/// A transaction.
pub struct Change<'a> {
    transaction: WriteTransaction,
    path: &'a Path,
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
        self.put(DETECTORS, name, &bytes)
    }

    /// Replaces the list of files that a detector's features include.
    ///
    /// # Errors
    /// The store fails.
    pub fn put_ingested(&self, key: &str, ingested: &Ingested) -> Result<(), StateError> {
        self.put(INGESTED, key, &json(ingested))
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

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("state records have text keys")
}

fn failed(path: &Path, step: &'static str, source: impl Into<redb::Error>) -> StateError {
    StateError::Store { path: path.to_owned(), step, source: Box::new(source.into()) }
}
