//! Files beside detectors.d that no longer do what they were written for.

use margay_config::{Loaded, LoadedFile, Mode, Problem, Selector};
use margay_core::{Alert, Time};
use margay_decide::Origin;

use tracing::warn;

use crate::beside;
use crate::budgets::{Known, Spent, spent};
use crate::ingest::chain;
use crate::state::State;

/// Silences that have expired, files that are about no detector, and, where margay has run before, silences whose like
/// was never raised. Ordered as they lie in the folders.
#[must_use]
pub fn problems(loaded: &Loaded, now: Time) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in &loaded.beside.silences {
        if file.value.until <= now {
            let message = format!("the silence expired at {}", file.value.until);
            let hint = "delete the file, or give it a new `until` if it is still wanted".to_owned();
            problems.push(file.problem(&["until"], "silence-expired", message, Some(hint)));
        }
        problems.extend(unmatched(loaded, file, &file.value.selector));
    }
    for file in &loaded.beside.exclusions {
        problems.extend(unmatched(loaded, file, &file.value.selector));
    }
    if let Some(state) = earlier(loaded) {
        problems.extend(idle(loaded, &state));
        problems.extend(over_budget(loaded, &state));
    }
    problems
}

/// A warning where no detector is meant. Without a detector there is nothing to compare with.
fn unmatched<T>(loaded: &Loaded, file: &LoadedFile<T>, selector: &Selector) -> Option<Problem> {
    let selector = beside::selector(selector);
    let mut all = loaded.detectors.iter().chain(&loaded.broken).peekable();
    all.peek()?;
    if all.any(|detector| selector.covers_origin(&beside::origin(detector))) {
        return None;
    }
    let message = "the selector is about no detector".to_owned();
    let hint = "`margay status` lists the detectors, `*` stands for any text".to_owned();
    Some(file.problem(&["selector"], "selector-matches-nothing", message, Some(hint)).warning())
}

/// Silences whose like was never raised.
fn idle(loaded: &Loaded, state: &State) -> Vec<Problem> {
    let alerts = match state.alerts() {
        Ok(alerts) => alerts,
        Err(error) => {
            warn!(error = chain(&error), "silences cannot be compared with what was raised");
            return Vec::new();
        }
    };
    let log = |alert: &Alert| {
        let own = loaded.detectors.iter().find(|one| one.detector.name == alert.detector);
        own.map_or("", |one| &one.detector.log[..])
    };
    let mut problems = Vec::new();
    for file in &loaded.beside.silences {
        let selector = beside::selector(&file.value.selector);
        let covers = |alert: &Alert| {
            let origin = Origin { detector: &alert.detector, tags: &alert.tags, log: log(alert) };
            selector.covers_origin(&origin) && selector.covers_entity(&alert.entity)
        };
        if !alerts.iter().any(covers) {
            let message = "no alert was ever raised that this would keep back".to_owned();
            let hint = "`margay alerts` lists what was raised, `margay silence ALERT` writes a file for one".to_owned();
            problems.push(file.problem(&["selector"], "silence-matches-no-alert", message, Some(hint)).warning());
        }
    }
    problems
}

/// Teams that were told of more than they welcome.
fn over_budget(loaded: &Loaded, state: &State) -> Vec<Problem> {
    let known: Vec<Known> = loaded
        .detectors
        .iter()
        .map(|one| Known {
            name: &one.detector.name,
            log: &one.detector.log,
            shadow: one.detector.mode == Mode::Shadow,
        })
        .collect();
    let spent = spent(&beside::budgets(loaded), &known, state).unwrap_or_else(|error| {
        warn!(error = chain(&error), "budgets cannot be compared with what was raised");
        Vec::new()
    });
    let problem = |one: &Spent| {
        let message = format!("{} alerts in {}, more than the {} of the budget", one.alerts, one.per, one.allowed);
        let hint = "`margay tune DETECTOR` proposes thresholds that raise fewer".to_owned();
        loaded.engine_problem(&["budgets", &one.name], "over-budget", message, Some(hint)).warning()
    };
    spent.iter().filter(|one| one.over).map(problem).collect()
}

/// What earlier runs left; `None` where there was none, or where another margay has it open.
fn earlier(loaded: &Loaded) -> Option<State> {
    if loaded.beside.silences.is_empty() && loaded.engine.budgets.is_empty() {
        return None;
    }
    State::open_existing(&loaded.root.join(&loaded.engine.state.dir))
}
