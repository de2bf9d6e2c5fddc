//! One pipeline through many cycles: what is due, what is new in the configuration, what must wait.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use margay_config::{Loaded, Problem, Severity};
use margay_core::{Period, Time};
use tracing::{error, info, warn};

use crate::Exit;
use crate::daemon::backoff::Backoff;
use crate::daemon::clock::Clock;
use crate::daemon::courier::Courier;
use crate::daemon::schedule::{Pace, Schedule};
use crate::daemon::watch;
use crate::ingest::chain;
use crate::labels;
use crate::lint;
use crate::open::{self, Shared};
use crate::overview::Scene;
use crate::pipeline::{CycleReport, Pipeline, Request};
use crate::scores::ScoresFile;
use crate::state::State;
use crate::web::Board;

/// How long a cycle that failed waits for the next try.
const AGAIN_AFTER: Period = Period::MINUTE;
/// How often a copy of the state is kept.
const GENERATION_EVERY: Duration = Duration::from_secs(3600);
/// How long the end waits for the last delivery.
const DELIVER_WITHIN: Duration = Duration::from_secs(8);

/// What the command line says.
pub struct Settings {
    /// margay.yaml.
    pub config: PathBuf,
    /// The clock.
    pub clock: Clock,
    /// When to end.
    pub until: Option<Time>,
    /// Where scores go, if anywhere.
    pub scores: Option<PathBuf>,
    /// Set when no more work should begin.
    pub stop: Arc<AtomicBool>,
    /// Where the daemon says how it is.
    pub board: Arc<Board>,
}

/// Everything that lives longer than a cycle.
pub struct Worker {
    settings: Settings,
    loaded: Loaded,
    pipeline: Pipeline,
    schedule: Schedule,
    backoff: Backoff,
    courier: Courier,
    scores: Option<ScoresFile>,
    /// Digest of the configuration's content that was looked at last, and when.
    looked_at: (String, Instant),
    /// When the last generation of the state was kept.
    kept_at: Option<Instant>,
    /// No cycle before this time.
    not_before: Time,
    ended: bool,
}

impl Worker {
    /// Opens what the configuration names. `None` where it is refused; the problems were printed.
    ///
    /// # Errors
    /// The state or the scores file cannot be opened.
    pub fn open(settings: Settings, loaded: Loaded, state: Arc<State>) -> anyhow::Result<Option<Self>> {
        let content = watch::content(&settings.config, &loaded);
        let dir = loaded.root.join(&loaded.engine.state.dir);
        let shared = Shared { state: Some((dir, state)), stop: settings.stop.clone(), ..Shared::default() };
        let Some(mut pipeline) = open::load(&settings.config, &loaded, &shared)? else { return Ok(None) };
        settings.board.show(Scene::of(&pipeline));
        let scores = settings.scores.as_deref().map(ScoresFile::create).transpose()?;
        Ok(Some(Self {
            schedule: schedule(&loaded, &pipeline),
            courier: Courier::start(std::mem::take(&mut pipeline.outlets), &pipeline.desk())?,
            settings,
            loaded,
            pipeline,
            backoff: Backoff::default(),
            scores,
            looked_at: (content, Instant::now()),
            kept_at: None,
            not_before: Time::MIN,
            ended: false,
        }))
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    /// When there is something to do next; `None` at the end.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        if self.ended {
            return None;
        }
        let next = self.schedule.next().unwrap_or(Time::MAX).min(self.backoff.next()).max(self.not_before);
        Some(next.min(self.settings.until.unwrap_or(Time::MAX)))
    }

    /// Takes over a new configuration, and runs a cycle where one is due.
    ///
    /// # Errors
    /// The scores file cannot be written. All else is logged and tried again.
    pub fn tick(&mut self) -> anyhow::Result<()> {
        self.look_at_configuration();
        self.look_for_labels();
        let now = self.settings.clock.now();
        let is_last = self.settings.until.is_some_and(|until| until <= now);
        let now = now.min(self.settings.until.unwrap_or(Time::MAX));
        if is_last || self.next().is_some_and(|next| next <= now) {
            self.look_for_logs();
            self.cycle(now)?;
        }
        self.ended = is_last;
        Ok(())
    }

    /// Delivers a last time.
    ///
    /// # Errors
    /// The scores file cannot be written.
    pub fn end(self) -> anyhow::Result<Exit> {
        if let Some(scores) = self.scores {
            scores.finish()?;
        }
        keep_generation(&self.pipeline.state);
        if !self.courier.end(DELIVER_WITHIN) {
            warn!("a sink takes long; what waits for it is sent by the next run");
        }
        Ok(Exit::Ok)
    }

    fn cycle(&mut self, now: Time) -> anyhow::Result<()> {
        let daemon = &self.loaded.engine.daemon;
        let mut request = Request {
            watermarks: open::watermarks(&self.loaded, now),
            scores: self.scores.as_mut(),
            due: Some(&self.schedule.take(now) | &self.backoff.again(now)),
            skip: self.backoff.waiting(now),
            detector_timeout: Some(Duration::from_millis(daemon.detector_timeout.0.unsigned_abs())),
            deliver_from: now.minus(daemon.alert_age),
            ..Request::once(now, now)
        };
        match self.pipeline.observe(&mut request) {
            Ok(report) => {
                self.note(&report, now);
                self.courier.deliver();
            }
            Err(crate::pipeline::PipelineError::Scores(error)) => return Err(error.into()),
            Err(error) => {
                self.settings.board.cycle_failed();
                error!(error = chain(&error), "a cycle failed; it is tried again in a minute");
                self.schedule = schedule(&self.loaded, &self.pipeline);
                self.not_before = now.plus(AGAIN_AFTER);
            }
        }
        Ok(())
    }

    fn note(&mut self, report: &CycleReport, now: Time) {
        self.not_before = Time::MIN;
        self.settings.board.cycle_ended(&report.alerts);
        if self.kept_at.is_none_or(|kept| kept.elapsed() >= GENERATION_EVERY) {
            self.kept_at = Some(Instant::now());
            keep_generation(&self.pipeline.state);
        }
        let failed: BTreeMap<&String, &String> = report.logs.values().flat_map(|log| &log.failed).collect();
        for (name, ended) in &report.ran {
            self.backoff.note(name, failed.contains_key(name) || ended.is_some(), now);
        }
        if report.held_back > 0 {
            warn!(alerts = report.held_back, "older than `daemon.alert_age`: kept and listed, not delivered");
        }
        info!(detectors = report.ran.len(), alerts = report.alerts.len(), trained = report.trainings, "cycle");
    }

    /// Files come and go; where columns do, queries are planned anew.
    fn look_for_logs(&mut self) {
        let (logs, _) = open::logs(&self.loaded, &self.pipeline.logs);
        let schemas = |logs: &BTreeMap<String, margay_source::Log>| -> Vec<_> {
            logs.iter().map(|(name, log)| (name.clone(), log.schema())).collect()
        };
        if schemas(&logs) == schemas(&self.pipeline.logs) {
            self.pipeline.logs = logs;
            return;
        }
        info!("a log has other columns than before, or appeared: detectors are planned anew");
        let loaded = self.loaded.clone();
        self.take_over(loaded);
    }

    /// Labels that were left by `margay label` change what is learnt: detectors are opened anew with them.
    fn look_for_labels(&mut self) {
        if !labels::left(&self.pipeline.state_dir).is_empty() {
            self.take_over(self.loaded.clone());
        }
    }

    fn look_at_configuration(&mut self) {
        let every = Duration::from_millis(self.loaded.engine.daemon.reload.0.unsigned_abs());
        if self.looked_at.1.elapsed() < every || self.settings.stop.load(Ordering::Relaxed) {
            return;
        }
        let content = watch::content(&self.settings.config, &self.loaded);
        if content == self.looked_at.0 {
            self.looked_at.1 = Instant::now();
            return;
        }
        let loaded = margay_config::load(&self.settings.config);
        let problems: Vec<Problem> = lint::problems(&loaded);
        // What was read must be what was compared: another change in between is looked at next time.
        if watch::content(&self.settings.config, &self.loaded) != content {
            return;
        }
        self.looked_at = (content, Instant::now());
        let errors: Vec<String> = problems.iter().filter(|one| refuses(one)).map(|one| one.render(false)).collect();
        if errors.is_empty() {
            self.take_over(loaded);
            return;
        }
        errors.iter().for_each(|error| eprintln!("{error}"));
        self.refuse(&format!("{} problems", errors.len()));
    }

    /// Goes on with another configuration. What detectors remember is kept where it is still valid.
    fn take_over(&mut self, loaded: Loaded) {
        let shared = Shared {
            state: Some((self.pipeline.state_dir.clone(), self.pipeline.state.clone())),
            logs: self.pipeline.logs.clone(),
            stop: self.settings.stop.clone(),
        };
        match open::load(&self.settings.config, &loaded, &shared) {
            Ok(Some(mut pipeline)) => {
                let scene = Scene::of(&pipeline);
                if let Err(error) = self.courier.take(std::mem::take(&mut pipeline.outlets), &pipeline.desk()) {
                    return self.refuse(&format!("{error:#}"));
                }
                if loaded.engine.web != self.loaded.engine.web {
                    warn!("a changed `web` counts from the next start");
                }
                self.settings.board.show(scene);
                self.settings.board.reloaded(true);
                self.schedule = schedule(&loaded, &pipeline);
                self.looked_at.0 = watch::content(&self.settings.config, &loaded);
                (self.pipeline, self.loaded, self.backoff) = (pipeline, loaded, Backoff::default());
                info!(detectors = self.pipeline.ready.len(), "configuration in use");
            }
            Ok(None) => self.refuse("it leaves nothing to run"),
            Err(error) => self.refuse(&format!("{error:#}")),
        }
    }

    fn refuse(&self, reason: &str) {
        self.settings.board.reloaded(false);
        error!(reason, "the new configuration cannot be used; the last good one stays in use");
    }
}

/// A log whose files are not there is no error of the configuration.
fn refuses(problem: &Problem) -> bool {
    problem.severity == Severity::Error && problem.rule != "log-unreadable"
}

fn keep_generation(state: &State) {
    if let Err(error) = state.keep_generation() {
        warn!(error = chain(&error), "the state has no new previous generation");
    }
}

fn schedule(loaded: &Loaded, pipeline: &Pipeline) -> Schedule {
    let pace = |query: &margay_features::Query| Pace {
        bucket: query.bucket,
        delay: loaded.engine.logs.get(&query.log).map_or(Period(0), margay_config::Log::delay),
    };
    let paces = pipeline.ready.iter().map(|ready| (ready.definition.name.clone(), pace(&ready.definition.query)));
    Schedule::new(paces.collect())
}
