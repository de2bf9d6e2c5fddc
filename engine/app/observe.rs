//! Rows of the feature store → what is seen of each entity in a bucket, and of its past.

use std::cell::Cell;
use std::collections::BTreeMap;

use margay_core::{Entity, FeatureTable, Fill, Period, ScoreState, Time, TimeRange};
use margay_model::Past;

use crate::exempt::Effect;
use crate::memory::{Judgement, Memory};

/// Entities that were not seen for so long are no longer filled with zeros or judged.
const RETIRE_AFTER: Period = Period::WEEK;

/// What was seen of an entity in a bucket.
pub(crate) struct Row<'a> {
    /// Its place in the memory.
    pub(crate) entity: usize,
    /// One value a feature; `NaN` where there is none.
    pub(crate) values: Vec<f64>,
    /// Members of each feature that is a list; nothing where none is.
    pub(crate) members: Vec<Vec<&'a str>>,
    /// Why it cannot be judged, where it cannot.
    pub(crate) absent: Option<ScoreState>,
    /// Why it is excluded, where it is.
    pub(crate) excluded: Option<&'a str>,
    /// It is judged as if it were so much later.
    pub(crate) shift: Period,
    /// Whether the bucket may teach the model anything.
    pub(crate) learns: bool,
}

impl Row<'_> {
    fn new(entity: usize, values: Vec<f64>) -> Self {
        Self { entity, values, members: Vec::new(), absent: None, excluded: None, shift: Period(0), learns: true }
    }

    fn without_values(&mut self, state: ScoreState) {
        self.absent = Some(state);
        self.values.fill(f64::NAN);
        self.members.iter_mut().for_each(Vec::clear);
    }
}

/// Rows of a feature table by bucket and by entity.
pub(crate) struct Index<'a> {
    table: &'a FeatureTable,
    /// Rows of each entity of the table, in order of time.
    by_entity: Vec<Vec<usize>>,
    /// The model's index of each entity of the table, once it has been seen.
    known: Vec<Cell<Option<usize>>>,
}

impl<'a> Index<'a> {
    pub(crate) fn new(memory: &Memory, judgement: &Judgement, table: &'a FeatureTable) -> Self {
        debug_assert_eq!(judgement.fill.len(), table.values.len(), "one column for each feature");
        let mut by_entity = vec![Vec::new(); table.entities.len()];
        for (row, &entity) in table.entity.iter().enumerate() {
            by_entity[entity as usize].push(row);
        }
        let places: BTreeMap<&Entity, usize> =
            memory.entities().iter().enumerate().map(|(at, entity)| (entity, at)).collect();
        let known = table.entities.iter().map(|entity| Cell::new(places.get(entity).copied())).collect();
        Self { table, by_entity, known }
    }

    /// Everything to be judged in a bucket: entities with rows, and known ones that zeros stand for.
    pub(crate) fn observe<'j>(&self, memory: &mut Memory, judgement: &'j Judgement, bucket: Time) -> Vec<Row<'j>>
    where
        'a: 'j,
    {
        let table = self.table;
        let first = table.bucket_start.partition_point(|&start| start < bucket);
        let last = table.bucket_start.partition_point(|&start| start <= bucket);
        let mut rows = Vec::with_capacity(memory.trackers.len());
        let mut seen = vec![false; memory.trackers.len()];
        memory.over_limit = 0;
        let newcomers = (first..last).filter(|row| self.known[table.entity[*row] as usize].get().is_none()).count();
        let is_flood = memory.is_flood(newcomers, judgement.entities_most);
        for row in first..last {
            let at = table.entity[row] as usize;
            let known = self.known[at].get();
            let Some(entity) =
                known.or_else(|| memory.enter(&table.entities[at], bucket, judgement.entities_most, is_flood))
            else {
                memory.over_limit += 1;
                continue;
            };
            self.known[at].set(Some(entity));
            memory.last_seen[entity] = bucket;
            if entity < seen.len() {
                seen[entity] = true;
            }
            let mut seen = Row::new(entity, table.values.iter().map(|column| column[row]).collect());
            seen.members = self.members(row);
            if table.excluded[row] {
                seen.without_values(ScoreState::Excluded);
                seen.excluded = Some(&judgement.exclusion);
            } else if !table.detailed[row] {
                seen.without_values(ScoreState::InsufficientDetail);
            }
            memory.members_cut += u64::from(is_cut(&seen.values, &seen.members));
            rows.push(seen);
        }
        for entity in (0..seen.len()).filter(|&entity| !seen[entity]) {
            if bucket.since(memory.last_seen[entity]) > RETIRE_AFTER {
                continue;
            }
            let values: Vec<f64> = judgement.fill.iter().map(|fill| filled(*fill)).collect();
            if values.iter().any(|value| !value.is_nan()) {
                rows.push(Row::new(entity, values));
            }
        }
        let bucket = TimeRange { start: bucket, end: bucket.plus(table.bucket) };
        exempt(memory, judgement, &bucket, &mut rows);
        rows.sort_by(|a, b| memory.entities()[a.entity].cmp(&memory.entities()[b.entity]));
        rows
    }

    fn members(&self, row: usize) -> Vec<Vec<&'a str>> {
        let table: &'a FeatureTable = self.table;
        let lists = table.members.iter();
        lists.map(|list| list.iter().flat_map(|members| members.row(row)).collect()).collect()
    }

    /// Values of every known entity on the grid of buckets of `[from, until)`.
    pub(crate) fn past(&self, memory: &Memory, judgement: &Judgement, from: Time, until: Time) -> Vec<Past> {
        let table = self.table;
        let first = table.covered.partition_point(|&start| start < from);
        let last = table.covered.partition_point(|&start| start < until);
        let covered = &table.covered[first..last];
        let Some(&origin) = covered.first() else { return Vec::new() };
        let mut past: Vec<Past> = Vec::new();
        for (at, rows) in self.by_entity.iter().enumerate() {
            let Some(entity) = self.known[at].get() else { continue };
            if memory.last_seen[entity] < from {
                continue;
            }
            let start = origin.max(memory.first_seen[entity]);
            let length = usize::try_from(until.since(start).per(table.bucket)).unwrap_or(0);
            let place = |time: Time| usize::try_from(time.since(start).per(table.bucket)).ok();
            let mut values: Vec<Vec<f64>> = judgement.fill.iter().map(|_| vec![f64::NAN; length]).collect();
            for &time in covered.iter().filter(|&&time| time >= start) {
                if let Some(place) = place(time).filter(|&place| place < length) {
                    values.iter_mut().zip(&judgement.fill).for_each(|(column, fill)| column[place] = filled(*fill));
                }
            }
            for &row in rows {
                let time = table.bucket_start[row];
                if time < start || time >= until {
                    continue;
                }
                let Some(place) = place(time).filter(|&place| place < length) else { continue };
                let known = table.detailed[row] && !table.excluded[row];
                for (column, source) in values.iter_mut().zip(&table.values) {
                    column[place] = if known { source[row] } else { f64::NAN };
                }
            }
            past.push(Past { entity, start, values });
        }
        self.leave_out_held(memory, &mut past);
        past.sort_by_key(|past| past.entity);
        past
    }

    fn leave_out_held(&self, memory: &Memory, past: &mut [Past]) {
        let places: BTreeMap<usize, usize> = past.iter().enumerate().map(|(at, past)| (past.entity, at)).collect();
        for (&(entity, start), &end) in &memory.held {
            let Some(past) = places.get(&(entity as usize)).map(|&at| &mut past[at]) else { continue };
            let length = past.values.first().map_or(0, Vec::len) as i64;
            let first = start.since(past.start).per(self.table.bucket).clamp(0, length) as usize;
            let last = end.since(past.start).per(self.table.bucket).clamp(0, length) as usize;
            past.values.iter_mut().for_each(|column| column[first..last].fill(f64::NAN));
        }
    }
}

/// Marks rows that are not to be judged or learnt as usual.
fn exempt<'j>(memory: &Memory, judgement: &'j Judgement, bucket: &TimeRange, rows: &mut [Row<'j>]) {
    let active = judgement.exempts.active(bucket);
    if active.is_empty() {
        return;
    }
    for row in rows {
        let entity = &memory.entities()[row.entity];
        let Some((one, shift)) = active.iter().find(|(one, _)| one.covers(entity)) else { continue };
        row.learns = false;
        row.shift = *shift;
        if one.effect == Effect::Excluded {
            row.without_values(ScoreState::Excluded);
            row.excluded = Some(&one.reason);
        }
    }
}

/// Whether a list holds fewer members than were counted.
fn is_cut(values: &[f64], members: &[Vec<&str>]) -> bool {
    values.iter().zip(members).any(|(value, members)| !members.is_empty() && *value > members.len() as f64)
}

fn filled(fill: Fill) -> f64 {
    match fill {
        Fill::Zero => 0.0,
        Fill::Missing => f64::NAN,
    }
}
