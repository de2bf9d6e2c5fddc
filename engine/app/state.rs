//! What outlives a cycle: cursors, detectors' memory, alerts, the outbox. One transactional store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use margay_core::{Alert, Time};
use redb::backends::InMemoryBackend;
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

pub use crate::change::Change;
use crate::generation::{self, Handle};
use crate::labels::Label;
use crate::records::{ActiveQuarantine, DetectorRecord, DetectorStatus, Dirty, Ingested, SinkFailure};

/// Detector name → [`DetectorRecord`] without its status in postcard.
pub(crate) const DETECTORS: TableDefinition<&str, &[u8]> = TableDefinition::new("detectors");
/// Detector name → [`DetectorStatus`] in JSON: read more often than memories, which are large.
pub(crate) const STATUSES: TableDefinition<&str, &[u8]> = TableDefinition::new("statuses");
/// Alert id → latest revision in JSON.
pub(crate) const ALERTS: TableDefinition<&str, &[u8]> = TableDefinition::new("alerts");
/// Sequence number → alert in JSON that not every sink has acknowledged.
pub(crate) const OUTBOX: TableDefinition<u64, &[u8]> = TableDefinition::new("outbox");
/// Sink → number of the first alert that it has not acknowledged.
pub(crate) const PLACES: TableDefinition<&str, u64> = TableDefinition::new("places");
/// Sink → [`SinkFailure`] in JSON, while it fails.
pub(crate) const SINK_FAILURES: TableDefinition<&str, &[u8]> = TableDefinition::new("sink_failures");
/// Sink and alert id → when the sink was last told, in milliseconds, that the alert is raised: where it must be told again.
pub(crate) const RAISED: TableDefinition<(&str, &str), i64> = TableDefinition::new("raised");
/// Detector and digest of its features → [`Ingested`] in JSON.
pub(crate) const INGESTED: TableDefinition<&str, &[u8]> = TableDefinition::new("ingested");
/// Detector and digest of its features → [`Dirty`] in JSON.
pub(crate) const DIRTY: TableDefinition<&str, &[u8]> = TableDefinition::new("dirty");
/// Alert id → [`Label`] in JSON.
pub(crate) const LABELS: TableDefinition<&str, &[u8]> = TableDefinition::new("labels");
/// Name → bytes, for what exists once.
pub(crate) const SINGLES: TableDefinition<&str, &[u8]> = TableDefinition::new("singles");

const FILE: &str = "state.redb";
pub(crate) const INCIDENTS: &str = "incidents";
pub(crate) const QUARANTINES: &str = "quarantines";

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process writes.
    #[error("state {path} is in use by another margay, probably a daemon; only one writes at a time")]
    InUse {
        /// The store's file.
        path: PathBuf,
    },
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

/// The store.
pub struct State {
    handle: Handle,
    path: PathBuf,
    recovered: Option<String>,
}

impl State {
    /// Opens or makes the store in `dir`: for reading only where another process writes. A damaged one is replaced by
    /// its previous generation; [`State::recovered`] says so.
    ///
    /// # Errors
    /// The folder cannot be made, or the file is no store.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        std::fs::create_dir_all(dir).map_err(|source| StateError::Folder { path: dir.into(), source })?;
        let path = dir.join(FILE);
        let (handle, recovered) = generation::open(&path).map_err(|source| failed(&path, "opening", source))?;
        Self { handle, path, recovered }.with_tables()
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
        Self { handle: Handle::Writer(database), path, recovered: None }.with_tables()
    }

    fn with_tables(self) -> Result<Self, StateError> {
        if self.is_read_only() {
            return Ok(self);
        }
        let write = self.write()?;
        for table in [DETECTORS, STATUSES, ALERTS, SINK_FAILURES, INGESTED, DIRTY, LABELS, SINGLES] {
            write.transaction.open_table(table).map_err(|source| failed(&self.path, "opening a table", source))?;
        }
        write.transaction.open_table(OUTBOX).map_err(|source| failed(&self.path, "opening a table", source))?;
        write.transaction.open_table(PLACES).map_err(|source| failed(&self.path, "opening a table", source))?;
        write.transaction.open_table(RAISED).map_err(|source| failed(&self.path, "opening a table", source))?;
        write.commit()?;
        self.order_alerts()?;
        Ok(self)
    }

    /// True where another process writes.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(self.handle, Handle::Reader(_))
    }

    /// What was done about a damaged store when it was opened.
    #[must_use]
    pub fn recovered(&self) -> Option<&str> {
        self.recovered.as_deref()
    }

    /// Keeps what is committed as the previous generation.
    ///
    /// # Errors
    /// Another process writes, or the copy cannot be written.
    pub fn keep_generation(&self) -> Result<(), StateError> {
        let _nobody_else_writes = self.write()?;
        let copied = generation::keep(&self.path);
        copied.map_err(|source| failed(&self.path, "keeping a generation", redb::Error::Io(source)))
    }

    /// Starts a transaction; nothing is kept unless it is committed.
    ///
    /// # Errors
    /// The store fails.
    pub fn write(&self) -> Result<Change<'_>, StateError> {
        let Handle::Writer(database) = &self.handle else {
            return Err(StateError::InUse { path: self.path.clone() });
        };
        let transaction = database.begin_write().map_err(|source| failed(&self.path, "beginning a change", source))?;
        Ok(Change { transaction, path: &self.path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read(&self) -> Result<ReadTransaction, StateError> {
        let begun = match &self.handle {
            Handle::Writer(database) => database.begin_read(),
            Handle::Reader(database) => database.begin_read(),
        };
        begun.map_err(|source| failed(&self.path, "reading", source))
    }

    /// What a detector remembers.
    ///
    /// # Errors
    /// The store fails, or the record is from another version.
    pub fn detector(&self, name: &str) -> Result<Option<DetectorRecord>, StateError> {
        let Some(bytes) = self.bytes(DETECTORS, name)? else { return Ok(None) };
        let record: DetectorRecord = postcard::from_bytes(&bytes).map_err(|_| self.unreadable(name))?;
        Ok(Some(DetectorRecord { status: self.status(name)?.unwrap_or_default(), ..record }))
    }

    /// State of a detector after its last cycle.
    ///
    /// # Errors
    /// The store fails, or the record is from another version.
    pub fn status(&self, name: &str) -> Result<Option<DetectorStatus>, StateError> {
        self.json(STATUSES, name)
    }

    /// Files that a detector's features include.
    ///
    /// # Errors
    /// The store fails, or the record is from another version.
    pub fn ingested(&self, key: &str) -> Result<Ingested, StateError> {
        Ok(self.json(INGESTED, key)?.unwrap_or_default())
    }

    /// Features of a detector that changed and were not judged since.
    ///
    /// # Errors
    /// The store fails, or the record is from another version.
    pub fn dirty(&self, key: &str) -> Result<Option<Dirty>, StateError> {
        self.json(DIRTY, key)
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

    /// Alerts that a sink has not acknowledged, oldest first, with their numbers; at most `most`.
    ///
    /// # Errors
    /// The store fails, or a record is from another version.
    pub fn outbox(&self, sink: &str, most: usize) -> Result<Vec<(u64, Alert)>, StateError> {
        let reading = |source: redb::Error| failed(&self.path, "reading", source);
        let read = self.read()?;
        let places = read.open_table(PLACES).map_err(|source| reading(source.into()))?;
        let place = places.get(sink).map_err(|source| reading(source.into()))?.map_or(0, |place| place.value());
        let table = read.open_table(OUTBOX).map_err(|source| reading(source.into()))?;
        let mut waiting = Vec::new();
        for entry in table.range(place..).map_err(|source| reading(source.into()))?.take(most) {
            let (number, bytes) = entry.map_err(|source| reading(source.into()))?;
            let alert = serde_json::from_slice(bytes.value()).map_err(|_| self.unreadable("outbox"))?;
            waiting.push((number.value(), alert));
        }
        Ok(waiting)
    }

    /// How many alerts each sink has not acknowledged.
    ///
    /// # Errors
    /// The store fails.
    pub fn waiting(&self) -> Result<BTreeMap<String, u64>, StateError> {
        let reading = |source: redb::Error| failed(&self.path, "reading", source);
        let read = self.read()?;
        let places = read.open_table(PLACES).map_err(|source| reading(source.into()))?;
        let outbox = read.open_table(OUTBOX).map_err(|source| reading(source.into()))?;
        let end = outbox.last().map_err(|source| reading(source.into()))?.map_or(0, |(number, _)| number.value() + 1);
        let mut waiting = BTreeMap::new();
        for entry in places.iter().map_err(|source| reading(source.into()))? {
            let (sink, place) = entry.map_err(|source| reading(source.into()))?;
            waiting.insert(sink.value().to_owned(), end.saturating_sub(place.value()));
        }
        Ok(waiting)
    }

    /// Why a sink takes nothing, while it does not.
    ///
    /// # Errors
    /// The store fails, or the record is from another version.
    pub fn sink_failure(&self, sink: &str) -> Result<Option<SinkFailure>, StateError> {
        self.json(SINK_FAILURES, sink)
    }

    /// Ids of alerts that the sink was last told of before a time; at most `most`.
    ///
    /// # Errors
    /// The store fails.
    pub fn raised(&self, sink: &str, before: Time, most: usize) -> Result<Vec<String>, StateError> {
        let reading = |source: redb::Error| failed(&self.path, "reading", source);
        let read = self.read()?;
        let table = read.open_table(RAISED).map_err(|source| reading(source.into()))?;
        let mut ids = Vec::new();
        for entry in table.range((sink, "")..).map_err(|source| reading(source.into()))? {
            let (key, told) = entry.map_err(|source| reading(source.into()))?;
            let (of, id) = key.value();
            if of != sink || ids.len() >= most {
                break;
            }
            if told.value() < before.0 {
                ids.push(id.to_owned());
            }
        }
        Ok(ids)
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
        let read = self.read()?;
        let table = read.open_table(table).map_err(|source| failed(&self.path, "reading", source))?;
        let value = table.get(key).map_err(|source| failed(&self.path, "reading", source))?;
        Ok(value.map(|bytes| bytes.value().to_vec()))
    }

    /// Everything in a table of JSON, by key.
    pub(crate) fn all<T: DeserializeOwned>(&self, table: TableDefinition<&str, &[u8]>) -> Result<Vec<T>, StateError> {
        let read = self.read()?;
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

    pub(crate) fn unreadable(&self, key: &str) -> StateError {
        StateError::Record { path: self.path.clone(), key: key.to_owned() }
    }
}

pub(crate) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("state records have text keys")
}

pub(crate) fn failed(path: &Path, step: &'static str, source: impl Into<redb::Error>) -> StateError {
    StateError::Store { path: path.to_owned(), step, source: Box::new(source.into()) }
}
