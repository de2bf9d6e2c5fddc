//! Which buckets' features differ from those that were stored.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use margay_core::{FeatureTable, Members, Time, TimeRange};

/// From the first bucket that differs to the end of the last one; `None` where none does.
#[must_use]
pub fn changed(old: &FeatureTable, new: &FeatureTable) -> Option<TimeRange> {
    let old_covered: BTreeSet<Time> = old.covered.iter().copied().collect();
    let new_covered: BTreeSet<Time> = new.covered.iter().copied().collect();
    let mut starts: BTreeSet<Time> = old_covered.symmetric_difference(&new_covered).copied().collect();
    let with_rows: BTreeSet<Time> = old.bucket_start.iter().chain(&new.bucket_start).copied().collect();
    starts.extend(with_rows.into_iter().filter(|&start| !same(old, &rows(old, start), new, &rows(new, start))));
    Some(TimeRange { start: *starts.first()?, end: starts.last()?.plus(new.bucket) })
}

/// How many rows of buckets before `judged` are new, gone or different: what came late.
#[must_use]
pub fn late(old: &FeatureTable, new: &FeatureTable, judged: Time) -> u64 {
    let starts = old.bucket_start.iter().chain(&new.bucket_start).copied().filter(|start| *start < judged);
    let in_bucket = |start| late_in(old, rows(old, start), new, rows(new, start));
    starts.collect::<BTreeSet<_>>().into_iter().map(in_bucket).sum()
}

fn late_in(old: &FeatureTable, old_rows: Range<usize>, new: &FeatureTable, new_rows: Range<usize>) -> u64 {
    let entity = |table: &'_ FeatureTable, row: usize| table.entities[table.entity[row] as usize].clone();
    let mut before: BTreeMap<_, _> = old_rows.map(|row| (entity(old, row), row)).collect();
    let mut late = 0;
    for row in new_rows {
        let known = before.remove(&entity(new, row));
        late += u64::from(known.is_none_or(|known| !same(old, &(known..known + 1), new, &(row..row + 1))));
    }
    late + before.len() as u64
}

fn rows(table: &FeatureTable, start: Time) -> Range<usize> {
    let first = table.bucket_start.partition_point(|&other| other < start);
    let last = table.bucket_start.partition_point(|&other| other <= start);
    first..last
}

/// Whether rows are equal to the bit; those of a bucket are ordered by entity.
fn same(old: &FeatureTable, old_rows: &Range<usize>, new: &FeatureTable, new_rows: &Range<usize>) -> bool {
    old_rows.len() == new_rows.len()
        && old_rows.clone().zip(new_rows.clone()).all(|(before, now)| {
            old.entities[old.entity[before] as usize] == new.entities[new.entity[now] as usize]
                && old.detailed[before] == new.detailed[now]
                && old.excluded[before] == new.excluded[now]
                && old.values.iter().zip(&new.values).all(|(a, b)| alike(a[before], b[now]))
                && old
                    .members
                    .iter()
                    .zip(&new.members)
                    .all(|(a, b)| same_members((a.as_ref(), before), (b.as_ref(), now)))
        })
}

/// Whether lists hold the same; those that are no lists do.
fn same_members((old, before): (Option<&Members>, usize), (new, now): (Option<&Members>, usize)) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => old.row(before).eq(new.row(now)),
        (old, new) => old.is_none() && new.is_none(),
    }
}

/// Nulls are alike, however they are written.
fn alike(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use margay_core::{Entity, Period};

    use super::*;

    fn table(rows: &[(i64, &str, f64)]) -> FeatureTable {
        let names: Arc<[String]> = Arc::from(["app".to_owned()]);
        let used: BTreeSet<&str> = rows.iter().map(|row| row.1).collect();
        let used: Vec<&str> = used.into_iter().collect();
        let place = |name: &str| used.iter().position(|other| *other == name).unwrap_or_default() as u32;
        let starts: Vec<Time> = rows.iter().map(|row| Time(row.0 * 60_000)).collect();
        let covered: BTreeSet<Time> = starts.iter().copied().collect();
        FeatureTable {
            bucket: Period::MINUTE,
            features: vec!["x".to_owned()],
            entities: used.iter().map(|name| Entity::new(names.clone(), vec![Some((*name).to_owned())])).collect(),
            entity: rows.iter().map(|row| place(row.1)).collect(),
            bucket_start: starts,
            values: vec![rows.iter().map(|row| row.2).collect()],
            members: vec![Some(members(rows))],
            detailed: vec![true; rows.len()],
            excluded: vec![false; rows.len()],
            covered: covered.into_iter().collect(),
            left_out: 0,
        }
    }

    /// Each row's list holds its number.
    fn members(rows: &[(i64, &str, f64)]) -> Members {
        let mut members = Members::default();
        rows.iter().for_each(|row| members.push([&format!("{:?}", row.2)[..]]));
        members
    }

    fn minutes(from: i64, to: i64) -> Option<TimeRange> {
        Some(TimeRange { start: Time(from * 60_000), end: Time(to * 60_000) })
    }

    #[test]
    fn equal_tables_have_no_changes_even_where_entities_are_numbered_otherwise() {
        let old = table(&[(1, "b", 1.0), (2, "b", f64::NAN)]);
        let mut new = table(&[(1, "b", 1.0), (2, "b", f64::NAN)]);
        new.entities.insert(0, table(&[(1, "a", 0.0)]).entities[0].clone());
        new.entity = vec![1, 1];
        assert_eq!(changed(&old, &new), None);
    }

    #[test]
    fn a_value_an_entity_and_a_bucket_more_or_less_are_changes() {
        let old = table(&[(1, "a", 1.0), (2, "a", 2.0), (3, "a", 3.0)]);
        assert_eq!(changed(&old, &table(&[(1, "a", 1.0), (2, "a", 2.5), (3, "a", 3.0)])), minutes(2, 3));
        assert_eq!(changed(&old, &table(&[(1, "a", 1.0), (2, "b", 2.0), (3, "a", 3.0)])), minutes(2, 3));
        assert_eq!(
            changed(&old, &table(&[(1, "a", 1.0), (2, "a", 2.0), (3, "a", 3.0), (9, "a", 1.0)])),
            minutes(9, 10)
        );
        assert_eq!(changed(&old, &table(&[(3, "a", 3.0)])), minutes(1, 3));
    }

    #[test]
    fn a_list_with_another_member_is_a_change_where_the_number_is_the_same() {
        let old = table(&[(1, "a", 1.0), (2, "a", 1.0)]);
        let mut new = old.clone();
        new.members = vec![Some(members(&[(1, "a", 1.0), (2, "a", 7.0)]))];
        assert_eq!(changed(&old, &new), minutes(2, 3));
        assert_eq!(changed(&old, &old), None);
    }
}
