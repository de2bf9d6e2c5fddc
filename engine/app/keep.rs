//! What a cycle came to → the state, in one transaction: memories, alerts, incidents, the outbox.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use margay_core::{Alert, AlertStatus, Time};
use margay_decide::Incidents;
use margay_model::Snapshot;
use tracing::{info, warn};

use crate::compose::Happening;
use crate::ingest::{LogReport, Ready, chain};
use crate::judge::Ran;
use crate::models;
use crate::pipeline::{Pipeline, PipelineError, Reports, Request};
use crate::records::{DetectorRecord, DetectorStatus};
use crate::state::{Change, StateError};

/// How a detector's run ended: with a result, or why without one.
pub type Ending = (Arc<Ready>, Result<Ran, String>);

/// What was kept.
pub struct Kept {
    /// Alerts, in order of time.
    pub alerts: Vec<Alert>,
    /// How many of them are too old to be delivered.
    pub held_back: usize,
}

impl Pipeline {
    /// Writes memories, alerts and incidents in one transaction.
    pub(crate) fn keep(
        &self,
        mut endings: Vec<Ending>,
        request: &Request,
        logs: &Reports,
    ) -> Result<Kept, PipelineError> {
        let mut incidents: Incidents = match self.state.incidents()? {
            Some(bytes) => postcard::from_bytes(&bytes).unwrap_or_else(|error| {
                warn!(%error, "remembered incidents cannot be read; alerts begin new ones");
                Incidents::default()
            }),
            None => Incidents::default(),
        };
        let mut records: Vec<(Arc<Ready>, DetectorRecord)> = Vec::new();
        let mut done = Vec::new();
        let (mut fresh, mut again) = (Vec::new(), Vec::new());
        for (ready, ending) in &mut endings {
            let ran = match ending {
                Ok(ran) => ran,
                Err(reason) => {
                    records.push((ready.clone(), self.failed(ready, reason, request.now)?));
                    continue;
                }
            };
            records.push((ready.clone(), self.record(ready, ran, request.now, logs)?));
            done.extend(ran.dirty.take().map(|dirty| (ready.key(), dirty)));
            let told = std::mem::take(&mut ran.outcome.told).into_iter();
            let ready: &Arc<Ready> = ready;
            let happening = |told| Happening { ready, told };
            if ran.anew {
                again.push((ready, told.map(happening).collect::<Vec<_>>()));
            } else {
                fresh.extend(told.filter(|told| told.time > ran.told_until).map(happening));
            }
        }
        let mut alerts = Vec::new();
        for (ready, happenings) in again {
            alerts.extend(self.amend(ready, happenings, &mut incidents)?);
        }
        alerts.extend(self.composer().compose(fresh, &mut incidents)?);
        for (ready, record) in &mut records {
            let report = logs.get(&ready.definition.query.log);
            alerts.extend(self.crowd(ready, &mut record.status, report)?);
        }
        let change = self.state.write()?;
        for (ready, record) in records.iter().chain(&self.left_behind()?) {
            change.put_detector(&ready.definition.name, record)?;
        }
        for (key, dirty) in &done {
            change.clear_dirty(key, dirty)?;
        }
        let held_back = self.put_alerts(&change, &alerts, request.deliver_from)?;
        change.put_incidents(&postcard::to_allocvec(&incidents).expect("incidents have no unsized parts"))?;
        change.commit()?;
        Ok(Kept { alerts, held_back })
    }

    /// Keeps all alerts; those that opened before `deliver_from` are not delivered, nor is what became of them by then.
    fn put_alerts(&self, change: &Change, alerts: &[Alert], deliver_from: Time) -> Result<usize, StateError> {
        let mut held: BTreeSet<&str> = BTreeSet::new();
        let mut count = 0;
        for alert in alerts {
            let is_old = alert.time < deliver_from;
            if is_old && alert.status == AlertStatus::Open {
                held.insert(&alert.id);
            }
            let is_held = is_old && held.contains(&alert.id[..]);
            count += usize::from(is_held);
            change.put_alert(alert, self.is_delivered(alert) && !is_held)?;
        }
        Ok(count)
    }

    /// Shadow detectors keep their alerts to themselves, and a silence keeps back what it covers.
    fn is_delivered(&self, alert: &Alert) -> bool {
        let is_told = |ready: &Arc<Ready>| ready.definition.name == alert.detector && !ready.definition.meta.shadow;
        alert.silenced.is_none() && self.ready.iter().any(is_told)
    }

    pub(crate) fn keep_models(&self, endings: &[Ending]) {
        for (ready, ending) in endings {
            let newest: Option<&Snapshot> = ending.as_ref().ok().and_then(|ran| ran.outcome.snapshots.last());
            let Some(snapshot) = newest else { continue };
            let dir = self.state_dir.join("models").join(&ready.definition.name);
            match models::write(&dir, snapshot) {
                Ok(path) => info!(detector = ready.definition.name, path = %path.display(), "model kept"),
                Err(error) => warn!(detector = ready.definition.name, error = chain(&error), "model not kept"),
            }
        }
    }

    /// What is kept of a detector that ran.
    fn record(&self, ready: &Ready, ran: &Ran, now: Time, logs: &Reports) -> Result<DetectorRecord, StateError> {
        let (memory, definition) = (&ran.memory, &ready.definition);
        let report = logs.get(&definition.query.log);
        let (state, reason) = state_of(ready, ran, report);
        let (entities, maturity) = memory.census();
        let ingested = self.state.ingested(&ready.key())?;
        let limit = if ran.is_memory_full { "hard_limit" } else { memory.fullness(&definition.judgement) };
        let status = DetectorStatus {
            state: state.to_owned(),
            reason,
            last_run: Some(now),
            watermark: memory.next(),
            rows: ingested.rows,
            left_out: ingested.left_out,
            late: ingested.late,
            crowded_since: None,
            trained_until: memory.trained_until(),
            entities,
            limit: limit.to_owned(),
            maturity,
            mature_at: memory.mature_at(maturity),
            covered_buckets: memory.covered_buckets(),
            threshold: memory.threshold(),
            members_cut: memory.members_cut(),
            gaps: memory.gaps().clone(),
        };
        let bytes = postcard::to_allocvec(memory).expect("a memory has no unsized parts");
        Ok(DetectorRecord { model_digest: definition.model_digest.clone(), memory: bytes, status })
    }

    /// What is kept of a detector that failed: all that it knew, and why it failed.
    fn failed(&self, ready: &Ready, reason: &str, now: Time) -> Result<DetectorRecord, StateError> {
        let record = self.state.detector(&ready.definition.name).unwrap_or_else(|error| {
            warn!(detector = ready.definition.name, error = chain(&error), "what it remembered is lost");
            None
        });
        let mut record = record.unwrap_or_else(|| DetectorRecord::empty(&ready.definition.model_digest));
        record.status.state = "error".to_owned();
        record.status.reason = Some(reason.to_owned());
        record.status.last_run = Some(now);
        Ok(record)
    }

    /// Records of detectors that have just begun to take longer than the others wait for them.
    fn left_behind(&self) -> Result<Vec<(Arc<Ready>, DetectorRecord)>, StateError> {
        let mut records = Vec::new();
        for ready in self.ready.iter().filter(|ready| self.lanes.running().contains_key(&ready.definition.name)) {
            let record = self.state.detector(&ready.definition.name)?;
            let mut record = record.unwrap_or_else(|| DetectorRecord::empty(&ready.definition.model_digest));
            if record.status.state != "running" {
                record.status.state = "running".to_owned();
                record.status.reason =
                    Some("it takes longer than `daemon.detector_timeout`; the others go on without it".to_owned());
                records.push((ready.clone(), record));
            }
        }
        Ok(records)
    }
}

/// The state of a detector that ran, and why it is not `ok`.
fn state_of(ready: &Ready, ran: &Ran, report: Option<&LogReport>) -> (&'static str, Option<String>) {
    let failed: Option<&BTreeMap<String, String>> = report.map(|report| &report.failed);
    if let Some(reason) = failed.and_then(|failed| failed.get(&ready.definition.name)) {
        return ("error", Some(reason.clone()));
    }
    if ran.memory.covered_buckets() == 0 {
        return ("no_data", report.and_then(no_data_reason));
    }
    if ran.memory.entities().is_empty() {
        return ("no_data", Some("no row of the log passed the detector's conditions".to_owned()));
    }
    ("ok", report.and_then(file_errors))
}

fn no_data_reason(report: &LogReport) -> Option<String> {
    file_errors(report).or_else(|| Some("the log has no rows".to_owned()))
}

/// Files that could not be read whole, and patterns without a file.
fn file_errors(report: &LogReport) -> Option<String> {
    let scanned = report.scan.iter().flat_map(|scan| &scan.files);
    let cut = scanned.filter_map(|file| file.error.as_ref().map(|error| format!("{}: {error}", file.path.display())));
    let missing = report.unmatched.iter().map(|pattern| format!("{}: no file matches", pattern.display()));
    let errors: Vec<String> = cut.chain(missing).collect();
    (!errors.is_empty()).then(|| errors.join("; "))
}
