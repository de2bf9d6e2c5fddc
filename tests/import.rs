//! `import`: rules of other tools fire on logs that should make them fire, and stay quiet on logs that should not.

use std::collections::BTreeSet;

use margay_core::Time;
use serde_json::{Value, json};

use crate::support::{Home, root};

/// 2026-11-02, a Monday, in milliseconds.
const START: i64 = 1_793_577_600_000;
const MINUTE: i64 = 60_000;

/// Rows with the time of each, in minutes from the start.
type Rows = Vec<(f64, Value)>;

fn ndjson(rows: &[&Rows]) -> String {
    let mut rows: Vec<&(f64, Value)> = rows.iter().flat_map(|rows| rows.iter()).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let line = |(minute, row): &(f64, Value)| {
        let at = Time(START + (minute * MINUTE as f64) as i64);
        let mut row = row.clone();
        row["@timestamp"] = at.to_string().into();
        row["start_time"] = at.to_string().into();
        row["end_time"] = at.plus(margay_core::Period(30_000)).to_string().into();
        format!("{row}\n")
    };
    rows.into_iter().map(line).collect()
}

/// The alerts that were opened.
fn opened(home: &Home) -> Vec<Value> {
    let alerts = home.margay(&["replay", "--output", "json"]).expect(0).json();
    alerts.as_array().unwrap().iter().filter(|alert| alert["status"] == "open").cloned().collect()
}

fn detectors(alerts: &[Value]) -> BTreeSet<&str> {
    alerts.iter().map(|alert| alert["detector"].as_str().unwrap()).collect()
}

fn rules(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("tests/import").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    names.sort();
    names
}

const CALICO: &str = "\
logs:
  flows: { files: flows.ndjson, preset: calico-flows }
  dns: { files: dns.ndjson, preset: calico-dns }
  audit: { files: audit.ndjson, time: { field: \"@timestamp\" } }
detectors: [detectors.d]
sinks: []
";

fn every_minute(minutes: i64, row: Value) -> Rows {
    (0..minutes).map(|minute| (minute as f64, row.clone())).collect()
}

fn flow(reporter: &str, namespace: &str, source: &str, dest: &str, port: u16, labels: &[&str]) -> Value {
    json!({
        "reporter": reporter, "action": "allow", "proto": "tcp", "source_namespace": namespace, "source_name_aggr": source,
        "dest_namespace": "shop", "dest_name_aggr": dest, "dest_port": port, "num_flows": 3,
        "source_labels": { "labels": labels },
    })
}

fn lookup(client: &str, rcode: &str, count: u32) -> Value {
    json!({
        "client_namespace": "shop", "client_name_aggr": client, "qname": "api.example.com", "rcode": rcode, "count": count,
    })
}

fn audit(verb: &str, resource: &str, name: &str) -> Value {
    json!({ "verb": verb, "objectRef": { "resource": resource, "namespace": "shop", "name": name }, "user": { "username": "ci" } })
}

/// The logs of quiet hours, each rule's neighbour among them: what it looks for but for one part.
fn quiet_calico() -> [Rows; 3] {
    let flows = [
        flow("src", "shop", "web-*", "db-*", 5432, &["app=web"]),
        flow("dst", "shop", "web-*", "db-*", 22, &["app=web"]),
        flow("src", "shop", "web-*", "metadata-api", 80, &["app=web"]),
        flow("src", "shop", "prober-*", "pub", 443, &["app=monitor"]),
        flow("src", "default", "web-*", "db-*", 5432, &["app=monitoring"]),
    ];
    let lookups = [lookup("web-*", "NoError", 40), lookup("web-*", "NXDomain", 4), lookup("busy-*", "NoError", 4900)];
    let audits =
        [audit("get", "pods", "web"), audit("list", "serviceaccounts", "ci"), audit("update", "configmaps", "x")];
    let all = |rows: &[Value]| rows.iter().flat_map(|row| every_minute(180, row.clone())).collect();
    [all(&flows), all(&lookups), all(&audits)]
}

#[test]
fn all_ten_templates_of_calico_fire_where_they_should_and_nowhere_else() {
    let home = Home::with(CALICO);
    let quiet = quiet_calico();
    let names = ["flows", "dns", "audit"];
    let write = |loud: Option<(usize, Rows)>| {
        for (at, name) in names.iter().enumerate() {
            let loud = loud.as_ref().filter(|(log, _)| *log == at).map(|(_, rows)| rows.clone()).unwrap_or_default();
            home.write(&format!("{name}.ndjson"), ndjson(&[&quiet[at], &loud]));
        }
    };
    write(None);
    let files = rules("globalalert");
    assert_eq!(files.len(), 10);
    let mut args = vec!["import", "globalalert", "--out", "detectors.d"];
    args.extend(files.iter().map(String::as_str));
    home.margay(&args).expect(0);
    home.margay(&["check"]).expect(0);
    assert_eq!(opened(&home), [json!(null); 0]);
    let denied = |mut row: Value| {
        row["action"] = "deny".into();
        row
    };
    let loud: [(&str, usize, Value); 10] = [
        ("policy-pod", 2, audit("delete", "pods", "web")),
        ("policy-globalnetworkpolicy", 2, audit("patch", "globalnetworkpolicies", "deny-all")),
        ("policy-globalnetworkset", 2, audit("create", "globalnetworksets", "bad")),
        ("policy-serviceaccount", 2, audit("update", "serviceaccounts", "ci")),
        ("network-cloudapi", 0, flow("src", "default", "odd-*", "metadata-api", 80, &[])),
        ("network-ssh", 0, flow("src", "default", "odd-*", "db-*", 22, &[])),
        ("network-lateral-access", 0, flow("dst", "shop", "prober-*", "db-*", 80, &["x=y", "app=monitor"])),
        ("network-lateral-originate", 0, flow("src", "shop", "prober-*", "db-*", 80, &["app=monitor"])),
        ("dns-servfail", 1, lookup("web-*", "SERVFAIL", 1)),
        ("dns-dos", 1, lookup("busy-*", "NoError", 4000)),
    ];
    for (detector, log, row) in loud {
        write(Some((log, vec![(97.0, row.clone())])));
        let alerts = opened(&home);
        assert_eq!(detectors(&alerts), BTreeSet::from([detector]), "{alerts:#?}");
        if log == 0 {
            write(Some((log, vec![(97.0, denied(row))])));
            assert_eq!(opened(&home), [json!(null); 0], "{detector}");
        }
    }
}

#[test]
fn the_summary_of_a_template_is_filled_from_the_alert() {
    let home = Home::with(CALICO);
    let quiet = quiet_calico();
    home.write(
        "flows.ndjson",
        ndjson(&[&quiet[0], &vec![(97.0, flow("src", "default", "odd-*", "metadata-api", 80, &[]))]]),
    );
    home.write("dns.ndjson", ndjson(&[&quiet[1]]));
    home.write("audit.ndjson", ndjson(&[&quiet[2]]));
    let file = root().join("tests/import/globalalert/network.cloudapi.yaml").display().to_string();
    home.margay(&["import", "globalalert", &file, "--out", "detectors.d"]).expect(0);
    let alerts = opened(&home);
    assert_eq!(alerts[0]["summary"], "[flows] default/odd-* reached the cloud's metadata, 3 connections");
    assert_eq!(alerts[0]["severity"], 100);
}

const WEB: &str = "\
logs:
  web: { files: web.ndjson, time: { field: \"@timestamp\" } }
detectors: [detectors.d]
sinks: []
";

fn request(host: &str, user: &str, minute: i64) -> Value {
    json!({
        "kind": "request", "host": host, "user": user, "status": 200, "level": "info", "method": "GET", "path": "/shop",
        "client_ip": format!("10.0.0.{}", user.len()), "country": "DE", "bytes": 1000, "duration_ms": 100 + minute % 7,
        "cached": minute % 2 == 0, "message": "request served", "disk": { "free": 55 },
    })
}

fn with(mut row: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        row[key] = value.clone();
    }
    row
}

/// Every minute of some hours: two requests of each host, a heartbeat, an order, a login, now and then an error.
fn quiet_web(minutes: i64) -> Rows {
    let mut rows = Rows::new();
    for minute in 0..minutes {
        let at = minute as f64;
        for host in ["web-1", "web-2", "web-3"] {
            rows.push((at, request(host, "ann", minute)));
            rows.push((at + 0.5, request(host, "berta", minute + 1)));
        }
        rows.push((at, json!({ "kind": "heartbeat", "host": "web-1", "message": "alive" })));
        rows.push((at, json!({ "kind": "order", "host": "web-2", "message": "ordered" })));
        rows.push((at, with(request("web-3", "ann", minute), json!({ "kind": "login" }))));
        if minute % 5 == 0 {
            let error = json!({ "level": "error", "status": 500, "message": "upstream timed out" });
            rows.push((at, with(request("web-2", "ann", minute), error)));
        }
    }
    rows
}

/// So many rows in a minute.
fn burst(minute: i64, count: usize, row: &Value) -> Rows {
    (0..count).map(|at| (minute as f64 + at as f64 / (count as f64 + 1.0), row.clone())).collect()
}

/// A rule, what makes it fire, and the entity of the alert.
struct Firing {
    rule: &'static str,
    rows: Rows,
    /// Rows of the quiet log that are taken away.
    without: fn(f64, &Value) -> bool,
    entity: Value,
}

const NOTHING: fn(f64, &Value) -> bool = |_, _| false;

fn firing(rule: &'static str, rows: Rows, entity: Value) -> Firing {
    Firing { rule, rows, without: NOTHING, entity }
}

fn missing(rule: &'static str, without: fn(f64, &Value) -> bool, entity: Value) -> Firing {
    Firing { rule, rows: Rows::new(), without, entity }
}

fn is_late(minute: f64) -> bool {
    (120.0..150.0).contains(&minute)
}

fn thresholds() -> Vec<Firing> {
    let all = json!({ "scope": "all" });
    let request = |changes| with(request("web-1", "ann", 0), changes);
    vec![
        firing("frequency-errors", burst(121, 60, &request(json!({ "level": "error" }))), all.clone()),
        firing(
            "frequency-logins",
            burst(121, 25, &request(json!({ "kind": "login", "status": 401, "user": "eve" }))),
            json!({ "user": "eve" }),
        ),
        firing(
            "frequency-slow",
            burst(121, 35, &request(json!({ "duration_ms": 3000, "path": "/api/x", "method": "POST" }))),
            all.clone(),
        ),
        firing(
            "frequency-probing",
            burst(121, 12, &request(json!({ "path": "/.env.local", "client_ip": "10.9.9.9" }))),
            json!({ "client_ip": "10.9.9.9" }),
        ),
        firing(
            "frequency-probing",
            burst(121, 12, &request(json!({ "message": "SQL  injection, blocked", "client_ip": "10.9.9.9" }))),
            json!({ "client_ip": "10.9.9.9" }),
        ),
        missing("flatline-heartbeat", |minute, row| is_late(minute) && row["kind"] == "heartbeat", all.clone()),
        missing("flatline-host", |minute, row| is_late(minute) && row["host"] == "web-2", json!({ "host": "web-2" })),
        firing(
            "cardinality-max",
            (0..8).flat_map(|at| burst(121, 1, &request(json!({ "client_ip": format!("10.7.7.{at}") })))).collect(),
            json!({ "user": "ann" }),
        ),
        missing("cardinality-min", |minute, row| is_late(minute) && row["host"] == "web-3", all.clone()),
        firing("metric-average", burst(121, 40, &request(json!({ "duration_ms": 2500 }))), all.clone()),
        firing("metric-sum", burst(121, 1, &request(json!({ "bytes": 600_000 }))), json!({ "host": "web-1" })),
        firing("metric-percentile", burst(121, 20, &request(json!({ "duration_ms": 2500 }))), all.clone()),
        firing(
            "metric-minimum",
            burst(121, 1, &request(json!({ "disk": { "free": 12 } }))),
            json!({ "host": "web-1" }),
        ),
        firing("percentage-errors", burst(121, 60, &request(json!({ "status": 503 }))), all.clone()),
        firing("percentage-cached", burst(121, 80, &request(json!({ "cached": false }))), json!({ "host": "web-1" })),
        firing("blacklist-users", burst(121, 1, &request(json!({ "user": "o'brien" }))), all),
        firing(
            "whitelist-countries",
            burst(121, 1, &request(json!({ "kind": "login", "country": "BR" }))),
            json!({ "user": "ann" }),
        ),
        firing(
            "change-country",
            burst(121, 1, &request(json!({ "kind": "login", "country": "FR" }))),
            json!({ "user": "ann" }),
        ),
        firing(
            "any-panic",
            burst(121, 1, &request(json!({ "message": "oops: Kernel panic - not syncing" }))),
            json!({ "host": "web-1" }),
        ),
    ]
}

/// Rows that are close to what makes the rules fire, and must not.
fn close() -> Rows {
    let request = |changes| with(request("web-1", "ann", 0), changes);
    let mut rows = burst(121, 40, &request(json!({ "level": "error" })));
    rows.extend(burst(61, 15, &request(json!({ "kind": "login", "status": 401, "user": "eve" }))));
    rows.extend(burst(62, 60, &request(json!({ "duration_ms": 3000, "user": "batch", "kind": "job" }))));
    rows.extend(burst(63, 9, &request(json!({ "path": "/environment", "message": "no sql injection2" }))));
    rows.extend(burst(64, 1, &request(json!({ "disk": { "free": 20 }, "user": "brien" }))));
    rows.extend(burst(65, 1, &request(json!({ "kind": "login", "country": null }))));
    rows.extend(burst(66, 1, &request(json!({ "message": "kernel: no reason to panic" }))));
    rows
}

fn import(home: &Home, rule: &str, code: i32) -> crate::support::Ran {
    let file = root().join("tests/import/elastalert").join(format!("{rule}.yaml")).display().to_string();
    home.margay(&["import", "elastalert", &file, "--out", "detectors.d"]).expect(code)
}

/// One rule alone: quiet on the quiet log, and alerting on the other.
fn fires(firing: &Firing, quiet: &Rows, close: &Rows) {
    let home = Home::with(WEB);
    home.write("web.ndjson", ndjson(&[quiet, close]));
    import(&home, firing.rule, 0);
    home.margay(&["check"]).expect(0);
    let rule = firing.rule;
    assert_eq!(opened(&home), [json!(null); 0], "{rule} on the quiet log");
    let kept: Rows = quiet.iter().filter(|(minute, row)| !(firing.without)(*minute, row)).cloned().collect();
    home.write("web.ndjson", ndjson(&[&kept, &firing.rows]));
    let alerts = opened(&home);
    assert!(!alerts.is_empty(), "{rule} did not fire\n{}", home.read(&format!("detectors.d/{}", detector_file(&home))));
    for alert in &alerts {
        assert_eq!(alert["entity"], firing.entity, "{rule}: {}", alert["summary"]);
    }
}

fn detector_file(home: &Home) -> String {
    let entries = std::fs::read_dir(home.path("detectors.d")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".yaml")).min().unwrap()
}

#[test]
fn rules_of_elastalert_fire_where_they_should_and_nowhere_else() {
    let quiet = quiet_web(240);
    let close = close();
    for firing in thresholds() {
        fires(&firing, &quiet, &close);
    }
}

/// Eight days, so that there is something to learn from: twenty rows in ten minutes, a few more at noon.
fn long_web(minutes: i64) -> Rows {
    let mut rows = Rows::new();
    for slot in 0..minutes / 10 {
        let noon = if (60..90).contains(&(slot % 144)) { 10 } else { 0 };
        for at in 0..20 + noon + slot * 7 % 5 {
            let minute = (slot * 10) as f64 + at as f64 / 4.0;
            for host in ["web-1", "web-2"] {
                rows.push((minute, json!({ "kind": "request", "host": host })));
            }
            rows.push((minute, json!({ "kind": "order", "host": "web-1" })));
        }
    }
    rows
}

#[test]
fn spikes_up_and_down_fire_and_the_usual_does_not() {
    const LOUD: i64 = 7 * 1440 + 600;
    let quiet = long_web(8 * 1440);
    let all = json!({ "scope": "all" });
    let requests = burst(LOUD, 300, &json!({ "kind": "request", "host": "web-2" }));
    let late = |minute: f64| (LOUD as f64..LOUD as f64 + 60.0).contains(&minute);
    assert!(late(LOUD as f64));
    for spike in [
        firing("spike-up", requests.clone(), all.clone()),
        missing("spike-down", |minute, row| (10_680.0..10_740.0).contains(&minute) && row["kind"] == "order", all),
        firing("spike-both", requests, json!({ "host": "web-2" })),
        missing(
            "spike-both",
            |minute, row| (10_680.0..10_740.0).contains(&minute) && row["host"] == "web-2" && row["kind"] == "request",
            json!({ "host": "web-2" }),
        ),
    ] {
        fires(&spike, &quiet, &Rows::new());
    }
}

#[test]
fn a_new_term_fires_with_its_name_and_the_known_ones_do_not() {
    const LOUD: i64 = 2880 + 601;
    let mut quiet = Rows::new();
    for minute in 0..3 * 1440 {
        let path = ["/shop", "/cart", "/login"][(minute % 3) as usize];
        quiet.push((minute as f64, json!({ "kind": "request", "host": "web-1", "path": path })));
        quiet.push((minute as f64, json!({ "kind": "order", "host": "web-1", "path": format!("/order/{minute}") })));
    }
    let asked = burst(LOUD, 1, &json!({ "kind": "request", "host": "web-1", "path": "/.git/{{x}}" }));
    fires(&firing("new-term-path", asked, json!({ "host": "web-1" })), &quiet, &Rows::new());
}

#[test]
fn what_cannot_be_converted_is_told_at_its_line_and_the_rest_is_converted() {
    let home = Home::with(WEB);
    home.write("web.ndjson", ndjson(&[&quiet_web(5)]));
    let mut args = vec!["import", "elastalert", "--output", "json"];
    let files = rules("elastalert");
    args.extend(files.iter().map(String::as_str));
    let document = home.margay(&args).expect(1).json();
    let converted = document["detectors"].as_array().unwrap();
    assert!(converted.len() >= 21, "{}", converted.len());
    let refused: Vec<(&str, u64)> = document["problems"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|problem| problem["severity"] == "error")
        .map(|problem| {
            (problem["file"].as_str().unwrap().rsplit('/').next().unwrap(), problem["line"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(refused, [("not-fuzzy.yaml", 5)]);
    assert!(!home.path("detectors.d").exists());
}

#[test]
fn an_import_replaces_no_file_and_names_files_that_it_cannot_read() {
    let home = Home::with(WEB);
    home.write("web.ndjson", ndjson(&[&quiet_web(5)]));
    home.write("detectors.d/panic.yaml", "mine");
    let refused = import(&home, "any-panic", 2);
    assert!(refused.stderr.contains("panic.yaml is there already"), "{}", refused.stderr);
    assert_eq!(home.read("detectors.d/panic.yaml"), "mine");
    home.write("broken.yaml", "name: x\ntype: [");
    let ran = home.margay(&["import", "elastalert", "broken.yaml", "nowhere.yaml"]).expect(1);
    assert!(ran.stderr.contains("broken.yaml:2:"), "{}", ran.stderr);
    assert!(ran.stderr.contains("nowhere.yaml:1:1: error[unreadable-file]"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}
