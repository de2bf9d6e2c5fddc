//! Files that tune: exclusions, silences, labels. What is live is what a replay gives.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::repeat::{DAYS, home, replayed, rows, time};
use crate::support::Home;

/// Leaves the surge of the last day out, and an hour of the second.
const EXCLUSION: &str = "\
selector: { detectors: [load], entity: { app: pay } }
from: 2026-11-06T09:00:00Z
to: 2026-11-06T12:00:00Z
reason: load test
owner: ops
";

const SILENCE: &str = "\
selector: { logs: [web], entity: { app: p* } }
from: 2026-11-06T00:00:00Z
until: 2026-11-07T00:00:00Z
reason: known surge
owner: ops
";

fn alerts(home: &Home, more: &[&str]) -> Vec<Value> {
    let args = [&["alerts", "--output", "json"], more].concat();
    home.margay(&args).expect(0).json().as_array().unwrap().clone()
}

/// Lines of the file sink.
fn delivered(home: &Home) -> Vec<Value> {
    let text = std::fs::read_to_string(home.path("alerts.ndjson")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn surge(home: &Home) -> Value {
    alerts(home, &[]).into_iter().find(|alert| alert["entity"]["app"] == "pay").expect("the surge alerts")
}

/// States of the scores by application, in the morning of the surge.
fn states(scores: &str) -> BTreeMap<String, Vec<String>> {
    let mut states: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in scores.lines().filter(|row| row.contains("2026-11-06T10:20:00Z,bytes")) {
        let app = row.split("\"\"app\"\":\"\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        states.entry(app).or_default().push(row.rsplit(',').next().unwrap().to_owned());
    }
    states
}

#[test]
fn an_exclusion_of_the_past_withdraws_its_alert_and_judges_anew_as_a_replay_does() {
    let home = home(&rows(), 1);
    home.margay(&["run", "--once"]).expect(0);
    let before = surge(&home);
    home.write("exclusions.d/load-test.yaml", EXCLUSION);
    home.margay(&["check"]).expect(0);
    home.margay(&["run", "--once", "--scores", "again.csv"]).expect(0);
    let after = surge(&home);
    assert_eq!((&after["id"], &after["status"]), (&before["id"], &"withdrawn".into()));
    assert_eq!(delivered(&home).last().unwrap()["status"], "withdrawn");
    let (scores, replayed_alerts) = replayed(&home);
    assert_eq!(home.read("again.csv"), scores);
    assert!(!replayed_alerts.contains(before["id"].as_str().unwrap()));
    let states = states(&scores);
    assert_eq!(states["pay"], ["excluded"]);
    assert_ne!(states["web"], ["excluded"]);
    home.margay(&["run", "--once", "--scores", "third.csv"]).expect(0);
    assert_eq!(home.read("third.csv").lines().count(), 1, "nothing is judged a third time");
    std::fs::remove_file(home.path("exclusions.d/load-test.yaml")).unwrap();
    home.margay(&["run", "--once"]).expect(0);
    let back = surge(&home);
    assert_eq!((&back["status"], &back["score"]), (&"amended".into(), &before["score"]));
}

#[test]
fn an_exclusion_that_is_not_about_the_entity_or_lies_ahead_changes_nothing() {
    let home = home(&rows(), 1);
    home.margay(&["run", "--once"]).expect(0);
    let before = alerts(&home, &[]);
    home.write("exclusions.d/other.yaml", EXCLUSION.replace("app: pay", "app: shop"));
    home.write("exclusions.d/ahead.yaml", EXCLUSION.replace("2026-11-06", "2027-11-06"));
    home.margay(&["run", "--once"]).expect(0);
    assert_eq!(alerts(&home, &[]), before);
}

#[test]
fn a_silence_keeps_alerts_back_and_counts_them() {
    let silent = home(&rows(), 1);
    silent.write("silences.d/surge.yaml", SILENCE);
    silent.margay(&["run", "--once"]).expect(0);
    let kept = surge(&silent);
    assert_eq!(kept["silenced"]["silence"], "surge");
    assert_eq!(kept["silenced"]["reason"], "known surge");
    assert_eq!(alerts(&silent, &["--silenced"]), std::slice::from_ref(&kept));
    assert!(delivered(&silent).iter().all(|alert| alert["entity"]["app"] != "pay"));
    let status = silent.margay(&["status", "--output", "json"]).expect(0).json();
    assert_eq!((&status["silences"][0]["name"], &status["silences"][0]["silenced"]), (&"surge".into(), &1.into()));
    assert_eq!(status["silences"][0]["worst"]["id"], kept["id"]);
    let text = silent.margay(&["alerts"]).expect(0).stdout;
    assert!(text.contains("silenced by surge (ops) until 2026-11-07T00:00:00Z: known surge"), "{text}");
    assert!(text.contains("1 silenced, the worst: "), "{text}");
    let (_, replayed) = replayed(&silent);
    let told = replayed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told: Vec<Value> = told.filter(|alert| alert.get("silenced").is_none()).collect();
    assert_eq!(told, delivered(&silent));
}

#[test]
fn a_silence_ends_and_check_says_so() {
    let home = home(&rows(), 1);
    home.write(
        "silences.d/early.yaml",
        SILENCE.replace("until: 2026-11-07", "until: 2026-11-06T01").replace("01T00", "01"),
    );
    home.margay(&["run", "--once"]).expect(0);
    assert!(surge(&home).get("silenced").is_none());
    assert!(delivered(&home).iter().any(|alert| alert["entity"]["app"] == "pay"));
    let problems = home.margay(&["check", "--format", "json"]).expect(3).json();
    assert_eq!((&problems[0]["rule"], &problems[0]["line"]), (&"silence-expired".into(), &3.into()));
}

#[test]
fn silences_that_match_nothing_are_warned_of() {
    let home = home(&rows(), 1);
    home.margay(&["run", "--once"]).expect(0);
    let write = |name: &str, args: &[&str]| {
        let given = ["silence", "--for", "7d", "--reason", "x", "--owner", "ops", "--name", name];
        home.margay(&[&given[..], args].concat()).expect(0);
    };
    write("nobody", &["--detector", "lod"]);
    write("never", &["--entity", "app=nothing"]);
    write("fits", &["--tag", "x*", "--entity", "app=pay"]);
    home.write("detectors.d/load.yaml", crate::repeat::DETECTOR.replace("log: web", "tags: [xy]\nlog: web"));
    let problems = home.margay(&["check", "--format", "json"]).expect(0).json();
    let told: Vec<(&str, &str)> = problems
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["file"].as_str().unwrap().rsplit('/').next().unwrap(), one["rule"].as_str().unwrap()))
        .collect();
    assert!(told.contains(&("nobody.yaml", "selector-matches-nothing")), "{told:?}");
    assert!(told.contains(&("never.yaml", "silence-matches-no-alert")), "{told:?}");
}

#[test]
fn a_silence_for_an_alert_is_written_and_works() {
    let home = home(&rows(), 1);
    home.margay(&["run", "--once"]).expect(0);
    let id = surge(&home)["id"].as_str().unwrap().to_owned();
    let made = ["silence", &id[..8], "--for", "7d", "--reason", "it's: known", "--owner", "ops", "--output", "json"];
    let from = ["--from", "2026-11-05"];
    let written = home.margay(&[&made[..], &from].concat()).expect(0).json();
    assert_eq!(written["silence"]["selector"]["entity"]["app"], "pay");
    assert_eq!(written["silence"]["until"], "2026-11-12T00:00:00Z");
    let again = home.margay(&[&made[..], &from].concat()).expect(2);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    let (_, replayed) = replayed(&home);
    let one = replayed.lines().find(|line| line.contains("\"pay\"")).unwrap();
    assert!(one.contains("\"silenced\":{"), "{one}");
    for wrong in [["--for", "91d"], ["--for", "0s"], ["--owner", " "], ["--name", "../x"]] {
        let given =
            [&["silence", "--detector", "x", "--for", "1d", "--reason", "r", "--owner", "o"], &wrong[..]].concat();
        assert_ne!(home.margay(&given).code, 0, "{wrong:?}");
    }
}

#[test]
fn a_broken_exclusion_is_said_and_the_rest_runs() {
    let home = home(&rows(), 1);
    home.write("exclusions.d/load.yaml", "selector: {}\n");
    let ran = home.margay(&["run", "--once"]).expect(0);
    assert!(ran.stderr.contains("exclusions.d/load.yaml:1:1"), "{}", ran.stderr);
    assert_eq!(surge(&home)["detector"], "load");
}

#[test]
fn labels_are_recorded_listed_and_taken_back() {
    let home = home(&rows(), 1);
    home.margay(&["run", "--once"]).expect(0);
    let id = surge(&home)["id"].as_str().unwrap().to_owned();
    home.margay(&["label", &id[..8], "true", "--note", "an attack"]).expect(0);
    let listed = home.margay(&["label", "--list", "--output", "json"]).expect(0).json();
    assert_eq!((&listed[0]["alert"], &listed[0]["label"]), (&id.clone().into(), &true.into()));
    assert_eq!((&listed[0]["note"], &listed[0]["entity"]["app"]), (&"an attack".into(), &"pay".into()));
    home.margay(&["label", &id, "false"]).expect(0);
    let listed = home.margay(&["label", "--list", "--output", "json"]).expect(0).json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["label"]), (1, &false.into()));
    home.margay(&["label", &id, "--remove"]).expect(0);
    assert_eq!(home.margay(&["label", "--list", "--output", "json"]).expect(0).json(), serde_json::json!([]));
    home.margay(&["label", "nothing", "true"]).expect(2);
    home.margay(&["label", &id]).expect(2);
}

/// A surge of two days, which a detector would come to take for normal.
fn lasting_surge() -> Vec<String> {
    let lift = |row: String| {
        let day = &row[..10];
        let mut fields: Vec<String> = row.split(',').map(str::to_owned).collect();
        if fields[2] == "pay" && ("2026-11-04".."2026-11-06").contains(&day) {
            fields[3] = (fields[3].parse::<i64>().unwrap() * 20).to_string();
        }
        fields.join(",")
    };
    rows().into_iter().map(lift).collect()
}

/// What is expected of a surge's last hours.
fn expected(scores: &str) -> f64 {
    let row = scores.lines().find(|row| row.contains("pay") && row.contains("2026-11-05T23:30:00Z,bytes")).unwrap();
    row.split(",bytes,").nth(1).unwrap().split(',').nth(1).unwrap().parse().unwrap()
}

#[test]
fn what_is_labelled_as_real_is_not_learnt() {
    let home = home(&lasting_surge(), 1);
    home.margay(&["run", "--once", "--scores", "before.csv"]).expect(0);
    let first = alerts(&home, &["--entity", "pay"]).into_iter().next().expect("the surge alerts");
    home.margay(&["label", first["id"].as_str().unwrap(), "true"]).expect(0);
    home.margay(&["run", "--once", "--scores", "after.csv"]).expect(0);
    let (before, after) = (expected(&home.read("before.csv")), expected(&home.read("after.csv")));
    assert!(after < before / 2.0, "{before} without, {after} with the label");
    let (scores, _) = replayed(&home);
    assert_eq!(home.read("after.csv"), scores);
    home.margay(&["label", first["id"].as_str().unwrap(), "--remove"]).expect(0);
    home.margay(&["run", "--once", "--scores", "back.csv"]).expect(0);
    assert_eq!(home.read("back.csv"), home.read("before.csv"));
}

#[test]
fn many_cycles_equal_one_replay_with_exclusions_and_silences() {
    let cycles = home(&rows(), 1);
    cycles.write("exclusions.d/load-test.yaml", EXCLUSION.replace("-06T", "-04T"));
    cycles.write("silences.d/surge.yaml", SILENCE);
    let (scores, alerts) = replayed(&cycles);
    let mut pieces = String::new();
    for cycle in 1..=DAYS * 2 + 1 {
        let until = time(cycle * 12 * 3600 + 77);
        cycles.margay(&["run", "--once", "--until", &until, "--scores", "piece.csv"]).expect(0);
        let piece = cycles.read("piece.csv");
        pieces.push_str(if cycle == 1 { &piece } else { piece.split_once('\n').unwrap().1 });
    }
    assert_eq!(pieces, scores);
    let told: Vec<Value> = alerts
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|alert| alert.get("silenced").is_none())
        .collect();
    assert_eq!(told, delivered(&cycles));
    assert!(alerts.contains("\"silenced\":{"), "{alerts}");
}
