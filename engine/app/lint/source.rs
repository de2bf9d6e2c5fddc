//! What detectors read, compared with the newest records of their logs: the one check that asks servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use arrow::array::{Array, RecordBatch};
use margay_config::{Loaded, LoadedDetector, Problem};
use margay_core::{Time, TimeRange};
use margay_features::Plan;
use margay_source::{Flow, Log, Scan};

use crate::ingest::{chain, threads};
use crate::lint::query_problem;
use crate::open;
use crate::specs;

/// Records of a log that are looked at, at least, where there are as many.
const RECORDS_LEAST: usize = 5_000;
/// Files or stretches of an index that they are taken from at most: the newest.
const FILES_MOST: usize = 24;

/// How the records of each detector's log come: aggregated by the server that holds them, or each on its own and why.
/// Nothing is said of logs in files.
#[must_use]
pub fn ways(loaded: &Loaded) -> Vec<String> {
    let (logs, _) = open::logs(loaded, &BTreeMap::new());
    let in_index = |one: &&LoadedDetector| {
        let log = loaded.engine.logs.get(&one.detector.log);
        log.is_some_and(|log| log.elasticsearch.is_some())
    };
    let way = |one: &LoadedDetector| {
        let log = logs.get(&one.detector.log)?;
        let said = match open::gathered(&specs::query(&one.detector), loaded, log) {
            Ok(gathered) => match log.ungathered(&gathered.grouping) {
                Ok(indices) if indices.is_empty() => "the server aggregates its records".to_owned(),
                Ok(indices) => format!("every record is read of {}", indices.join("; ")),
                Err(_) => return None,
            },
            Err(reason) => format!("every record is read: {reason}"),
        };
        Some(format!("{}: {said}", one.detector.name))
    };
    loaded.detectors.iter().filter(in_index).filter_map(way).collect()
}

/// A warning for each column that a detector reads and no record has, and an error for each log that cannot be read.
#[must_use]
pub fn problems(loaded: &Loaded) -> Vec<Problem> {
    let opened = open::logs(loaded, &BTreeMap::new());
    let mut seen = BTreeMap::new();
    let mut problems = Vec::new();
    for one in &loaded.detectors {
        problems.extend(of_detector(one, loaded, &opened, &mut seen));
    }
    problems
}

/// What the newest records of a log have: how many they are, and the columns that hold something.
type Seen = Result<(usize, BTreeSet<String>), String>;

fn of_detector(
    one: &LoadedDetector,
    loaded: &Loaded,
    (logs, lost): &open::Opened,
    seen: &mut BTreeMap<String, Seen>,
) -> Vec<Problem> {
    let query = specs::query(&one.detector);
    let name = &query.log;
    let in_index = loaded.engine.logs.get(name).is_some_and(|log| log.elasticsearch.is_some());
    let unreadable = |reason: &str| {
        let message = format!("the log `{name}` cannot be read: {reason}");
        vec![one.problem(&["log"], None, "log-unreadable", message, None)]
    };
    let Some(log) = logs.get(name) else {
        return lost.get(name).filter(|_| in_index).map(|reason| unreadable(reason)).unwrap_or_default();
    };
    let plan = match Plan::compile(&query, log.schema()) {
        Ok(plan) => plan,
        // Of other logs it is told without asking anybody.
        Err(errors) if in_index && loaded.engine.logs[name].preset.is_none() => {
            return errors.iter().map(|error| query_problem(one, error)).collect();
        }
        Err(_) => return Vec::new(),
    };
    match seen.entry(name.clone()).or_insert_with(|| look(log)) {
        Err(reason) => unreadable(reason),
        Ok((0, _)) => Vec::new(),
        Ok((records, columns)) => {
            let missing = plan.columns().iter().filter(|column| !columns.contains(*column));
            let gap = |column: &String| {
                let message = format!("the newest {records} records of `{name}` have no `{column}`");
                let hint = "the detector sees nothing of it; `requires` would have it say so".to_owned();
                one.problem(&["log"], None, "field-gap", message, Some(hint)).warning()
            };
            missing.map(gap).collect()
        }
    }
}

fn look(log: &Log) -> Seen {
    let mut files = log.list(Time::MIN).map_err(|error| chain(&error))?;
    files.sort_by_key(|file| file.span.map(|span| span.start));
    let newest = files.iter().rev().take(FILES_MOST).map(|file| file.path.clone()).collect();
    let columns = log.schema().fields().iter().map(|field| field.name().clone()).collect();
    let found = Mutex::new((0, BTreeSet::new()));
    let sink = |batch: RecordBatch| {
        let mut found = found.lock().expect("no panic while held");
        found.0 += batch.num_rows();
        let schema = batch.schema();
        let held = schema.fields().iter().zip(batch.columns()).filter(|(_, column)| column.null_count() < column.len());
        found.1.extend(held.map(|(field, _)| field.name().clone()));
        if found.0 >= RECORDS_LEAST { Flow::Stop } else { Flow::Continue }
    };
    let scan = Scan { columns, range: TimeRange::ALL, files: Some(newest), grouping: None, threads: threads() };
    match log.scan(&scan, &sink, &|_| {}).failed {
        Some(reason) => Err(reason),
        None => Ok(found.into_inner().expect("no panic while held")),
    }
}
