use std::sync::Arc;

use margay_core::{Entity, Records, Time, TimeRange};

use super::fixtures::{Row, batch, full, parts, plan, row, with_exclude, with_filter};
use crate::{Exclude, Plan, Want, sample, sample_columns};

const MINUTE: i64 = 60_000;

fn want(name: &str, start: i64, end: i64) -> Want {
    let entity = Entity::new(Arc::new(["namespace".to_owned()]), vec![Some(name.to_owned())]);
    Want { entity, range: TimeRange { start: Time(start), end: Time(end) } }
}

fn find(plan: &Plan, wants: &[Want], most: usize, rows: &[Row]) -> Vec<Records> {
    let produce = |feed: &crate::Feed| assert!(rows.chunks(3).all(|rows| feed.push(batch(rows))));
    sample(plan, wants, most, &sample_columns(plan), &produce).unwrap()
}

#[test]
fn rows_of_the_entity_that_touch_the_time_are_found_first_ones_first() {
    let query = with_filter(parts(&[("n", "count(*)")]), "port < 2");
    let query = with_exclude(query, Exclude { filter: "bytes = 4".to_owned(), until: None });
    let plan = plan(&query);
    let mut rows = vec![
        row(0, 30_000, "a", 1),
        row(30_000, 90_000, "a", 3),
        row(MINUTE, MINUTE, "a", 4),
        row(MINUTE, MINUTE, "b", 6),
        row(70_000, 70_000, "a", 6),
        row(71_000, 71_000, "a", 2),
        row(80_000, 80_000, "a", 7),
        row(2 * MINUTE, 2 * MINUTE, "a", 9),
    ];
    let wants = [want("a", MINUTE, 2 * MINUTE), want("b", 0, MINUTE)];
    let expected = find(&plan, &wants, 2, &rows);
    let bytes: Vec<i64> = expected[0].rows.iter().map(|row| row["bytes"].as_i64().unwrap()).collect();
    assert_eq!((bytes, expected[0].left_out), (vec![3, 6], 1));
    assert_eq!(expected[1], Records::default());
    rows.reverse();
    assert_eq!(find(&plan, &wants, 2, &rows), expected);
}

#[test]
fn records_hold_single_values_without_nulls() {
    let plan = plan(&parts(&[("n", "count(*)")]));
    let one = Row { seconds: None, ..row(0, 0, "a", 4) };
    let found = find(&plan, &[want("a", 0, 1)], 5, &[one]);
    let text = serde_json::to_string(&found[0].rows).unwrap();
    assert_eq!(text, r#"[{"namespace":"a","dest":"10.0.0.4","bytes":4,"port":1}]"#);
}

#[test]
fn rows_that_are_equal_are_all_counted() {
    let plan = plan(&parts(&[("n", "count(*)")]));
    let rows = vec![row(0, 0, "a", 4); 10];
    let found = find(&plan, &[want("a", 0, MINUTE)], 3, &rows);
    assert_eq!((found[0].rows.len(), found[0].left_out), (3, 7));
}

#[test]
fn rows_behind_a_statement_are_those_of_the_entity() {
    let plan = plan(&full("SELECT bucket_start, namespace, count(*) AS n FROM flows GROUP BY 1, 2", &["n"]));
    let found = find(&plan, &[want("a", 0, MINUTE)], 3, &[row(0, 0, "a", 4), row(0, 0, "b", 4)]);
    assert_eq!(found[0].rows.len(), 1);
}
