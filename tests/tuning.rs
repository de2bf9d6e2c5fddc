//! `tune`, `diff`, `reproduce`, `forecast`: from noisy to quiet, and the proof of it.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Home, leave_out, root};

const CONFIGURATION: &str = "\
logs:
  web: { files: \"logs/*.csv\", time: { field: ts, format: rfc3339 } }
detectors: [detectors.d]
sinks: []
";

const DETECTOR: &str = "\
name: load
description: More load than usual.
log: web
entity: [app]
bucket: 10m
features:
  bytes: sum(bytes)
model: { auto: {} }
threshold:
  score: 20 # found by guessing
  # nothing else yet
alert: { summary: \"{{entity}} has {{feature.bytes.value}}\" }
";

/// Start of the log: Monday 2026-11-02.
const START_S: i64 = 1_793_577_600;
const BUCKETS: i64 = 10 * 144;
/// Bucket in which a lasting incident of `pay` begins.
const INCIDENT: i64 = 9 * 144 + 60;

fn time(bucket: i64) -> String {
    margay_core::Time((START_S + bucket * 600) * 1000).to_string()
}

/// Three applications, one row a bucket, with single spikes now and then and one incident of an hour.
fn csv(hostile: bool) -> String {
    let mut dice: u64 = 7;
    let mut roll = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as f64 / f64::from(1u32 << 31)
    };
    let mut text = String::from("ts,app,bytes\n");
    for bucket in 0..BUCKETS {
        for app in ["cart", "web", "pay"] {
            let spike = if roll() > 0.99 { 1.0 + 1.5 * roll() } else { 1.0 };
            let incident = if app == "pay" && (INCIDENT..INCIDENT + 6).contains(&bucket) { 30.0 } else { 1.0 };
            let bytes = (10_000.0 * (0.8 + 0.4 * roll()) * spike * incident) as i64;
            let app = if hostile && app == "pay" { "\"pay|<b>*x*\"" } else { app };
            writeln!(text, "{},{app},{bytes}", time(bucket)).unwrap();
        }
    }
    text
}

fn home() -> Home {
    let home = Home::with(CONFIGURATION);
    home.write("detectors.d/load.yaml", DETECTOR);
    home.write("logs/web.csv", csv(false));
    home.write(
        "labels.csv",
        format!("detector,entity,start,end,label\nload,pay,{},{},true\n", time(INCIDENT), time(INCIDENT + 6)),
    );
    home
}

fn in_force(document: &Value) -> &Value {
    document["candidates"].as_array().unwrap().iter().find(|one| one["in_force"] == true).unwrap()
}

#[test]
fn a_noisy_detector_is_tuned_to_its_budget_and_keeps_the_labelled_incident() {
    let home = home();
    let tune = |more: &[&str]| {
        let mut args = vec!["tune", "load", "--labels", "labels.csv", "--output", "json"];
        args.extend_from_slice(more);
        home.margay(&args).expect(0).json()
    };
    let first = tune(&[]);
    let before = in_force(&first)["alerts_per_week"].as_f64().unwrap();
    let recommended = &first["recommended"];
    assert!(before > 3.0, "{before}");
    assert!(recommended["alerts_per_week"].as_f64().unwrap() <= 3.0, "{recommended}");
    assert_eq!((&recommended["recall"], &recommended["lost"]), (&json!(1.0), &json!(0)));
    assert_eq!(home.read("detectors.d/load.yaml"), DETECTOR, "nothing is written unasked");
    home.margay(&["replay", "--scores", "scores.csv"]).expect(0);
    home.margay(&["replay", "--scores", "scores.parquet"]).expect(0);
    assert_eq!(tune(&["--scores", "scores.csv"])["candidates"], first["candidates"]);
    assert_eq!(tune(&["--scores", "scores.parquet"])["candidates"], first["candidates"]);
    let written = tune(&["--write"]);
    assert_eq!(written["candidates"], first["candidates"], "kept scores give the same");
    let score = format!("{}", recommended["score"].as_f64().unwrap());
    let expected = DETECTOR.replace("score: 20 #", &format!("score: {score} #"));
    assert_eq!(home.read("detectors.d/load.yaml"), expected);
    let patch = first["patch"].as_str().unwrap();
    assert!(patch.contains("\n-  score: 20 # found by guessing\n+"), "{patch}");
    // Thresholds have a say in what is learnt, so the next look may differ a little; what was labelled stays.
    let again = tune(&[]);
    let after = in_force(&again)["alerts_per_week"].as_f64().unwrap();
    assert!(after < before / 2.0, "{before} before, {after} after");
    assert_eq!(in_force(&again)["recall"], 1.0);
}

#[test]
fn thresholds_that_lose_what_was_real_are_not_recommended() {
    let home = home();
    let mut lines = String::new();
    for alert in home.margay(&["replay", "--output", "json"]).expect(0).json().as_array().unwrap() {
        let label = json!({ "entity": alert["entity"], "start": alert["start"], "end": alert["end"], "label": true });
        writeln!(lines, "{label}").unwrap();
    }
    home.write("labels.ndjson", lines);
    let ran = home.margay(&["tune", "load", "--labels", "labels.ndjson", "--write"]).expect(1);
    assert!(ran.stdout.contains("without losing a labelled true incident"), "{}", ran.stdout);
    assert_eq!(home.read("detectors.d/load.yaml"), DETECTOR);
    home.write("labels.csv", "alert,label\nabc,true\n");
    let ran = home.margay(&["tune", "load", "--labels", "labels.csv"]).expect(2);
    assert!(ran.stderr.contains("no alert of this detector has the id `abc`"), "{}", ran.stderr);
}

#[test]
fn a_difference_names_what_is_added_and_removed_and_keeps_to_a_limit() {
    let home = home();
    home.write("quiet.d/load.yaml", DETECTOR.replace("score: 20", "score: 60"));
    let fewer = home.margay(&["diff", ".", "quiet.d", "--output", "json", "--max-added", "0"]).expect(0).json();
    let removed = fewer["removed"].as_array().unwrap();
    assert!(!removed.is_empty() && fewer["added"] == json!([]), "{fewer}");
    assert!(removed.iter().all(|alert| alert["entity"] != "pay" || alert["start"] != time(INCIDENT)));
    let weekly = |document: &Value, side: &str| document["weekly"][side].as_f64().unwrap();
    assert!(weekly(&fewer, "before") > weekly(&fewer, "after"));
    assert_eq!(fewer["detectors"]["load"]["cost_before"]["entities"], 3);
    let more = home.margay(&["diff", "quiet.d", ".", "--max-added", "0"]).expect(1);
    assert!(more.stderr.contains("alerts are added, more than 0"), "{}", more.stderr);
    let same = home.margay(&["diff", ".", "detectors.d", "--output", "json"]).expect(0).json();
    assert_eq!((&same["added"], &same["removed"], &same["changed"]), (&json!([]), &json!([]), &json!([])));
}

#[test]
fn a_difference_for_a_pull_request_escapes_what_comes_from_logs() {
    let home = home();
    home.write("logs/web.csv", csv(true));
    home.write("quiet.d/load.yaml", DETECTOR.replace("score: 20", "score: 100"));
    let text = home.margay(&["diff", "quiet.d", ".", "--format", "markdown"]).expect(0).stdout;
    assert!(text.contains(r"pay\|\<b\>\*x\*"), "{text}");
    assert!(!text.contains("<b>"), "{text}");
}

#[test]
fn a_revision_is_compared_without_touching_the_checkout() {
    if Command::new("git").arg("--version").output().is_err() {
        leave_out("a revision is compared without touching the checkout", "git is not installed");
        return;
    }
    let home = home();
    let git = |args: &[&str]| {
        let done = Command::new("git").current_dir(home.path("")).args(args).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    home.write(".gitignore", ".margay/\nlogs/\n");
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "first"]);
    home.write("detectors.d/load.yaml", DETECTOR.replace("score: 20", "score: 60"));
    let before = git(&["status", "--porcelain"]);
    let document = home.margay(&["diff", "HEAD", ".", "--output", "json"]).expect(0).json();
    assert!(!document["removed"].as_array().unwrap().is_empty(), "{document}");
    assert_eq!(git(&["status", "--porcelain"]), before);
    assert_eq!(git(&["worktree", "list"]).lines().count(), 1);
    let ran = home.margay(&["diff", "--", "--upload-pack=x", "."]).expect(2);
    assert!(ran.stderr.contains("is no file, folder or Git revision"), "{}", ran.stderr);
}

#[test]
fn an_alert_comes_out_again_until_its_detector_changes() {
    let home = home();
    home.margay(&["run", "--once", "--until", &time(BUCKETS)]).expect(0);
    let alerts = home.margay(&["alerts", "--output", "json"]).expect(0).json();
    let alert = alerts.as_array().unwrap().iter().find(|alert| alert["entity"]["app"] == "pay").unwrap();
    let id = alert["id"].as_str().unwrap();
    let same = home.margay(&["reproduce", id, "--output", "json"]).expect(0).json();
    assert_eq!((&same["same"], &same["raised"]), (&json!(true), &json!(true)));
    assert!(same["checks"].as_array().unwrap().len() >= 15, "{same}");
    home.write("detectors.d/load.yaml", DETECTOR.replace("score: 20", "score: 19"));
    let text = home.margay(&["reproduce", id]).expect(1).stdout;
    assert!(text.contains("CHANGED  digest of the definition"), "{text}");
    assert!(text.contains("otherwise than it was told"), "{text}");
}

#[test]
fn what_is_expected_next_is_told_with_its_interval() {
    let home = home();
    let csv =
        home.margay(&["forecast", "load", "--entity", "web", "--horizon", "2h", "--format", "csv"]).expect(0).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines[0], lines.len()), ("bucket_start,feature,expected,lower,upper", 13));
    assert!(lines[1].starts_with(&format!("{},bytes,", time(BUCKETS))), "{}", lines[1]);
    for line in &lines[1..] {
        let figures: Vec<f64> = line.split(',').skip(2).map(|figure| figure.parse().unwrap()).collect();
        let [expected, lower, upper] = figures[..] else { panic!("{line}") };
        assert!(lower < expected && expected < upper && (8_000.0..12_000.0).contains(&expected), "{line}");
    }
    let chart = home.margay(&["forecast", "load", "--entity", "web"]).expect(0).stdout;
    assert!(chart.contains("line: expected"), "{chart}");
    home.margay(&["forecast", "load", "--entity", "web", "--horizon", "1s"]).expect(2);
}

/// The commands of a document, as one script.
fn script(document: &str) -> String {
    let text = std::fs::read_to_string(root().join(document)).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.collect()
}

#[test]
fn the_walk_through_does_what_it_says() {
    let home = Home::new();
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_margay")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let done = Command::new("sh")
        .args(["-e", "-c", &script("docs/tuning.md")])
        .current_dir(home.path(""))
        .env("PATH", path)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
    let demo = home.path("demo");
    let margay = |args: &[&str]| crate::support::run(&demo, args).expect(0).json();
    let noisy = margay(&["diff", "before.d", "detectors.d", "--output", "json"]);
    let row = &noisy["detectors"]["bytes-out"];
    let (before, after) = (row["before"].as_u64().unwrap(), row["after"].as_u64().unwrap());
    assert!((50..=160).contains(&before) && after <= 6, "in two weeks: {before} before, {after} after");
    let tuned = margay(&["tune", "bytes-out", "--labels", "logs/incidents.json", "--output", "json"]);
    assert_eq!(in_force(&tuned)["recall"], 1.0, "the planted incident is kept");
    let text = home.read("demo/detectors.d/bytes-out.yaml");
    assert!(text.contains("# catch everything, the pen test found us blind\n"), "{text}");
    assert!(!text.contains("score: 25 "), "{text}");
    assert!(out.contains("Gates, in order"), "{out}");
    assert!(out.contains("bucket_start,feature,expected,lower,upper"), "{out}");
}
