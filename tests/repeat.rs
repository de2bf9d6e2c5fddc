//! The same logs give the same bytes: in any order, in one piece or in many, once or twice.

use std::fmt::Write;

use crate::support::Home;

pub const CONFIGURATION: &str = "\
logs:
  web: { files: \"logs/*.csv\", time: { field: ts, end_field: until, format: rfc3339 } }
detectors: [detectors.d]
sinks:
  - file: { path: alerts.ndjson }
";

pub const DETECTOR: &str = "\
name: load
description: More load than usual.
log: web
entity: [app]
bucket: 10m
features:
  bytes: sum(bytes)
  seconds: sum(seconds)
  mean: avg(seconds)
  clients: count(DISTINCT client)
model: { auto: {} }
threshold: { score: 40, min_rel_dev: 0.5 }
";

pub const DAYS: i64 = 5;

/// Rows of three applications, one every four minutes each, with a surge on the last day.
pub fn rows() -> Vec<String> {
    let mut rows = Vec::new();
    let mut dice: u64 = 42;
    let mut roll = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as f64 / f64::from(1u32 << 31)
    };
    for step in 0..DAYS * 360 {
        for app in ["cart", "web", "pay"] {
            let start = step * 240;
            let daily = 1.0 + 0.5 * ((start % 86_400) as f64 / 86_400.0 * std::f64::consts::TAU).sin();
            let surge = if app == "pay" && (1590..1600).contains(&step) { 20.0 } else { 1.0 };
            let bytes = (10_000.0 * daily * (0.8 + 0.4 * roll()) * surge) as i64;
            let seconds = 0.1 + 0.1 * roll();
            let client = (roll() * 20.0) as i64;
            rows.push(format!("{},{},{app},{bytes},{seconds:.7},c{client}", time(start), time(start + 290)));
        }
    }
    rows
}

/// Seconds after Monday 2026-11-02 as RFC 3339.
pub fn time(seconds: i64) -> String {
    margay_core::Time(1_793_577_600_000 + seconds * 1000).to_string()
}

pub fn csv(rows: &[String]) -> String {
    let mut text = String::from("ts,until,app,bytes,seconds,client\n");
    for row in rows {
        writeln!(text, "{row}").unwrap();
    }
    text
}

/// A home whose log is `rows` in `files` files.
pub fn home(rows: &[String], files: usize) -> Home {
    let home = Home::with(CONFIGURATION);
    home.write("detectors.d/load.yaml", DETECTOR);
    for (at, chunk) in rows.chunks(rows.len().div_ceil(files)).enumerate() {
        home.write(&format!("logs/{at}.csv"), csv(chunk));
    }
    home
}

pub fn replayed(home: &Home) -> (String, String) {
    home.margay(&["replay", "--scores", "scores.csv", "--alerts", "replayed.ndjson"]).expect(0);
    (home.read("scores.csv"), home.read("replayed.ndjson"))
}

#[test]
fn the_order_of_rows_and_files_changes_no_byte() {
    let rows = rows();
    let straight = replayed(&home(&rows, 1));
    assert!(straight.1.lines().count() >= 1, "the surge alerts");
    let mut shuffled = rows;
    shuffled.sort_by_key(|row| margay_core::digest(&[row]));
    assert_eq!(replayed(&home(&shuffled, 7)), straight);
}

#[test]
fn many_cycles_equal_one_replay_and_a_second_run_adds_nothing() {
    let rows = rows();
    let whole = home(&rows, 1);
    let (scores, alerts) = replayed(&whole);
    let cycles = home(&rows, 1);
    let mut pieces = String::new();
    for cycle in 1..=DAYS * 3 + 1 {
        let until = time(cycle * 8 * 3600 + 77);
        cycles.margay(&["run", "--once", "--until", &until, "--scores", "piece.csv"]).expect(0);
        let piece = cycles.read("piece.csv");
        pieces.push_str(if cycle == 1 { &piece } else { piece.split_once('\n').unwrap().1 });
    }
    assert_eq!(pieces, scores);
    assert_eq!(cycles.read("alerts.ndjson"), alerts);
    cycles.margay(&["run", "--once", "--scores", "piece.csv"]).expect(0);
    assert_eq!(cycles.read("piece.csv").lines().count(), 1, "only the header");
    assert_eq!(cycles.read("alerts.ndjson"), alerts);
}

#[test]
fn a_file_that_comes_later_is_read_alone_and_late_rows_withdraw_a_false_alert() {
    let rows = rows();
    let (early, late): (Vec<String>, Vec<String>) = rows.iter().cloned().partition(|row| !row.contains(",pay,"));
    let home = home(&early, 1);
    home.margay(&["run", "--once"]).expect(0);
    home.write("logs/late.csv", csv(&late));
    let ran = home.margay(&["run", "--once", "--output", "json"]).expect(0).json();
    assert!(ran["logs"][0]["rows"].as_u64().unwrap() >= late.len() as u64);
    let live = home.margay(&["alerts", "--output", "json"]).expect(0).json();
    let (_, alerts) = replayed(&home);
    let replayed: std::collections::BTreeSet<String> = alerts
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    let standing: std::collections::BTreeSet<String> = live
        .as_array()
        .unwrap()
        .iter()
        .filter(|alert| alert["status"] != "withdrawn")
        .map(|alert| alert["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(standing, replayed);
}
