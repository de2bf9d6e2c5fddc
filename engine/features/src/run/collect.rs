//! Results of a plan into a table of features.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMillisecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use margay_core::members::MEMBERS_MOST;
use margay_core::{Entity, FeatureTable, Members, Time};
use tracing::warn;

use super::aggregate::Limits;
use super::door::{Door, Known, print};
use super::error::RunError;
use crate::plan::{Compiled, Output, Plan};

/// Gathers the rows of a result.
pub(crate) struct Collector {
    columns: Arc<[String]>,
    output: Output,
    limit: u64,
    groups: u64,
    /// Entities by their values in an encoding that sorts as they do.
    known: HashMap<Box<[u8]>, u32>,
    entities: Vec<Entity>,
    entity: Vec<u32>,
    bucket_start: Vec<i64>,
    values: Vec<Vec<f64>>,
    /// The members of features that are lists.
    members: Vec<Option<Members>>,
    kept: Vec<bool>,
    detailed: Vec<bool>,
    /// Asked only where there are more entities than may be.
    known_before: Known,
    entities_most: u64,
    door: Option<Door>,
}

/// What a result is completed with.
pub(crate) struct Finish<'a> {
    pub(crate) plan: &'a Compiled,
    /// Buckets in which the log had a row.
    pub(crate) covered: Vec<Time>,
    /// Entities, about, that the query did not group because they were too many.
    pub(crate) left_out: u64,
    /// Buckets with detail, where the plan does not say so itself.
    pub(crate) detailed: Option<BTreeSet<i64>>,
}

impl Collector {
    /// No rows yet.
    pub(crate) fn new(plan: &Plan, limits: &Limits) -> Self {
        let (known_before, plan) = (plan.known.clone(), &plan.inner);
        Self {
            columns: plan.entity.clone(),
            output: plan.output,
            limit: limits.groups,
            groups: 0,
            known: HashMap::new(),
            entities: Vec::new(),
            entity: Vec::new(),
            bucket_start: Vec::new(),
            values: vec![Vec::new(); plan.features.len()],
            members: plan.lists.iter().map(|list| list.then(Members::default)).collect(),
            kept: Vec::new(),
            detailed: Vec::new(),
            known_before,
            entities_most: limits.entities,
            door: None,
        }
    }

    /// Adds rows; those over the limit are only counted.
    ///
    /// # Errors
    /// The rows do not have the columns of the plan.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), RunError> {
        self.groups += batch.num_rows() as u64;
        if self.groups > self.limit {
            return Ok(());
        }
        self.gather(batch).map_err(|error| RunError::Query(error.to_string()))
    }

    /// # Errors
    /// There were more rows than the limit.
    pub(crate) fn check(&self) -> Result<(), RunError> {
        if self.groups > self.limit {
            return Err(RunError::Groups { groups: self.groups, limit: self.limit });
        }
        Ok(())
    }

    fn gather(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let mut columns = batch.columns().iter();
        let mut next = || columns.next().ok_or_else(|| ArrowError::SchemaError("a column is missing".to_owned()));
        let buckets = next()?.as_primitive::<TimestampMillisecondType>().clone();
        let keys = self.columns.iter().map(|_| cast(next()?, &DataType::Utf8)).collect::<Result<Vec<_>, _>>()?;
        for (values, members) in self.values.iter_mut().zip(&mut self.members) {
            let column = next()?;
            match members {
                Some(members) => values.extend(list(column.as_list::<i32>(), members)),
                None => {
                    let numbers = column.as_primitive::<Float64Type>();
                    values.extend(numbers.iter().map(|number| number.filter(|number| number.is_finite())).map(plain));
                }
            }
        }
        let counted = self.values.iter_mut().zip(&self.members).filter(|(_, members)| members.is_some());
        for (values, _) in counted.take_while(|_| self.output.counted) {
            let known = values.len() - batch.num_rows();
            let counts = next()?.as_primitive::<Int64Type>();
            values[known..].iter_mut().zip(counts.values()).for_each(|(value, count)| *value = *count as f64);
        }
        let kept = self.output.kept.then(&mut next).transpose()?.map(|kept| kept.as_primitive::<Int64Type>().clone());
        let detailed = self.output.detailed.then(&mut next).transpose()?.map(|all| all.as_boolean().clone());
        for row in 0..batch.num_rows() {
            // A bucket that is null belongs to no time at all.
            self.bucket_start.push(if buckets.is_valid(row) { buckets.value(row) } else { i64::MIN });
            self.kept.push(kept.as_ref().is_none_or(|kept| kept.value(row) > 0));
            self.detailed.push(detailed.as_ref().is_none_or(|all| all.is_valid(row) && all.value(row)));
        }
        self.intern(&keys, batch.num_rows())
    }

    fn intern(&mut self, keys: &[ArrayRef], rows: usize) -> Result<(), ArrowError> {
        if keys.is_empty() {
            let columns = self.columns.clone();
            self.entities = vec![Entity::new(columns, Vec::new())];
            self.entity.extend(std::iter::repeat_n(0, rows));
            return Ok(());
        }
        let texts: Vec<&StringArray> = keys.iter().map(|key| key.as_string::<i32>()).collect();
        let converter = RowConverter::new(vec![SortField::new(DataType::Utf8); keys.len()])?;
        let encoded = converter.convert_columns(keys)?;
        for (row, bytes) in encoded.iter().enumerate() {
            let entity = match self.known.get(bytes.as_ref()) {
                Some(entity) => *entity,
                None => {
                    let entity = self.entities.len() as u32;
                    let values = texts.iter().map(|text| text.is_valid(row).then(|| text.value(row).to_owned()));
                    self.entities.push(Entity::new(self.columns.clone(), values.collect()));
                    self.known.insert(bytes.as_ref().into(), entity);
                    entity
                }
            };
            self.entity.push(entity);
        }
        if self.entities.len() as u64 > self.entities_most.saturating_mul(2) {
            self.keep_the_door();
        }
        Ok(())
    }

    /// Drops the rows of entities that are too many: who stays is the same whenever it is asked.
    fn keep_the_door(&mut self) {
        let door = self.door.get_or_insert_with(|| Door::new(&self.known_before, self.entities_most));
        let prints: Vec<u64> =
            self.entities.iter().map(|one| print(one.values().iter().map(Option::as_deref))).collect();
        for print in &prints {
            let _may_stay_outside_in_the_end = door.admits(*print);
        }
        let held: Vec<bool> = prints.iter().map(|print| door.holds(*print)).collect();
        if held.iter().all(|held| *held) {
            return;
        }
        let mut places = held.iter().scan(0, |next, held| {
            *next += u32::from(*held);
            Some(*next - u32::from(*held))
        });
        let places: Vec<u32> = places.by_ref().collect();
        let mut stays = held.iter();
        self.entities.retain(|_| stays.next() == Some(&true));
        self.known.retain(|_, entity| {
            let stays = held[*entity as usize];
            *entity = places[*entity as usize];
            stays
        });
        let rows: Vec<usize> = (0..self.entity.len()).filter(|row| held[self.entity[*row] as usize]).collect();
        self.entity = rows.iter().map(|row| places[self.entity[*row] as usize]).collect();
        self.bucket_start = rows.iter().map(|row| self.bucket_start[*row]).collect();
        self.kept = rows.iter().map(|row| self.kept[*row]).collect();
        self.detailed = rows.iter().map(|row| self.detailed[*row]).collect();
        for values in &mut self.values {
            *values = rows.iter().map(|row| values[*row]).collect();
        }
        for members in self.members.iter_mut().flatten() {
            let mut picked = Members::default();
            rows.iter().for_each(|row| picked.push(members.row(*row)));
            *members = picked;
        }
    }

    /// Says how many lists do not hold all members that were counted.
    fn warn_of_cut(&self, plan: &Compiled) {
        for ((members, values), feature) in self.members.iter().zip(&self.values).zip(&plan.features) {
            let Some(members) = members else { continue };
            let cut = (0..members.len()).filter(|row| values[*row] > members.row(*row).len() as f64).count();
            if cut > 0 {
                let most = MEMBERS_MOST;
                warn!(detector = plan.detector, feature, buckets = cut, most, "lists were cut to a sample of members");
            }
        }
    }

    /// Orders the rows, and completes them.
    ///
    /// # Errors
    /// A row is off the grid, or stands twice.
    pub(crate) fn finish(mut self, finish: Finish<'_>) -> Result<FeatureTable, RunError> {
        let plan = finish.plan;
        if self.entities.len() as u64 > self.entities_most.div_ceil(10) {
            self.keep_the_door();
        }
        let left_out = self.door.as_ref().map_or(0, Door::left_out).max(finish.left_out);
        if left_out > 0 {
            warn!(
                detector = plan.detector,
                left_out,
                most = self.entities_most,
                "too many entities: a sample of newcomers stays"
            );
        }
        let mut by_value: Vec<u32> = (0..self.entities.len() as u32).collect();
        by_value.sort_unstable_by(|a, b| self.entities[*a as usize].cmp(&self.entities[*b as usize]));
        let mut rank = vec![0u32; by_value.len()];
        for (at, entity) in by_value.iter().enumerate() {
            rank[*entity as usize] = at as u32;
        }
        let rows = self.bucket_start.iter().zip(&self.entity).zip(0..);
        let mut order: Vec<(i64, u32, u32)> =
            rows.map(|((start, entity), row)| (*start, rank[*entity as usize], row)).collect();
        order.sort_unstable();
        if let Some(pair) = order.windows(2).find(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1)) {
            let (start, rank, _) = pair[0];
            let entity = self.entities[by_value[rank as usize] as usize].to_json();
            return Err(RunError::Repeated { entity, bucket: Time(start) });
        }
        if let Some(start) = self.bucket_start.iter().find(|start| Time(**start).floor(plan.bucket).0 != **start) {
            return Err(RunError::OffGrid(Time(*start)));
        }
        self.warn_of_cut(plan);
        let rows = || order.iter().map(|(.., row)| *row as usize);
        let excluded: Vec<bool> = rows().map(|row| !self.kept[row]).collect();
        // Column by column, so that each is given up before the next is made.
        let values = self.values.into_iter();
        let values =
            values.map(|values| rows().map(|row| if self.kept[row] { values[row] } else { f64::NAN }).collect());
        let values = values.collect();
        let members = self.members.iter().map(|members| {
            let members = members.as_ref()?;
            let mut picked = Members::default();
            rows().for_each(|row| picked.push(members.row(row).filter(|_| self.kept[row])));
            Some(picked)
        });
        let members = members.collect();
        let is_detailed = |row: usize| {
            let bucket = self.bucket_start[row];
            !self.kept[row] || finish.detailed.as_ref().map_or(self.detailed[row], |buckets| buckets.contains(&bucket))
        };
        Ok(FeatureTable {
            bucket: plan.bucket,
            features: plan.features.clone(),
            values,
            members,
            entity: order.iter().map(|(_, rank, _)| *rank).collect(),
            bucket_start: order.iter().map(|(start, ..)| Time(*start)).collect(),
            detailed: rows().map(is_detailed).collect(),
            excluded,
            entities: by_value.iter().map(|entity| self.entities[*entity as usize].clone()).collect(),
            covered: finish.covered,
            left_out,
        })
    }
}

/// Adds the members of each row, distinct and in order; returns their numbers.
fn list(lists: &ListArray, members: &mut Members) -> Vec<f64> {
    let count = |row: usize| {
        let items = lists.is_valid(row).then(|| lists.value(row));
        let items = items.as_ref().map(|items| items.as_string::<i32>());
        let texts: BTreeSet<&str> = items.into_iter().flatten().flatten().collect();
        members.push(texts.iter().copied().take(MEMBERS_MOST));
        if items.is_some() { texts.len() as f64 } else { f64::NAN }
    };
    (0..lists.len()).map(count).collect()
}

/// Null is `NaN`, and there is one zero.
fn plain(number: Option<f64>) -> f64 {
    number.map_or(f64::NAN, |number| number + 0.0)
}
