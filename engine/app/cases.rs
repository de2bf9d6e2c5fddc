//! Unit tests of detectors: declared cases → rows → the same engine → what was raised, beside what was expected.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use margay_config::{Loaded, LoadedDetector, Problem, Typed};
use margay_core::{Alert, AlertStatus, Entity, GateName, Period, Time, TimeRange};
use margay_generate::cases::{Case, CaseFile, Expect, Fires, expand};
use margay_render::plain;
use margay_source::Log;
use serde_json::{Map, Value, json};

use crate::ingest::{Ready, chain};
use crate::open;
use crate::pipeline::{Pipeline, Replay, Replayed};
use crate::specs;
use crate::state::State;

/// Seed of the noise: a case that holds today holds tomorrow.
const SEED: u64 = 1;
/// Name of the file that a case's rows are written to.
const ROWS: &str = "rows.ndjson";
/// Alerts that a message names at most.
const NAMED_MOST: usize = 5;

/// Cases of one file, and the detector that they are about.
pub struct Suite<'a> {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub file: CaseFile,
    /// The detector that it names.
    pub detector: &'a LoadedDetector,
}

/// Reads the files of cases; what is wrong with them is told at its line.
#[must_use]
pub fn read<'a>(paths: &[PathBuf], loaded: &'a Loaded) -> (Vec<Suite<'a>>, Vec<Problem>) {
    let (mut suites, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        match margay_config::yaml_files(path) {
            Ok(files) => files.iter().for_each(|file| suites.extend(read_one(file, loaded, &mut problems))),
            Err(problem) => problems.push(*problem),
        }
    }
    (suites, problems)
}

fn read_one<'a>(path: &Path, loaded: &'a Loaded, problems: &mut Vec<Problem>) -> Option<Suite<'a>> {
    let mut typed = margay_config::read_typed::<CaseFile>(path);
    problems.append(&mut typed.problems);
    let file = typed.value.take()?;
    let detector = loaded.detectors.iter().find(|one| one.detector.name == file.detector);
    let found = check(path, &file, detector, &typed);
    let is_sound = found.is_empty();
    problems.extend(found);
    detector.filter(|_| is_sound).map(|detector| Suite { path: path.to_owned(), file, detector })
}

/// Rules across keys.
fn check(path: &Path, file: &CaseFile, detector: Option<&LoadedDetector>, typed: &Typed<CaseFile>) -> Vec<Problem> {
    let problem = |key: &[&str], rule: &str, message: String| typed.problem(path, key, rule, message);
    let Some(detector) = detector.map(|one| &one.detector) else {
        let message = format!("no detector that can run is called `{}`", plain(&file.detector));
        return vec![problem(&["detector"], "unknown-detector", message)];
    };
    let mut problems = Vec::new();
    if file.log != detector.log {
        let message = format!("`{}` reads the log `{}`, not `{}`", detector.name, detector.log, plain(&file.log));
        problems.push(problem(&["log"], "wrong-log", message));
    }
    let columns: BTreeSet<String> = detector.entity_columns().into_iter().map(|(name, _)| name).collect();
    let mut names = BTreeSet::new();
    for (at, case) in file.cases.iter().enumerate() {
        let at = at.to_string();
        if !names.insert(&case.name) {
            problems.push(problem(&["cases", &at, "name"], "duplicate-case", "another case has this name".to_owned()));
        }
        for (number, _) in case.inject.iter().enumerate().filter(|(_, one)| one.at.0 + one.length.0 > case.length.0) {
            let message = format!("the injection ends after the case, which lasts {}", case.length);
            problems.push(problem(&["cases", &at, "inject", &number.to_string()], "injection-outside-case", message));
        }
        if let Expect::Fires { fires } = &case.expect
            && columns != fires.entity.keys().cloned().collect()
        {
            let columns: Vec<&str> = columns.iter().map(|name| &name[..]).collect();
            let message = format!("the entity of `{}` has the columns {}", detector.name, columns.join(", "));
            problems.push(problem(&["cases", &at, "expect", "fires", "entity"], "wrong-entity", message));
        }
        if let Err(error) = margay_generate::cases::check(case) {
            problems.push(problem(&["cases", &at], "case-too-long", error.to_string()));
        }
    }
    problems
}

/// Runs one case; what it returns is why the case does not hold.
///
/// # Errors
/// The case could not be run at all.
pub fn run(suite: &Suite, case: &Case, loaded: &Loaded) -> anyhow::Result<Option<String>> {
    let dir = tempfile::tempdir().context("cannot make a folder for the rows")?;
    let name = &suite.detector.detector.log;
    let log = loaded.engine.logs.get(name).with_context(|| format!("margay.yaml has no log `{name}`"))?;
    std::fs::write(dir.path().join(ROWS), lines(case, log)?).context("cannot write the rows")?;
    let in_file = margay_config::Log { files: vec![ROWS.to_owned()], elasticsearch: None, ..log.clone() };
    let spec = specs::log(name, &in_file, dir.path()).with_context(|| format!("log `{name}` has no shape"))?;
    let log = Log::open(spec)?;
    let ready = open::open_one(suite.detector, loaded, &log, dir.path()).map_err(anyhow::Error::msg)?;
    let mut pipeline = open::apart(loaded, vec![ready], Arc::new(State::in_memory()?), dir.path())?;
    pipeline.logs.insert(name.clone(), log);
    let Replayed { alerts, failed } = pipeline.replay(&mut Replay { range: TimeRange::ALL, scores: None })?;
    if let Some(reason) = failed.into_values().next() {
        anyhow::bail!(reason);
    }
    Ok(judge(case, &alerts, &pipeline))
}

/// The rows as the log has them: with its own field of time where it declares one.
fn lines(case: &Case, log: &margay_config::Log) -> anyhow::Result<String> {
    let mut text = String::new();
    for mut row in expand(case, SEED)? {
        if let (Some(time), Some(fields)) = (&log.time, row.as_object_mut()) {
            declare_time(fields, time);
        }
        text.push_str(&row.to_string());
        text.push('\n');
    }
    Ok(text)
}

fn declare_time(row: &mut Map<String, Value>, time: &margay_config::TimeField) {
    for (written, declared) in [("start_time", Some(&time.field)), ("end_time", time.end_field.as_ref())] {
        let seconds = row.shift_remove(written).and_then(|value| value.as_i64()).unwrap_or_default();
        let Some(declared) = declared.filter(|name| !row.contains_key(*name)) else { continue };
        let value = match time.format {
            margay_config::TimeFormat::EpochS => json!(seconds),
            margay_config::TimeFormat::EpochMs => json!(seconds * 1000),
            _ => json!(Time(seconds * 1000)),
        };
        row.insert(declared.clone(), value);
    }
}

fn judge(case: &Case, alerts: &[Alert], pipeline: &Pipeline) -> Option<String> {
    let opened: Vec<&Alert> = alerts.iter().filter(|alert| alert.status == AlertStatus::Open).collect();
    let Expect::Fires { fires } = &case.expect else {
        return (!opened.is_empty()).then(|| format!("should be quiet, but {}", told(&opened)));
    };
    let ready = pipeline.ready.first()?;
    let entity = entity(fires, ready);
    let others: Vec<&Alert> = opened.iter().copied().filter(|alert| alert.entity != entity).collect();
    if !others.is_empty() {
        return Some(format!("fired for another entity: {}", told(&others)));
    }
    let from = case.awaited_from();
    let Some(first) = opened.first() else {
        let window = TimeRange { start: from, end: from.plus(fires.within) };
        return Some(format!("did not fire: {}", why_not(pipeline, ready, &entity, window)));
    };
    let delay = first.time.since(from);
    if delay < Period(0) {
        return Some(format!("fired at {}, before it should: {}", first.time, told(&[first])));
    }
    if delay > fires.within {
        return Some(format!("fired after {delay}, later than {}: {}", fires.within, told(&[first])));
    }
    let worst = alerts.iter().map(|alert| alert.severity).max().unwrap_or_default();
    let least = fires.severity?;
    (worst < least).then(|| format!("fired with the severity {worst}, which is below {least}"))
}

fn entity(fires: &Fires, ready: &Ready) -> Entity {
    let columns: Vec<String> = ready.definition.query.entity.iter().map(|(name, _)| name.clone()).collect();
    let values = columns.iter().map(|name| fires.entity.get(name).and_then(Value::as_str).map(str::to_owned)).collect();
    Entity::new(columns.into(), values)
}

/// What the bucket came to that scored highest in the time in which an alert was expected.
fn why_not(pipeline: &Pipeline, ready: &Arc<Ready>, entity: &Entity, window: TimeRange) -> String {
    let explain = |bucket| pipeline.explain(ready, entity, bucket, window);
    let seen = match explain(window.start) {
        Ok(explained) => explained.series,
        Err(error) => return chain(&error),
    };
    let Some(best) = seen.iter().reduce(|best, row| if row.score.score > best.score.score { row } else { best }) else {
        return format!("nothing of {} was seen from {} to {}", plain(&entity.to_string()), window.start, window.end);
    };
    let verdict = explain(best.bucket).ok().and_then(|explained| explained.verdict).unwrap_or_default();
    let place = format!("the highest score is {:.1}, at {}", best.score.score, best.bucket);
    match verdict.gates.iter().find(|gate| !gate.passed) {
        Some(gate) if gate.gate == GateName::Score => format!("{place}, and the limit is {}", gate.limit),
        Some(gate) => format!("{place}; there gate `{}` saw {} against {}", gate.gate, plain(&gate.value), gate.limit),
        None => place,
    }
}

fn told(alerts: &[&Alert]) -> String {
    let one = |alert: &&Alert| {
        let entity = plain(&alert.entity.to_string());
        format!("{} {entity} scored {:.1} ({})", alert.start, alert.score, alert.summary)
    };
    let mut text = alerts.iter().take(NAMED_MOST).map(one).collect::<Vec<_>>().join("; ");
    if alerts.len() > NAMED_MOST {
        text.push_str(&format!(" and {} more", alerts.len() - NAMED_MOST));
    }
    text
}
