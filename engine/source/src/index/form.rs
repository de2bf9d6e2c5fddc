//! How an index is asked for groups of its records, and how these become rows.

use margay_core::log::{ROWS, count_of, least_of, most_of};
use margay_core::{Grouping, Measure, Period, TimeRange};
use serde_json::{Map, Value, json};

use super::kept::Given;
use super::listing::Timed;
use super::page::{GROUPS, Page};
use crate::batch::{Layout, LayoutField, LayoutTime};
use crate::column::{self, Column, Columns, Kind};
use crate::json::Paths;
use crate::raw::Raw;
use crate::spec::TimeFormat;

/// All whole numbers up to this are exact as floating point numbers: 2^53.
const EXACT_END: f64 = 9_007_199_254_740_992.0;

/// How an index is asked for groups, and how they become rows.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) bucket: Period,
    sources: Vec<Value>,
    totals: Map<String, Value>,
    /// Counts the values of each measure, and the records without one.
    counts: Map<String, Value>,
    pub(super) layout: Layout,
    pub(super) measures: Vec<Place>,
    pub(super) start: usize,
    pub(super) end: Option<usize>,
    pub(super) count: usize,
    /// Paths of values in the records, and the fields that must have kept all of them.
    pub(super) fields: Vec<(String, String)>,
}

/// Where the totals of a measure stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Number of the measure.
    at: usize,
    count: usize,
    least: usize,
    most: usize,
    sum: usize,
    /// Whether they are totals of whole numbers.
    is_whole: bool,
}

impl Form {
    /// # Errors
    /// Why this index cannot gather its records, in words.
    pub(crate) fn new(index: &Timed, columns: &Columns, grouping: &Grouping) -> Result<Self, String> {
        let mut form = Builder::new(columns.signs_are_null);
        let bucket = format!("{}ms", grouping.bucket.0);
        let start = form.time(index, &columns.time.start)?;
        let start = start.ok_or("it has no time")?;
        form.source("b", json!({ "date_histogram": { "field": start, "fixed_interval": bucket } }));
        if let Some(end) = form.time(index, &columns.time.end)? {
            // A record that ends where a bucket does lies within it.
            let histogram = json!({ "field": end, "fixed_interval": bucket, "offset": "1ms", "missing_bucket": true });
            form.source("e", json!({ "date_histogram": histogram }));
        }
        let column = |name: &str| {
            let found = columns.columns.iter().find(|column| column.name == name);
            found.ok_or_else(|| format!("there is no column `{name}`"))
        };
        for (at, name) in grouping.keys.iter().enumerate() {
            form.key(index, column(name)?, &format!("k{at}"))?;
        }
        for (at, measure) in grouping.measures.iter().enumerate() {
            form.measure(index, column(&measure.column)?, measure, at)?;
        }
        Ok(form.finish(grouping.bucket))
    }

    /// What is asked for: `size` groups, and how many values there are.
    pub(super) fn aggregations(&self, size: u64) -> Map<String, Value> {
        let mut groups = json!({ "composite": { "size": size, "sources": self.sources } });
        if !self.totals.is_empty() {
            groups["aggs"] = json!(self.totals);
        }
        let mut all = self.counts.clone();
        all.insert(GROUPS.to_owned(), groups);
        all
    }

    /// False where a record has several values of a measure, which a total does not tell from those of several records.
    pub(super) fn is_single(&self, page: &Page, total: u64) -> bool {
        let count = |name: String| page.counts.get(&name).copied().unwrap_or(u64::MAX);
        let is_single = |place: &Place| count(values(place.at)).checked_add(count(missing(place.at))) == Some(total);
        self.measures.iter().all(is_single)
    }
}

struct Builder {
    signs_are_null: bool,
    sources: Vec<Value>,
    totals: Map<String, Value>,
    counts: Map<String, Value>,
    paths: Paths,
    columns: Vec<(Column, usize)>,
    measures: Vec<Place>,
    fields: Vec<(String, String)>,
}

impl Builder {
    fn new(signs_are_null: bool) -> Self {
        Self {
            signs_are_null,
            sources: Vec::new(),
            totals: Map::new(),
            counts: Map::new(),
            paths: Paths::new(),
            columns: Vec::new(),
            measures: Vec::new(),
            fields: Vec::new(),
        }
    }

    fn source(&mut self, name: &str, source: Value) {
        self.sources.push(json!({ name: source }));
    }

    fn slot(&mut self, path: &str) -> usize {
        self.paths.add(path)[0]
    }

    fn column(&mut self, name: String, kind: Kind, slot: usize) {
        self.columns.push((Column { name, kind, additive: false, paths: Vec::new() }, slot));
    }

    fn time(&mut self, index: &Timed, paths: &[String]) -> Result<Option<String>, String> {
        if paths.is_empty() {
            return Ok(None);
        }
        match index.concrete.given_time(paths) {
            Given::Kept { path, field } => {
                self.fields.push((path, field.clone()));
                Ok(Some(field))
            }
            Given::Absent => Ok(None),
            Given::Records => Err(format!("`{}` is not mapped as a date", paths[0])),
        }
    }

    fn kept(&mut self, index: &Timed, column: &Column) -> Result<Option<String>, String> {
        match index.concrete.given(&column.paths, column.kind) {
            Given::Kept { path, field } => {
                self.fields.push((path, field.clone()));
                Ok(Some(field))
            }
            Given::Absent => Ok(None),
            Given::Records => Err(format!("the mapping of `{}` does not keep its values as they are", column.name)),
        }
    }

    fn key(&mut self, index: &Timed, column: &Column, name: &str) -> Result<(), String> {
        if let Some(field) = self.kept(index, column)? {
            self.source(name, json!({ "terms": { "field": field, "missing_bucket": true } }));
            let slot = self.slot(&format!("key.{name}"));
            self.column(column.name.clone(), column.kind, slot);
        }
        Ok(())
    }

    fn measure(&mut self, index: &Timed, column: &Column, measure: &Measure, at: usize) -> Result<(), String> {
        let Some(field) = self.kept(index, column)? else { return Ok(()) };
        let is_whole = column.kind == Kind::Int;
        if measure.sum && !is_whole {
            return Err(format!("`{}` holds fractions", column.name));
        }
        let name = format!("m{at}");
        self.totals.insert(name.clone(), json!({ "stats": { "field": field } }));
        self.counts.insert(values(at), json!({ "value_count": { "field": field } }));
        self.counts.insert(missing(at), json!({ "missing": { "field": field } }));
        let [count, least, most, sum] =
            ["count", "min", "max", "sum"].map(|total| self.slot(&format!("{name}.{total}")));
        self.column(column.name.clone(), column.kind, if measure.sum { sum } else { least });
        self.column(count_of(&column.name), Kind::Int, count);
        if measure.extremes {
            self.column(least_of(&column.name), column.kind, least);
            self.column(most_of(&column.name), column.kind, most);
        }
        self.measures.push(Place { at, count, least, most, sum, is_whole });
        Ok(())
    }

    fn finish(mut self, bucket: Period) -> Form {
        let (start, count) = (self.slot("key.b"), self.slot("doc_count"));
        let end = (self.sources.len() > 1 && self.sources[1].get("e").is_some()).then(|| self.slot("key.e"));
        self.column(ROWS.to_owned(), Kind::Int, count);
        let schema = column::schema(&self.columns.iter().map(|(column, _)| column).collect::<Vec<_>>());
        let fields = self.columns.iter().map(|(column, slot)| LayoutField {
            kind: column.kind,
            slots: vec![*slot],
            format: TimeFormat::Auto,
        });
        let layout = Layout {
            schema,
            fields: fields.collect(),
            time: LayoutTime { start: Vec::new(), end: Vec::new(), format: TimeFormat::Auto },
            paths: self.paths,
            range: TimeRange::ALL,
            signs_are_null: self.signs_are_null,
        };
        let (sources, totals, counts) = (self.sources, self.totals, self.counts);
        Form {
            bucket,
            sources,
            totals,
            counts,
            layout,
            measures: self.measures,
            start,
            end,
            count,
            fields: self.fields,
        }
    }
}

impl Place {
    /// Takes away totals of nothing.
    ///
    /// # Errors
    /// A total may have been rounded.
    pub(super) fn check(&self, slots: &mut [Raw<'_>]) -> Result<(), String> {
        let count = slots[self.count].float().unwrap_or(0.0);
        if count == 0.0 {
            [self.least, self.most, self.sum].into_iter().for_each(|slot| slots[slot] = Raw::Null);
            return Ok(());
        }
        let total = |slot: usize| slots[slot].float().ok_or_else(|| "a total is missing".to_owned());
        let (least, most, sum) = (total(self.least)?, total(self.most)?, total(self.sum)?);
        let largest = least.abs().max(most.abs());
        let one_sign = least >= 0.0 || most <= 0.0;
        let reach = if one_sign { sum.abs().max(largest) } else { largest * count };
        if self.is_whole && reach >= EXACT_END {
            return Err("totals are too large to be exact".to_owned());
        }
        Ok(())
    }
}

/// What the count of a measure's values is called.
fn values(at: usize) -> String {
    format!("v{at}")
}

/// What the count of records without a value of a measure is called.
fn missing(at: usize) -> String {
    format!("x{at}")
}
