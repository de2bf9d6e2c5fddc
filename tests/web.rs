//! The daemon answers by HTTP: health, metrics, the state, alerts and a page.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::daemon::{CONFIGURATION, detector};
use crate::support::{Daemon, Home, leave_out, root, wait};

const HOSTILE: &str = "<script>alert(1)</script>";

fn configuration(listen: &str) -> String {
    format!("{CONFIGURATION}web: {{ listen: \"{listen}\" }}\n")
}

/// An hour of two applications; every tenth minute one of them is loud, whose name is HTML.
fn home() -> Home {
    let home = Home::with(&configuration("127.0.0.1:0"));
    home.write("detectors.d/loud.yaml", detector("loud", 50));
    let mut csv = "ts,app,hits\n".to_owned();
    for minute in 0..60 {
        let time = margay_core::Time(1_793_577_600_000 + minute * 60_000);
        let hits = if minute % 10 == 0 { 99 } else { 1 };
        csv.push_str(&format!("{time},{HOSTILE},{hits}\n{time},cart,1\n"));
    }
    home.write("logs/0.csv", csv);
    home
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

fn ask(address: &str, method: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: margay\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// A daemon, and where it answers.
fn start(home: &Home, name: &str) -> (Daemon, String) {
    let daemon = home.spawn(name, &["--log", "info", "run"]);
    let address = || {
        let said = daemon.said();
        let (_, rest) = said.split_once("answering by HTTP address=")?;
        Some(rest.lines().next()?.to_owned())
    };
    wait("the address", || address().is_some());
    let address = address().unwrap();
    (daemon, address)
}

fn is_ready(address: &str) -> bool {
    ask(address, "GET", "/readyz").status == 200
}

#[test]
fn status_and_alerts_are_those_of_the_commands() {
    let home = home();
    let (mut daemon, address) = start(&home, "first");
    wait("the first cycle", || is_ready(&address));
    wait("the delivery", || home.path("alerts.ndjson").exists() && home.read("alerts.ndjson").lines().count() == 12);
    wait("the acknowledgement", || ask(&address, "GET", "/api/v1/status").json()["sinks"][0]["waiting"] == 0);
    let get = |path: &str| ask(&address, "GET", path);
    assert_eq!(get("/healthz").status, 200);
    let status = get("/api/v1/status").json();
    assert_eq!(status, home.margay(&["status", "--output", "json"]).expect(0).json());
    assert_eq!(status["detectors"][0]["state"], "ok");
    let mut kept = home.margay(&["alerts", "--output", "json"]).expect(0).json().as_array().unwrap().clone();
    kept.reverse();
    assert_eq!(get("/api/v1/alerts").json(), json!({ "alerts": kept, "left_out": 0 }));
    let some = get("/api/v1/alerts?detector=loud&status=closed&limit=2").json();
    assert_eq!(some, json!({ "alerts": kept[..2], "left_out": 4 }));
    assert_eq!(get("/api/v1/alerts?detector=other").json(), json!({ "alerts": [], "left_out": 0 }));
    let last = kept[1]["id"].as_str().unwrap();
    let next = get(&format!("/api/v1/alerts?limit=2&after={last}")).json();
    assert_eq!(next, json!({ "alerts": kept[2..4], "left_out": 2 }));
    let id = kept[0]["id"].as_str().unwrap();
    assert_eq!(get(&format!("/api/v1/alerts/{id}")).json(), kept[0]);
    let head = ask(&address, "HEAD", "/api/v1/status");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.contains("nosniff") && head.head.contains("cache-control: no-store"), "{}", head.head);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.said());
}

#[test]
fn what_cannot_be_answered_says_why_as_json() {
    let home = home();
    let (_daemon, address) = start(&home, "first");
    wait("the first cycle", || is_ready(&address));
    for (method, path, status) in [
        ("GET", "/api/v1/alerts?limit=0", 400),
        ("GET", "/api/v1/alerts?limit=1001", 400),
        ("GET", "/api/v1/alerts?limit=many", 400),
        ("GET", "/api/v1/alerts?status=lost", 400),
        ("GET", "/api/v1/alerts?colour=red", 400),
        ("GET", "/api/v1/alerts/%ff", 400),
        ("GET", "/api/v1/alerts?after=0", 404),
        ("GET", "/api/v1/alerts/0", 404),
        ("GET", "/api/v2/alerts", 404),
        ("GET", "/../margay.yaml", 404),
        ("POST", "/api/v1/alerts", 405),
        ("DELETE", "/api/v1/alerts/0", 405),
    ] {
        let answer = ask(&address, method, path);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert!(answer.json()["error"].as_str().is_some_and(|error| !error.is_empty()), "{method} {path}");
        assert!(answer.head.contains("nosniff"), "{}", answer.head);
    }
}

#[test]
fn metrics_are_lines_that_prometheus_reads_and_count_what_happened() {
    let home = home();
    let (_daemon, address) = start(&home, "first");
    wait("the first cycle", || is_ready(&address));
    let metrics = || ask(&address, "GET", "/metrics");
    let has = |line: &str| metrics().body.lines().any(|one| one == line);
    for line in [
        "margay_alerts_total{detector=\"loud\",status=\"open\"} 6",
        "margay_alerts_kept{status=\"closed\"} 6",
        "margay_config_last_reload_successful 1",
        "margay_config_reloads_total{result=\"failure\"} 0",
        "margay_detector_rows_total{detector=\"loud\"} 120",
        "margay_detector_state{detector=\"loud\",state=\"ok\"} 1",
        "margay_detector_state{detector=\"loud\",state=\"error\"} 0",
        "margay_ready 1",
    ] {
        assert!(has(line), "{line}\n{}", metrics().body);
    }
    wait("the delivery", || has("margay_outbox_waiting{sink=\"file\"} 0"));
    home.write("detectors.d/loud.yaml", detector("loud", 50).replace("hits)", "hits"));
    wait("the refusal", || has("margay_config_last_reload_successful 0"));
    assert!(has("margay_config_reloads_total{result=\"failure\"} 1"), "{}", metrics().body);
    let answer = metrics();
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let mut known = BTreeSet::new();
    for line in answer.body.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert!(known.insert(kind.split(' ').next().unwrap()), "twice: {line}");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(known.contains(series.split('{').next().unwrap()), "{line}");
        }
    }
    assert!(!answer.body.contains(HOSTILE), "no label comes from a log");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    if Command::new("promtool").arg("--version").output().is_err() {
        return leave_out("promtool_finds_nothing_wrong_with_the_metrics", "needs promtool, of Debian's `prometheus`");
    }
    let home = home();
    let (_daemon, address) = start(&home, "first");
    wait("the first cycle", || is_ready(&address));
    let metrics = ask(&address, "GET", "/metrics").body;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let ended = promtool.wait_with_output().unwrap();
    let said = [ended.stdout, ended.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(ended.status.success() && said.is_empty(), "{said}\n{metrics}");
}

#[test]
fn many_connections_that_say_nothing_keep_further_ones_waiting_and_no_longer() {
    let home = home();
    let (_daemon, address) = start(&home, "first");
    wait("the first cycle", || is_ready(&address));
    let silent: Vec<TcpStream> = (0..64).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let waiting = std::thread::spawn({
        let address = address.clone();
        move || ask(&address, "GET", "/healthz").status
    });
    drop(silent);
    assert_eq!(waiting.join().unwrap(), 200);
}

#[test]
fn no_request_that_the_description_allows_or_forbids_is_an_error_of_the_server() {
    let script = root().join("tests/services/schemathesis.sh");
    if !root().join("target/services/schemathesis/ready").exists() {
        let test = "no_request_that_the_description_allows_or_forbids_is_an_error_of_the_server";
        return leave_out(test, "needs what `tests/services/schemathesis.sh install` fetches");
    }
    let home = home();
    let (_daemon, address) = start(&home, "first");
    wait("the first cycle", || is_ready(&address));
    let url = format!("http://{address}");
    let ran = Command::new(script).args(["run", &url]).env("EXAMPLES", "20").output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(ran.status.success(), "{said}");
}

#[test]
fn the_page_shows_what_a_log_says_as_text() {
    let home = home();
    let (_daemon, address) = start(&home, "first");
    wait("the first cycle", || is_ready(&address));
    let page = ask(&address, "GET", "/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html") && page.head.contains("default-src 'none'"), "{}", page.head);
    assert!(page.body.contains("&lt;script&gt;") && !page.body.contains("<script"), "{}", page.body);
    assert_eq!(page.body.matches("<td>closed</td>").count(), 6, "{}", page.body);
}

#[test]
fn the_description_is_whole_and_describes_what_is_answered() {
    let home = home();
    let (_daemon, address) = start(&home, "first");
    wait("the first cycle", || is_ready(&address));
    let description = ask(&address, "GET", "/api/v1/openapi.json").json();
    assert_eq!(description["openapi"], "3.1.0");
    let references = references(&description);
    assert!(references.iter().all(|at| description.pointer(&at[1..]).is_some()), "{references:?}");
    for (path, described) in [
        ("/api/v1/status", "/api/v1/status"),
        ("/api/v1/alerts?limit=3", "/api/v1/alerts"),
        ("/api/v1/openapi.json", "/api/v1/openapi.json"),
    ] {
        let answer = &description["paths"][described]["get"]["responses"]["200"];
        let mut schema = answer["content"]["application/json"]["schema"].clone();
        schema["components"] = description["components"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let body = ask(&address, "GET", path).json();
        let errors: Vec<String> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{path}: {errors:?}");
    }
    let parameters = description["paths"]["/api/v1/alerts"]["get"]["parameters"].as_array().unwrap();
    let names: Vec<&str> = parameters.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["detector", "status", "shadow", "limit", "after"]);
}

/// Every `$ref` of a document.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => {
            let own = object.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(object.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn one_that_stands_by_lives_and_is_not_ready() {
    let home = home();
    let (mut first, address) = start(&home, "first");
    wait("the first cycle", || is_ready(&address));
    let (_second, other) = start(&home, "second");
    let status = |path: &str| ask(&other, "GET", path).status;
    assert_eq!([status("/healthz"), status("/readyz"), status("/api/v1/status")], [200, 503, 503]);
    assert_eq!([status("/metrics"), status("/")], [200, 200]);
    first.kill();
    wait("it takes over", || is_ready(&other));
    assert_eq!(status("/api/v1/status"), 200);
}

#[test]
fn an_address_in_use_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let home = home();
    let address = taken.local_addr().unwrap().to_string();
    home.write("margay.yaml", configuration(&address));
    let ran = home.margay(&["run"]).expect(2);
    assert!(ran.stderr.contains(&format!("cannot listen at {address}")), "{}", ran.stderr);
}
