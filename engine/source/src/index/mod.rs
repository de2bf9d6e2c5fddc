//! Logs in Elasticsearch and OpenSearch. The only part that knows either.

mod client;
mod fetch;
mod flavour;
mod form;
mod gather;
mod grid;
mod kept;
mod listing;
mod mapping;
mod page;
mod pull;
mod spec;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use margay_core::{Grouping, Period, Time, TimeRange};

use crate::batch::Layout;
use crate::column::Columns;
use crate::error::SourceError;
use crate::files::FileInfo;
use crate::presets;
use crate::report::{FileReport, ScanReport};
use crate::scan::{PartReport, Progress, Scan, Sink, Task};
use crate::spec::Shape;
use client::{Ask, Client, Fault};
use elasticsearch::http::Method;
use flavour::Flavour;
use form::Form;
use gather::{Gathered, Gathering, Refusal};
use listing::Timed;
use pull::{Pull, RANGES_MOST, Spent};

pub use spec::{IndexSpec, PullLimits};

/// Fewer stretches than these are read with one search: to share them costs more than it saves.
const SHARED_STRETCHES_LEAST: usize = 24;

/// Letters of a version that are repeated at most.
const VERSION_LETTERS_MOST: usize = 40;

/// What a look at a log in a cluster shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Examination {
    /// Product and version of the server.
    pub server: String,
    /// What time it is there; unknown where one may not ask.
    pub time: Option<Time>,
    /// Indices that hold records with times.
    pub indices: usize,
    /// Records with times.
    pub records: u64,
    /// Records without one, which are never read.
    pub timeless: u64,
    /// Starts of the oldest record, to five minutes, and of the newest.
    pub range: Option<TimeRange>,
}

/// A log in a cluster.
#[derive(Debug)]
pub(crate) struct Index {
    spec: IndexSpec,
    client: Client,
    /// Told once, when the cluster is first asked.
    flavour: OnceLock<Flavour>,
}

impl Index {
    /// A log whose columns are known need not be there yet; of any other the fields are looked up.
    ///
    /// # Errors
    /// The settings are odd, or the fields cannot be had.
    pub(crate) fn connect(spec: IndexSpec) -> Result<(Self, Columns), SourceError> {
        let log = spec.name.clone();
        let failed = |fault: Fault| SourceError::Index { log: log.clone(), reason: fault.message };
        let client = Client::new(&spec.cluster).map_err(failed)?;
        let index = Self { spec, client, flavour: OnceLock::new() };
        let columns = match &index.spec.shape {
            Shape::Preset(preset) => presets::columns(*preset),
            Shape::Declared { time_field, end_field, format } => {
                let time = mapping::declared(time_field, end_field.as_ref(), *format);
                let indices = index
                    .flavour()
                    .and_then(|flavour| mapping::resolve(&index.client, flavour, &index.spec.index))
                    .map_err(failed)?;
                mapping::columns(&indices, time).map_err(failed)?
            }
        };
        Ok((index, columns))
    }

    /// The stretches of time from `since` on that hold records.
    ///
    /// # Errors
    /// The cluster cannot be asked, or no index has the name.
    pub(crate) fn list(&self, columns: &Columns, since: Time) -> Result<Vec<FileInfo>, SourceError> {
        let mut found = Vec::new();
        let listed = self.timed(columns, &|_| true).and_then(|indices| {
            for index in indices {
                found.extend(index.stretches(&self.client, &self.spec.cluster.url, since)?);
            }
            Ok(())
        });
        listed.map_err(|fault| SourceError::Index { log: self.spec.name.clone(), reason: self.told(&fault) })?;
        Ok(found)
    }

    /// Reads what the request asks for.
    pub(crate) fn scan(
        &self,
        (columns, layout): (&Columns, &Layout),
        request: &Scan,
        (sink, progress): (Sink<'_>, Progress<'_>),
    ) -> ScanReport {
        let task = Task::new(layout, sink, progress);
        let mut report = ScanReport::default();
        match self.read(columns, request, (&task, &mut report)) {
            Ok(()) => {}
            Err(Refusal::Fault(fault)) => report.failed = Some(self.told(&fault)),
            Err(Refusal::Pull(reason)) => report.refused = Some(reason),
        }
        report.bytes = task.bytes();
        report
    }

    fn read(
        &self,
        columns: &Columns,
        request: &Scan,
        (task, report): (&Task<'_>, &mut ScanReport),
    ) -> Result<(), Refusal> {
        let spent = Spent::new(self.spec.limits);
        let flavour = self.flavour()?;
        let chosen = request.files.as_deref().map(by_index);
        let is_wanted = |name: &str| chosen.as_ref().is_none_or(|chosen| chosen.contains_key(name));
        let indices = self.timed(columns, &is_wanted)?;
        // Indices side by side, or slices of each: either way so many searches run at once.
        let at_once = if indices.len() > request.threads { request.threads.max(1) } else { 1 };
        let slices = if at_once > 1 { 1 } else { request.threads.max(2) };
        let work = |index: &Timed| {
            let everything = (Vec::new(), usize::MAX);
            let (stretches, count) = chosen.as_ref().map_or(&everything, |chosen| &chosen[&index.name]);
            let slices = if *count < SHARED_STRETCHES_LEAST { 1 } else { slices };
            let work = Work { index, stretches, slices, flavour, spent: &spent };
            self.read_index(&work, (columns, request.grouping.as_ref()), task)
        };
        for (index, read) in indices.iter().zip(side_by_side(&indices, at_once, task, &work)) {
            let IndexRead { report: read, groups, ungathered } = read?;
            report.groups += groups;
            report.ungathered.extend(ungathered);
            note(report, &index.name, read);
        }
        Ok(self.all_there(chosen.as_ref(), report)?)
    }

    fn read_index(
        &self,
        work: &Work<'_>,
        (columns, grouping): (&Columns, Option<&Grouping>),
        task: &Task<'_>,
    ) -> Result<IndexRead, Refusal> {
        let grouping = grouping.filter(|_| !work.stretches.is_empty());
        let ungathered = match grouping.map(|grouping| Form::new(work.index, columns, grouping)) {
            Some(Ok(form)) => return self.gather(work, &form, task),
            Some(Err(reason)) => Some(about(work.index, &reason)),
            None => None,
        };
        let report = self.pull(work, None, work.stretches, task)?;
        Ok(IndexRead { report, groups: 0, ungathered })
    }

    /// Reads the groups of an index, and the records that no group holds.
    fn gather(&self, work: &Work<'_>, form: &Form, task: &Task<'_>) -> Result<IndexRead, Refusal> {
        let Work { index, stretches, slices: searches, spent, .. } = *work;
        let gathering = Gathering { client: &self.client, index, stretches, searches, spent, form };
        let gathered = gather::run(&gathering, task).map_err(|refusal| match refusal {
            Refusal::Pull(reason) => Refusal::Pull(about(index, &reason)),
            fault @ Refusal::Fault(_) => fault,
        })?;
        let Gathered { mut report, groups, reaching, reaching_rows } = gathered;
        if !reaching.is_empty() {
            let pulled = self.pull(work, Some(form.bucket), &reaching, task)?;
            if pulled.lines != reaching_rows && !task.is_stopped() {
                return Err(Refusal::Pull(about(index, "its records changed while they were gathered")));
            }
            report.add(pulled);
        }
        Ok(IndexRead { report, groups, ungathered: None })
    }

    /// What a look at the cluster and its indices shows.
    ///
    /// # Errors
    /// The cluster cannot be asked, or no index has the name.
    pub(crate) fn examine(&self, columns: &Columns) -> Result<Examination, SourceError> {
        let examined = self.look(columns);
        examined.map_err(|fault| SourceError::Index { log: self.spec.name.clone(), reason: self.told(&fault) })
    }

    fn look(&self, columns: &Columns) -> Result<Examination, Fault> {
        let greeting = self.client.json(Ask { method: Method::Get, path: "/", body: None })?;
        let version = &greeting["version"];
        let product = if version["distribution"] == "opensearch" { "OpenSearch" } else { "Elasticsearch" };
        let number: String = version["number"].as_str().unwrap_or("?").chars().take(VERSION_LETTERS_MOST).collect();
        let indices = self.timed(columns, &|_| true)?;
        let times = indices.iter().map(|index| TimeRange { start: index.range.start, end: index.newest() });
        Ok(Examination {
            server: format!("{product} {number}"),
            time: self.client.time(),
            indices: indices.len(),
            records: indices.iter().map(|index| index.records).sum(),
            timeless: indices.iter().map(|index| index.timeless).sum(),
            range: times.reduce(TimeRange::hull),
        })
    }

    /// Pulls the records that start in stretches, all where there are none; of these only those that reach into the
    /// next bucket, if one is given.
    fn pull(
        &self,
        work: &Work<'_>,
        reaching: Option<Period>,
        stretches: &[TimeRange],
        task: &Task<'_>,
    ) -> Result<PartReport, Fault> {
        let Work { index, slices, flavour, spent, .. } = *work;
        let mut read = PartReport::default();
        let parts: Vec<&[TimeRange]> =
            if stretches.is_empty() { vec![&[]] } else { stretches.chunks(RANGES_MOST).collect() };
        for stretches in parts {
            let pull = Pull { client: &self.client, flavour, index, stretches, reaching, slices, spent };
            read.add(pull::run(&pull, task)?);
        }
        Ok(read)
    }

    /// Why the server could not gather rows in this way, by index.
    ///
    /// # Errors
    /// The cluster cannot be asked, or no index has the name.
    pub(crate) fn ungathered(&self, columns: &Columns, grouping: &Grouping) -> Result<Vec<String>, SourceError> {
        let timed = self.timed(columns, &|_| true);
        let timed =
            timed.map_err(|fault| SourceError::Index { log: self.spec.name.clone(), reason: self.told(&fault) })?;
        let reasons = timed.iter().filter_map(|index| {
            let reason = Form::new(index, columns, grouping).err()?;
            Some(about(index, &reason))
        });
        Ok(reasons.collect())
    }

    /// # Errors
    /// An index went away between the listing and the reading.
    fn all_there(&self, chosen: Option<&Chosen>, report: &ScanReport) -> Result<(), Fault> {
        let is_read = |name: &String| report.files.iter().any(|file| file.path.as_os_str() == &name[..]);
        match chosen.and_then(|chosen| chosen.keys().find(|name| !is_read(name))) {
            Some(name) => Err(Fault::lasting(format!("index {name} went away while it was read"))),
            None => Ok(()),
        }
    }

    /// The wanted indices that have records with times.
    fn timed(&self, columns: &Columns, is_wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Timed>, Fault> {
        let mut timed = Vec::new();
        let all = mapping::resolve(&self.client, self.flavour()?, &self.spec.index)?;
        for index in all.into_iter().filter(|index| is_wanted(&index.name)) {
            timed.extend(Timed::look(&self.client, &index, &columns.time)?);
        }
        Ok(timed)
    }

    fn flavour(&self) -> Result<Flavour, Fault> {
        if let Some(flavour) = self.flavour.get() {
            return Ok(*flavour);
        }
        let flavour = self.client.flavour()?;
        Ok(*self.flavour.get_or_init(|| flavour))
    }

    /// A fault and where it happened.
    fn told(&self, fault: &Fault) -> String {
        format!("{} at {}: {}", self.spec.index, self.spec.cluster.url, fault.message)
    }

    /// What it was opened with.
    pub(crate) fn spec(&self) -> &IndexSpec {
        &self.spec
    }
}

/// What is read of an index, and how.
#[derive(Clone, Copy)]
struct Work<'a> {
    index: &'a Timed,
    stretches: &'a [TimeRange],
    slices: usize,
    flavour: Flavour,
    spent: &'a Spent,
}

/// What reading one index came to.
struct IndexRead {
    report: PartReport,
    groups: u64,
    ungathered: Option<String>,
}

/// A reason and the index that it is about.
fn about(index: &Timed, reason: &str) -> String {
    format!("index {}: {reason}", index.name)
}

/// Does the work of each index, some at once, in their order; ends after the first that fails, or once the sink had
/// enough.
fn side_by_side<T: Send, E: Send>(
    indices: &[Timed],
    at_once: usize,
    task: &Task<'_>,
    work: &(dyn Fn(&Timed) -> Result<T, E> + Sync),
) -> Vec<Result<T, E>> {
    let (next, failed, done) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while !task.is_stopped() && !failed.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(index) = indices.get(at) else { break };
                    let read = work(index);
                    failed.fetch_or(read.is_err(), Ordering::Relaxed);
                    done.lock().expect("no panic while held").push((at, read));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("all threads ended");
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, read)| read).collect()
}

/// Stretches by index, in order and joined, and how many they were.
type Chosen = BTreeMap<String, (Vec<TimeRange>, usize)>;

fn by_index(paths: &[PathBuf]) -> Chosen {
    let mut chosen: BTreeMap<String, Vec<TimeRange>> = BTreeMap::new();
    for (index, stretch) in paths.iter().filter_map(|path| listing::of_path(path)) {
        chosen.entry(index).or_default().push(stretch);
    }
    chosen
        .into_iter()
        .map(|(index, stretches)| {
            let count = stretches.len();
            (index, (grid::joined(stretches), count))
        })
        .collect()
}

fn note(report: &mut ScanReport, index: &str, read: PartReport) {
    report.rows += read.rows;
    report.bad_rows += read.bad_rows;
    report.unfit_values += read.unfit;
    report.note_bad(std::path::Path::new(index), 0, read.samples);
    report.files.push(FileReport {
        path: index.into(),
        rows: read.rows,
        bad_rows: read.bad_rows,
        span: read.span,
        error: None,
    });
}
