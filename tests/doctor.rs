//! `margay doctor`: each thing that may be amiss with a log or a sink is named, with what to do.

use serde_json::{Value, json};

use crate::elasticsearch::{record, web};
use crate::servers::{Cluster, Server};
use crate::support::Home;

/// What it says of `about`: verdict, message and hint, for each finding.
fn said(home: &Home, about: &str, code: i32) -> Vec<String> {
    let found: Value = home.margay(&["doctor", "--output", "json"]).expect(code).json();
    let findings = found["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|finding| finding["about"].as_str().unwrap().starts_with(about));
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    findings.map(|one| ["verdict", "message", "hint"].map(|key| text(one, key)).join(" | ")).collect()
}

#[track_caller]
fn expect(findings: &[String], verdict: &str, parts: &[&str]) {
    let is_meant = |one: &String| one.starts_with(verdict) && parts.iter().all(|part| one.contains(part));
    assert!(findings.iter().any(is_meant), "{verdict} {parts:?} is not among {findings:#?}");
}

fn now(later_minutes: i64) -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    margay_core::Time(i64::try_from(since.as_millis()).unwrap() + later_minutes * 60_000).to_string()
}

fn at(time: &str) -> String {
    json!({ "ts": time, "app": "web", "hits": 1 }).to_string()
}

#[test]
fn a_log_that_is_well_has_its_server_times_and_way_told() {
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start("a_log_that_is_well_has_its_server_times_and_way_told") else { continue };
        server.index("well-1", &[&at(&now(-90)), &at(&now(-1))]);
        let home = web(&server, "well-*");
        let log = said(&home, "log web", 0);
        let product = if cluster == Cluster::OpenSearch { "OpenSearch 3.8" } else { "Elasticsearch " };
        expect(&log, "ok", &[product, "its clock agrees"]);
        expect(&log, "ok", &["2 records in 1 indices, from "]);
        expect(&said(&home, "detector", 0), "ok", &["hits: the server aggregates its records"]);
        expect(&said(&home, "sink file", 0), "ok", &["margay sink test"]);
        expect(&said(&home, "configuration", 0), "ok", &["no errors"]);
        let text = home.margay(&["doctor"]).expect(0).stdout;
        assert!(text.contains("ok       log web: 2 records"), "{text}");
    }
}

#[test]
fn old_records_future_ones_and_gaps_are_warned_of() {
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start("old_records_future_ones_and_gaps_are_warned_of") else { continue };
        server.index("stale-1", &[&record(0, 1), r#"{"app":"web","hits":1}"#]);
        let home = web(&server, "stale-*");
        let log = said(&home, "log web", 1);
        expect(&log, "warning", &["the newest record is ", " old", "may have stopped"]);
        expect(&log, "warning", &["1 records have no time"]);

        server.index("ahead-1", &[&at(&now(60 * 24))]);
        expect(&said(&web(&server, "ahead-*"), "log web", 1), "warning", &["in the future", "time.format"]);

        server.ask(
            "PUT",
            "/gap-1",
            r#"{"mappings":{"properties":{"ts":{"type":"date"},"app":{"type":"keyword"},"hits":{"type":"long"}}}}"#,
        );
        server.index("gap-1", &[&json!({ "ts": now(-1), "app": "web" }).to_string()]);
        expect(&said(&web(&server, "gap-*"), "detector hits", 1), "warning", &["have no `hits`", "requires"]);
    }
}

#[test]
fn a_log_that_cannot_be_asked_is_an_error_with_what_to_do() {
    let nobody = Server { url: "http://127.0.0.1:1".to_owned() };
    expect(&said(&web(&nobody, "x"), "log web", 1), "error", &["no answer", "see `url`"]);
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start("a_log_that_cannot_be_asked_is_an_error_with_what_to_do") else { continue };
        expect(&said(&web(&server, "not-there"), "log web", 1), "error", &["not-there", "see `index`"]);
        server.ask(
            "PUT",
            "/wordy-1",
            r#"{"mappings":{"properties":{"ts":{"type":"keyword"},"app":{"type":"keyword"},"hits":{"type":"long"}}}}"#,
        );
        server.index("wordy-1", &[&at("yesterday")]);
        expect(
            &said(&web(&server, "wordy-*"), "log web", 1),
            "error",
            &["mapped as keyword", "map the time as a date"],
        );
    }
}

#[test]
fn files_and_sinks_are_looked_at_and_nothing_is_sent() {
    let home = Home::with(
        "logs:\n  web: { files: [\"web.ndjson\", \"gone*.ndjson\"], time: { field: ts } }\nsinks:\n  - webhook: { url_file: secret }\n",
    );
    home.write("web.ndjson", format!("{}\n{{\"ts\":", at("2026-11-02T00:00:00Z")));
    home.write("detectors.d/hits.yaml", "name: hits\nlog: web\nentity: [app]\nbucket: 10m\nfeatures: { hits: sum(hits) }\nmodel: { limit: { above: 5 } }\n");
    let log = said(&home, "log web", 1);
    expect(&log, "warning", &["no file matches", "gone*.ndjson"]);
    expect(&log, "ok", &["1 files, the last of which ends at 2026-11-02T00:00:00"]);
    expect(&said(&home, "sink webhook", 1), "error", &["cannot read", "readable"]);
    assert!(!home.path(".margay").exists(), "it left something behind");
    home.write("detectors.d/bad.yaml", "name: bad\n");
    expect(&said(&home, "configuration", 1), "error", &["errors", "margay check"]);
}
