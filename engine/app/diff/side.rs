//! Replays of both configurations. Features that the live state has are used; what is not there is read into a state
//! of its own, which both sides share and which goes away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use margay_config::{Loaded, Mode, Severity};
use margay_core::{Alert, Period, Time, TimeRange, digest};
use margay_decide::Incidents;
use margay_source::Log;
use serde::Serialize;
use tempfile::TempDir;

use super::revision::Source;
use crate::compose::{Composer, Happening};
use crate::detect::Wish;
use crate::ingest::{Ready, chain, open_store};
use crate::judge::{Task, rerun};
use crate::labels;
use crate::open;
use crate::pipeline::Pipeline;
use crate::state::State;

/// What a detector costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Rows of the log that were read for it now: none where its features were there.
    pub rows_read: u64,
    /// Buckets of entities that were judged.
    pub buckets: usize,
    /// Entities.
    pub entities: usize,
    /// Time that judging took.
    pub seconds: f64,
}

/// What one detector came to on one side.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Alerts as they were last told, by start.
    pub alerts: Vec<Alert>,
    /// What it costs.
    pub cost: Cost,
    /// Buckets in which its log had rows.
    pub covered: Option<TimeRange>,
    /// Digest of everything that decides on its alerts.
    identity: String,
}

/// One configuration.
#[derive(Debug, Default)]
pub struct Side {
    /// As it was named.
    pub name: String,
    /// By detector.
    pub detectors: BTreeMap<String, Replayed>,
    /// Detectors that cannot run, and why.
    pub broken: BTreeMap<String, String>,
}

/// Replays one side after the other.
pub struct Sides {
    range: TimeRange,
    live: Option<Arc<State>>,
    live_dir: PathBuf,
    /// Root of the logs whose features the live state has.
    live_root: PathBuf,
    scratch: Arc<State>,
    scratch_dir: TempDir,
}

impl Sides {
    /// Replays of `range` beside the state that `config` names.
    ///
    /// # Errors
    /// No folder can be made for what is read anew.
    pub fn new(config: &Path, range: TimeRange) -> anyhow::Result<Self> {
        let loaded = margay_config::load(config);
        let live_dir = loaded.root.join(&loaded.engine.state.dir);
        let live = if live_dir.exists() { State::open(&live_dir) } else { State::in_memory() };
        let live = live.map(Arc::new).map_err(|error| eprintln!("{}; features are read anew", chain(&error))).ok();
        let scratch_dir = tempfile::tempdir().context("cannot make a folder for features")?;
        let scratch = Arc::new(State::open(scratch_dir.path())?);
        Ok(Self { range, live, live_dir, live_root: absolute(&loaded.root), scratch, scratch_dir })
    }

    /// Replays a configuration. Detectors that `other` has just so are taken over from there. `None` where margay.yaml
    /// is wrong, which was told.
    ///
    /// # Errors
    /// The state fails.
    pub fn replay(&mut self, source: &Source, other: Option<&Side>) -> anyhow::Result<Option<Side>> {
        let mut loaded = load(source);
        let broken = open::broken(&loaded, &loaded.problems);
        if loaded.problems.iter().any(|one| one.severity == Severity::Error && one.file == source.config) {
            return Ok(None);
        }
        let mut side = Side { name: source.name.clone(), broken, ..Side::default() };
        if let Some(root) = &source.logs_root {
            loaded.root.clone_from(root);
        }
        let (logs, lost) = open::logs(&loaded, &BTreeMap::new());
        let (live, scratch) = self.split(&loaded, (&logs, &lost), other, &mut side)?;
        let parts =
            [(live, self.live.as_ref(), &*self.live_dir), (scratch, Some(&self.scratch), self.scratch_dir.path())];
        for (ready, state, dir) in parts {
            let Some(state) = state.filter(|_| !ready.is_empty()) else { continue };
            let apart = open::apart(&loaded, ready, state.clone(), dir)?;
            self.run(&loaded, Pipeline { logs: logs.clone(), ..apart }, &mut side)?;
        }
        Ok(Some(side))
    }

    /// Detectors to be run, by where their features lie.
    fn split(
        &self,
        loaded: &Loaded,
        (logs, lost): (&BTreeMap<String, Log>, &BTreeMap<String, String>),
        other: Option<&Side>,
        side: &mut Side,
    ) -> anyhow::Result<(Vec<Ready>, Vec<Ready>)> {
        let (mut live, mut scratch) = (Vec::new(), Vec::new());
        for one in loaded.detectors.iter().filter(|one| one.detector.mode != Mode::Disabled) {
            let name = one.detector.name.clone();
            let opened =
                open::log_of(one, logs, lost).and_then(|log| open::open_one(one, loaded, log, self.scratch_dir.path()));
            let mut ready = match opened {
                Ok(ready) => ready,
                Err(reason) => {
                    side.broken.insert(name, reason);
                    continue;
                }
            };
            let known = other.and_then(|other| other.detectors.get(&name));
            if let Some(known) = known.filter(|known| known.identity == identity(&ready, loaded)) {
                side.detectors.insert(name, known.clone());
                continue;
            }
            let is_live = absolute(&loaded.root) == self.live_root
                && self
                    .live
                    .as_ref()
                    .is_some_and(|state| state.ingested(&ready.key()).is_ok_and(|known| !known.files.is_empty()));
            if is_live {
                ready.store = open_store(&self.live_dir, &ready.definition, &ready.plan)?;
                live.push(ready);
            } else {
                scratch.push(ready);
            }
        }
        if let Some(state) = &self.live {
            let labels = labels::labels(state)?;
            labels::keep_out_of_training(&labels, &mut live);
            labels::keep_out_of_training(&labels, &mut scratch);
        }
        Ok((live, scratch))
    }

    /// Replays detectors whose features lie in the same state.
    fn run(&self, loaded: &Loaded, pipeline: Pipeline, side: &mut Side) -> anyhow::Result<()> {
        let reports = pipeline.ingest(&BTreeSet::new())?;
        for ready in &pipeline.ready {
            let name = &ready.definition.name;
            let report = reports.get(&ready.definition.query.log);
            if let Some(reason) = report.and_then(|report| report.failed.get(name)) {
                side.broken.insert(name.clone(), reason.clone());
                continue;
            }
            let mut replayed = self.judge(&pipeline, ready)?;
            replayed.cost.rows_read = report.map_or(0, |report| report.rows);
            replayed.identity = identity(ready, loaded);
            side.detectors.insert(name.clone(), replayed);
        }
        Ok(())
    }

    fn judge(&self, pipeline: &Pipeline, ready: &Arc<Ready>) -> anyhow::Result<Replayed> {
        let started = Instant::now();
        let table = Arc::new(ready.store.read(TimeRange { start: Time::MIN, end: self.range.end })?);
        let task = Task { fresh: Some(table.clone()), ..Task::up_to(self.range.end, ready) };
        let (memory, outcome) = rerun(&task, &Wish::default())?;
        let seconds = started.elapsed().as_secs_f64();
        let apart = State::in_memory()?;
        // Sample records are no part of the comparison, so no log is read for them.
        let composer = Composer { state: &apart, logs: &BTreeMap::new(), ..pipeline.composer() };
        let happenings = outcome.told.into_iter().map(|told| Happening { ready, told }).collect();
        let mut last: BTreeMap<String, Alert> = BTreeMap::new();
        for alert in composer.compose(happenings, &mut Incidents::default())? {
            last.insert(alert.id.clone(), alert);
        }
        let mut alerts: Vec<Alert> = last.into_values().filter(|alert| self.range.contains(alert.start)).collect();
        alerts.sort_by(|a, b| (a.start, &a.entity).cmp(&(b.start, &b.entity)));
        let end = |last: Time| last.plus(table.bucket);
        let covered = table.covered.first().zip(table.covered.last());
        Ok(Replayed {
            alerts,
            cost: Cost { rows_read: 0, buckets: table.len(), entities: memory.entities().len(), seconds },
            covered: covered.map(|(first, last)| TimeRange { start: *first, end: end(*last) }),
            identity: String::new(),
        })
    }
}

impl Side {
    /// The time in which both logs and `within` have anything.
    #[must_use]
    pub fn covered(&self, within: TimeRange) -> Option<TimeRange> {
        let hull = self.detectors.values().filter_map(|one| one.covered).reduce(TimeRange::hull)?;
        let range = TimeRange { start: hull.start.max(within.start), end: hull.end.min(within.end) };
        (range.start < range.end).then_some(range)
    }

    /// Alerts of all detectors.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.detectors.values().flat_map(|one| &one.alerts)
    }

    /// Alerts a week in a range.
    #[must_use]
    pub fn weekly(&self, range: TimeRange) -> f64 {
        self.alerts().count() as f64 * Period::WEEK.seconds() / range.end.since(range.start).seconds().max(1.0)
    }
}

fn load(source: &Source) -> Loaded {
    let mut loaded = margay_config::load(&source.config);
    let Some(detectors) = &source.detectors else { return loaded };
    let other = margay_config::load_detectors(std::slice::from_ref(detectors), Some(&loaded.engine));
    loaded.problems.retain(|problem| problem.file == source.config);
    loaded.problems.extend(other.problems);
    (loaded.detectors, loaded.broken) = (other.detectors, other.broken);
    loaded
}

/// Everything on which a detector's alerts depend, the logs themselves apart.
fn identity(ready: &Ready, loaded: &Loaded) -> String {
    let definition = &ready.definition;
    let log = format!("{:?}", loaded.engine.logs.get(&definition.query.log));
    let root = absolute(&loaded.root).display().to_string();
    digest(&[&definition.digest, &definition.model_digest, &format!("{:?}", definition.judgement), &log, &root])
}

fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
