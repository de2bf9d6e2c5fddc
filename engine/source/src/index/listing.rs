//! What is in an index: how many records each stretch of time holds. Stretches are to an index what files are to a
//! folder: one that has another number of records than before is read anew.

use std::path::PathBuf;

use elasticsearch::http::Method;
use margay_core::{Period, Time, TimeRange, digest};
use serde_json::{Value, json};
use tracing::warn;

use super::client::{Ask, Client, Fault};
use super::grid::{Axis, STRETCH};
use super::mapping::{Concrete, TimeIn, encoded};
use crate::column::TimeFields;
use crate::files::FileInfo;

/// Time whose stretches are counted with one request; servers give at most 65,536 groups, some 10,000.
const WINDOW: Period = Period(STRETCH.0 * 8192);
/// Requests for one index at most. Beyond it a field holds no times.
const WINDOWS_MOST: i64 = 1000;

/// An index whose records have times.
#[derive(Clone, Debug)]
pub(crate) struct Timed {
    pub(crate) name: String,
    pub(crate) start: Axis,
    pub(crate) end: Option<Axis>,
    /// From the first record to the last.
    pub(crate) range: TimeRange,
    /// Records with a time, and without one.
    pub(crate) records: u64,
    pub(crate) timeless: u64,
    /// What it is made of.
    pub(crate) concrete: Concrete,
}

impl Timed {
    /// Looks at the times of an index; `None` where it has no record with one.
    ///
    /// # Errors
    /// No field with times is mapped though there are records, or the server cannot be asked.
    pub(crate) fn look(client: &Client, index: &Concrete, time: &TimeFields) -> Result<Option<Self>, Fault> {
        let start = index.time(&time.start)?;
        let Some(found) = start else {
            let answer = search(client, &index.name, &json!({ "size": 0, "track_total_hits": true }))?;
            return match answer["hits"]["total"]["value"].as_u64() {
                Some(0) => Ok(None),
                _ => Err(Fault::lasting(format!("index {} has no field `{}`", index.name, time.start.join("`, `")))),
            };
        };
        let body = json!({
            "size": 0, "track_total_hits": true,
            "aggs": {
                "first": { "min": { "field": found.field } }, "last": { "max": { "field": found.field } },
                "timeless": { "missing": { "field": found.field } },
            },
        });
        let answer = search(client, &index.name, &body)?;
        let timeless = answer["aggregations"]["timeless"]["doc_count"].as_u64().unwrap_or(0);
        if timeless > 0 {
            warn!(index = index.name, records = timeless, field = found.field, "records without a time are left out");
        }
        let value = |name: &str| answer["aggregations"][name]["value"].as_f64();
        let (Some(first), Some(last)) = (value("first"), value("last")) else { return Ok(None) };
        let start = Axis::new(found, time.format, last)?;
        let end = index.time(&time.end)?.map(|end: TimeIn<'_>| Axis::new(end, time.format, last)).transpose()?;
        let range = TimeRange { start: start.time(first).floor(STRETCH), end: start.time(last).plus(STRETCH) };
        let records = answer["hits"]["total"]["value"].as_u64().unwrap_or(0).saturating_sub(timeless);
        Ok(Some(Self { name: index.name.clone(), start, end, range, records, timeless, concrete: index.clone() }))
    }

    /// The start of the newest record.
    pub(crate) fn newest(&self) -> Time {
        self.range.end.minus(STRETCH)
    }

    /// The stretches that start from `since` on and hold records.
    ///
    /// # Errors
    /// The server cannot be asked, or its answer is not whole.
    pub(crate) fn stretches(&self, client: &Client, url: &str, since: Time) -> Result<Vec<FileInfo>, Fault> {
        let mut found = Vec::new();
        let mut from = self.range.start.max(since.floor(STRETCH));
        if self.range.end.since(from).per(WINDOW) > WINDOWS_MOST {
            return Err(Fault::lasting(format!(
                "index {}: `{}` is spread over centuries",
                self.name, self.start.field
            )));
        }
        while from < self.range.end {
            let window = TimeRange { start: from, end: from.plus(WINDOW) };
            let answer = search(client, &self.name, &self.count(window))?;
            let buckets = answer["aggregations"]["stretches"]["buckets"].as_array();
            let buckets = buckets.ok_or_else(|| Fault::passing("the answer counts nothing"))?;
            for bucket in buckets {
                found.push(self.stretch(bucket, url)?);
            }
            from = window.end;
        }
        Ok(found)
    }

    fn count(&self, window: TimeRange) -> Value {
        let mut stretches = self.start.stretches();
        if let Some(end) = &self.end {
            stretches["aggs"] = json!({ "end": { "max": { "field": end.field } } });
        }
        json!({
            "size": 0, "track_total_hits": false,
            "query": { "bool": { "filter": [self.start.within(window)] } },
            "aggs": { "stretches": stretches },
        })
    }

    fn stretch(&self, bucket: &Value, url: &str) -> Result<FileInfo, Fault> {
        let (Some(key), Some(count)) = (bucket["key"].as_f64(), bucket["doc_count"].as_u64()) else {
            return Err(Fault::passing("the answer counts something else"));
        };
        let start = self.start.time(key).floor(STRETCH);
        let reach = self.end.as_ref().zip(bucket["end"]["value"].as_f64()).map(|(end, value)| end.time(value));
        let end = reach.map_or(start.plus(STRETCH), |reach| reach.max(start.plus(STRETCH)));
        let parts = [url, &self.name, &start.0.to_string(), &count.to_string()];
        Ok(FileInfo {
            path: path(&self.name, start),
            fingerprint: digest(&parts),
            bytes: 0,
            span: Some(TimeRange { start, end }),
        })
    }
}

/// What a stretch of an index is called.
fn path(index: &str, start: Time) -> PathBuf {
    PathBuf::from(index).join(start.to_string())
}

/// The index and the stretch of a name.
pub(crate) fn of_path(path: &std::path::Path) -> Option<(String, TimeRange)> {
    let start: Time = path.file_name()?.to_str()?.parse().ok()?;
    let index = path.parent()?.to_str()?.to_owned();
    Some((index, TimeRange { start, end: start.plus(STRETCH) }))
}

fn search(client: &Client, index: &str, body: &Value) -> Result<Value, Fault> {
    client.search(Ask { method: Method::Post, path: &format!("/{}/_search", encoded(index)), body: Some(body) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_found_by_its_name() {
        let start = Time(1_795_503_600_000);
        let found = of_path(&path("flows.cluster.20261124", start));
        let stretch = TimeRange { start, end: start.plus(STRETCH) };
        assert_eq!(found, Some(("flows.cluster.20261124".to_owned(), stretch)));
    }
}
