//! Reads the records of one index: a fixed state of it, in slices side by side, page after page, and all or nothing.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use elasticsearch::http::Method;
use margay_core::{Period, Time, TimeRange};
use serde_json::{Value, json};

use super::client::{Ask, Client, Fault};
use super::fetch::{Fetch, Place, Reader};
use super::flavour::Flavour;
use super::listing::Timed;
use super::mapping::encoded;
use super::page::{self, Item, Page};
use super::spec::PullLimits;
use crate::batch::Gatherer;
use crate::raw::Raw;
use crate::scan::{PartReport, Task};

/// Records of a page.
const PAGE_ROWS: u64 = 5_000;
/// How long the server keeps a point in time or a scroll for the next page.
const KEEP_ALIVE: &str = "3m";
/// Ranges of time that one search asks for at most; servers take 1,024 conditions.
pub(crate) const RANGES_MOST: usize = 500;

/// What is wanted of an index.
pub(crate) struct Pull<'a> {
    pub(crate) client: &'a Client,
    pub(crate) flavour: Flavour,
    pub(crate) index: &'a Timed,
    /// Stretches to read, in order and apart from each other; all of the range where there are none.
    pub(crate) stretches: &'a [TimeRange],
    /// Where given, only records that reach into the next bucket of this length.
    pub(crate) reaching: Option<Period>,
    /// How many searches share the work.
    pub(crate) slices: usize,
    pub(crate) spent: &'a Spent,
}

/// What a scan has used of its limits, over all indices.
pub(crate) struct Spent {
    limits: PullLimits,
    began: Instant,
    /// Rows that are to be read, as far as is known.
    rows: AtomicU64,
    /// Rows that came.
    read: AtomicU64,
    bytes: AtomicU64,
}

impl Spent {
    /// Nothing yet.
    pub(crate) fn new(limits: PullLimits) -> Self {
        let [rows, read, bytes] = [const { AtomicU64::new(0) }; 3];
        Self { limits, began: Instant::now(), rows, read, bytes }
    }

    /// # Errors
    /// There are more rows to come than the limit.
    pub(crate) fn rows(&self, count: u64) -> Result<(), Fault> {
        let all = self.rows.fetch_add(count, Ordering::Relaxed) + count;
        let most = self.limits.rows;
        if all <= most {
            return Ok(());
        }
        Err(Fault::lasting(format!(
            "there are at least {all} rows to read, {} more than `limits.pull_rows`",
            all - most
        )))
    }

    /// Counts a page of so many bytes and rows.
    ///
    /// # Errors
    /// More bytes came, or more time went by, than the limit.
    pub(crate) fn page(&self, bytes: u64, rows: u64) -> Result<(), Fault> {
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let read = self.read.fetch_add(rows, Ordering::Relaxed) + rows;
        let left = self.rows.load(Ordering::Relaxed).saturating_sub(read);
        let left = format!("{read} rows came, and at least {left} were left out");
        if all > self.limits.bytes {
            return Err(Fault::lasting(format!("{all} bytes are more than `limits.pull_bytes`: {left}")));
        }
        if self.began.elapsed() > self.limits.time {
            return Err(Fault::lasting(format!("it takes longer than `limits.pull_time`: {left}")));
        }
        Ok(())
    }
}

/// Reads all there is, on a thread for each slice.
///
/// # Errors
/// Anything is amiss: what was handed on is not all, and must not be used.
pub(crate) fn run(pull: &Pull<'_>, task: &Task<'_>) -> Result<PartReport, Fault> {
    let point = open(pull)?;
    let fetch = Fetch::new(pull.client, pull.index, task.layout)?;
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Result<PartReport, Fault>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..pull.slices {
            scope.spawn(|| {
                let slice = next.fetch_add(1, Ordering::Relaxed);
                let read = Slice::new(pull, &fetch, task, slice).read(point.as_deref());
                done.lock().expect("no panic while held").push(read);
            });
        }
    });
    if let Some(point) = &point {
        close(pull, point);
    }
    let mut report = PartReport::default();
    for slice in done.into_inner().expect("all threads ended") {
        report.add(slice?);
    }
    Ok(report)
}

/// A fixed state of the index, where the server has such a thing.
fn open(pull: &Pull<'_>) -> Result<Option<String>, Fault> {
    let (path, key) = match pull.flavour {
        Flavour::Scroll => return Ok(None),
        Flavour::Elasticsearch | Flavour::Elasticsearch7 => ("_pit", "id"),
        Flavour::OpenSearch => ("_search/point_in_time", "pit_id"),
    };
    let path = format!("/{}/{path}?keep_alive={KEEP_ALIVE}", encoded(&pull.index.name));
    let answer = pull.client.json(Ask { method: Method::Post, path: &path, body: None })?;
    let point = answer[key].as_str().ok_or_else(|| Fault::lasting("it opened no point in time"))?;
    Ok(Some(point.to_owned()))
}

/// Lets go of what the server keeps; it would do so by itself after a while.
fn close(pull: &Pull<'_>, handle: &str) {
    let (path, body) = match pull.flavour {
        Flavour::Scroll => ("/_search/scroll", json!({ "scroll_id": [handle] })),
        Flavour::Elasticsearch | Flavour::Elasticsearch7 => ("/_pit", json!({ "id": handle })),
        Flavour::OpenSearch => ("/_search/point_in_time", json!({ "pit_id": [handle] })),
    };
    let ask = Ask { method: Method::Delete, path, body: Some(&body) };
    if let Err(fault) = pull.client.ask_once(ask, &|_| Ok(())) {
        tracing::debug!(index = pull.index.name, fault = fault.message, "not let go of");
    }
}

/// One of the searches that share an index.
struct Slice<'a> {
    pull: &'a Pull<'a>,
    task: &'a Task<'a>,
    number: usize,
    fetch: &'a Fetch,
    reader: Reader<'a>,
    gatherer: Gatherer<'a>,
    report: PartReport,
}

impl<'a> Slice<'a> {
    fn new(pull: &'a Pull<'a>, fetch: &'a Fetch, task: &'a Task<'a>, number: usize) -> Self {
        let (reader, gatherer) = (fetch.reader(task.layout), Gatherer::new(task.layout));
        Self { pull, task, number, fetch, reader, gatherer, report: PartReport::default() }
    }

    fn read(mut self, point: Option<&str>) -> Result<PartReport, Fault> {
        match point {
            Some(point) => self.search_after(point.to_owned())?,
            None => self.scroll()?,
        }
        if let Some(batch) = self.gatherer.take() {
            self.task.give(batch);
        }
        self.report.unfit = self.gatherer.unfit;
        Ok(self.report)
    }

    /// Pages through a point in time: each page can be asked for again.
    fn search_after(&mut self, mut point: String) -> Result<(), Fault> {
        let (mut body, mut last): (Value, Option<String>) = (self.body(), None);
        body["sort"] = json!(["_shard_doc"]);
        let (mut total, mut seen) = (None::<u64>, 0);
        loop {
            body["pit"] = json!({ "id": point, "keep_alive": KEEP_ALIVE });
            body["track_total_hits"] = json!(total.is_none());
            if let Some(last) = &last {
                body["search_after"] = place(last)?;
            }
            let (bytes, records, page) = self.pull.client.ask(post("/_search", &body), &looked_at)?;
            let all = match total {
                Some(all) => all,
                None => *total.insert(self.total(&page)?),
            };
            self.rows(&bytes, &records)?;
            seen += page.hits;
            if page.hits == 0 || seen >= all || self.task.is_stopped() {
                return self.compare(seen, all);
            }
            last = Some(page.last.ok_or_else(|| Fault::lasting("a page does not say where the next begins"))?);
            point = page.handle.unwrap_or(point);
        }
    }

    /// Pages through a scroll: its next page can be had only once.
    fn scroll(&mut self) -> Result<(), Fault> {
        let mut body = self.body();
        body["sort"] = json!(["_doc"]);
        body["track_total_hits"] = json!(true);
        let path = format!("/{}/_search?scroll={KEEP_ALIVE}", encoded(&self.pull.index.name));
        let mut first = self.pull.client.ask(post(&path, &body), &looked_at)?;
        let mut handle = scroll_of(&mut first.2)?;
        let read = self.scroll_on(first, &mut handle);
        close(self.pull, &handle);
        read
    }

    fn scroll_on(&mut self, first: Looked, handle: &mut String) -> Result<(), Fault> {
        let (mut bytes, mut records, mut page) = first;
        let (total, mut seen) = (self.total(&page)?, 0);
        loop {
            self.rows(&bytes, &records)?;
            seen += page.hits;
            if page.hits == 0 || seen >= total || self.task.is_stopped() {
                return self.compare(seen, total);
            }
            let body = json!({ "scroll": KEEP_ALIVE, "scroll_id": handle });
            (bytes, records, page) = self.pull.client.ask_once(post("/_search/scroll", &body), &looked_at)?;
            *handle = scroll_of(&mut page)?;
        }
    }

    fn body(&self) -> Value {
        let Pull { index, stretches, slices, .. } = self.pull;
        let mut filter = touching(index, self.task.layout.range);
        if !stretches.is_empty() {
            let any: Vec<Value> = stretches.iter().map(|stretch| self.starting(*stretch)).collect();
            filter.push(json!({ "bool": { "should": any, "minimum_should_match": 1 } }));
        }
        let mut body = self.fetch.body();
        body["size"] = json!(PAGE_ROWS);
        body["query"] = json!({ "bool": { "filter": filter } });
        body["timeout"] = json!("50s");
        if *slices > 1 {
            body["slice"] = json!({ "id": self.number, "max": slices });
        }
        body
    }

    /// The condition that a record starts within a stretch, and reaches as far as is asked for.
    fn starting(&self, stretch: TimeRange) -> Value {
        let Pull { index, reaching, .. } = self.pull;
        let start = index.start.within(stretch);
        match (reaching, &index.end) {
            (Some(bucket), Some(end)) => {
                json!({ "bool": { "filter": [start, end.after(stretch.start.floor(*bucket).plus(*bucket))] } })
            }
            _ => start,
        }
    }

    fn total(&self, page: &Page) -> Result<u64, Fault> {
        let total = page.total.ok_or_else(|| Fault::lasting("it does not count what it found"))?;
        self.pull.spent.rows(total)?;
        Ok(total)
    }

    fn compare(&self, seen: u64, total: u64) -> Result<(), Fault> {
        if seen == total || self.task.is_stopped() {
            return Ok(());
        }
        Err(Fault::lasting(format!("{seen} rows came of the {total} that it found")))
    }

    fn rows(&mut self, bytes: &[u8], records: &[Place]) -> Result<(), Fault> {
        self.pull.spent.page(bytes.len() as u64, records.len() as u64)?;
        self.task.read(bytes.len() as u64);
        let mut slots = vec![Raw::Null; self.task.layout.paths.slots().len()];
        for place in records {
            self.report.lines += 1;
            slots.fill(Raw::Null);
            if let Err(broken) = self.reader.read(bytes, place, &mut slots)? {
                self.report.bad(self.report.lines, format!("broken JSON: {}", broken.0));
                continue;
            }
            match self.gatherer.span(&slots) {
                Err(reason) => self.report.bad(self.report.lines, reason),
                Ok(span) => {
                    self.check(Time(span.0))?;
                    if self.report.good(span, &self.task.layout.range) {
                        self.gatherer.push(span, &slots);
                    }
                }
            }
            if self.gatherer.is_full()
                && let Some(batch) = self.gatherer.take()
            {
                self.task.give(batch);
            }
        }
        Ok(())
    }

    /// # Errors
    /// The record lies in another stretch than the one in which the server found it: they read its time differently,
    /// and stretches that seem complete are not.
    fn check(&self, start: Time) -> Result<(), Fault> {
        let stretches = self.pull.stretches;
        let at = stretches.partition_point(|stretch| stretch.end <= start);
        if stretches.is_empty() || stretches.get(at).is_some_and(|stretch| stretch.contains(start)) {
            return Ok(());
        }
        let field = &self.pull.index.start.field;
        Err(Fault::lasting(format!(
            "`{field}` is {start} in a record that the index has at another time: its mapping reads the field otherwise"
        )))
    }
}

/// Conditions on records that share an instant with a range, as [`crate::batch::touches`] has it.
pub(super) fn touching(index: &Timed, range: TimeRange) -> Vec<Value> {
    let until = TimeRange { start: Time::MIN, end: range.end };
    let Some(end) = index.end.as_ref().filter(|_| range.start > Time::MIN) else {
        return vec![index.start.within(range)];
    };
    let from: Vec<Value> =
        vec![index.start.within(TimeRange { start: range.start, end: Time::MAX }), end.after(range.start)];
    vec![index.start.within(until), json!({ "bool": { "should": from, "minimum_should_match": 1 } })]
}

pub(super) fn post<'a>(path: &'a str, body: &'a Value) -> Ask<'a> {
    Ask { method: Method::Post, path, body: Some(body) }
}

/// The answer, where its records stand in it, and what stands around them.
type Looked = (Vec<u8>, Vec<Place>, Page);

fn looked_at(bytes: Vec<u8>) -> Result<Looked, Fault> {
    let mut records = Vec::with_capacity(PAGE_ROWS as usize);
    let page = page::read(&bytes, &mut |item| {
        if let Item::Hit { source, fields } = item {
            records.push([source, fields].map(|part| part.map(|part| within(&bytes, part))));
        }
    })?;
    Ok((bytes, records, page))
}

/// Where a part of a text stands in it.
pub(super) fn within(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

fn scroll_of(page: &mut Page) -> Result<String, Fault> {
    page.handle.take().ok_or_else(|| Fault::lasting("a page comes without its scroll"))
}

/// Where the last page ended, as the next one is asked for.
fn place(values: &str) -> Result<Value, Fault> {
    serde_json::from_str(values).map_err(|_| Fault::lasting("a page says in an odd way where the next begins"))
}
