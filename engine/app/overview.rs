//! What every detector sees, or why it sees nothing: the document of `status`, which the daemon shows as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use margay_core::{Alert, Time};
use margay_decide::Silence;
use margay_deliver::count_dead_letters;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::warn;

use crate::budgets::{Known, Spent, TeamBudget, spent};
use crate::ingest::{Ready, chain, shadows};
use crate::order::Brief;
use crate::outlet::Way;
use crate::pipeline::Pipeline;
use crate::records::DetectorStatus;
use crate::state::{State, StateError};

/// The state of everything.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Overview {
    /// Every detector, by name.
    pub detectors: Vec<Row>,
    /// Every silence, and what it keeps back.
    pub silences: Vec<SilenceRow>,
    /// What became of the budgets of teams.
    pub budgets: Vec<Spent>,
    /// Every sink.
    pub sinks: Vec<SinkRow>,
}

/// One detector.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// How far it may go; empty where its definition has errors.
    pub mode: String,
    /// What it sees.
    #[serde(flatten)]
    pub status: DetectorStatus,
}

/// What a silence costs: how many alerts it kept back.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SilenceRow {
    /// Its name.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When it begins.
    pub from: Time,
    /// When it ends.
    pub until: Time,
    /// Alerts that it kept back.
    pub silenced: usize,
    /// The worst of them.
    pub worst: Option<Worst>,
}

/// The worst alert that a silence kept back.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Worst {
    /// Its id.
    pub id: String,
    /// Its severity, 1 to 100.
    pub severity: u8,
    /// Its score, 0 to 100.
    pub score: f64,
    /// What it says.
    pub summary: String,
}

/// A sink, and how many alerts wait for it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SinkRow {
    /// Its name.
    pub name: String,
    /// Alerts that it has not taken.
    pub waiting: u64,
    /// Why it takes nothing, while it does not.
    pub error: Option<String>,
    /// When it first failed so.
    pub failing_since: Option<Time>,
    /// Alerts that it refused for good, kept until somebody sends them again.
    pub dead_letters: usize,
}

/// A configuration in use, and the state that belongs to it.
pub struct Scene {
    /// Alerts and statuses.
    pub state: Arc<State>,
    ready: Vec<Arc<Ready>>,
    modes: BTreeMap<String, String>,
    broken: BTreeMap<String, String>,
    silences: Vec<Silence>,
    budgets: Vec<TeamBudget>,
    sinks: Vec<String>,
    dead_letters: PathBuf,
}

impl Scene {
    /// That of a pipeline which still has its outlets.
    #[must_use]
    pub fn of(pipeline: &Pipeline) -> Self {
        let sinks = pipeline.outlets.iter().filter(|outlet| !matches!(outlet.way, Way::Quarantine(_)));
        Self {
            state: pipeline.state.clone(),
            ready: pipeline.ready.clone(),
            modes: pipeline.modes(),
            broken: pipeline.broken.clone(),
            silences: pipeline.silences.clone(),
            budgets: pipeline.budgets.clone(),
            sinks: sinks.map(|outlet| outlet.name.clone()).collect(),
            dead_letters: pipeline.dead_letters(),
        }
    }

    /// The state of everything.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn overview(&self) -> Result<Overview, StateError> {
        let known: Vec<Known> = self.ready.iter().map(|ready| Known::of(&ready.definition)).collect();
        Ok(Overview {
            detectors: self.rows()?,
            silences: self.silence_rows()?,
            budgets: spent(&self.budgets, &known, &self.state)?,
            sinks: self.sink_rows()?,
        })
    }

    /// Every detector, by name.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn rows(&self) -> Result<Vec<Row>, StateError> {
        let mut rows = Vec::new();
        for (name, mode) in &self.modes {
            let never = || DetectorStatus { state: "never_ran".to_owned(), ..DetectorStatus::default() };
            let status = self.state.status(name)?.unwrap_or_else(never);
            rows.push(Row { name: name.clone(), mode: mode.clone(), status });
        }
        for (name, reason) in &self.broken {
            let status =
                DetectorStatus { state: "error".to_owned(), reason: Some(reason.clone()), ..DetectorStatus::default() };
            rows.push(Row { name: name.clone(), mode: String::new(), status });
        }
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }

    /// Every sink, in the order of the configuration.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn sink_rows(&self) -> Result<Vec<SinkRow>, StateError> {
        let waiting = self.state.waiting()?;
        let row = |name: &String| {
            let (error, failing_since) =
                self.state.sink_failure(name)?.map(|failure| (failure.error, failure.since)).unzip();
            let dead_letters = count_dead_letters(&self.dead_letters, name).unwrap_or_else(|error| {
                warn!(sink = name, error = chain(&error), "dead letters cannot be counted");
                0
            });
            let waiting = waiting.get(name).copied().unwrap_or(0);
            Ok(SinkRow { name: name.clone(), waiting, error, failing_since, dead_letters })
        };
        self.sinks.iter().map(row).collect()
    }

    /// Names of the detectors that only run in the shadow of others.
    #[must_use]
    pub fn shadows(&self) -> BTreeSet<&str> {
        shadows(&self.ready)
    }

    fn silence_rows(&self) -> Result<Vec<SilenceRow>, StateError> {
        if self.silences.is_empty() {
            return Ok(Vec::new());
        }
        let mut kept_back: BTreeMap<String, (usize, Brief)> = BTreeMap::new();
        self.state.briefs(None, |brief| {
            let Some(silence) = brief.silence.clone() else { return true };
            let known = kept_back.entry(silence).or_insert_with(|| (0, brief.clone()));
            known.0 += 1;
            // The newest comes first here, and of equal ones the first in time is shown.
            if (brief.severity, brief.score) >= (known.1.severity, known.1.score) {
                known.1 = brief;
            }
            true
        })?;
        let row = |silence: &Silence| {
            let kept_back = kept_back.get(&silence.name);
            let worst = kept_back.map(|(_, worst)| self.state.alert(&worst.id)).transpose()?.flatten();
            Ok(SilenceRow {
                name: silence.name.clone(),
                owner: silence.owner.clone(),
                reason: silence.reason.clone(),
                from: silence.range.start,
                until: silence.range.end,
                silenced: kept_back.map_or(0, |(count, _)| *count),
                worst: worst.map(|alert| Worst {
                    id: alert.id,
                    severity: alert.severity,
                    score: alert.score,
                    summary: alert.summary,
                }),
            })
        };
        self.silences.iter().map(row).collect()
    }
}

/// The alert with the highest severity, of equal ones that with the highest score, of those the first.
pub fn worst<'a>(alerts: impl Iterator<Item = &'a Alert>) -> Option<&'a Alert> {
    alerts.reduce(|worst, one| if (one.severity, one.score) > (worst.severity, worst.score) { one } else { worst })
}
