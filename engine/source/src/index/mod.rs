//! Logs in Elasticsearch and OpenSearch. The only part that knows either.

mod client;
mod flavour;
mod grid;
mod listing;
mod mapping;
mod page;
mod pull;
mod spec;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use margay_core::{Time, TimeRange};

use crate::batch::Layout;
use crate::column::Columns;
use crate::error::SourceError;
use crate::files::FileInfo;
use crate::presets;
use crate::report::{FileReport, ScanReport};
use crate::scan::{PartReport, Progress, Sink, Task};
use crate::spec::Shape;
use client::{Client, Fault};
use flavour::Flavour;
use listing::Timed;
use pull::{Pull, RANGES_MOST, Spent};

pub use spec::{IndexSpec, PullLimits};

/// Fewer stretches than these are read with one search: to share them costs more than it saves.
const SHARED_STRETCHES_LEAST: usize = 24;

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
                let indices = mapping::resolve(&index.client, &index.spec.index).map_err(failed)?;
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

    /// Reads the chosen stretches, or all that touches the range of the layout.
    pub(crate) fn scan(
        &self,
        (columns, layout): (&Columns, &Layout),
        chosen: Option<&[PathBuf]>,
        threads: usize,
        (sink, progress): (Sink<'_>, Progress<'_>),
    ) -> ScanReport {
        let task = Task::new(layout, sink, progress);
        let mut report = ScanReport::default();
        if let Err(fault) = self.pull(columns, chosen, threads, (&task, &mut report)) {
            report.failed = Some(self.told(&fault));
        }
        report.bytes = task.bytes();
        report
    }

    fn pull(
        &self,
        columns: &Columns,
        chosen: Option<&[PathBuf]>,
        threads: usize,
        (task, report): (&Task<'_>, &mut ScanReport),
    ) -> Result<(), Fault> {
        let spent = Spent::new(self.spec.limits);
        let flavour = self.flavour()?;
        let chosen = chosen.map(by_index);
        let is_wanted = |name: &str| chosen.as_ref().is_none_or(|chosen| chosen.contains_key(name));
        for index in &self.timed(columns, &is_wanted)? {
            let everything = (Vec::new(), usize::MAX);
            let (stretches, count) = chosen.as_ref().map_or(&everything, |chosen| &chosen[&index.name]);
            let slices = if *count < SHARED_STRETCHES_LEAST { 1 } else { threads.max(2) };
            let mut read = PartReport::default();
            let parts: Vec<&[TimeRange]> =
                if stretches.is_empty() { vec![&[]] } else { stretches.chunks(RANGES_MOST).collect() };
            for stretches in parts {
                let pull = Pull { client: &self.client, flavour, index, stretches, slices, spent: &spent };
                read.add(pull::run(&pull, task)?);
            }
            note(report, &index.name, read);
            if task.is_stopped() {
                break;
            }
        }
        self.all_there(chosen.as_ref(), report)
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
        let all = mapping::resolve(&self.client, &self.spec.index)?;
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
