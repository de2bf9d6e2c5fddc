//! How many alerts are welcome: to a detector, to a team, of a shadow.

use std::fmt::Write;

use serde_json::Value;

use crate::repeat::{DETECTOR, home, rows, time};
use crate::support::Home;

const WEEKS: i64 = 6;

/// Five applications by the hour, now and then far above their usual, each on its own.
fn noisy() -> String {
    let mut text = String::from("ts,app,bytes\n");
    let mut dice: u64 = 3;
    let mut roll = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as f64 / f64::from(1u32 << 31)
    };
    for hour in 0..WEEKS * 168 {
        for app in ["a", "b", "c", "d", "e"] {
            let spike = if roll() < 0.006 { 2.0 + 4.0 * roll() } else { 1.0 };
            writeln!(text, "{},{app},{}", time(hour * 3600), (1000.0 * (0.8 + 0.4 * roll()) * spike) as i64).unwrap();
        }
    }
    text
}

fn noisy_home(threshold: &str) -> Home {
    let home = Home::with(
        "logs:\n  web: { files: bytes.csv, time: { field: ts, format: rfc3339 } }\nsinks:\n  - file: { path: alerts.ndjson }\n",
    );
    home.write("bytes.csv", noisy());
    home.write(
        "detectors.d/bytes.yaml",
        format!(
            "name: bytes\ntags: [net]\nlog: web\nentity: [app]\nbucket: 1h\nfeatures: {{ bytes: sum(bytes) }}\nmodel: {{ seasonal: {{}} }}\nthreshold: {threshold}\n"
        ),
    );
    home
}

/// Alerts that opened after the first two weeks.
fn settled(alerts: &Value) -> usize {
    let opened = alerts.as_array().unwrap().iter().filter(|alert| alert["status"] == "open");
    opened.filter(|alert| alert["start"].as_str().unwrap() > "2026-11-16").count()
}

fn replayed(home: &Home) -> Value {
    home.margay(&["replay", "--output", "json"]).expect(0).json()
}

#[test]
fn a_budget_chooses_the_score_that_keeps_to_it() {
    let (free, bound) = (noisy_home("{ score: 25 }"), noisy_home("{ budget: { alerts: 1, per: 1w } }"));
    let (many, few) = (settled(&replayed(&free)), settled(&replayed(&bound)));
    assert!(many >= 12, "{many}");
    assert!(few <= 6, "{few} in four weeks, {many} without a budget");
}

#[test]
fn many_cycles_choose_the_same_scores_as_one_replay() {
    let home = noisy_home("{ budget: { alerts: 2, per: 1w } }");
    let whole = replayed(&home);
    for cycle in 1..=WEEKS + 1 {
        home.margay(&["run", "--once", "--until", &time(cycle * 168 * 3600 - 777)]).expect(0);
    }
    let lines = home.read("alerts.ndjson");
    let told: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::Array(told), whole);
    let status = home.margay(&["status", "--output", "json"]).expect(0).json();
    let least = |home: &Home| home.margay(&["status", "--output", "json"]).json()["detectors"][0]["threshold"].as_f64();
    assert!(status["detectors"][0]["threshold"].as_f64().unwrap() > 20.0, "{status}");
    let detector = home.read("detectors.d/bytes.yaml");
    home.write("detectors.d/bytes.yaml", detector.replace("budget: { alerts: 2, per: 1w }", "score: 77"));
    home.margay(&["run", "--once"]).expect(0);
    assert_eq!(least(&home), Some(77.0), "a score that is set counts at once");
}

#[test]
fn a_team_that_is_told_too_much_sees_it() {
    let home = noisy_home("{ score: 25 }");
    let config = home.read("margay.yaml");
    let with = |alerts: u32, per: &str| {
        let budget = format!("{{ selector: {{ tags: [net] }}, alerts: {alerts}, per: {per} }}");
        home.write("margay.yaml", format!("{config}budgets:\n  ops: {budget}\n"));
    };
    with(1, "5w");
    home.margay(&["run", "--once", "--until", "2026-12-14"]).expect(0);
    let status = home.margay(&["status", "--output", "json"]).expect(1).json();
    assert_eq!((&status["budgets"][0]["name"], &status["budgets"][0]["over"]), (&"ops".into(), &true.into()));
    let problems = home.margay(&["check", "--format", "json"]).expect(0).json();
    assert_eq!((&problems[0]["rule"], &problems[0]["line"]), (&"over-budget".into(), &6.into()), "{problems}");
    with(500, "5w");
    let status = home.margay(&["status"]).expect(0).stdout;
    assert!(status.contains("of 500 alerts in 5w: within"), "{status}");
    home.write("margay.yaml", format!("{config}budgets:\n  ops: {{ selector: {{}}, alerts: 1, per: 0s }}\n"));
    let problems = home.margay(&["check", "--format", "json"]).expect(3).json();
    let rules: Vec<&str> = problems.as_array().unwrap().iter().map(|one| one["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["selector-is-empty", "out-of-range"]);
}

/// The detector `load`, and beside it a shadow of it with another threshold.
fn with_shadow(threshold: &str) -> Home {
    let home = home(&rows(), 1);
    let shadow = DETECTOR.replace("name: load", "name: load-next\nmode: shadow\nreplaces: load");
    let (start, _) = shadow.split_once("threshold:").unwrap();
    home.write("detectors.d/load-next.yaml", format!("{start}threshold: {threshold}\n"));
    home
}

#[test]
fn a_shadow_tells_nobody_and_its_alerts_are_kept_apart() {
    let shadowed = with_shadow("{ score: 40, min_rel_dev: 0.5 }");
    let alone = home(&rows(), 1);
    for home in [&shadowed, &alone] {
        home.margay(&["run", "--once"]).expect(0);
    }
    assert_eq!(shadowed.read("alerts.ndjson"), alone.read("alerts.ndjson"));
    let list =
        |home: &Home, more: &[&str]| home.margay(&[&["alerts", "--output", "json"], more].concat()).expect(0).json();
    assert_eq!(list(&shadowed, &[]), list(&alone, &[]));
    let apart = list(&shadowed, &["--shadow"]);
    assert_eq!(apart.as_array().unwrap().len(), list(&alone, &[]).as_array().unwrap().len());
    assert!(apart.as_array().unwrap().iter().all(|alert| alert["detector"] == "load-next"));
}

#[test]
fn a_shadow_is_promoted_unless_it_is_worse() {
    let same = with_shadow("{ score: 40, min_rel_dev: 0.5 }");
    let told = same.margay(&["promote", "load-next", "--check", "--output", "json"]).expect(0).json();
    assert_eq!(
        (&told["replaces"], &told["added"], &told["removed"]),
        (&"load".into(), &Value::Array(vec![]), &Value::Array(vec![]))
    );
    same.margay(&["promote", "load", "--check"]).expect(2);
    let before = same.read("detectors.d/load-next.yaml");
    same.margay(&["promote", "load-next"]).expect(0);
    assert_eq!(same.read("detectors.d/load-next.yaml"), before.replace("mode: shadow", "mode: notify"));
    assert!(same.read("detectors.d/load.yaml").contains("mode: disabled"), "{}", same.read("detectors.d/load.yaml"));
    same.margay(&["check"]).expect(0);
    let loud = with_shadow("{ score: 12 }");
    let told = loud.margay(&["promote", "load-next"]).expect(1);
    assert!(loud.read("detectors.d/load-next.yaml").contains("mode: shadow"));
    assert!(told.stdout.contains("worse: it raises"), "{}", told.stdout);
    loud.margay(&["promote", "load-next", "--check", "--max-added", "1000"]).expect(0);
    let blind = with_shadow("{ score: 100, min_dev: 1TB }");
    blind.margay(&["promote", "load-next", "--check"]).expect(0);
    blind.margay(&["run", "--once"]).expect(0);
    let alerts = blind.margay(&["alerts", "--entity", "pay", "--output", "json"]).expect(0).json();
    blind.margay(&["label", alerts[0]["id"].as_str().unwrap(), "true"]).expect(0);
    let told = blind.margay(&["promote", "load-next", "--check"]).expect(1);
    assert!(told.stdout.contains("which is labelled as real"), "{}", told.stdout);
}

#[test]
fn a_shadow_of_nothing_is_told_at_its_line() {
    let home = with_shadow("{ score: 40 }");
    let text = home.read("detectors.d/load-next.yaml").replace("replaces: load", "replaces: lod");
    home.write("detectors.d/load-next.yaml", text);
    let problems = home.margay(&["check", "--format", "json"]).expect(3).json();
    assert_eq!((&problems[0]["rule"], &problems[0]["line"]), (&"unknown-detector".into(), &3.into()));
    assert_eq!(problems[0]["hint"], "did you mean `load`?");
}
