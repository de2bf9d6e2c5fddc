//! Source → features → model → decide → render → deliver: the one place that names all stages.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use margay_core::{Alert, Entity, FeatureTable, Period, Time, TimeRange};
use margay_decide::{Incidents, Silence, Verdict};
use margay_features::{Limits, Plan};
use margay_model::Snapshot;
use margay_render::Templates;
use margay_source::Log;
use rayon::prelude::*;
use tracing::{info, warn};

use crate::compose::{Composer, Happening};
use crate::detect::{Outcome, Scored, Told, Wish};
use crate::ingest::{LogReport, Ready, chain, ingest};
use crate::memory::Memory;
use crate::models;
use crate::outlet::{Outlet, OutletError};
use crate::progress::Progress;
use crate::scores::{ScoresError, ScoresFile};
use crate::specs::Definition;
use crate::state::{DetectorRecord, DetectorStatus, State, StateError};

/// Why a cycle could not be completed.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The scores file failed.
    #[error(transparent)]
    Scores(#[from] ScoresError),
    /// A sink failed; what it did not take stays in the outbox.
    #[error("alerts could not be delivered; they are kept and sent again by the next run")]
    Deliver(#[from] OutletError),
}

/// What reading came to, by log.
pub type Reports = BTreeMap<String, LogReport>;

/// Everything that is open while margay runs.
pub struct Pipeline {
    /// Detectors that can run, by name.
    pub ready: Vec<Ready>,
    /// Logs by name.
    pub logs: BTreeMap<String, Log>,
    /// Detectors that cannot run, and why.
    pub broken: BTreeMap<String, String>,
    /// Cursors, memories, alerts.
    pub state: State,
    /// Templates of alerts and policies.
    pub templates: Templates,
    /// Alerts that are kept and not delivered.
    pub silences: Vec<Silence>,
    /// Where alerts go.
    pub outlet: Outlet,
    /// Folder of the state.
    pub state_dir: PathBuf,
    /// Limits of one query.
    pub limits: Limits,
    /// Rows shown of each alert at most.
    pub records_per_alert: usize,
}

/// What one cycle should do.
pub struct Request<'a> {
    /// Buckets that end by this time are complete.
    pub until: Time,
    /// Now, for `last_run`.
    pub now: Time,
    /// Where scores go, if anywhere.
    pub scores: Option<&'a mut ScoresFile>,
    /// Train at the end, besides the schedule.
    pub train: bool,
}

/// What one cycle came to.
#[derive(Default)]
pub struct CycleReport {
    /// What reading came to.
    pub logs: Reports,
    /// Alerts of this cycle, in order of time.
    pub alerts: Vec<Alert>,
    /// Models trained.
    pub trainings: usize,
}

/// What a replay should do.
pub struct Replay<'a> {
    /// Times of buckets that are reported.
    pub range: TimeRange,
    /// Where scores go, if anywhere.
    pub scores: Option<&'a mut ScoresFile>,
}

/// Why a bucket came to what it came to.
pub struct Explained {
    /// All gates; nothing where the detector saw nothing of the entity.
    pub verdict: Option<Verdict>,
    /// Scores around the bucket.
    pub series: Vec<Scored>,
}

/// One detector after it ran.
struct Ran {
    memory: Memory,
    outcome: Outcome,
    /// Log rows read for it in earlier cycles.
    rows_before: u64,
    /// Events up to this time were told before.
    told_until: Time,
    /// Buckets that had been judged were judged again: late rows changed them, an exclusion did, or the memory was
    /// unreadable.
    anew: bool,
}

/// What every detector should do in a cycle.
struct Task {
    until: Time,
    train: bool,
    keep_scores: bool,
}

impl Pipeline {
    /// One cycle: reads what is new, judges every complete bucket, keeps and delivers the alerts.
    ///
    /// # Errors
    /// The state, the scores file or a sink fails. A detector that fails says so in its status.
    pub fn cycle(&mut self, request: &mut Request) -> Result<CycleReport, PipelineError> {
        let logs = self.ingest()?;
        let mut report = CycleReport { logs, ..CycleReport::default() };
        let mut ran = Vec::with_capacity(self.ready.len());
        let task = Task { until: request.until, train: request.train, keep_scores: request.scores.is_some() };
        let judged = Progress::steps("judging", self.ready.len() as u64);
        for group in self.ready.chunks(crate::ingest::threads()) {
            let results: Result<Vec<_>, StateError> =
                group.par_iter().map(|ready| self.detect(ready, &task, &report.logs)).collect();
            for (ready, mut result) in group.iter().zip(results?) {
                judged.advance(1);
                write_scores(request.scores.as_deref_mut(), ready, &mut result)?;
                ran.push(result);
            }
        }
        report.trainings = ran.iter().map(|one| one.outcome.snapshots.len()).sum();
        self.keep_models(&ran);
        report.alerts = self.keep(ran, request, &report.logs)?;
        self.outlet.deliver(&self.state, &self.ready, &self.templates)?;
        Ok(report)
    }

    /// The whole history with a virtual clock, apart from the live state: alerts of `range`, in order of time.
    ///
    /// # Errors
    /// The state or the scores file fails.
    pub fn replay(&self, replay: &mut Replay) -> Result<Vec<Alert>, PipelineError> {
        let logs = self.ingest()?;
        let wish = Wish { scores_from: replay.scores.as_ref().map(|_| replay.range.start), explain: None };
        let mut told = Vec::new();
        let judged = Progress::steps("judging", self.ready.len() as u64);
        for group in self.ready.chunks(crate::ingest::threads()) {
            let results: Vec<(Memory, Outcome)> =
                group.par_iter().map(|ready| self.rerun(ready, replay.range.end, &wish, &logs)).collect();
            for (ready, (memory, outcome)) in group.iter().zip(results) {
                judged.advance(1);
                if let Some(file) = replay.scores.as_deref_mut() {
                    file.append(&ready.definition.name, memory.entities(), ready.features(), &outcome.scores)?;
                }
                told.extend(outcome.told.into_iter().map(|told| Happening { ready, told }));
            }
        }
        let apart = State::in_memory()?;
        let composer = Composer { state: &apart, ..self.composer() };
        let alerts = composer.compose(told, &mut Incidents::default())?;
        let after_start = |alert: &Alert| alert.time > replay.range.start && alert.time <= replay.range.end;
        Ok(alerts.into_iter().filter(after_start).collect())
    }

    /// Why a bucket of an entity did or did not alert, and its scores in `shown`.
    #[must_use]
    pub fn explain(&self, ready: &Ready, entity: &Entity, bucket: Time, shown: TimeRange) -> Explained {
        let wish = Wish { scores_from: Some(shown.start), explain: Some((entity.clone(), bucket)) };
        let (memory, outcome) = self.rerun(ready, shown.end, &wish, &BTreeMap::new());
        let own = |row: &Scored| memory.entities()[row.entity] == *entity;
        Explained { verdict: outcome.explained, series: outcome.scores.into_iter().filter(own).collect() }
    }

    /// Brings every log's features up to date.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn ingest(&self) -> Result<Reports, PipelineError> {
        let mut reports = BTreeMap::new();
        for (name, log) in &self.logs {
            let readers: Vec<&Ready> = self.ready.iter().filter(|ready| ready.definition.query.log == *name).collect();
            if readers.is_empty() {
                continue;
            }
            let total = log.files().iter().map(|file| file.bytes).sum();
            let progress = Progress::bytes(name, Some(total));
            let report = match ingest(log, &readers, &self.state, &self.limits, &progress) {
                Ok(report) => report,
                Err(error) => {
                    warn!(log = name, error = chain(&error), "log could not be brought up to date");
                    let reason = chain(&error);
                    let failed = readers.iter().map(|ready| (ready.definition.name.clone(), reason.clone())).collect();
                    LogReport { failed, ..LogReport::default() }
                }
            };
            reports.insert(name.clone(), report);
        }
        Ok(reports)
    }

    fn detect(&self, ready: &Ready, task: &Task, logs: &Reports) -> Result<Ran, StateError> {
        let definition = &ready.definition;
        let record = self.state.detector(&definition.name)?;
        let old = record.as_ref().and_then(|record| postcard::from_bytes::<Memory>(&record.memory).ok());
        let cursor = old.as_ref().and_then(Memory::next).unwrap_or(Time::MIN);
        let same = record.as_ref().is_some_and(|record| record.model_digest == definition.model_digest)
            && !old.as_ref().is_some_and(|memory| memory.is_budgeted_otherwise(&definition.judgement));
        let changed = logs.get(&definition.query.log).and_then(|report| report.changed.get(&definition.name));
        let late = same && changed.is_some_and(|range| range.start < cursor);
        let exempted = old.as_ref().is_some_and(|memory| memory.is_exempted_otherwise(&definition.judgement));
        let forgotten = record.is_some() && old.is_none();
        let mut memory = match old {
            Some(memory) if same && !late && !exempted => memory,
            _ => Memory::new(&ready.definition.judgement),
        };
        let wish = Wish { scores_from: task.keep_scores.then_some(Time::MIN), explain: None };
        let table = self.table(ready, memory.next(), task.until, logs);
        let mut outcome = memory.advance(&definition.judgement, &table, task.until, &wish);
        if task.train {
            outcome.snapshots.extend(memory.train_now(&definition.judgement, &table));
        }
        let told_until = if same { Time::MIN } else { cursor };
        let rows_before = record.map_or(0, |record| record.status.rows);
        Ok(Ran { memory, outcome, rows_before, told_until, anew: late || exempted || forgotten })
    }

    /// Runs a detector over everything stored, apart from its live memory.
    fn rerun(&self, ready: &Ready, until: Time, wish: &Wish, logs: &Reports) -> (Memory, Outcome) {
        let mut memory = Memory::new(&ready.definition.judgement);
        let table = self.table(ready, None, until, logs);
        let outcome = memory.advance(&ready.definition.judgement, &table, until, wish);
        (memory, outcome)
    }

    /// Features from as far back as training may look from `next` on.
    fn table(&self, ready: &Ready, next: Option<Time>, until: Time, logs: &Reports) -> Arc<FeatureTable> {
        let definition = &ready.definition;
        let fresh = logs.get(&definition.query.log).and_then(|report| report.fresh.get(&definition.name));
        if let (Some(table), None) = (fresh, next) {
            return table.clone();
        }
        let back = definition.judgement.history;
        let start = next.map_or(Time::MIN, |next| next.minus(back).minus(Period::DAY));
        let stored = ready.store.read(TimeRange { start, end: until }).unwrap_or_else(|error| {
            warn!(detector = definition.name, error = chain(&error), "stored features could not be read");
            FeatureTable { bucket: definition.query.bucket, ..FeatureTable::default() }
        });
        Arc::new(stored)
    }

    pub(crate) fn composer(&self) -> Composer<'_> {
        Composer {
            templates: &self.templates,
            logs: &self.logs,
            state: &self.state,
            silences: &self.silences,
            records_per_alert: self.records_per_alert,
        }
    }

    /// Writes memories, alerts and incidents in one transaction.
    fn keep(&self, ran: Vec<Ran>, request: &Request, logs: &Reports) -> Result<Vec<Alert>, PipelineError> {
        let mut incidents: Incidents = match self.state.incidents()? {
            Some(bytes) => postcard::from_bytes(&bytes).unwrap_or_else(|error| {
                warn!(%error, "remembered incidents cannot be read; alerts begin new ones");
                Incidents::default()
            }),
            None => Incidents::default(),
        };
        let mut records = Vec::new();
        let (mut fresh, mut again) = (Vec::new(), Vec::new());
        for (ready, one) in self.ready.iter().zip(ran) {
            records.push((&ready.definition.name, record(ready, &one, request.now, logs)));
            let told: Vec<Told> = one.outcome.told;
            let happening = |told| Happening { ready, told };
            if one.anew {
                again.push((ready, told.into_iter().map(happening).collect::<Vec<_>>()));
            } else {
                fresh.extend(told.into_iter().filter(|told| told.time > one.told_until).map(happening));
            }
        }
        let mut alerts = Vec::new();
        for (ready, happenings) in again {
            alerts.extend(self.amend(ready, happenings, &mut incidents)?);
        }
        alerts.extend(self.composer().compose(fresh, &mut incidents)?);
        let change = self.state.write()?;
        for (name, record) in &records {
            change.put_detector(name, record)?;
        }
        for alert in &alerts {
            change.put_alert(alert, self.is_delivered(alert))?;
        }
        change.put_incidents(&postcard::to_allocvec(&incidents).expect("incidents have no unsized parts"))?;
        change.commit()?;
        Ok(alerts)
    }

    /// Shadow detectors keep their alerts to themselves, and a silence keeps back what it covers.
    fn is_delivered(&self, alert: &Alert) -> bool {
        let is_told = |ready: &Ready| ready.definition.name == alert.detector && !ready.definition.meta.shadow;
        alert.silenced.is_none() && self.ready.iter().any(is_told)
    }

    fn keep_models(&self, ran: &[Ran]) {
        for (ready, one) in self.ready.iter().zip(ran) {
            let newest: Option<&Snapshot> = one.outcome.snapshots.last();
            let Some(snapshot) = newest else { continue };
            let dir = self.state_dir.join("models").join(&ready.definition.name);
            match models::write(&dir, snapshot) {
                Ok(path) => info!(detector = ready.definition.name, path = %path.display(), "model kept"),
                Err(error) => warn!(detector = ready.definition.name, error = chain(&error), "model not kept"),
            }
        }
    }
}

impl Ready {
    /// Names of the features.
    #[must_use]
    pub fn features(&self) -> &[String] {
        &self.definition.judgement.rule.features
    }

    /// A detector whose query was planned.
    #[must_use]
    pub fn new(mut definition: Definition, plan: Plan, store: margay_features::Store) -> Self {
        definition.judgement.fill = plan.fill().to_vec();
        Self { definition, plan, store }
    }
}

/// What is kept of a detector after a cycle.
fn record(ready: &Ready, ran: &Ran, now: Time, logs: &Reports) -> DetectorRecord {
    let memory = &ran.memory;
    let definition = &ready.definition;
    let report = logs.get(&definition.query.log);
    let failed = report.and_then(|report| report.failed.get(&definition.name)).cloned();
    let (entities, maturity) = memory.census();
    let (state, reason) = match failed {
        Some(reason) => ("error", Some(reason)),
        None if memory.covered_buckets() == 0 => ("no_data", report.and_then(no_data_reason)),
        None if memory.entities().is_empty() => {
            ("no_data", Some("no row of the log passed the detector's conditions".to_owned()))
        }
        None => ("ok", report.and_then(file_errors)),
    };
    let status = DetectorStatus {
        state: state.to_owned(),
        reason,
        last_run: Some(now),
        watermark: memory.next(),
        rows: ran.rows_before + report.map_or(0, |report| report.rows),
        trained_until: memory.trained_until(),
        entities,
        maturity,
        covered_buckets: memory.covered_buckets(),
        threshold: memory.threshold(),
    };
    let bytes = postcard::to_allocvec(memory).expect("a memory has no unsized parts");
    DetectorRecord { model_digest: definition.model_digest.clone(), memory: bytes, status }
}

fn write_scores(file: Option<&mut ScoresFile>, ready: &Ready, ran: &mut Ran) -> Result<(), ScoresError> {
    let scores = std::mem::take(&mut ran.outcome.scores);
    let Some(file) = file else { return Ok(()) };
    file.append(&ready.definition.name, ran.memory.entities(), ready.features(), &scores)
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
