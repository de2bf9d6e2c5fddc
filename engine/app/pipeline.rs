//! Source → features → model → decide → render → deliver: the one place that names all stages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use margay_core::{Alert, Entity, Time, TimeRange};
use margay_decide::{Incidents, Silence, Verdict};
use margay_features::Limits;
use margay_render::Templates;
use margay_source::Log;
use rayon::prelude::*;
use tracing::warn;

use crate::budgets::TeamBudget;
use crate::compose::{Composer, Happening};
use crate::detect::{Outcome, Scored, Wish};
use crate::heal::judge_or_heal;
use crate::ingest::{LogReport, Pass, Ready, chain, failed, ingest, threads};
use crate::judge::{JudgeError, Ran, Task, Trained, rerun};
use crate::keep::Ending;
use crate::lanes::{Job, Lanes};
use crate::memory::Memory;
use crate::outlet::{Outlet, OutletError, deliver_all};
use crate::progress::Progress;
use crate::resident;
use crate::scores::{ScoresError, ScoresFile};
use crate::state::{State, StateError};
use crate::wall::now;

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
    pub ready: Vec<Arc<Ready>>,
    /// Logs by name.
    pub logs: BTreeMap<String, Log>,
    /// Detectors that cannot run, and why.
    pub broken: BTreeMap<String, String>,
    /// Cursors, memories, alerts.
    pub state: Arc<State>,
    /// Templates of alerts and policies.
    pub templates: Arc<Templates>,
    /// Alerts that are kept and not delivered.
    pub silences: Vec<Silence>,
    /// How many alerts teams welcome.
    pub budgets: Vec<TeamBudget>,
    /// Where alerts go.
    pub outlets: Vec<Outlet>,
    /// Folder of the state.
    pub state_dir: PathBuf,
    /// Limits of one query.
    pub limits: Limits,
    /// Memory of the process from which on nobody new is remembered.
    pub memory_bytes: u64,
    /// Rows shown of each alert at most.
    pub records_per_alert: usize,
    /// Where detectors run, each apart from the others.
    pub lanes: Lanes<Result<Ran, JudgeError>>,
}

/// What one cycle should do.
pub struct Request<'a> {
    /// Buckets that end by this time are complete.
    pub until: Time,
    /// The same, for logs that may be late.
    pub watermarks: BTreeMap<String, Time>,
    /// Now, for `last_run`.
    pub now: Time,
    /// Where scores go, if anywhere.
    pub scores: Option<&'a mut ScoresFile>,
    /// Train at the end, besides the schedule.
    pub train: bool,
    /// Detectors that are due; all of them without it. Others run where rows came late.
    pub due: Option<BTreeSet<String>>,
    /// Detectors to leave alone.
    pub skip: BTreeSet<String>,
    /// How long to wait for one detector; without it, until it is done.
    pub detector_timeout: Option<Duration>,
    /// Alerts that opened before this time are kept, not delivered.
    pub deliver_from: Time,
}

impl Request<'_> {
    /// Everything once, up to `until`.
    #[must_use]
    pub fn once(until: Time, now: Time) -> Self {
        Self {
            until,
            watermarks: BTreeMap::new(),
            now,
            scores: None,
            train: false,
            due: None,
            skip: BTreeSet::new(),
            detector_timeout: None,
            deliver_from: Time::MIN,
        }
    }

    fn until(&self, ready: &Ready) -> Time {
        self.watermarks.get(&ready.definition.query.log).copied().unwrap_or(self.until)
    }
}

/// What one cycle came to.
#[derive(Default)]
pub struct CycleReport {
    /// What reading came to.
    pub logs: Reports,
    /// Alerts of this cycle, in order of time.
    pub alerts: Vec<Alert>,
    /// How many of them are too old to be delivered.
    pub held_back: usize,
    /// Models trained.
    pub trainings: usize,
    /// What trainings besides the schedule learnt, by detector.
    pub trained: BTreeMap<String, Trained>,
    /// Detectors that ran to an end, and why they failed if they did.
    pub ran: BTreeMap<String, Option<String>>,
}

/// What a replay should do.
pub struct Replay<'a> {
    /// Times of buckets that are reported.
    pub range: TimeRange,
    /// Where scores go, if anywhere.
    pub scores: Option<&'a mut ScoresFile>,
}

/// What a replay came to.
pub struct Replayed {
    /// Alerts, in order of time.
    pub alerts: Vec<Alert>,
    /// Detectors that could not be judged, and why.
    pub failed: BTreeMap<String, String>,
}

/// Why a bucket came to what it came to.
pub struct Explained {
    /// All gates; nothing where the detector saw nothing of the entity.
    pub verdict: Option<Verdict>,
    /// Scores around the bucket.
    pub series: Vec<Scored>,
}

impl Pipeline {
    /// One cycle: reads what is new, judges every complete bucket, keeps and delivers the alerts.
    ///
    /// # Errors
    /// The state, the scores file or a sink fails. A detector that fails says so in its status.
    pub fn cycle(&mut self, request: &mut Request) -> Result<CycleReport, PipelineError> {
        let report = self.observe(request)?;
        let desk = self.desk();
        deliver_all(&mut self.outlets, &desk)?;
        Ok(report)
    }

    /// One cycle up to the outbox: nothing is delivered yet.
    ///
    /// # Errors
    /// The state or the scores file fails. A detector that fails says so in its status.
    pub fn observe(&mut self, request: &mut Request) -> Result<CycleReport, PipelineError> {
        let logs = self.read(&request.skip, request.due.as_ref(), request.now)?;
        let mut report = CycleReport { logs, ..CycleReport::default() };
        let tasks = self.tasks(request, &report.logs);
        let judged = Progress::steps("judging", tasks.len() as u64);
        // Scores may be many: they are written before the next detectors begin.
        let together = if request.scores.is_some() { threads() } else { tasks.len().max(1) };
        let mut endings: Vec<Ending> = Vec::new();
        for group in tasks.chunks(together) {
            for mut ending in self.run(group, request.detector_timeout) {
                judged.advance(1);
                write_scores(request.scores.as_deref_mut(), &mut ending)?;
                endings.push(ending);
            }
        }
        endings.extend(self.unread(&report.logs));
        report.trainings =
            endings.iter().filter_map(|(_, ending)| Some(ending.as_ref().ok()?.outcome.snapshots.len())).sum();
        report.ran =
            endings.iter().map(|(ready, end)| (ready.definition.name.clone(), end.as_ref().err().cloned())).collect();
        report.trained = endings
            .iter()
            .filter_map(|(ready, ending)| Some((ready.definition.name.clone(), ending.as_ref().ok()?.trained.clone()?)))
            .collect();
        self.keep_models(&endings);
        let kept = self.keep(endings, request, &report.logs)?;
        (report.alerts, report.held_back) = (kept.alerts, kept.held_back);
        Ok(report)
    }

    /// Detectors whose logs could not be read: they keep what they know, and are judged once they can be.
    fn unread(&self, logs: &Reports) -> Vec<Ending> {
        let reason = |ready: &Arc<Ready>| {
            let (name, report) = (&ready.definition.name, logs.get(&ready.definition.query.log)?);
            report.unread.contains(name).then(|| report.failed.get(name).cloned())?
        };
        self.ready.iter().filter_map(|ready| Some((ready.clone(), Err(reason(ready)?)))).collect()
    }

    /// What is to be done: by detectors that are due, and by those whose features changed.
    fn tasks(&self, request: &Request, logs: &Reports) -> Vec<Task> {
        let mut tasks = Vec::new();
        let is_memory_full = resident::bytes().is_some_and(|bytes| bytes >= self.memory_bytes);
        if is_memory_full {
            warn!(limit = self.memory_bytes, "the process is at `limits.memory`: no new entities are remembered");
        }
        for ready in &self.ready {
            let name = &ready.definition.name;
            let report = logs.get(&ready.definition.query.log);
            let is_due = request.due.as_ref().is_none_or(|due| due.contains(name))
                || report.is_some_and(|report| report.changed.contains_key(name));
            let is_read = report.is_none_or(|report| !report.unread.contains(name));
            if is_due && is_read && !request.skip.contains(name) {
                tasks.push(Task {
                    ready: ready.clone(),
                    until: request.until(ready),
                    train: request.train,
                    keep_scores: request.scores.is_some(),
                    is_memory_full,
                    fresh: report.and_then(|report| report.fresh.get(name)).cloned(),
                });
            }
        }
        tasks
    }

    /// Runs detectors apart from each other; those that ended, in the order of their names.
    fn run(&mut self, tasks: &[Task], most: Option<Duration>) -> Vec<Ending> {
        let jobs = tasks.iter().map(|task| {
            let (task, state) = (task.clone(), self.state.clone());
            Job { name: task.ready.definition.name.clone(), work: Box::new(move || judge_or_heal(&task, &state)) }
        });
        let mut ended = self.lanes.run(jobs.collect(), most);
        ended.sort_by(|(a, _), (b, _)| a.cmp(b));
        let endings = ended.into_iter().filter_map(|(name, result)| {
            let ready = self.ready.iter().find(|ready| ready.definition.name == name)?;
            let result = result.and_then(|judged| judged.map_err(|error| chain(&error)));
            if let Err(reason) = &result {
                warn!(detector = name, reason, "detector failed; the others go on");
            }
            Some((ready.clone(), result))
        });
        endings.collect()
    }

    /// The whole history with a virtual clock, apart from the live state: alerts of `range`, in order of time.
    ///
    /// # Errors
    /// The state or the scores file fails.
    pub fn replay(&self, replay: &mut Replay) -> Result<Replayed, PipelineError> {
        let logs = self.ingest(&BTreeSet::new())?;
        let tasks = self.tasks(&Request::once(replay.range.end, replay.range.end), &logs);
        let wish = Wish { scores_from: replay.scores.as_ref().map(|_| replay.range.start), explain: None };
        let (mut told, mut failed) = (Vec::new(), failed(&logs));
        let judged = Progress::steps("judging", tasks.len() as u64);
        for group in tasks.chunks(threads()) {
            let results: Vec<Result<(Memory, Outcome), JudgeError>> =
                group.par_iter().map(|task| rerun(task, &wish)).collect();
            for (task, result) in group.iter().zip(results) {
                judged.advance(1);
                let ready = &task.ready;
                let (memory, outcome) = match result {
                    Ok(ran) => ran,
                    Err(error) => {
                        failed.insert(ready.definition.name.clone(), chain(&error));
                        continue;
                    }
                };
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
        Ok(Replayed { alerts: alerts.into_iter().filter(after_start).collect(), failed })
    }

    /// Why a bucket of an entity did or did not alert, and its scores in `shown`.
    ///
    /// # Errors
    /// The stored features cannot be read.
    pub fn explain(
        &self,
        ready: &Arc<Ready>,
        entity: &Entity,
        bucket: Time,
        shown: TimeRange,
    ) -> Result<Explained, JudgeError> {
        let wish = Wish { scores_from: Some(shown.start), explain: Some((entity.clone(), bucket)) };
        let (memory, outcome) = rerun(&Task::up_to(shown.end, ready), &wish)?;
        let own = |row: &Scored| memory.entities()[row.entity] == *entity;
        Ok(Explained { verdict: outcome.explained, series: outcome.scores.into_iter().filter(own).collect() })
    }

    /// Brings every log's features up to date, but for those of detectors to leave alone.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn ingest(&self, skip: &BTreeSet<String>) -> Result<Reports, PipelineError> {
        self.read(skip, None, now())
    }

    /// Files are read for all detectors at once. An index is read only for detectors that are due, where some are.
    fn read(
        &self,
        skip: &BTreeSet<String>,
        due: Option<&BTreeSet<String>>,
        now: Time,
    ) -> Result<Reports, PipelineError> {
        let mut reports = BTreeMap::new();
        if self.state.is_read_only() {
            warn!("another margay keeps the features up to date; they are taken as they are");
            return Ok(reports);
        }
        for (name, log) in &self.logs {
            let due = due.filter(|_| log.index().is_some());
            let reads = |ready: &&Ready| {
                let detector = &ready.definition.name;
                ready.definition.query.log == *name
                    && !skip.contains(detector)
                    && due.is_none_or(|due| due.contains(detector))
            };
            let readers: Vec<&Ready> = self.ready.iter().map(|ready| &**ready).filter(reads).collect();
            if readers.is_empty() {
                continue;
            }
            let total = log.index().is_none().then(|| log.list(Time::MIN).ok()).flatten();
            let total = total.map(|files| files.iter().map(|file| file.bytes).sum());
            let progress = Progress::bytes(name, total);
            let pass = Pass { limits: &self.limits, progress: &progress, now };
            let report = match ingest(log, &readers, &self.state, &pass) {
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

    /// How far each detector that can run may go.
    #[must_use]
    pub fn modes(&self) -> BTreeMap<String, String> {
        self.ready.iter().map(|ready| (ready.definition.name.clone(), ready.definition.meta.mode.clone())).collect()
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
}

fn write_scores(file: Option<&mut ScoresFile>, (ready, ending): &mut Ending) -> Result<(), ScoresError> {
    let Ok(ran) = ending else { return Ok(()) };
    let scores = std::mem::take(&mut ran.outcome.scores);
    let Some(file) = file else { return Ok(()) };
    file.append(&ready.definition.name, ran.memory.entities(), ready.features(), &scores)
}
