//! Source → features: brings the feature stores up to date, reading only files that are new.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use margay_core::{FeatureTable, Period, Time, TimeRange};
use margay_features::{Gathered, Layout, Limits, Plan, Store, StoreError};
use margay_source::{FileInfo, Flow, Log, Scan, ScanReport};
use tracing::{info, warn};

use crate::changes::{changed, late};
use crate::gather::Reading;
use crate::heal::heal;
use crate::progress::Progress;
use crate::records::Ingested;
use crate::specs::Definition;
use crate::state::{State, StateError};

/// How far back a log in an index is looked at again for records that came late.
const AUDIT: Period = Period::DAY;
/// How long before the buckets that are made anew a record may start that reaches into them.
const REACH: Period = Period::HOUR;
/// Files remembered after they were removed, at most; the oldest go first.
const GONE_FILES_MOST: usize = 10_000;

/// A detector that can run: its definition, its plan and its store.
pub struct Ready {
    /// What the user wrote, as the stages take it.
    pub definition: Definition,
    /// The compiled query.
    pub plan: Plan,
    /// The query of rows that the log's server has gathered; or why it has to be given every row.
    pub gathered: Result<Gathered, String>,
    /// Where its features are kept.
    pub store: Store,
}

/// What reading one log came to.
#[derive(Clone, Debug, Default)]
pub struct LogReport {
    /// Rows read.
    pub rows: u64,
    /// What the source said, if it read anything.
    pub scan: Option<ScanReport>,
    /// Patterns that match no file.
    pub unmatched: Vec<PathBuf>,
    /// Detectors whose features could not be made, and why.
    pub failed: BTreeMap<String, String>,
    /// Those of them whose buckets could not be read at all, and so must not be judged yet.
    pub unread: BTreeSet<String>,
    /// Ranges whose features changed, by detector.
    pub changed: BTreeMap<String, TimeRange>,
    /// How many entities were left out because they were too many, about, by detector.
    pub left_out: BTreeMap<String, u64>,
    /// All features of detectors whose first pass this was, so that they need not be read back.
    pub fresh: BTreeMap<String, Arc<FeatureTable>>,
}

/// Why a log's features could not be brought up to date at all.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Opens the store that holds a definition's features.
///
/// # Errors
/// The folder cannot be made or read.
pub fn open_store(dir: &Path, definition: &Definition, plan: &Plan) -> Result<Store, StoreError> {
    let layout = Layout {
        bucket: definition.query.bucket,
        entity_columns: definition.query.entity.iter().map(|(name, _)| name.clone()).collect(),
        features: plan.features().to_vec(),
        lists: plan.lists().to_vec(),
    };
    Store::open(&dir.join("features"), &definition.name, &definition.data_digest, layout)
}

/// What reading is bound by.
pub struct Pass<'a> {
    /// Limits of one query.
    pub limits: &'a Limits,
    /// Whom to tell how far it is.
    pub progress: &'a Progress,
    /// Now: what lies in the future is not taken for the newest record.
    pub now: Time,
}

/// Reads what is new in `log` for all of its detectors in one pass, and stores their features.
/// Detectors that have seen other files than most are read for on their own.
///
/// # Errors
/// The state cannot be read or written. A detector that fails is in the report.
pub fn ingest(log: &Log, detectors: &[&Ready], state: &Arc<State>, pass: &Pass) -> Result<LogReport, IngestError> {
    let mut report = LogReport { unmatched: log.unmatched().to_vec(), ..LogReport::default() };
    let mut groups: BTreeMap<Vec<String>, Vec<&Ready>> = BTreeMap::new();
    for ready in detectors {
        let known = state.ingested(&ready.key())?;
        groups.entry(known.files.keys().cloned().collect()).or_default().push(ready);
    }
    for group in groups.values() {
        ingest_group(log, group, state, pass, &mut report)?;
    }
    Ok(report)
}

fn ingest_group(
    log: &Log,
    group: &[&Ready],
    state: &Arc<State>,
    pass: &Pass,
    report: &mut LogReport,
) -> Result<(), IngestError> {
    let known = state.ingested(&group[0].key())?;
    let work = match Work::plan(log, group, &known, pass) {
        Ok(Some(work)) => work,
        Ok(None) => return Ok(()),
        Err(reason) => {
            report.leave_unread(group, &reason);
            return Ok(());
        }
    };
    let files = Some(work.paths.clone());
    let scan = Scan { columns: Vec::new(), range: work.rows, files, grouping: None, threads: threads() };
    let (tables, scanned) = Reading { log, group, state, scan, buckets: work.buckets }.read(pass);
    if let Some(reason) = &scanned.failed {
        report.leave_unread(group, reason);
        return Ok(());
    }
    report.rows += scanned.rows;
    let mut made = Vec::new();
    for (ready, table) in group.iter().zip(tables) {
        let name = &ready.definition.name;
        let change = table.map_err(|error| chain(&error)).and_then(|table| {
            let judged = state.status(name).map_err(|error| chain(&error))?.and_then(|status| status.watermark);
            let changed = changes(ready, &table, work.buckets, judged);
            let (changed, late) =
                changed.inspect_err(|error| heal(ready, state, error)).map_err(|error| chain(&error))?;
            Ok(Made { ready, table, changed, late })
        });
        match change {
            Ok(one) => made.push(one),
            Err(reason) => {
                warn!(detector = name, reason, "features could not be made");
                report.failed.insert(name.clone(), reason);
            }
        }
    }
    let files = remember(log, &work, &known, &scanned);
    store(made, state, (work.buckets, files), report)?;
    let (rows, bad_rows, groups, bytes) = (scanned.rows, scanned.bad_rows, scanned.groups, scanned.bytes);
    info!(log = group[0].definition.query.log, rows, bad_rows, groups, bytes, "log read");
    report.scan = Some(scanned);
    Ok(())
}

impl LogReport {
    /// Notes that nothing could be read for these detectors: what they know stays as it is, until a later try.
    fn leave_unread(&mut self, group: &[&Ready], reason: &str) {
        let log = &group[0].definition.query.log;
        warn!(log, reason, "log could not be read; its buckets wait");
        for ready in group {
            let name = &ready.definition.name;
            self.failed.insert(name.clone(), format!("the log could not be read: {reason}"));
            self.unread.insert(name.clone());
        }
    }
}

/// Features of a detector that are to be stored.
struct Made<'a> {
    ready: &'a Ready,
    table: FeatureTable,
    changed: Option<TimeRange>,
    late: u64,
}

/// What is about to change of the stored features, and how many rows of buckets before `judged` do; everything on the
/// first pass, and nothing late.
fn changes(
    ready: &Ready,
    table: &FeatureTable,
    buckets: TimeRange,
    judged: Option<Time>,
) -> Result<(Option<TimeRange>, u64), StoreError> {
    if buckets == TimeRange::ALL {
        return Ok((Some(buckets), 0));
    }
    let old = ready.store.read(buckets)?;
    Ok((changed(&old, table), judged.map_or(0, |judged| late(&old, table, judged))))
}

/// Stores features and remembers the files that they include. What changes is marked before it does: should the
/// process end in between, the next one still knows that rows came late.
fn store(
    made: Vec<Made>,
    state: &State,
    (buckets, files): (TimeRange, Ingested),
    report: &mut LogReport,
) -> Result<(), StateError> {
    let mark = state.write()?;
    for one in &made {
        if let Some(range) = one.changed {
            mark.mark_dirty(&one.ready.key(), range, state.dirty(&one.ready.key())?)?;
        }
    }
    mark.commit()?;
    let remembered = state.write()?;
    for Made { ready, table, changed, late } in made {
        let name = &ready.definition.name;
        if changed.is_some()
            && let Err(error) = ready.store.write(&table, buckets)
        {
            warn!(detector = name, error = chain(&error), "features could not be stored");
            report.failed.insert(name.clone(), chain(&error));
            continue;
        }
        let before = state.ingested(&ready.key())?;
        let (left_out, late) = (before.left_out + table.left_out, before.late + late);
        remembered.put_ingested(&ready.key(), &Ingested { left_out, late, ..files.clone() })?;
        report.left_out.insert(name.clone(), table.left_out);
        report.changed.extend(changed.map(|range| (name.clone(), range)));
        if buckets == TimeRange::ALL {
            report.fresh.insert(name.clone(), Arc::new(table));
        }
    }
    remembered.commit()
}

/// Which files to read, and for which time.
struct Work {
    /// All that there is.
    listed: Vec<FileInfo>,
    paths: Vec<PathBuf>,
    /// Starts of the buckets whose features are made anew.
    buckets: TimeRange,
    /// Rows that these buckets are made of.
    rows: TimeRange,
}

impl Work {
    /// `None` where every file is known. On the first pass everything is read; later, new files and
    /// the known ones that share a bucket with them, so that features of those buckets are whole.
    ///
    /// # Errors
    /// It cannot be said what there is.
    fn plan(log: &Log, group: &[&Ready], known: &Ingested, pass: &Pass) -> Result<Option<Self>, String> {
        let longest = group.iter().map(|ready| ready.definition.query.bucket).max().unwrap_or_default();
        let audited = audited(log, known, longest, pass.now);
        let since = audited.minus(longest).minus(REACH);
        let listed = log.list(since).map_err(|error| chain(&error))?;
        let is_fresh = |file: &&FileInfo| {
            !known.files.contains_key(&file.fingerprint) && file.span.is_none_or(|span| span.start >= audited)
        };
        let fresh: Vec<&FileInfo> = listed.iter().filter(is_fresh).collect();
        if fresh.is_empty() {
            return Ok(None);
        }
        if known.files.is_empty() {
            let paths = fresh.iter().map(|file| file.path.clone()).collect();
            return Ok(Some(Self { listed, paths, buckets: TimeRange::ALL, rows: TimeRange::ALL }));
        }
        let nothing = TimeRange { start: Time::MIN, end: Time::MIN };
        let span = span(log, &fresh, pass)?.unwrap_or(nothing);
        let buckets = group.iter().fold(span, |range, ready| range.hull(ready.aligned(span)));
        let rows = TimeRange { start: buckets.start, end: buckets.end.plus(longest) };
        let touched = listed.iter().filter(|file| {
            let span = known.files.get(&file.fingerprint).or(file.span.as_ref());
            is_fresh(file) || span.is_some_and(|span| span.overlaps(&rows))
        });
        let paths = touched.map(|file| file.path.clone()).collect();
        Ok(Some(Self { listed, paths, buckets, rows }))
    }
}

/// From when on records may be new. Files are all looked at.
fn audited(log: &Log, known: &Ingested, longest: Period, now: Time) -> Time {
    let newest = known.files.values().map(|span| span.start).filter(|start| *start <= now).max();
    match newest {
        Some(newest) if log.index().is_some() => newest.minus(AUDIT).floor(longest),
        _ => Time::MIN,
    }
}

/// The time that the rows of files span; `None` where they have none.
///
/// # Errors
/// The log cannot be read.
fn span(log: &Log, fresh: &[&FileInfo], pass: &Pass) -> Result<Option<TimeRange>, String> {
    if let Some(spans) = fresh.iter().map(|file| file.span).collect::<Option<Vec<_>>>() {
        return Ok(spans.into_iter().reduce(TimeRange::hull));
    }
    let paths = fresh.iter().map(|file| file.path.clone()).collect();
    let times =
        Scan { columns: Vec::new(), range: TimeRange::ALL, files: Some(paths), grouping: None, threads: threads() };
    let report = log.scan(&times, &|_| Flow::Continue, &|bytes| pass.progress.advance(bytes));
    match report.failed {
        Some(reason) => Err(reason),
        None => Ok(report.files.iter().filter_map(|file| file.span).reduce(TimeRange::hull)),
    }
}

/// Files that the features include after this pass: those known before, and those read now. One that is cut is
/// named once, and read again when it changes. Of an index, only what is looked at again is remembered.
fn remember(log: &Log, work: &Work, known: &Ingested, scanned: &ScanReport) -> Ingested {
    let nothing = TimeRange { start: Time::MIN, end: Time::MIN };
    let rows = known.rows + scanned.rows;
    if log.index().is_some() {
        let read: BTreeSet<&PathBuf> = work.paths.iter().collect();
        let is_known = |file: &&FileInfo| read.contains(&file.path) || known.files.contains_key(&file.fingerprint);
        let files = work.listed.iter().filter(is_known);
        let files = files.map(|file| (file.fingerprint.clone(), file.span.unwrap_or(nothing))).collect();
        return Ingested { files, rows, left_out: 0, late: 0 };
    }
    let mut files = known.files.clone();
    let listed: BTreeMap<&Path, &FileInfo> = work.listed.iter().map(|file| (&*file.path, file)).collect();
    for report in &scanned.files {
        let Some(info) = listed.get(&*report.path) else { continue };
        files.insert(info.fingerprint.clone(), report.span.unwrap_or(nothing));
    }
    let here: BTreeSet<&str> = work.listed.iter().map(|file| &file.fingerprint[..]).collect();
    let mut gone: Vec<(Time, String)> = files
        .iter()
        .filter(|(fingerprint, _)| !here.contains(&fingerprint[..]))
        .map(|(fingerprint, span)| (span.end, fingerprint.clone()))
        .collect();
    gone.sort_unstable();
    for (_, fingerprint) in gone.iter().take(gone.len().saturating_sub(GONE_FILES_MOST)) {
        files.remove(fingerprint);
    }
    Ingested { files, rows, left_out: 0, late: 0 }
}

/// Detectors whose features could not be made, and why.
#[must_use]
pub fn failed(logs: &BTreeMap<String, LogReport>) -> BTreeMap<String, String> {
    logs.values().flat_map(|log| log.failed.clone()).collect()
}

/// The detector of that name, if it can run.
pub fn find<'a>(ready: &'a [Arc<Ready>], name: &str) -> Option<&'a Arc<Ready>> {
    ready.iter().find(|ready| ready.definition.name == name)
}

/// Names of the detectors that only run in the shadow of others.
pub fn shadows(ready: &[Arc<Ready>]) -> BTreeSet<&str> {
    let shadows = ready.iter().filter(|ready| ready.definition.meta.shadow);
    shadows.map(|ready| &ready.definition.name[..]).collect()
}

/// Threads that decode: all there are.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

impl Ready {
    /// Names what the features are made of.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.definition.name, self.definition.data_digest)
    }

    /// `range` widened to whole buckets.
    fn aligned(&self, range: TimeRange) -> TimeRange {
        let bucket = self.definition.query.bucket;
        let end = range.end.floor(bucket);
        TimeRange { start: range.start.floor(bucket), end: if end < range.end { end.plus(bucket) } else { end } }
    }
}
