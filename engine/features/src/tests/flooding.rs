//! More entities than there is room for.

use std::sync::Arc;

use margay_core::TimeRange;

use super::fixtures::{LIMITS, Row, batch, parts, plan, print, row, with_filter};
use crate::{Feed, Limits, aggregate};

/// A flood of names, each once, and twenty that come again and again.
fn flood() -> Vec<Row> {
    let steady =
        (0..20).flat_map(|name| (0..60).map(move |at| row(at * 1000, at * 1000, &format!("steady-{name}"), at)));
    let random = (0..60_000).map(|at| row(at, at, &format!("random-{}", at * 7919 % 60_000), 1));
    steady.chain(random).collect()
}

#[test]
fn in_a_flood_of_entities_the_known_ones_stay_and_of_the_others_the_same_sample_in_any_order() {
    let known = || {
        let name =
            |name| margay_core::Entity::new(Arc::from(["namespace".to_owned()]), vec![Some(format!("steady-{name}"))]);
        (0..20).map(name).collect()
    };
    let query = with_filter(parts(&[("n", "count(*)"), ("m", "median(bytes)")]), "bytes < 1000");
    let plan = plan(&query).with_known(known);
    let mut rows = flood();
    let run = |rows: &[Row], limits: &Limits| {
        let feed = |feed: &Feed| rows.chunks(4096).for_each(|rows| assert!(feed.push(batch(rows))));
        aggregate(&[&plan], TimeRange::ALL, limits, &feed).remove(0).unwrap()
    };
    let roomy = Limits { entities: 1000, ..LIMITS };
    let table = run(&rows, &roomy);
    assert_eq!(table.entities.len(), 1000);
    assert_eq!(table.entities.iter().filter(|one| one.to_string().starts_with("steady")).count(), 20);
    assert!((53_000..65_000).contains(&table.left_out), "{} of 59,020", table.left_out);
    let tight = Limits { memory_bytes: 4 << 20, ..roomy };
    rows.reverse();
    assert_eq!(print(&run(&rows, &tight)), print(&table), "with little memory, in another order");
    let shared = Limits { total_bytes: 4 << 20, ..roomy };
    assert_eq!(run(&rows, &shared), table);
    let all = run(&rows, &LIMITS);
    assert_eq!((all.entities.len(), all.left_out), (60_020, 0));
}
