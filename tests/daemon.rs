//! `run` goes on: its day equals the replay of the day, a broken neighbour and a bad edit stop nothing, a kill loses
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Home, copy, root, rounds, wait};

pub const CONFIGURATION: &str = "\
logs:
  web: { files: \"logs/*.csv\", time: { field: ts } }
detectors: [detectors.d]
daemon: { reload: 1s, alert_age: 520w }
sinks:
  - file: { path: alerts.ndjson }
";
/// Rounds of the kill test; the long form has 200.
const ROUNDS: &str = "MARGAY_ROUNDS";

pub fn detector(name: &str, above: u32) -> String {
    format!(
        "name: {name}\nlog: web\nentity: [app]\nbucket: 1m\nfeatures: {{ hits: sum(hits) }}\nmodel: {{ limit: {{ above: {above} }} }}\nthreshold: {{ refractory: 1m }}\n"
    )
}

/// Minutes of two applications; every tenth minute one of them is loud.
fn csv(minutes: std::ops::Range<i64>) -> String {
    let row = |minute: i64| {
        let time = margay_core::Time(1_793_577_600_000 + minute * 60_000);
        let hits = if minute % 10 == 0 { 99 } else { 1 };
        format!("{time},web,{hits}\n{time},cart,1\n")
    };
    std::iter::once("ts,app,hits\n".to_owned()).chain(minutes.map(row)).collect()
}

fn home() -> Home {
    let home = Home::with(CONFIGURATION);
    home.write("detectors.d/loud.yaml", detector("loud", 50));
    home.write("logs/0.csv", csv(0..60));
    home
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn delivered(home: &Home) -> Vec<Value> {
    if home.path("alerts.ndjson").exists() { lines(&home.read("alerts.ndjson")) } else { Vec::new() }
}

#[test]
fn a_day_through_the_daemon_equals_the_replay_of_the_day() {
    let home = Home::with(
        "logs:\n  flows: { files: logs/flows.ndjson.gz, preset: calico-flows }\n  dns: { files: logs/dns.ndjson.gz, preset: calico-dns }\n  l7: { files: logs/l7.ndjson.gz, preset: calico-l7 }\ndetectors: [detectors.d]\nsinks:\n  - file: { path: alerts.ndjson }\n",
    );
    copy(&root().join("detectors.d"), &home.path("detectors.d"));
    home.margay(&["generate", "--out", "logs", "--days", "3", "--pods", "30"]).expect(0);
    let (from, to) = ("2026-11-15T00:00:00Z", "2026-11-16T00:00:00Z");
    home.margay(&["--log", "info", "run", "--accelerated-from", from, "--until", to, "--scores", "live.csv"]).expect(0);
    home.margay(&["replay", "--from", from, "--to", to, "--scores", "day.csv", "--alerts", "day.ndjson"]).expect(0);
    let scores = |file: &str| -> BTreeSet<String> {
        let start = |line: &str| line.find("2026-11-").map(|at| line[at..at + from.len()].to_owned());
        home.read(file)
            .lines()
            .filter(|line| start(line).is_some_and(|start| *start >= *from))
            .map(str::to_owned)
            .collect()
    };
    let day = scores("day.csv");
    assert!(day.len() > 10_000, "{} scores", day.len());
    assert_eq!(scores("live.csv").symmetric_difference(&day).take(3).collect::<Vec<_>>(), [""; 0]);
    let live: Vec<Value> =
        delivered(&home).into_iter().filter(|alert| alert["time"].as_str().is_some_and(|time| time > from)).collect();
    assert!(!live.is_empty(), "the planted incidents alert");
    assert_eq!(live, lines(&home.read("day.ndjson")));
}

#[test]
fn an_unreadable_feature_store_is_an_error_of_its_detector_alone() {
    let home = home();
    home.write("detectors.d/other.yaml", detector("other", 60));
    home.margay(&["run", "--once"]).expect(0);
    let store = std::fs::read_dir(home.path(".margay/features/loud")).unwrap().next().unwrap().unwrap().path();
    let day = std::fs::read_dir(store).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&day).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&day, bytes).unwrap();
    home.write("logs/1.csv", csv(60..120));
    let ran = home.margay(&["run", "--once"]).expect(2);
    assert!(ran.stderr.contains("is damaged"), "{}", ran.stderr);
    let status = home.margay(&["status", "--output", "json"]).expect(0).json();
    let of =
        |name: &str| status["detectors"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!(of("loud")["state"], "error", "{status}");
    assert!(of("loud")["reason"].as_str().unwrap().contains(".parquet is damaged"), "{status}");
    assert_eq!(of("other")["state"], "ok", "{status}");
    assert_eq!(of("other")["watermark"], "2026-11-02T02:00:00Z", "{status}");
    let again = home.margay(&["run", "--once", "--output", "json"]).expect(0).json();
    assert_eq!(again["logs"][0]["rows"], 240, "the logs of the damaged day are read again: {again}");
    let status = home.margay(&["status", "--output", "json"]).expect(0).json();
    let loud = status["detectors"].as_array().unwrap().iter().find(|one| one["name"] == "loud").unwrap().clone();
    assert_eq!((&loud["state"], &loud["watermark"]), (&"ok".into(), &"2026-11-02T02:00:00Z".into()), "{status}");
    let ids: BTreeSet<String> = delivered(&home).iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 12 + 12, "every alert of both, under the ids that they had");
}

#[test]
fn a_daemon_reads_what_comes_alerts_is_asked_and_ends_well_when_told() {
    let home = home();
    let mut daemon = home.spawn("first", &["run"]);
    wait("the first alerts", || delivered(&home).iter().any(|alert| alert["start"] == "2026-11-02T00:50:00Z"));
    let status = home.margay(&["status", "--output", "json"]).expect(0).json();
    assert_eq!(status["detectors"][0]["state"], "ok", "{status}");
    let alerts = home.margay(&["alerts", "--output", "json"]).expect(0).json();
    home.margay(&["explain", alerts[0]["id"].as_str().unwrap()]).expect(0);
    let refused = home.margay(&["run", "--once"]).expect(2);
    assert!(refused.stderr.contains("in use by another margay"), "{}", refused.stderr);
    let id = alerts[0]["id"].as_str().unwrap();
    let left = home.margay(&["label", id, "false", "--note", "a test"]).expect(0);
    assert!(left.stderr.contains("another margay has the state"), "{}", left.stderr);
    let labels = || home.margay(&["label", "--list", "--output", "json"]).expect(0).json();
    wait("the label is taken over", || labels()[0]["note"] == "a test");
    home.margay(&["label", id, "--remove"]).expect(0);
    wait("the label is taken back", || labels() == serde_json::json!([]));
    home.margay(&["silence", id, "--for", "1h", "--reason", "known", "--owner", "ops"]).expect(0);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.said());
    home.write("logs/1.csv", csv(60..120));
    let mut daemon = home.spawn("second", &["run"]);
    wait("alerts after a stop", || delivered(&home).iter().any(|alert| alert["start"] == "2026-11-02T01:50:00Z"));
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.said());
    assert_eq!((opened(&home).len(), different(&home)), (12, 12), "no gap, nothing twice");
}

/// The ids of the alerts that were opened, as often as they were told.
fn opened(home: &Home) -> Vec<String> {
    let delivered = delivered(home);
    let opened = delivered.iter().filter(|alert| alert["status"] == "open");
    opened.map(|alert| alert["id"].as_str().unwrap().to_owned()).collect()
}

/// How many different alerts were opened. What is killed between a delivery and its acknowledgement delivers again.
fn different(home: &Home) -> usize {
    opened(home).into_iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn of_two_daemons_one_works_and_the_other_takes_over_after_a_kill() {
    let home = home();
    let mut first = home.spawn("first", &["run"]);
    wait("the first alerts", || different(&home) == 6);
    let mut second = home.spawn("second", &["run"]);
    wait("the second one stands by", || second.said().contains("standing by"));
    home.write("logs/1.csv", csv(60..120));
    first.kill();
    wait("the second one takes over", || different(&home) == 12);
    assert_eq!(second.terminate(), Some(0), "{}", second.said());
    assert_eq!(different(&home), 12);
}

#[test]
fn a_damaged_state_is_told_and_its_previous_generation_taken() {
    let home = home();
    home.margay(&["run", "--once"]).expect(0);
    let state = home.path(".margay/state.redb");
    let mut bytes = std::fs::read(&state).unwrap();
    let middle = bytes.len() / 2;
    bytes[..middle].iter_mut().skip(4096).step_by(97).for_each(|byte| *byte ^= 0x5a);
    std::fs::write(&state, bytes).unwrap();
    home.write("logs/1.csv", csv(60..120));
    let ran = home.margay(&["run", "--once"]).expect(0);
    assert!(ran.stderr.contains("its previous generation is in use"), "{}", ran.stderr);
    assert!(home.path(".margay/state.redb.damaged").exists());
    let ids: BTreeSet<String> = delivered(&home).iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 12);
}

#[test]
fn alerts_older_than_their_age_are_kept_and_not_delivered() {
    let home = home();
    home.write("margay.yaml", CONFIGURATION.replace("alert_age: 520w", "alert_age: 15m"));
    let (from, to) = ("2026-11-02T00:55:00Z", "2026-11-02T01:00:00Z");
    home.margay(&["run", "--accelerated-from", from, "--until", to]).expect(0);
    let starts: BTreeSet<String> =
        delivered(&home).iter().map(|alert| alert["start"].as_str().unwrap().to_owned()).collect();
    assert_eq!(starts.into_iter().collect::<Vec<_>>(), ["2026-11-02T00:40:00Z", "2026-11-02T00:50:00Z"]);
    let kept = home.margay(&["alerts", "--output", "json"]).expect(0).json();
    assert_eq!(kept.as_array().unwrap().len(), 6, "{kept}");
}

#[test]
fn a_bad_edit_changes_nothing_and_a_good_one_is_taken_over() {
    let home = home();
    let mut daemon = home.spawn("daemon", &["run"]);
    wait("the first alerts", || !delivered(&home).is_empty());
    home.write("detectors.d/second.yaml", detector("second", 60).replace("sum(hits)", "sum(hitz)"));
    wait("the refusal", || daemon.said().contains("the last good one stays in use"));
    home.write("detectors.d/second.yaml", detector("second", 60));
    wait("alerts of the new detector", || delivered(&home).iter().any(|alert| alert["detector"] == "second"));
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.said());
    assert!(daemon.said().contains("hitz"), "{}", daemon.said());
    let loud: Vec<Value> = delivered(&home).into_iter().filter(|alert| alert["detector"] == "loud").collect();
    let ids: BTreeSet<&str> = loud.iter().map(|alert| alert["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 6, "what was told stays told once");
}

/// Kills at any moment, from a few milliseconds after the start on; the sink's file is the ledger.
#[test]
fn a_kill_at_any_point_loses_no_alert_and_tells_none_twice_under_a_new_id() {
    let rounds = rounds(ROUNDS, 8);
    let home = home();
    let mut dice: u64 = 7;
    for round in 1..=rounds {
        home.write(&format!("logs/{round}.csv"), csv(round * 60..(round + 1) * 60));
        let mut daemon = home.spawn("daemon", &["run"]);
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(5 + (dice >> 33) % 400));
        daemon.kill();
        home.margay(&["status"]).expect(0);
    }
    home.margay(&["run", "--once"]).expect(0);
    let clean = self::home();
    for round in 1..=rounds {
        clean.write(&format!("logs/{round}.csv"), csv(round * 60..(round + 1) * 60));
    }
    clean.margay(&["run", "--once"]).expect(0);
    let ledger = |home: &Home| -> BTreeMap<String, Value> {
        delivered(home)
            .into_iter()
            .map(|alert| (format!("{} {} {}", alert["id"], alert["revision"], alert["status"]), alert["start"].clone()))
            .collect()
    };
    assert_eq!(ledger(&clean).values().map(Value::to_string).collect::<BTreeSet<_>>().len() as i64, (rounds + 1) * 6);
    assert_eq!(ledger(&home), ledger(&clean), "after {rounds} kills");
}
