//! Figures, not checks: `cargo test --release -p margay-features -- --ignored --nocapture --test-threads 1`.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray};
use margay_core::TimeRange;

use super::fixtures::{LIMITS, parts, plan, schema};
use crate::{Feed, Plan, Query, aggregate};

/// A million rows of 50 namespaces with `names` names each, in batches, as a scan yields them.
fn log(names: u64, seconds_apart: u64) -> Vec<RecordBatch> {
    let batch = |at: u64| {
        let rows = at * 8192..(at + 1) * 8192;
        let mix = |row: u64, salt: u64| {
            let mixed = (row ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^ (mixed >> 29)
        };
        let times: ArrayRef =
            Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| (row * seconds_apart) as i64)));
        let columns: Vec<ArrayRef> = vec![
            times.clone(),
            times,
            Arc::new(StringViewArray::from_iter_values(
                rows.clone().map(|row| format!("namespace-{}", mix(row, 1) % 50)),
            )),
            Arc::new(StringViewArray::from_iter_values(
                rows.clone().map(|row| format!("workload-{}-*", mix(row, 2) % names)),
            )),
            Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| (mix(row, 3) % 100_000) as i64))),
            Arc::new(Float64Array::from_iter_values(rows.clone().map(|row| (mix(row, 4) % 1000) as f64 / 997.0))),
            Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| (mix(row, 5) % 60_000) as i64))),
            arrow::array::new_null_array(schema().field(7).data_type(), 8192),
        ];
        RecordBatch::try_new(schema(), columns).unwrap()
    };
    (0..122).map(batch).collect()
}

/// CPU time of this process in seconds, and the most memory that it held in MB.
fn used() -> (f64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    let peak = peak.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0);
    (ticks as f64 / 100.0, peak / 1024)
}

fn measure(what: &str, query: &Query, batches: &[RecordBatch]) {
    let plan: Plan = plan(query);
    let (before, memory) = used();
    let started = Instant::now();
    let produce = |feed: &Feed| assert!(batches.iter().all(|batch| feed.push(batch.clone())));
    let table = aggregate(&[&plan], TimeRange::ALL, &LIMITS, &produce).remove(0).unwrap();
    let (after, peak) = used();
    let wall = started.elapsed().as_secs_f64();
    println!("{what}: {} groups, {:.2} CPU s, {wall:.2} s, +{} MB", table.len(), after - before, peak - memory);
}

fn by_two(features: &[(&str, &str)]) -> Query {
    let mut query = parts(features);
    query.entity.push(("dest".to_owned(), "dest".to_owned()));
    query
}

#[test]
#[ignore = "prints figures"]
fn a_million_rows() {
    let batches = log(20, 1);
    measure("count", &by_two(&[("n", "count(*)")]), &batches);
    measure("sum, count, avg", &by_two(&[("b", "sum(bytes)"), ("n", "count(*)"), ("s", "avg(seconds)")]), &batches);
    measure("stddev", &by_two(&[("s", "stddev(seconds)")]), &batches);
    let fine = log(20, 100);
    measure("sum, count, avg, fine", &by_two(&[("b", "sum(bytes)"), ("n", "count(*)"), ("s", "avg(seconds)")]), &fine);
    let distinct = log(5000, 300);
    measure("distinct text", &parts(&[("d", "count(DISTINCT dest)")]), &distinct);
    measure(
        "distinct text and number",
        &parts(&[("d", "count(DISTINCT dest)"), ("p", "count(DISTINCT port)")]),
        &distinct,
    );
}
