use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use margay_core::{FeatureTable, Period, Time, TimeRange};
use proptest::prelude::*;

use super::fixtures::{LIMITS, Row, batch, full, parts, plan, print, row, run, try_run, with_exclude, with_filter};
use crate::{Exclude, Feed, Limits, Plan, RunError, aggregate};

const MINUTE: i64 = 60_000;

fn column(table: &FeatureTable, feature: usize) -> Vec<(i64, String, f64)> {
    let rows = 0..table.len();
    rows.map(|row| {
        let entity = table.entities[table.entity[row] as usize].to_string();
        (table.bucket_start[row].0, entity, table.values[feature][row])
    })
    .collect()
}

#[test]
fn features_are_made_for_each_entity_and_bucket_in_order() {
    let rows = [row(MINUTE, MINUTE, "b", 5), row(0, 0, "b", 1), row(0, 0, "a", 2), row(59_999, 59_999, "b", 4)];
    let table = run(&parts(&[("bytes", "sum(bytes)"), ("n", "count(*)"), ("mean", "avg(seconds)")]), &[batch(&rows)]);
    let expected = [(0, "a".to_owned(), 2.0), (0, "b".to_owned(), 5.0), (MINUTE, "b".to_owned(), 5.0)];
    assert_eq!(column(&table, 0), expected);
    assert_eq!(table.values[1], [1.0, 2.0, 1.0]);
    assert_eq!(table.values[2], [0.2, 0.25, 0.5]);
    assert_eq!(table.covered, [Time(0), Time(MINUTE)]);
    assert_eq!(table.features, ["bytes", "n", "mean"]);
}

#[test]
fn a_list_holds_distinct_members_in_order_and_its_value_counts_them() {
    let rows = [row(0, 0, "a", 2), row(1, 1, "a", 1), row(2, 2, "a", 1), row(MINUTE, MINUTE, "a", 5)];
    let listed = parts(&[
        ("hosts", "array_agg(DISTINCT dest)"),
        ("n", "count(*)"),
        ("odd", "array_agg(DISTINCT port) FILTER (WHERE bytes < 2)"),
    ]);
    let shown = |table: &FeatureTable, feature: usize| -> Vec<Vec<String>> {
        let members = table.members(feature).unwrap();
        (0..table.len()).map(|at| members.row(at).map(str::to_owned).collect()).collect()
    };
    let table = run(&listed, &[batch(&rows)]);
    assert_eq!(shown(&table, 0), [vec!["10.0.0.1", "10.0.0.2"], vec!["10.0.0.5"]]);
    assert_eq!(shown(&table, 2), [vec!["1"], vec![]]);
    assert_eq!(table.values, [vec![2.0, 1.0], vec![3.0, 1.0], vec![1.0, 0.0]]);
    assert!(table.members(1).is_none());
    assert_eq!(plan(&listed).lists(), [true, false, true]);
    assert_eq!(plan(&listed).fill(), [margay_core::Fill::Zero; 3]);
    let sql = "SELECT bucket_start, namespace, array_agg(DISTINCT dest) AS hosts FROM flows GROUP BY 1, 2";
    let table = run(&full(sql, &["hosts"]), &[batch(&rows)]);
    assert_eq!(shown(&table, 0), [vec!["10.0.0.1", "10.0.0.2"], vec!["10.0.0.5"]]);
    assert_eq!(table.values, [vec![2.0, 1.0]]);
}

#[test]
fn the_number_of_members_is_whole_where_the_list_is_cut() {
    let rows: Vec<Row> = (0..3000).map(|at| Row { port: Some(at), ..row(0, 0, "a", 1) }).collect();
    let table = run(&parts(&[("ports", "array_agg(DISTINCT port)")]), &[batch(&rows)]);
    assert_eq!(table.values, [vec![3000.0]]);
    assert_eq!(table.members(0).unwrap().row(0).len(), margay_core::members::MEMBERS_MOST);
}

#[test]
fn a_record_is_apportioned_over_the_buckets_that_it_overlaps() {
    let rows = [row(30_000, 150_000, "a", 7)];
    let query = parts(&[("bytes", "sum(bytes)"), ("seconds", "sum(seconds)"), ("n", "count(*)")]);
    let table = run(&query, &[batch(&rows)]);
    assert_eq!(table.values[0], [1.0, 4.0, 2.0]);
    assert_eq!(table.values[2], [1.0, 1.0, 1.0]);
    assert!(
        table.values[1].iter().zip([0.175, 0.35, 0.175]).all(|(a, b)| (a - b).abs() < 1e-12),
        "{:?}",
        table.values[1]
    );
    assert_eq!(table.covered, [Time(0), Time(MINUTE), Time(2 * MINUTE)]);
}

#[test]
fn a_record_that_ends_where_a_bucket_starts_does_not_touch_it() {
    let table =
        run(&parts(&[("bytes", "sum(bytes)")]), &[batch(&[row(0, MINUTE, "a", 7), row(MINUTE, MINUTE, "a", 1)])]);
    assert_eq!(column(&table, 0), [(0, "a".to_owned(), 7.0), (MINUTE, "a".to_owned(), 1.0)]);
}

#[test]
fn buckets_outside_of_the_range_are_left_out() {
    let rows = [row(0, 5 * MINUTE, "a", 50), row(9 * MINUTE, 9 * MINUTE, "a", 1)];
    let plan = plan(&parts(&[("bytes", "sum(bytes)")]));
    let range = TimeRange { start: Time(MINUTE), end: Time(3 * MINUTE) };
    let feed = |feed: &Feed| assert!(feed.push(batch(&rows)));
    let table = aggregate(&[&plan], range, &LIMITS, &feed).remove(0).unwrap();
    assert_eq!(column(&table, 0), [(MINUTE, "a".to_owned(), 10.0), (2 * MINUTE, "a".to_owned(), 10.0)]);
    assert_eq!(table.covered, [Time(MINUTE), Time(2 * MINUTE)]);
}

#[test]
fn a_record_of_absurd_length_counts_once() {
    let rows = [row(Time::MIN.0, Time::MAX.0, "a", 50), row(i64::MIN, i64::MAX, "b", 1), row(5, -5, "c", 3)];
    let table = run(&parts(&[("bytes", "sum(bytes)")]), &[batch(&rows)]);
    assert_eq!(table.values[0], [50.0, 3.0]);
}

#[test]
fn values_that_are_missing_are_missing() {
    let mut nothing = row(0, 0, "a", 1);
    (nothing.bytes, nothing.namespace, nothing.dest) = (None, None, None);
    let mut query = parts(&[("bytes", "sum(bytes)"), ("n", "count(*)")]);
    query.requires = vec!["bytes".to_owned(), "port".to_owned()];
    let table = run(&query, &[batch(&[nothing, row(0, 0, "a", 3)])]);
    assert_eq!(table.entities[0].values(), [None]);
    assert!(table.values[0][0].is_nan());
    assert_eq!(table.values[1], [1.0, 1.0]);
    assert_eq!(table.detailed, [false, true]);
}

#[test]
fn excluded_rows_do_not_count_and_a_bucket_of_them_is_marked() {
    let rows = [row(0, 0, "a", 1), row(0, 0, "a", 2), row(0, 0, "b", 2), row(MINUTE, MINUTE, "b", 2)];
    let exclude = Exclude { filter: "bytes = 2".to_owned(), until: Some(Time(MINUTE)) };
    let mut query =
        with_exclude(parts(&[("bytes", "sum(bytes)"), ("n", "count(*) FILTER (WHERE port >= 0)")]), exclude);
    query.requires = vec!["bytes".to_owned()];
    let table = run(&query, &[batch(&rows)]);
    assert_eq!(table.excluded, [false, true, false]);
    assert_eq!(table.values[0][0], 1.0);
    assert!(table.values[0][1].is_nan() && table.values[1][1].is_nan());
    assert_eq!(table.values[0][2], 2.0);
    assert_eq!(table.detailed, [true; 3]);
    // A filter that is null takes no row.
    let mut unknown = row(0, 0, "a", 9);
    unknown.bytes = None;
    let table = run(&query, &[batch(&[unknown])]);
    assert_eq!((table.values[1][0], table.excluded[0]), (1.0, false));
}

#[test]
fn covered_are_buckets_with_any_row_whoever_it_is_about() {
    let query = with_filter(parts(&[("n", "count(*)")]), "namespace = 'a'");
    let table = run(&query, &[batch(&[row(0, 0, "a", 1), row(MINUTE, MINUTE, "b", 1)])]);
    assert_eq!(table.covered, [Time(0), Time(MINUTE)]);
    assert_eq!(table.len(), 1);
}

#[test]
fn entities_of_numbers_are_printed() {
    let mut query = parts(&[("n", "count(*)")]);
    query.entity = vec![("port".to_owned(), "port".to_owned()), ("even".to_owned(), "bytes % 2 = 0".to_owned())];
    let table = run(&query, &[batch(&[row(0, 0, "a", 4)])]);
    assert_eq!(table.entities[0].to_json(), r#"{"port":"1","even":"true"}"#);
    query.entity = Vec::new();
    let table = run(&query, &[batch(&[row(0, 0, "a", 4), row(0, 0, "b", 4)])]);
    assert_eq!((table.len(), table.values[0][0]), (1, 2.0));
}

#[test]
fn a_statement_gives_the_same_as_its_parts() {
    let rows: Vec<Row> = (0..500).map(|at| row(at * 1000, at * 1000 + 400, &format!("n{}", at % 7), at)).collect();
    let sql = "SELECT bucket_start, namespace, sum(bytes) AS bytes, count(DISTINCT dest) AS dests FROM flows \
               WHERE port > 0 GROUP BY bucket_start, namespace ORDER BY namespace";
    let mut statement = full(sql, &["bytes", "dests"]);
    let mut in_parts = with_filter(parts(&[("bytes", "sum(bytes)"), ("dests", "count(DISTINCT dest)")]), "port > 0");
    (statement.requires, in_parts.requires) = (vec!["dest".to_owned()], vec!["dest".to_owned()]);
    assert_eq!(print(&run(&statement, &[batch(&rows)])), print(&run(&in_parts, &[batch(&rows)])));
}

#[test]
fn a_statement_may_not_give_an_entity_twice_or_a_time_off_the_grid() {
    let rows = [row(0, 0, "a", 1), row(0, 0, "a", 2)];
    let twice = full("SELECT bucket_start, namespace, bytes AS n FROM flows", &["n"]);
    assert!(matches!(try_run(&twice, &[batch(&rows)], &LIMITS), Err(RunError::Repeated { .. })));
    let sql =
        "SELECT bucket_start + INTERVAL '1 second' AS bucket_start, namespace, count(*) AS n FROM flows GROUP BY 1, 2";
    assert!(matches!(try_run(&full(sql, &["n"]), &[batch(&rows)], &LIMITS), Err(RunError::OffGrid(Time(1000)))));
}

#[test]
fn statistics_are_what_they_should_be() {
    let rows: Vec<Row> = [2, 4, 4, 4, 5, 5, 7, 9].map(|bytes| row(0, 0, "a", bytes)).to_vec();
    let query = parts(&[
        ("a", "stddev_pop(bytes)"),
        ("b", "var(bytes)"),
        ("c", "median(bytes)"),
        ("d", "percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)"),
        ("e", "count(DISTINCT dest)"),
        ("f", "approx_distinct(dest)"),
        ("g", "count(DISTINCT port) / count(*)"),
        ("h", "bool_or(bytes > 8)"),
        ("i", "sum(bytes) FILTER (WHERE bytes > 100)"),
        ("j", "stddev(bytes) FILTER (WHERE bytes = 2)"),
    ]);
    let table = run(&query, &[batch(&rows)]);
    let values: Vec<f64> = table.values.iter().map(|values| values[0]).collect();
    assert_eq!(&values[..8], [2.0, 32.0 / 7.0, 4.5, 0.45, 4.0, 4.0, 3.0 / 8.0, 1.0]);
    assert!(values[8].is_nan() && values[9].is_nan());
}

#[test]
fn variance_of_large_close_numbers_is_exact() {
    let rows: Vec<Row> = [4.0, 7.0, 13.0, 16.0].map(|x| Row { seconds: Some(1e9 + x), ..row(0, 0, "a", 1) }).to_vec();
    let table = run(&parts(&[("v", "var(seconds)")]), &[batch(&rows)]);
    assert_eq!(table.values[0], [30.0]);
}

#[test]
fn one_plan_that_fails_does_not_stop_the_others() {
    let good = plan(&parts(&[("n", "count(*)")]));
    let bad = plan(&parts(&[("n", "sum(CAST(dest AS BIGINT))")]));
    let mut other = parts(&[("n", "count(*)")]);
    other.bucket = Period::HOUR;
    let other = plan(&other);
    let rows: Vec<Row> = (0..1000).map(|at| row(at * 1000, at * 1000, "a", at)).collect();
    let feed = |feed: &Feed| {
        for _ in 0..20 {
            assert!(feed.push(batch(&rows)));
        }
    };
    let results = aggregate(&[&good, &bad, &other], TimeRange::ALL, &LIMITS, &feed);
    assert_eq!(results[0].as_ref().unwrap().values[0].iter().sum::<f64>(), 20_000.0);
    assert!(matches!(results[1], Err(RunError::Query(_))), "{:?}", results[1]);
    assert_eq!(results[2].as_ref().unwrap().values[0], [20_000.0]);
}

#[test]
fn too_many_groups_and_too_much_memory_are_told() {
    let rows: Vec<Row> = (0..5000).map(|at| row(0, 0, &format!("namespace-{at}"), at)).collect();
    let query = parts(&[("n", "count(DISTINCT dest)"), ("m", "median(bytes)")]);
    let few = Limits { groups: 10, ..LIMITS };
    let result = try_run(&query, &[batch(&rows)], &few);
    assert_eq!(result, Err(RunError::Groups { groups: 5000, limit: 10 }));
    let small = Limits { memory_bytes: 100_000, ..LIMITS };
    assert!(matches!(try_run(&query, &[batch(&rows)], &small), Err(RunError::Memory { .. })));
}

#[test]
fn a_plan_that_works_for_too_long_is_ended_and_feeding_stops() {
    let slow = plan(&with_filter(parts(&[("n", "count(*)")]), "regexp_count(namespace, '(a|b|ab)*c') > 0"));
    let rows: Vec<Row> = (0..8000).map(|at| row(at, at, &"ab".repeat(2000), at)).collect();
    let batch = batch(&rows);
    let feed = |feed: &Feed| while feed.push(batch.clone()) {};
    let started = std::time::Instant::now();
    let limits = Limits { timeout: Period(300), ..LIMITS };
    let results = aggregate(&[&slow], TimeRange::ALL, &limits, &feed);
    assert_eq!(results, [Err(RunError::Timeout(Period(300)))]);
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn waiting_for_rows_is_no_work() {
    let plan = plan(&parts(&[("n", "count(*)")]));
    let rows = batch(&[row(0, 0, "a", 1)]);
    let feed = |feed: &Feed| {
        for _ in 0..6 {
            std::thread::sleep(std::time::Duration::from_millis(200));
            assert!(feed.push(rows.clone()));
        }
    };
    let limits = Limits { timeout: Period(1000), ..LIMITS };
    assert!(aggregate(&[&plan], TimeRange::ALL, &limits, &feed)[0].is_ok());
}

#[test]
fn batches_that_do_not_follow_the_convention_are_an_error() {
    let plan = plan(&parts(&[("n", "count(*)")]));
    let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["a"]));
    let odd = RecordBatch::try_from_iter([("namespace", texts)]).unwrap();
    let results = aggregate(&[&plan], TimeRange::ALL, &LIMITS, &|feed| assert!(!feed.push(odd.clone())));
    assert!(matches!(results[0], Err(RunError::Rows(_))));
}

#[test]
fn a_log_without_rows_gives_an_empty_table() {
    let table = run(&parts(&[("n", "count(*)")]), &[]);
    assert!(table.is_empty() && table.covered.is_empty());
    assert_eq!(table.features, ["n"]);
    assert_eq!(table.values, [Vec::<f64>::new()]);
}

fn everything() -> Plan {
    let query = parts(&[
        ("a", "sum(bytes)"),
        ("b", "sum(seconds)"),
        ("c", "avg(seconds)"),
        ("d", "stddev(seconds)"),
        ("e", "var_pop(bytes)"),
        ("f", "count(DISTINCT dest)"),
        ("g", "approx_distinct(dest)"),
        ("h", "median(seconds)"),
        ("i", "percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds)"),
        ("j", "min(seconds)"),
        ("k", "max(seconds) - min(bytes)"),
        ("l", "sum(seconds) / count(*) FILTER (WHERE port = 1)"),
        ("m", "max(acos(seconds))"),
        ("n", "min(seconds / port)"),
        ("o", "median(acos(seconds))"),
        ("p", "sum(seconds / port)"),
    ]);
    let exclude = Exclude { filter: "port = 2 AND namespace = 'a'".to_owned(), until: Some(Time(3 * MINUTE)) };
    let mut query = with_exclude(query, exclude);
    query.requires = vec!["seconds".to_owned()];
    plan(&query)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let seconds = prop_oneof![
        5 => (-1_000_000i32..1_000_000).prop_map(|x| f64::from(x) / 1000.0),
        1 => any::<f64>().prop_filter("finite", |x| x.is_finite()),
        1 => Just(-0.0),
    ];
    let one = (0i64..5 * MINUTE, 0i64..3 * MINUTE, 0u8..4, prop::option::weighted(0.9, -1000i64..1_000_000))
        .prop_flat_map(move |(start, length, name, bytes)| {
            (prop::option::weighted(0.9, seconds.clone()), 0i64..3, 0u8..9).prop_map(move |(seconds, port, dest)| Row {
                start,
                end: start + if length > 2 * MINUTE { 0 } else { length },
                namespace: (name > 0).then(|| char::from(b'a' + name).to_string()),
                dest: (dest > 0).then(|| format!("10.0.0.{dest}")),
                bytes,
                seconds,
                port: Some(port),
            })
        });
    prop::collection::vec(one, 1..120)
}

/// Feeds the rows in pieces from two threads.
fn feed_in_pieces(plan: &Plan, rows: &[Row], piece: usize) -> FeatureTable {
    let batches: Vec<RecordBatch> = rows.chunks(piece).map(batch).collect();
    let feed = |feed: &Feed| {
        std::thread::scope(|scope| {
            let (one, other) = batches.split_at(batches.len() / 2);
            scope.spawn(|| other.iter().for_each(|batch| assert!(feed.push(batch.clone()))));
            one.iter().for_each(|batch| assert!(feed.push(batch.clone())));
        });
    };
    aggregate(&[plan], TimeRange::ALL, &LIMITS, &feed).remove(0).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_order_of_rows_does_not_change_a_bit(rows in rows(), turn in 0usize..120, piece in 1usize..40) {
        let plan = everything();
        let expected = print(&run_plan(&plan, &rows));
        let mut turned = rows.clone();
        turned.rotate_left(turn % rows.len());
        turned.reverse();
        prop_assert_eq!(&expected, &print(&feed_in_pieces(&plan, &turned, piece)));
        prop_assert_eq!(&expected, &print(&feed_in_pieces(&plan, &rows, piece)));
    }

    #[test]
    fn apportioning_keeps_totals(rows in rows()) {
        let plan = plan(&parts(&[("bytes", "sum(bytes)")]));
        let table = run_plan(&plan, &rows);
        let total: i64 = rows.iter().filter_map(|row| row.bytes).sum();
        let parts = table.values[0].iter().filter(|number| !number.is_nan()).sum::<f64>();
        prop_assert_eq!(total as f64, parts);
    }
}

fn run_plan(plan: &Plan, rows: &[Row]) -> FeatureTable {
    let whole = batch(rows);
    aggregate(&[plan], TimeRange::ALL, &LIMITS, &|feed| assert!(feed.push(whole.clone()))).remove(0).unwrap()
}
