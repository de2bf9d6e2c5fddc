//! Has the server gather the records of one index by bucket and keys, so that only groups come (see
//! [`margay_core::Grouping`]): a composite aggregation over one window of time after another, and all or nothing.
//!
//! Totals come as floating point numbers, so each is checked to be exact. Records that reach into the next bucket are
//! only counted; they have to be pulled.

use std::collections::VecDeque;
use std::sync::Mutex;

use margay_core::{Period, Time, TimeRange};
use serde_json::{Value, json};

use super::client::{Client, Fault};
use super::fetch::has_ignored;
use super::form::Form;
use super::listing::Timed;
use super::mapping::encoded;
use super::page::{self, GROUPS, Item, Page};
use super::pull::{Spent, post, touching, within};
use crate::batch::Gatherer;
use crate::json::RowReader;
use crate::raw::Raw;
use crate::scan::{PartReport, Task};

/// Groups of a page; servers give at most 10,000 or 65,536.
const PAGE_GROUPS: u64 = 8_000;
/// Buckets of the first window; its successors follow from the number of groups that come.
const FIRST_BUCKETS: i64 = 4;
/// Buckets of a window at most.
const WINDOW_BUCKETS_MOST: i64 = 4_096;
/// Records after which it is asked whether gathering saves anything.
const TRIAL_RECORDS: u64 = 5_000;
/// Records of a group, on average, below which it does not.
const GROUP_RECORDS_LEAST: u64 = 2;
/// Why records with lists are pulled.
const SEVERAL: &str = "records have several values of one field";

/// What is wanted of an index.
pub(crate) struct Gathering<'a> {
    pub(crate) client: &'a Client,
    pub(crate) index: &'a Timed,
    /// Stretches to read, in order and apart from each other.
    pub(crate) stretches: &'a [TimeRange],
    /// How many searches run side by side.
    pub(crate) searches: usize,
    pub(crate) spent: &'a Spent,
    pub(crate) form: &'a Form,
}

/// What gathering an index came to.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) report: PartReport,
    pub(crate) groups: u64,
    /// Where records start that reach into the next bucket, in order.
    pub(crate) reaching: Vec<TimeRange>,
    /// How many there are.
    pub(crate) reaching_rows: u64,
}

/// Why groups do not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The records have to be pulled, and why.
    Pull(String),
    /// Nothing is to be had.
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads the groups of all records that lie within one bucket.
///
/// # Errors
/// The records have to be pulled, or anything is amiss: what was handed on is not all, and must not be used.
pub(crate) fn run(gathering: &Gathering<'_>, task: &Task<'_>) -> Result<Gathered, Refusal> {
    let fields: Vec<_> = gathering.form.fields.iter().map(|(path, field)| (&path[..], &field[..])).collect();
    if has_ignored(gathering.client, &gathering.index.name, &fields)? {
        return Err(Refusal::Pull("values were passed over when its records were written".to_owned()));
    }
    let windows = Mutex::new(Windows {
        left: gathering.stretches.iter().copied().collect(),
        bucket: gathering.form.bucket,
        buckets: FIRST_BUCKETS,
    });
    let all = Mutex::new(Ok(Gathered::default()));
    std::thread::scope(|scope| {
        for _ in 0..gathering.searches {
            scope.spawn(|| Search::new(gathering, task, &windows, &all).run());
        }
    });
    let mut gathered = all.into_inner().expect("all threads ended")?;
    gathered.reaching.sort_unstable_by_key(|stretch| stretch.start);
    gathered.reaching.dedup();
    Ok(gathered)
}

/// Windows of time that are yet to be read.
struct Windows {
    left: VecDeque<TimeRange>,
    bucket: Period,
    /// Buckets of the next one.
    buckets: i64,
}

impl Windows {
    fn next(&mut self) -> Option<TimeRange> {
        let first = self.left.front_mut()?;
        let end = first.start.floor(self.bucket).plus(self.bucket.times(self.buckets)).min(first.end);
        let window = TimeRange { start: first.start, end };
        first.start = end;
        if first.start >= first.end {
            self.left.pop_front();
        }
        Some(window)
    }

    /// A window of so many buckets held so many groups: the next ones should fill half a page.
    fn adapt(&mut self, window: TimeRange, groups: u64) {
        let buckets = window.end.since(window.start).0 / self.bucket.0 + 1;
        let wanted = buckets as u64 * PAGE_GROUPS / (2 * groups.max(1));
        let wanted = i64::try_from(wanted).unwrap_or(i64::MAX).clamp(buckets / 4, buckets * 4);
        self.buckets = wanted.clamp(1, WINDOW_BUCKETS_MOST);
    }
}

/// One of the searches side by side.
struct Search<'a> {
    gathering: &'a Gathering<'a>,
    task: &'a Task<'a>,
    windows: &'a Mutex<Windows>,
    all: &'a Mutex<Result<Gathered, Refusal>>,
    reader: RowReader,
    gatherer: Gatherer<'a>,
}

impl<'a> Search<'a> {
    fn new(
        gathering: &'a Gathering<'a>,
        task: &'a Task<'a>,
        windows: &'a Mutex<Windows>,
        all: &'a Mutex<Result<Gathered, Refusal>>,
    ) -> Self {
        let layout = &gathering.form.layout;
        let (reader, gatherer) = (RowReader::new(layout.paths.clone()), Gatherer::new(layout));
        Self { gathering, task, windows, all, reader, gatherer }
    }

    fn run(mut self) {
        while !self.task.is_stopped() && self.all.lock().expect("no panic while held").is_ok() {
            let Some(window) = self.windows.lock().expect("no panic while held").next() else { break };
            let mut found = Gathered::default();
            let read = self.window(window, &mut found);
            let mut all = self.all.lock().expect("no panic while held");
            match (read, &mut *all) {
                (Ok(()), Ok(all)) => all.add(found),
                (Err(refusal), Ok(_)) => *all = Err(refusal),
                (_, Err(_)) => {}
            }
            let goes_on = !self.windows.lock().expect("no panic while held").left.is_empty();
            let pays = all.as_ref().map_or(Ok(()), Gathered::pays);
            if let Err(reason) = pays
                && goes_on
            {
                *all = Err(Refusal::Pull(reason));
            }
        }
        if let Some(batch) = self.gatherer.take() {
            self.task.give(batch);
        }
        if let Ok(all) = &mut *self.all.lock().expect("no panic while held") {
            all.report.unfit += self.gatherer.unfit;
        }
    }

    /// Reads the groups of one window, page after page.
    fn window(&mut self, window: TimeRange, found: &mut Gathered) -> Result<(), Refusal> {
        let Gathering { client, index, spent, .. } = self.gathering;
        let path = format!("/{}/_search", encoded(&index.name));
        let (mut body, mut total) = (self.body(window), None);
        loop {
            let (bytes, groups, page) = client.ask(post(&path, &body), &looked_at).map_err(refused)?;
            spent.rows(page.groups)?;
            spent.page(bytes.len() as u64, page.groups)?;
            self.task.read(bytes.len() as u64);
            let count = page.total.ok_or_else(|| Fault::lasting("it does not count what it found"))?;
            match total {
                None if !self.gathering.form.is_single(&page, count) => return Err(Refusal::Pull(SEVERAL.to_owned())),
                Some(known) if known != count => {
                    return Err(Refusal::Pull("its records changed while they were gathered".to_owned()));
                }
                _ => total = Some(count),
            }
            for group in &groups {
                self.group(&bytes[group.clone()], window, found)?;
            }
            if page.groups < PAGE_GROUPS {
                break;
            }
            let after = page.after.ok_or_else(|| Fault::lasting("a page does not say where the next begins"))?;
            let after: Value = serde_json::from_str(&after)
                .map_err(|_| Fault::lasting("a page says in an odd way where the next begins"))?;
            let mut groups = body["aggs"][GROUPS].take();
            groups["composite"]["after"] = after;
            body["aggs"] = json!({ GROUPS: groups });
        }
        self.windows.lock().expect("no panic while held").adapt(window, found.groups);
        compare(found, total.unwrap_or(0))
    }

    fn body(&self, window: TimeRange) -> Value {
        let Gathering { index, form, .. } = self.gathering;
        let range = self.task.layout.range;
        let end = window.end.min(range.end);
        let mut filter = vec![index.start.within(TimeRange { start: window.start, end })];
        if window.start < range.start {
            filter.extend(touching(index, range));
        }
        json!({
            "size": 0, "track_total_hits": true, "timeout": "50s",
            "query": { "bool": { "filter": filter } }, "aggs": form.aggregations(PAGE_GROUPS),
        })
    }

    fn group(&mut self, group: &[u8], window: TimeRange, found: &mut Gathered) -> Result<(), Refusal> {
        let form = self.gathering.form;
        let odd = || Refusal::Fault(Fault::lasting("a group is not as it was asked for"));
        let mut slots = vec![Raw::Null; form.layout.paths.slots().len()];
        self.reader.read(group, &mut slots).map_err(|_| odd())?;
        let start = slots[form.start].int().ok_or_else(odd)?;
        let count = slots[form.count].int().and_then(|count| u64::try_from(count).ok()).ok_or_else(odd)?;
        let bucket = TimeRange { start: Time(start), end: Time(start).plus(form.bucket) };
        let span = TimeRange { start: bucket.start.max(window.start), end: bucket.end.min(window.end) };
        found.groups += 1;
        // The end's bucket is shifted by a millisecond; a record that ends before it starts is an instant.
        if form.end.and_then(|end| slots[end].int()).is_some_and(|end| end > start + 1) {
            found.reaching.push(span);
            found.reaching_rows += count;
            return Ok(());
        }
        for place in &form.measures {
            place.check(&mut slots).map_err(Refusal::Pull)?;
        }
        found.report.rows += count;
        found.report.span = Some(found.report.span.map_or(span, |known| known.hull(span)));
        self.gatherer.push((start, start), &slots);
        if self.gatherer.is_full()
            && let Some(batch) = self.gatherer.take()
        {
            self.task.give(batch);
        }
        Ok(())
    }
}

/// A server that is busy is asked again later; one that will not aggregate, such as for a limit of its own, may let pull.
fn refused(fault: Fault) -> Refusal {
    if fault.passes { Refusal::Fault(fault) } else { Refusal::Pull(format!("the server does not aggregate: {fault}")) }
}

/// # Errors
/// Records were counted more than once, or not at all.
fn compare(found: &Gathered, total: u64) -> Result<(), Refusal> {
    let seen = found.report.rows + found.reaching_rows;
    match seen.cmp(&total) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Refusal::Pull(SEVERAL.to_owned())),
        std::cmp::Ordering::Less => {
            Err(Refusal::Fault(Fault::lasting(format!("groups of {seen} rows came of the {total} that it found"))))
        }
    }
}

impl Gathered {
    fn add(&mut self, other: Self) {
        self.report.add(other.report);
        self.groups += other.groups;
        self.reaching.extend(other.reaching);
        self.reaching_rows += other.reaching_rows;
    }

    /// # Errors
    /// Why to pull the records costs less.
    fn pays(&self) -> Result<(), String> {
        let rows = self.report.rows + self.reaching_rows;
        if rows < TRIAL_RECORDS {
            return Ok(());
        }
        if self.reaching_rows > rows / 2 {
            return Err(format!("{} of the first {rows} records reach into the next bucket", self.reaching_rows));
        }
        if self.groups * GROUP_RECORDS_LEAST > rows {
            return Err(format!("the first {rows} records make {} groups", self.groups));
        }
        Ok(())
    }
}

/// The answer, where its groups stand in it, and what stands around them.
type Looked = (Vec<u8>, Vec<std::ops::Range<usize>>, Page);

fn looked_at(bytes: Vec<u8>) -> Result<Looked, Fault> {
    let mut groups = Vec::with_capacity(PAGE_GROUPS as usize);
    let page = page::read(&bytes, &mut |item| {
        if let Item::Group(group) = item {
            groups.push(within(&bytes, group));
        }
    })?;
    Ok((bytes, groups, page))
}
