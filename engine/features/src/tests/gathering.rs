use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Field, Schema};
use margay_core::log::{END, ROWS, START, count_of, least_of, most_of};
use margay_core::{Grouping, Measure, Period, Time, TimeRange};
use proptest::prelude::*;

use super::fixtures::{LIMITS, Row, batch, full, parts, print, row, run, schema, with_exclude, with_filter};
use crate::{Exclude, Feed, Plan, Query, aggregate};

const MINUTE: i64 = 60_000;

fn grouping(query: &Query) -> Result<Grouping, String> {
    Plan::gathered(query, schema()).map(|gathered| gathered.grouping)
}

fn measure(column: &str, sum: bool, extremes: bool) -> Measure {
    Measure { column: column.to_owned(), sum, extremes }
}

#[test]
fn columns_are_keys_where_each_value_matters_and_measures_where_totals_do() {
    let query = with_filter(
        parts(&[
            ("a", "sum(bytes) FILTER (WHERE dest IS NOT NULL)"),
            ("b", "count(*) + count(bytes)"),
            ("c", "max(seconds)"),
        ]),
        "port > 1",
    );
    let keys = ["dest", "namespace", "port"].map(str::to_owned).to_vec();
    let measures = vec![measure("bytes", true, false), measure("seconds", false, true)];
    assert_eq!(grouping(&query), Ok(Grouping { bucket: Period::MINUTE, keys, measures }));
}

#[test]
fn what_needs_the_rows_themselves_says_so() {
    let reason = |feature: &str| grouping(&parts(&[("x", feature)])).unwrap_err();
    assert!(reason("sum(seconds)").contains("`seconds` holds fractions"));
    assert!(reason("median(bytes)").contains("`median` cannot be made of totals"));
    assert!(reason("stddev(bytes)").contains("`stddev` cannot be made of totals"));
    assert!(reason("sum(bytes * port)").contains("cannot be added up by group"));
    assert!(reason("sum(bytes) FILTER (WHERE bytes > 3)").contains("`bytes` is both added up and compared"));
    assert!(reason("count(*) FILTER (WHERE seconds > 1)").contains("grouped by `seconds`"));
    let statement = full("SELECT bucket_start, namespace, sum(bytes) AS x FROM flows GROUP BY 1, 2", &["x"]);
    assert_eq!(grouping(&statement), Err("it is one statement".to_owned()));
}

/// Gathers rows as a server would: those within one bucket by their keys, the others as they are.
fn gathered(rows: &[Row], grouping: &Grouping) -> Vec<RecordBatch> {
    let bucket = grouping.bucket.0;
    let fits = |row: &&Row| row.start.div_euclid(bucket) == (row.end - 1).max(row.start).div_euclid(bucket);
    let has = |name: &str| grouping.keys.iter().any(|key| key == name);
    let mut groups: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(fits) {
        let key = (
            row.start.div_euclid(bucket) * bucket,
            row.namespace.clone().filter(|_| has("namespace")),
            row.dest.clone().filter(|_| has("dest")),
            row.port.filter(|_| has("port")),
        );
        groups.entry(key).or_default().push(row);
    }
    let ints = |of: &dyn Fn(&[&Row]) -> Option<i64>| -> ArrayRef {
        Arc::new(groups.values().map(|rows| of(rows)).collect::<Int64Array>())
    };
    let keys = || groups.keys();
    let bytes = |rows: &[&Row]| rows.iter().filter_map(|row| row.bytes).collect::<Vec<_>>();
    let mut columns: Vec<(String, ArrayRef)> = vec![
        (START.to_owned(), Arc::new(keys().map(|key| Some(key.0)).collect::<Int64Array>())),
        (END.to_owned(), Arc::new(keys().map(|key| Some(key.0)).collect::<Int64Array>())),
        ("namespace".to_owned(), Arc::new(keys().map(|key| key.1.clone()).collect::<StringViewArray>())),
        ("dest".to_owned(), Arc::new(keys().map(|key| key.2.clone()).collect::<StringViewArray>())),
        ("port".to_owned(), Arc::new(keys().map(|key| key.3).collect::<Int64Array>())),
        (ROWS.to_owned(), ints(&|rows| Some(rows.len() as i64))),
    ];
    if grouping.measures.iter().any(|measure| measure.column == "bytes") {
        columns.push(("bytes".to_owned(), ints(&|rows| bytes(rows).into_iter().reduce(|a, b| a + b))));
        columns.push((count_of("bytes"), ints(&|rows| Some(bytes(rows).len() as i64))));
        columns.push((least_of("bytes"), ints(&|rows| bytes(rows).into_iter().min())));
        columns.push((most_of("bytes"), ints(&|rows| bytes(rows).into_iter().max())));
    }
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true)).collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let others: Vec<Row> = rows.iter().filter(|row| !fits(row)).cloned().collect();
    vec![RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap(), batch(&others)]
}

fn queries() -> Vec<Query> {
    let mut all = parts(&[
        ("sum", "sum(bytes)"),
        ("rows", "count(*)"),
        ("some", "count(*) FILTER (WHERE dest = '10.0.0.1')"),
        ("values", "count(bytes) / 2"),
        ("known", "count(dest)"),
        ("mean", "avg(bytes)"),
        ("least", "min(bytes)"),
        ("most", "max(bytes) FILTER (WHERE port <> 1)"),
        ("hosts", "count(DISTINCT dest)"),
        ("names", "array_agg(DISTINCT dest) FILTER (WHERE port = 0)"),
        ("share", "sum(CASE WHEN port = 1 THEN bytes ELSE 0 END) / sum(bytes)"),
        ("marked", "sum(CASE port WHEN 1 THEN 3 WHEN 2 THEN coalesce(bytes, 0) END)"),
        ("none", "coalesce(sum(bytes) FILTER (WHERE port = 2), 0)"),
    ]);
    all.requires = vec!["bytes".to_owned(), "port".to_owned()];
    let simple = with_filter(parts(&[("sum", "sum(bytes)"), ("n", "count(*)")]), "namespace <> 'b'");
    let mut apart = with_exclude(
        with_filter(all.clone(), "coalesce(namespace, 'none') <> 'a'"),
        Exclude { filter: "dest = '10.0.0.2'".to_owned(), until: Some(Time(MINUTE)) },
    );
    apart.entity = vec![("who".to_owned(), "concat(namespace, ':', port)".to_owned())];
    vec![all, simple, apart]
}

fn any_row() -> impl Strategy<Value = Row> {
    let span = (0i64..180_000, prop_oneof![3 => Just(0i64), 3 => 0i64..30_000, 1 => 0i64..200_000]);
    let gap = || prop::bool::weighted(0.2);
    (span, prop::sample::select(vec!["a", "b", "c"]), -50i64..50, gap(), gap(), gap(), gap()).prop_map(
        |((start, length), name, bytes, no_name, no_dest, no_bytes, no_port)| {
            let mut row = row(start, start + length, name, bytes);
            row.namespace.take_if(|_| no_name);
            row.dest.take_if(|_| no_dest);
            row.bytes.take_if(|_| no_bytes);
            row.port.take_if(|_| no_port);
            row
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn gathered_rows_give_the_same_features_to_the_bit(rows in prop::collection::vec(any_row(), 0..60)) {
        for query in queries() {
            let whole = run(&query, &[batch(&rows)]);
            let gathering = Plan::gathered(&query, schema()).unwrap();
            let batches = gathered(&rows, &gathering.grouping);
            let feed = |feed: &Feed| batches.iter().for_each(|batch| {
                feed.push(batch.clone());
            });
            let table = aggregate(&[&gathering.plan], TimeRange::ALL, &LIMITS, &feed).remove(0).unwrap();
            prop_assert_eq!(print(&table), print(&whole));
        }
    }
}
