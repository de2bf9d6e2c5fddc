//! What is asked of each record: values that are kept apart where they can be had, and the record itself for the rest.

use std::ops::Range;

use elasticsearch::http::Method;
use margay_core::Time;
use serde_json::{Value, json};

use super::client::{Ask, Client, Fault};
use super::kept::Given;
use super::listing::Timed;
use super::mapping::encoded;
use crate::batch::Layout;
use crate::column::Kind;
use crate::json::{Broken, Cursor, Paths, RowReader};
use crate::raw::Raw;
use crate::spec::TimeFormat;

/// Kept values of a record that are asked for at most; servers give 100 by default.
const KEPT_MOST: usize = 100;
/// From this time on milliseconds since 1970 are not taken for seconds.
const MILLIS_FROM: Time = Time(100_000_000_000);

/// What is asked of each record of an index.
#[derive(Debug, Default)]
pub(crate) struct Fetch {
    /// Kept values, as they are asked for.
    asked: Vec<Value>,
    /// Their names, and the slot of the layout that each is for.
    kept: Vec<(String, usize)>,
    /// Fields of the record itself.
    record: Vec<String>,
}

/// Where a record, and what is kept of it, stand in an answer.
pub(crate) type Place = [Option<Range<usize>>; 2];

impl Fetch {
    /// What the layout needs.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) fn new(client: &Client, index: &Timed, layout: &Layout) -> Result<Self, Fault> {
        let mut fetch = Self::default();
        let format = axis_format(layout.time.format, index.range.start);
        for slots in [&layout.time.start, &layout.time.end] {
            fetch.add(layout, slots, index.concrete.given_time(&paths(layout, slots)), Some(format));
        }
        for field in &layout.fields {
            let paths = paths(layout, &field.slots);
            let format = (field.kind == Kind::Time).then_some("strict_date_time");
            fetch.add(layout, &field.slots, index.concrete.given(&paths, field.kind), format);
        }
        let path = |slot: &usize| &layout.paths.slots()[*slot][..];
        let names: Vec<(&str, &str)> = fetch.kept.iter().map(|(name, slot)| (path(slot), &name[..])).collect();
        if names.len() > KEPT_MOST || has_ignored(client, &index.name, &names)? {
            fetch = Self { record: layout.paths.slots().to_vec(), ..Self::default() };
        }
        fetch.record.sort_unstable();
        fetch.record.dedup();
        Ok(fetch)
    }

    fn add(&mut self, layout: &Layout, slots: &[usize], given: Given, format: Option<&str>) {
        match given {
            Given::Absent => {}
            Given::Records => self.record.extend(paths(layout, slots)),
            Given::Kept { path, field } => {
                let slot = slots.iter().copied().find(|slot| layout.paths.slots()[*slot] == path);
                let Some(slot) = slot.filter(|slot| self.kept.iter().all(|(_, known)| known != slot)) else { return };
                self.asked.push(match format {
                    Some(format) => json!({ "field": field, "format": format }),
                    None => json!(field),
                });
                self.kept.push((field, slot));
            }
        }
    }

    /// The part of a search that asks for it.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({});
        if !self.kept.is_empty() {
            body["docvalue_fields"] = json!(self.asked);
        }
        if self.record.is_empty() {
            // Not even the id: it is stored with the record, and nobody needs it.
            body["stored_fields"] = json!("_none_");
        } else {
            body["_source"] = json!(self.record);
        }
        body
    }

    /// Reads what comes.
    pub(crate) fn reader(&self, layout: &Layout) -> Reader<'_> {
        let mut paths = Paths::new();
        let from = self.kept.iter().map(|(name, _)| *paths.add(name).last().expect("a path has a slot")).collect();
        let slots = paths.slots().len();
        Reader { fetch: self, record: RowReader::new(layout.paths.clone()), kept: RowReader::new(paths), from, slots }
    }
}

/// Reads records as they come.
pub(crate) struct Reader<'a> {
    fetch: &'a Fetch,
    record: RowReader,
    kept: RowReader,
    /// Where the kept reader finds each of the kept values.
    from: Vec<usize>,
    slots: usize,
}

impl Reader<'_> {
    /// Fills the slots of the layout.
    ///
    /// # Errors
    /// The server does not hand out what it was asked for.
    pub(crate) fn read<'b>(
        &mut self,
        bytes: &'b [u8],
        [record, kept]: &Place,
        slots: &mut [Raw<'b>],
    ) -> Result<Result<(), Broken>, Fault> {
        match record {
            Some(record) => {
                if let Err(broken) = self.record.read(&bytes[record.clone()], slots) {
                    return Ok(Err(broken));
                }
            }
            None if self.fetch.record.is_empty() => {}
            None => return Err(Fault::lasting("records come without what was written: `_source` is not kept")),
        }
        if let Some(kept) = kept {
            let mut values = vec![Raw::Null; self.slots];
            if let Err(broken) = self.kept.read(&bytes[kept.clone()], &mut values) {
                return Ok(Err(broken));
            }
            for ((_, slot), from) in self.fetch.kept.iter().zip(&self.from) {
                slots[*slot] = single(values[*from]);
            }
        }
        Ok(Ok(()))
    }
}

/// The value of a list of one.
fn single(raw: Raw<'_>) -> Raw<'_> {
    let Raw::List(list) = raw else { return raw };
    let mut cursor = Cursor::new(list);
    cursor.advance(1);
    let Ok(value) = cursor.value() else { return raw };
    if cursor.take(b']') { value } else { raw }
}

fn paths(layout: &Layout, slots: &[usize]) -> Vec<String> {
    let mut paths: Vec<String> = slots.iter().map(|slot| layout.paths.slots()[*slot].clone()).collect();
    paths.dedup();
    paths
}

/// How the times of records are asked for, so that they are understood as the log's.
fn axis_format(format: TimeFormat, first: Time) -> &'static str {
    match format {
        TimeFormat::EpochS => "epoch_second",
        TimeFormat::EpochMs => "epoch_millis",
        TimeFormat::Auto if first >= MILLIS_FROM => "epoch_millis",
        TimeFormat::Auto | TimeFormat::Rfc3339 => "strict_date_time",
    }
}

/// Whether any value of these fields was passed over when its record was written, so that it is not kept. Each has its
/// path in the records, and its own name where it is a part of a text.
///
/// # Errors
/// The server cannot be asked.
pub(crate) fn has_ignored(client: &Client, index: &str, fields: &[(&str, &str)]) -> Result<bool, Fault> {
    if fields.is_empty() {
        return Ok(false);
    }
    let names: Vec<&str> = fields.iter().map(|(_, field)| *field).collect();
    let parts = fields.iter().filter(|(path, field)| path != field).map(|(path, field)| {
        json!({ "bool": {
            "filter": [{ "exists": { "field": path } }], "must_not": [{ "exists": { "field": field } }]
        } })
    });
    let any: Vec<Value> = [json!({ "terms": { "_ignored": names } })].into_iter().chain(parts).collect();
    let body = json!({
        "size": 0, "track_total_hits": true, "query": { "bool": { "should": any, "minimum_should_match": 1 } },
    });
    let path = format!("/{}/_search", encoded(index));
    let answer = client.search(Ask { method: Method::Post, path: &path, body: Some(&body) })?;
    let count = answer["hits"]["total"]["value"].as_u64();
    count.map(|count| count > 0).ok_or_else(|| Fault::passing("the answer does not count what it found"))
}
