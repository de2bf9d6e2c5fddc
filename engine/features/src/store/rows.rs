//! Tables of features, cut and joined.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use margay_core::{Entity, FeatureTable, Members, Time, TimeRange};

use super::Layout;

/// Places of the times within a range, of ordered times.
pub(super) fn within(times: &[Time], range: TimeRange) -> Range<usize> {
    let first = times.partition_point(|time| *time < range.start);
    first..times.partition_point(|time| *time < range.end).max(first)
}

/// The rows and covered buckets that start when `keep` says so. Entities without rows stay.
pub(super) fn select(table: &FeatureTable, keep: &dyn Fn(Time) -> bool) -> FeatureTable {
    let rows: Vec<usize> = (0..table.len()).filter(|row| keep(table.bucket_start[*row])).collect();
    FeatureTable {
        bucket: table.bucket,
        features: table.features.clone(),
        entities: table.entities.clone(),
        entity: rows.iter().map(|row| table.entity[*row]).collect(),
        bucket_start: rows.iter().map(|row| table.bucket_start[*row]).collect(),
        values: table.values.iter().map(|values| rows.iter().map(|row| values[*row]).collect()).collect(),
        members: table.members.iter().map(|members| picked(members.as_ref()?, &rows)).collect(),
        detailed: rows.iter().map(|row| table.detailed[*row]).collect(),
        excluded: rows.iter().map(|row| table.excluded[*row]).collect(),
        covered: table.covered.iter().copied().filter(|start| keep(*start)).collect(),
        left_out: 0,
    }
}

fn picked(members: &Members, rows: &[usize]) -> Option<Members> {
    let mut picked = Members::default();
    rows.iter().for_each(|row| picked.push(members.row(*row)));
    Some(picked)
}

/// All rows of tables that do not share a bucket, ordered by bucket and entity; of the entities those with rows.
pub(super) fn merge(layout: &Layout, tables: &[FeatureTable]) -> FeatureTable {
    let used = tables.iter().flat_map(|table| {
        let mut used = vec![false; table.entities.len()];
        table.entity.iter().for_each(|entity| used[*entity as usize] = true);
        table.entities.iter().zip(used).filter(|(_, used)| *used).map(|(entity, _)| entity)
    });
    let entities: Vec<Entity> = used.collect::<BTreeSet<_>>().into_iter().cloned().collect();
    let index: BTreeMap<&Entity, u32> = entities.iter().zip(0..).collect();
    let mut order: Vec<(Time, u32, usize, usize)> = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        let ids: Vec<Option<u32>> = table.entities.iter().map(|entity| index.get(entity).copied()).collect();
        order.extend((0..table.len()).filter_map(|row| {
            let entity = ids[table.entity[row] as usize]?;
            Some((table.bucket_start[row], entity, at, row))
        }));
    }
    order.sort_unstable();
    let value = |feature: usize| order.iter().map(|(.., at, row)| tables[*at].values[feature][*row]).collect();
    let members = |feature: usize| {
        let mut all = Members::default();
        for (.., at, row) in &order {
            all.push(tables[*at].members(feature).into_iter().flat_map(|members| members.row(*row)));
        }
        all
    };
    let covered: BTreeSet<Time> =
        tables.iter().flat_map(|table| table.covered.iter().chain(&table.bucket_start).copied()).collect();
    FeatureTable {
        bucket: layout.bucket,
        features: layout.features.clone(),
        entity: order.iter().map(|(_, entity, ..)| *entity).collect(),
        bucket_start: order.iter().map(|(start, ..)| *start).collect(),
        values: (0..layout.features.len()).map(value).collect(),
        members: layout.lists.iter().enumerate().map(|(at, list)| list.then(|| members(at))).collect(),
        detailed: order.iter().map(|(.., at, row)| tables[*at].detailed[*row]).collect(),
        excluded: order.iter().map(|(.., at, row)| tables[*at].excluded[*row]).collect(),
        covered: covered.into_iter().collect(),
        left_out: 0,
        entities,
    }
}
