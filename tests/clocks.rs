//! Stops and clocks: after a pause of any length, and whatever the clock does, every bucket is judged once and no alert is
//! told twice; what is too old is kept and not delivered, and what is missing is called a gap.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use crate::support::Home;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 2026-10-01: the last Sunday of the month, when clocks of Europe are set back, is 24 days later.
const START_MS: i64 = 1_790_812_800_000;
const DAYS: i64 = 40;

fn at(ms: i64) -> String {
    margay_core::Time(START_MS + ms).to_string()
}

/// Ten-minute buckets of two applications, one of which is loud every four hours.
fn csv(from_ms: i64, until_ms: i64) -> String {
    let mut csv = "ts,app,hits\n".to_owned();
    for ms in (from_ms..until_ms).step_by(10 * MINUTE_MS as usize) {
        let hits = if ms % (4 * HOUR_MS) == 0 { 99 } else { 1 };
        write!(csv, "{0},web,{hits}\n{0},cart,1\n", at(ms)).unwrap();
    }
    csv
}

fn home() -> Home {
    let home = Home::with(
        "logs:\n  web: { files: \"logs/*.csv\", time: { field: ts } }\ndetectors: [detectors.d]\nsinks:\n  - file: { path: alerts.ndjson }\n",
    );
    home.write(
        "detectors.d/loud.yaml",
        "name: loud\nlog: web\nentity: [app]\nbucket: 10m\nfeatures: { hits: sum(hits) }\nmodel: { limit: { above: 50 } }\nthreshold: { refractory: 10m }\n",
    );
    home
}

/// A daemon's life from one time to another on a clock that jumps over waits; its scores.
fn live(home: &Home, from_ms: i64, until_ms: i64) -> Vec<String> {
    home.margay(&["run", "--accelerated-from", &at(from_ms), "--until", &at(until_ms), "--scores", "piece.csv"])
        .expect(0);
    home.read("piece.csv").lines().skip(1).map(str::to_owned).collect()
}

fn lines(home: &Home) -> Vec<Value> {
    home.read("alerts.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Revisions that were delivered, and how often.
fn delivered(home: &Home) -> BTreeMap<(String, u64), usize> {
    let mut all = BTreeMap::new();
    for alert in lines(home) {
        let key = (alert["id"].as_str().unwrap().to_owned(), alert["revision"].as_u64().unwrap());
        *all.entry(key).or_default() += 1;
    }
    all
}

fn kept(home: &Home) -> BTreeSet<String> {
    let alerts = home.margay(&["alerts", "--output", "json"]).expect(0).json();
    alerts.as_array().unwrap().iter().map(|alert| format!("{} {}", alert["id"], alert["status"])).collect()
}

/// What nobody interrupted, from the start of the logs to a time.
fn unbroken(until_ms: i64) -> (Vec<String>, BTreeSet<String>) {
    let home = home();
    home.write("logs/0.csv", csv(0, DAYS * DAY_MS));
    (live(&home, 0, until_ms), kept(&home))
}

#[test]
fn a_stop_of_any_length_leaves_no_gap_and_no_double() {
    let stopped_ms = 2 * DAY_MS;
    for stop_ms in [10 * MINUTE_MS, 3 * HOUR_MS, 3 * DAY_MS, 30 * DAY_MS] {
        let home = home();
        home.write("logs/0.csv", csv(0, DAYS * DAY_MS));
        let (again_ms, end_ms) = (stopped_ms + stop_ms, stopped_ms + stop_ms + 5 * HOUR_MS);
        let mut scores = live(&home, 0, stopped_ms);
        scores.extend(live(&home, again_ms, end_ms));
        let (expected, alerts) = unbroken(end_ms);
        assert_eq!(scores, expected, "after {stop_ms} ms every bucket is judged once");
        assert_eq!(kept(&home), alerts, "after {stop_ms} ms");
        let delivered = delivered(&home);
        assert!(delivered.values().all(|times| *times == 1), "after {stop_ms} ms none is told twice");
        // Those of the last day before the restart are told, those before are kept only.
        let told_from = at((again_ms - DAY_MS).max(stopped_ms));
        let old: Vec<Value> = lines(&home)
            .into_iter()
            .filter(|alert| {
                let time = alert["time"].as_str().unwrap();
                time > &at(stopped_ms)[..] && time < &told_from[..]
            })
            .collect();
        assert_eq!(old, Vec::<Value>::new(), "after {stop_ms} ms nothing old is told");
        let opened = lines(&home)
            .into_iter()
            .filter(|alert| alert["status"] == "open" && alert["time"].as_str() >= Some(&told_from))
            .count() as i64;
        let newest = (end_ms - (again_ms - DAY_MS).max(stopped_ms)) / (4 * HOUR_MS);
        assert!((newest - 1..=newest + 1).contains(&opened), "after {stop_ms} ms {opened} alerts of {newest} are told");
        let status = home.margay(&["status", "--output", "json"]).expect(0).json();
        assert_eq!(status["detectors"][0]["gaps"]["count"], 0, "{status}");
    }
}

#[test]
fn history_that_is_gone_is_a_gap_and_no_silence() {
    let home = home();
    home.write("logs/0.csv", csv(0, 2 * DAY_MS));
    live(&home, 0, 2 * DAY_MS);
    home.write("logs/1.csv", csv(20 * DAY_MS, 21 * DAY_MS));
    live(&home, 20 * DAY_MS, 21 * DAY_MS);
    let status = home.margay(&["status", "--output", "json"]).expect(0).json();
    let gaps = &status["detectors"][0]["gaps"];
    assert_eq!(
        (&gaps["count"], &gaps["newest"][0]["start"], &gaps["newest"][0]["end"]),
        (&1.into(), &at(2 * DAY_MS).into(), &at(20 * DAY_MS).into()),
        "{status}"
    );
}

#[test]
fn a_clock_that_jumps_an_hour_judges_nothing_twice_and_tells_nothing_twice() {
    for jump_ms in [HOUR_MS, -HOUR_MS] {
        let home = home();
        home.write("logs/0.csv", csv(0, DAYS * DAY_MS));
        let jumped_ms = DAY_MS + 2 * HOUR_MS;
        let mut scores = live(&home, 0, jumped_ms);
        scores.extend(live(&home, jumped_ms + jump_ms, 2 * DAY_MS));
        let (expected, alerts) = unbroken(2 * DAY_MS);
        assert_eq!(scores, expected, "{jump_ms} ms");
        assert_eq!(kept(&home), alerts, "{jump_ms} ms");
        assert!(delivered(&home).values().all(|times| *times == 1), "{jump_ms} ms");
    }
}

#[test]
fn a_clock_an_hour_ahead_takes_logs_that_are_not_there_yet_for_no_drop() {
    let home = home();
    home.write("detectors.d/drop.yaml", "name: drop\nlog: web\nentity: [app]\nbucket: 10m\nfeatures: { hits: sum(hits) }\nmodel: { limit: { below: 0.5 } }\n");
    home.write("logs/0.csv", csv(0, DAY_MS));
    live(&home, 0, DAY_MS);
    home.margay(&["run", "--once", "--until", &at(DAY_MS + HOUR_MS)]).expect(0);
    home.write("logs/1.csv", csv(DAY_MS, DAY_MS + 2 * HOUR_MS));
    live(&home, DAY_MS, DAY_MS + 2 * HOUR_MS);
    let alerts = home.margay(&["alerts", "--output", "json"]).expect(0).json();
    let drops = alerts.as_array().unwrap().iter().filter(|alert| alert["detector"] == "drop").count();
    assert_eq!(drops, 0, "{alerts}");
}

#[test]
fn summer_time_and_leap_seconds_change_nothing() {
    // Clocks of Berlin are set back on 2026-10-25 and forward on 2027-03-28.
    for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] {
        let home = home();
        home.write("logs/0.csv", csv(23 * DAY_MS, 26 * DAY_MS));
        let args =
            ["run", "--accelerated-from", &at(23 * DAY_MS), "--until", &at(26 * DAY_MS), "--scores", "piece.csv"];
        home.margay_with(&[("TZ", zone)], &args).expect(0);
        let other = self::home();
        other.write("logs/0.csv", csv(23 * DAY_MS, 26 * DAY_MS));
        live(&other, 23 * DAY_MS, 26 * DAY_MS);
        assert_eq!(home.read("piece.csv"), other.read("piece.csv"), "{zone}");
        assert_eq!(home.read("alerts.ndjson"), other.read("alerts.ndjson"), "{zone}");
    }
    let home = home();
    home.write(
        "logs/0.csv",
        "ts,app,hits\n2016-12-31T23:59:59Z,web,1\n2016-12-31T23:59:60Z,web,99\n2017-01-01T00:00:00Z,web,1\n",
    );
    let ran = home.margay(&["run", "--once", "--output", "json"]).expect(0).json();
    let log = &ran["logs"][0];
    assert_eq!(log["rows"].as_u64().unwrap() + log["bad_rows"].as_u64().unwrap(), 3, "read, or counted as bad: {log}");
}
