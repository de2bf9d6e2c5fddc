//! Logs in real Elasticsearch and OpenSearch: the same as in files, to the bit; and what happens when they change.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::servers::{Cluster, Server};
use crate::support::{Home, root};

/// Documents of one request.
const BULK: usize = 5_000;

const LOGS: [&str; 3] = ["flows", "dns", "l7"];

fn configuration(place: impl Fn(&str) -> String) -> String {
    let mut text = String::from("logs:\n");
    for log in LOGS {
        text.push_str(&format!("  {log}: {{ {}, preset: calico-{log} }}\n", place(log)));
    }
    format!(
        "{text}detectors: [{}]\nsinks:\n  - file: {{ path: alerts.ndjson }}\n",
        root().join("detectors.d").display()
    )
}

fn in_index(server: &Server, prefix: &str) -> impl Fn(&str) -> String {
    let url = server.url.clone();
    let prefix = prefix.to_owned();
    move |log| format!("elasticsearch: {{ url: \"{url}\", index: \"{prefix}_{log}.*\" }}")
}

pub fn lines(path: &Path) -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Writes a log by day, each index with other types of its times and another number of shards.
fn fill(server: &Server, prefix: &str, log: &str, lines: &[String]) {
    let mut days: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in lines {
        let record: Value = serde_json::from_str(line).unwrap();
        let day = match &record["start_time"] {
            Value::String(time) => time[..10].to_owned(),
            time => margay_core::Time(time.as_i64().unwrap() * 1000).to_string()[..10].to_owned(),
        };
        days.entry(day).or_default().push(line);
    }
    assert!(days.len() > 1);
    for (at, (day, lines)) in days.iter().enumerate() {
        let is_text = lines[0].contains("\"start_time\":\"");
        let time = match (is_text, at % 2) {
            (true, _) => json!({ "type": "date" }),
            (false, 0) => json!({ "type": "date", "format": "epoch_second" }),
            (false, _) => json!({ "type": "long" }),
        };
        let index = json!({
            "settings": { "number_of_shards": 1 + at, "number_of_replicas": 0 },
            "mappings": { "dynamic": false, "properties": { "start_time": time, "end_time": time } },
        });
        let name = format!("{prefix}_{log}.{day}");
        server.ask("PUT", &format!("/{name}"), index.to_string());
        lines.chunks(BULK).for_each(|lines| server.index(&name, lines));
    }
}

/// Every file below a folder, and what it holds; generations before are left out.
pub fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|ending| ending != "previous") {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn an_index_gives_the_features_and_alerts_of_the_same_records_in_files() {
    let in_files = Home::new();
    in_files.margay(&["generate", "--out", "logs", "--seed", "7", "--days", "2", "--pods", "30"]).expect(0);
    in_files.write("margay.yaml", configuration(|log| format!("files: \"logs/{log}*.gz\"")));
    in_files.margay(&["run", "--once", "--until", "2026-11-16"]).expect(0);
    let features = contents(&in_files.path(".margay/features"));
    let alerts = in_files.read("alerts.ndjson");
    assert!(alerts.lines().count() > 10);
    for cluster in Cluster::ALL {
        let test = "an_index_gives_the_features_and_alerts_of_the_same_records_in_files";
        let Some(server) = cluster.start(test) else { continue };
        for log in LOGS {
            fill(&server, "same", log, &lines(&in_files.path(&format!("logs/{log}.ndjson.gz"))));
        }
        let home = Home::with(&configuration(in_index(&server, "same")));
        home.margay(&["run", "--once", "--until", "2026-11-16"]).expect(0);
        let found = contents(&home.path(".margay/features"));
        for (name, bytes) in &features {
            assert!(found.get(name) == Some(bytes), "{cluster:?}: {name} differs");
        }
        assert_eq!(found.len(), features.len(), "{cluster:?}");
        assert!(home.read("alerts.ndjson") == alerts, "{cluster:?}: other alerts");
    }
}

/// Has every record pulled.
pub const PULLED: &str = ", push_down: false";

const HITS: &str = "\
name: hits
log: web
entity: [app]
bucket: 10m
features: { hits: sum(hits) }
model: { limit: { above: 50 } }
";

pub fn web(server: &Server, index: &str) -> Home {
    web_with(server, index, "")
}

/// With more settings of the log.
pub fn web_with(server: &Server, index: &str, more: &str) -> Home {
    let place = format!("elasticsearch: {{ url: \"{}\", index: \"{index}\" }}{more}", server.url);
    let logs = format!("logs:\n  web: {{ {place}, time: {{ field: ts }} }}\n");
    let home = Home::with(&format!("{logs}sinks:\n  - file: {{ path: alerts.ndjson }}\n"));
    home.write("detectors.d/hits.yaml", HITS);
    home
}

pub fn record(minute: i64, hits: i64) -> String {
    let time = margay_core::Time(1_793_577_600_000 + minute * 60_000);
    json!({ "ts": time.to_string(), "@timestamp": time.to_string(), "app": "web", "hits": hits }).to_string()
}

#[test]
fn check_compares_detectors_with_the_newest_records_only_when_it_is_asked_to() {
    let test = "check_compares_detectors_with_the_newest_records_only_when_it_is_asked_to";
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start(test) else { continue };
        server.index("gaps-1", &[&record(0, 1), r#"{"ts":"2026-11-02T00:01:00Z","gone":1}"#]);
        let mapping = r#"{"properties":{"empty":{"type":"long"}}}"#;
        server.ask("PUT", "/gaps-1/_mapping", mapping);
        let home = web(&server, "gaps-*");
        home.write("detectors.d/hits.yaml", HITS.replace("hits: sum(hits)", "hits: sum(hits), none: sum(empty)"));
        let quiet = home.margay(&["check"]).expect(0);
        assert!(quiet.stdout.is_empty(), "{}", quiet.stdout);
        let said = home.margay(&["check", "--source"]).expect(0).stdout;
        assert!(said.contains("have no `empty`") && !said.contains("no `hits`"), "{cluster:?}: {said}");
        home.write("detectors.d/hits.yaml", HITS.replace("sum(hits)", "sum(hitz)"));
        let said = home.margay(&["check", "--source"]).expect(3).stdout;
        assert!(said.contains("hitz"), "{cluster:?}: {said}");
        let absent = web(&server, "no-such").margay(&["check", "--source"]).expect(3).stdout;
        assert!(absent.contains("log-unreadable") && absent.contains("no-such"), "{cluster:?}: {absent}");
    }
}

fn statuses(home: &Home) -> Vec<String> {
    let alerts = home.read("alerts.ndjson");
    alerts
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["status"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn records_that_come_late_are_found_by_their_number_and_judged_again() {
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start("records_that_come_late_are_found_by_their_number_and_judged_again") else {
            continue;
        };
        let records: Vec<String> = (0..240).map(|minute| record(minute, 1)).collect();
        server.index("late-1", &records.iter().map(String::as_str).collect::<Vec<_>>());
        let home = web(&server, "late-*");
        let rows = |home: &Home, until: &str| {
            let ran = home.margay(&["run", "--once", "--until", until, "--output", "json"]).expect(0);
            ran.json()["logs"][0]["rows"].as_i64().unwrap()
        };
        assert_eq!(rows(&home, "2026-11-02T04:00:00Z"), 240, "{cluster:?}");
        assert_eq!(rows(&home, "2026-11-02T04:00:00Z"), 0, "{cluster:?}: nothing is new");
        server.index("late-2", &[&record(125, 100)]);
        let again = rows(&home, "2026-11-02T04:00:00Z");
        assert!((1..40).contains(&again), "{cluster:?}: {again} rows are read for one that came late");
        assert_eq!(statuses(&home), ["closed"], "{cluster:?}");
    }
}

#[test]
fn an_index_that_is_not_there_or_cannot_be_read_is_an_error_and_never_silence() {
    for cluster in Cluster::ALL {
        let test = "an_index_that_is_not_there_or_cannot_be_read_is_an_error_and_never_silence";
        let Some(server) = cluster.start(test) else { continue };
        for index in ["absent", "absent-*"] {
            let ran = web(&server, index).margay(&["run", "--once"]).expect(2);
            assert!(ran.stderr.contains(index), "{cluster:?}: {}", ran.stderr);
        }
        server.ask("PUT", "/odd-1", r#"{"mappings":{"properties":{"ts":{"type":"date"},"hits":{"type":"long"}}}}"#);
        server.ask("PUT", "/odd-2", r#"{"mappings":{"properties":{"ts":{"type":"date"},"hits":{"type":"keyword"}}}}"#);
        let ran = web(&server, "odd-*").margay(&["run", "--once"]).expect(2);
        let expected = "`hits` has one type in index odd-1 and another in index odd-2";
        assert!(ran.stderr.contains(expected), "{cluster:?}: {}", ran.stderr);
        server.ask(
            "PUT",
            "/text-1",
            r#"{"mappings":{"properties":{"ts":{"type":"keyword"},"app":{"type":"keyword"},"hits":{"type":"long"}}}}"#,
        );
        server.index("text-1", &[&record(0, 1)]);
        let ran = web(&server, "text-*").margay(&["run", "--once"]).expect(2);
        assert!(ran.stderr.contains("mapped as keyword"), "{cluster:?}: {}", ran.stderr);
    }
}

#[test]
fn a_pull_beyond_its_limit_fails_and_says_how_much_there_is() {
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start("a_pull_beyond_its_limit_fails_and_says_how_much_there_is") else { continue };
        let records: Vec<String> = (0..50).map(|minute| record(minute, 1)).collect();
        server.index("many-1", &records.iter().map(String::as_str).collect::<Vec<_>>());
        let home = web_with(&server, "many-*", PULLED);
        home.write("margay.yaml", home.read("margay.yaml") + "limits: { pull_rows: 49 }\n");
        let ran = home.margay(&["run", "--once"]).expect(2);
        assert!(ran.stderr.contains("at least 50 rows to read, 1 more than `limits.pull_rows`"), "{}", ran.stderr);
        let status = home.margay(&["status", "--output", "json"]).json();
        assert_eq!(status["detectors"][0]["state"], "error", "{cluster:?}: {status}");
    }
}

/// Writes records to what is written to by this name: an alias or a data stream.
fn create(server: &Server, name: &str, lines: &[String]) {
    let body: String = lines.iter().map(|line| format!("{{\"create\":{{}}}}\n{line}\n")).collect();
    let answer = server.ask("POST", &format!("/{name}/_bulk?refresh=true"), body);
    assert_eq!(answer["errors"], false, "{}", answer["items"][0]);
}

fn read(home: &Home, until: &str) -> i64 {
    let ran = home.margay(&["run", "--once", "--until", until, "--output", "json"]).expect(0);
    ran.json()["logs"][0]["rows"].as_i64().unwrap()
}

/// What is written before and after a roll-over is read once each, also after the oldest index is gone.
fn rolls_over(cluster: Cluster, server: &Server, (name, oldest): (&str, &dyn Fn() -> String)) {
    let records = |minutes: std::ops::Range<i64>| minutes.map(|minute| record(minute, 1)).collect::<Vec<_>>();
    create(server, name, &records(0..120));
    let home = web(server, name);
    assert_eq!(read(&home, "2026-11-02T02:00:00Z"), 120, "{cluster:?}: {name}");
    server.ask("POST", &format!("/{name}/_rollover"), "");
    assert_eq!(read(&home, "2026-11-02T02:00:00Z"), 0, "{cluster:?}: {name}: an empty index is new");
    create(server, name, &records(120..240));
    let more = read(&home, "2026-11-02T04:00:00Z");
    assert!((120..=130).contains(&more), "{cluster:?}: {name}: {more} rows are read for 120 new ones");
    let fresh = web(server, name);
    assert_eq!(read(&fresh, "2026-11-02T04:00:00Z"), 240, "{cluster:?}: {name}");
    assert!(
        contents(&fresh.path(".margay/features")) == contents(&home.path(".margay/features")),
        "{cluster:?}: {name}: other features"
    );
    let whole = contents(&home.path(".margay/features"));
    server.ask("DELETE", &format!("/{}", oldest()), "");
    assert_eq!(read(&home, "2026-11-02T04:00:00Z"), 0, "{cluster:?}: {name}: nothing is new");
    assert!(contents(&home.path(".margay/features")) == whole, "{cluster:?}: {name}: history went with the index");
}

#[test]
fn what_an_alias_stands_for_is_read_on_when_it_rolls_over() {
    let test = "what_an_alias_stands_for_is_read_on_when_it_rolls_over";
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start(test) else { continue };
        server.ask("PUT", "/rolls-000001", r#"{"aliases":{"rolls":{"is_write_index":true}}}"#);
        rolls_over(cluster, &server, ("rolls", &|| "rolls-000001".to_owned()));
    }
}

#[test]
fn a_data_stream_is_read_on_when_it_rolls_over() {
    let test = "a_data_stream_is_read_on_when_it_rolls_over";
    // Elasticsearch 7.10 without its licensed parts has none.
    for cluster in [Cluster::OpenSearch, Cluster::Elasticsearch] {
        let Some(server) = cluster.start(test) else { continue };
        let time = r#"{"mappings":{"properties":{"@timestamp":{"type":"date"}}}}"#;
        let template = format!(r#"{{"index_patterns":["stream*"],"data_stream":{{}},"template":{time}}}"#);
        server.ask("PUT", "/_index_template/streams", template);
        let backing = || {
            let found = server.ask("GET", "/stream/_mapping", "");
            let names: Vec<String> = found.as_object().unwrap().keys().cloned().collect();
            assert!(names.iter().all(|name| name.starts_with(".ds-stream-")), "{cluster:?}: {names:?}");
            names.into_iter().min().unwrap()
        };
        rolls_over(cluster, &server, ("stream", &backing));
    }
}
