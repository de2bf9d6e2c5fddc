use std::fs;
use std::sync::Arc;

use margay_core::{Entity, FeatureTable, Members, Period, Time, TimeRange};
use proptest::prelude::*;

use super::fixtures::print;
use crate::{Layout, Store, StoreError};

const HOUR: i64 = 3_600_000;

fn layout() -> Layout {
    Layout {
        bucket: Period::HOUR,
        entity_columns: vec!["namespace".to_owned(), "name".to_owned()],
        features: vec!["bytes".to_owned(), "n".to_owned()],
        lists: vec![false, true],
    }
}

/// One row for each hour and its number.
fn table(rows: &[(i64, f64)]) -> FeatureTable {
    let columns: Arc<[String]> = layout().entity_columns.into();
    let entities = vec![
        Entity::new(columns.clone(), vec![None, Some("x/\"y".to_owned())]),
        Entity::new(columns, vec![Some("shop".to_owned()), None]),
    ];
    let mut rows = rows.to_vec();
    rows.sort_by_key(|(hour, _)| *hour);
    let mut members = Members::default();
    rows.iter().for_each(|(hour, _)| members.push(["a", "b\"", "ç"].into_iter().take((hour % 4) as usize)));
    FeatureTable {
        bucket: Period::HOUR,
        features: layout().features,
        entities,
        entity: rows.iter().map(|(hour, _)| (hour % 2) as u32).collect(),
        bucket_start: rows.iter().map(|(hour, _)| Time(hour * HOUR)).collect(),
        values: vec![rows.iter().map(|(_, value)| *value).collect(), vec![f64::NAN; rows.len()]],
        members: vec![None, Some(members)],
        detailed: rows.iter().map(|(hour, _)| hour % 3 == 0).collect(),
        excluded: rows.iter().map(|(hour, _)| hour % 5 == 0).collect(),
        covered: rows.iter().map(|(hour, _)| Time(hour * HOUR)).collect(),
        left_out: 0,
    }
}

fn hours(start: i64, end: i64) -> TimeRange {
    TimeRange { start: Time(start * HOUR), end: Time(end * HOUR) }
}

fn values(table: &FeatureTable) -> Vec<(i64, f64)> {
    table.bucket_start.iter().map(|start| start.0 / HOUR).zip(table.values[0].iter().copied()).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "bytes-out", "d1", layout()).unwrap();
    assert!(store.read(TimeRange::ALL).unwrap().is_empty());
    assert_eq!(store.span(), None);
    let written = table(&[(1, 0.1), (2, -7.0), (30, f64::MAX), (31, 4.0)]);
    store.write(&written, TimeRange::ALL).unwrap();
    let again = Store::open(dir.path(), "bytes-out", "d1", layout()).unwrap();
    assert_eq!(print(&again.read(TimeRange::ALL).unwrap()), print(&written));
    assert_eq!(values(&again.read(hours(2, 31)).unwrap()), [(2, -7.0), (30, f64::MAX)]);
    assert_eq!(again.span(), Some(hours(1, 32)));
    assert!(again.read(hours(5, 5)).unwrap().is_empty());
}

#[test]
fn the_last_write_wins_within_its_range_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "x", "d1", layout()).unwrap();
    store.write(&table(&[(20, 1.0), (23, 1.0), (24, 1.0), (50, 1.0)]), TimeRange::ALL).unwrap();
    store.write(&table(&[(23, 2.0), (26, 2.0), (60, 9.0)]), hours(23, 50)).unwrap();
    let read = store.read(TimeRange::ALL).unwrap();
    assert_eq!(values(&read), [(20, 1.0), (23, 2.0), (26, 2.0), (50, 1.0)]);
    assert_eq!(read.covered.len(), 4);
    store.write(&table(&[]), TimeRange::ALL).unwrap();
    assert!(store.read(TimeRange::ALL).unwrap().covered.is_empty());
    assert_eq!(store.span(), None);
}

#[test]
fn what_a_crash_leaves_behind_is_ignored_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "x", "d1", layout()).unwrap();
    store.write(&table(&[(1, 1.0)]), TimeRange::ALL).unwrap();
    let leftover = dir.path().join("x/d1/1970-01-01.parquet.tmp");
    fs::write(&leftover, b"half").unwrap();
    assert_eq!(values(&store.read(TimeRange::ALL).unwrap()), [(1, 1.0)]);
    Store::open(dir.path(), "x", "d1", layout()).unwrap();
    assert!(!leftover.exists());
}

#[test]
fn a_damaged_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "x", "d1", layout()).unwrap();
    store.write(&table(&[(1, 1.0), (30, 1.0)]), TimeRange::ALL).unwrap();
    let path = dir.path().join("x/d1/1970-01-02.parquet");
    let whole = fs::read(&path).unwrap();
    let good = print(&store.read(TimeRange::ALL).unwrap());
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        // Some bytes do not matter; none may end the program, or give another value.
        match store.read(TimeRange::ALL) {
            Ok(table) => assert_eq!(print(&table), good, "byte {at}"),
            Err(error) => assert!(error.to_string().contains("1970-01-02.parquet"), "{error}"),
        }
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(store.read(TimeRange::ALL), Err(StoreError::Damaged { .. })));
    assert_eq!(store.span(), Some(hours(1, 48)));
    assert_eq!(values(&store.read(hours(0, 24)).unwrap()), [(1, 1.0)]);
}

#[test]
fn a_damaged_file_is_set_aside_and_its_previous_generation_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "x", "d1", layout()).unwrap();
    store.write(&table(&[(1, 1.0)]), TimeRange::ALL).unwrap();
    store.write(&table(&[(2, 2.0)]), hours(2, 3)).unwrap();
    let path = dir.path().join("x/d1/1970-01-01.parquet");
    fs::write(&path, b"no features").unwrap();
    let error = store.read(TimeRange::ALL).unwrap_err();
    assert_eq!(store.set_aside(&error).unwrap(), Some(hours(0, 24)));
    assert_eq!(values(&store.read(TimeRange::ALL).unwrap()), [(1, 1.0)], "as it was before the last write");
    assert_eq!(fs::read(dir.path().join("x/d1/1970-01-01.parquet.damaged")).unwrap(), b"no features");
    assert_eq!(store.set_aside(&StoreError::Name("x".to_owned())).unwrap(), None);
    fs::write(&path, b"no features").unwrap();
    fs::write(dir.path().join("x/d1/1970-01-01.parquet.previous"), b"none either").unwrap();
    let error = store.read(TimeRange::ALL).unwrap_err();
    store.set_aside(&error).unwrap();
    assert!(store.read(TimeRange::ALL).unwrap().is_empty(), "without a good one there is nothing");
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_the_old_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "x", "d1", layout()).unwrap();
    store.write(&table(&[(1, 1.0)]), TimeRange::ALL).unwrap();
    fs::create_dir(dir.path().join("x/d1/1970-01-01.parquet.tmp")).unwrap();
    let error = store.write(&table(&[(1, 2.0)]), TimeRange::ALL).unwrap_err();
    assert!(error.to_string().contains("1970-01-01.parquet"), "{error}");
    assert_eq!(values(&store.read(TimeRange::ALL).unwrap()), [(1, 1.0)]);
}

#[test]
fn features_of_earlier_definitions_are_kept_up_to_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    for digest in ["d1", "d2", "d3", "d4"] {
        let store = Store::open(dir.path(), "x", digest, layout()).unwrap();
        store.write(&table(&[(1, 1.0)]), TimeRange::ALL).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Store::open(dir.path(), "x", "d2", layout()).unwrap();
    let mut left: Vec<String> = fs::read_dir(dir.path().join("x"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["d2", "d3", "d4"]);
}

#[test]
fn names_cannot_lead_out_of_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["../x", "", ".", "a/b", "a\\b", "ä", ".hidden"] {
        assert!(matches!(Store::open(dir.path(), name, "d1", layout()), Err(StoreError::Name(_))), "{name}");
    }
}

#[test]
fn a_table_of_another_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "x", "d1", layout()).unwrap();
    let mut other = table(&[(1, 1.0)]);
    other.features[0] = "other".to_owned();
    assert!(matches!(store.write(&other, TimeRange::ALL), Err(StoreError::Layout(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_store_holds_what_was_last_written_of_each_hour(
        writes in prop::collection::vec((0i64..100, 1i64..60, prop::collection::btree_map(0i64..160, -9.0..9.0f64, 0..40)), 1..6)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), "x", "d1", layout()).unwrap();
        let mut expected = std::collections::BTreeMap::new();
        for (start, length, rows) in writes {
            expected.retain(|hour, _| *hour < start || *hour >= start + length);
            expected.extend(rows.iter().filter(|(hour, _)| (start..start + length).contains(hour)).map(|(h, v)| (*h, *v)));
            let rows: Vec<_> = rows.into_iter().collect();
            store.write(&table(&rows), hours(start, start + length)).unwrap();
        }
        prop_assert_eq!(values(&store.read(TimeRange::ALL).unwrap()), expected.into_iter().collect::<Vec<_>>());
    }
}
