//! Files beside detectors.d that no longer do what they were written for.

use margay_config::{Loaded, LoadedFile, Problem, Selector};
use margay_core::{Alert, Time};
use margay_decide::Origin;

use crate::beside;
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
    problems.extend(idle(loaded));
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
fn idle(loaded: &Loaded) -> Vec<Problem> {
    let Some(alerts) = past_alerts(loaded) else { return Vec::new() };
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

/// Alerts of earlier runs; `None` where there was none, or where another margay has the state open.
fn past_alerts(loaded: &Loaded) -> Option<Vec<Alert>> {
    if loaded.beside.silences.is_empty() {
        return None;
    }
    let state = State::open_existing(&loaded.root.join(&loaded.engine.state.dir))?;
    state.alerts().ok()
}
