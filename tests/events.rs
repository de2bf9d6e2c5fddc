//! Alerts in real Elasticsearch and OpenSearch: each revision is a document, once, whatever is repeated.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::elasticsearch::record;
use crate::servers::{Cluster, Server};
use crate::sinks;
use crate::support::{Home, wait};

impl Cluster {
    /// What alerts are written to there: the open distribution has no data streams.
    fn kind(self) -> &'static str {
        if self == Self::ElasticsearchOss { "index" } else { "data_stream" }
    }
}

fn sink(server: &Server, index: &str, kind: &str) -> String {
    format!("  - elasticsearch: {{ url: '{}', index: {index}, kind: {kind}, allow_local: true }}\n", server.url)
}

/// The documents of an index, by their ids.
fn documents(server: &Server, index: &str) -> Vec<(String, Value)> {
    server.ask("POST", &format!("/{index}/_refresh"), "");
    let found = server.ask("GET", &format!("/{index}/_search?size=1000"), "");
    let hits = found["hits"]["hits"].as_array().unwrap();
    hits.iter().map(|hit| (hit["_id"].as_str().unwrap().to_owned(), hit["_source"].clone())).collect()
}

fn ids(documents: &[(String, Value)]) -> BTreeSet<String> {
    documents.iter().map(|(id, _)| id.clone()).collect()
}

#[test]
fn each_revision_is_a_document_once_however_often_it_is_written_and_set_up() {
    for cluster in Cluster::ALL {
        let test = "each_revision_is_a_document_once_however_often_it_is_written_and_set_up";
        let Some(server) = cluster.start(test) else { continue };
        let home = sinks::home(&(sink(&server, "margay-once", cluster.kind()) + "  - file: { path: alerts.ndjson }\n"));
        let dry = home.margay(&["elasticsearch", "setup", "--dry-run"]).expect(0).stdout;
        assert!(dry.contains("PUT /_index_template/margay-once"), "{cluster:?}: {dry}");
        assert_eq!(server.send("GET", "/_index_template/margay-once", String::new()).0, 404, "{cluster:?}");
        home.margay(&["elasticsearch", "setup"]).expect(0);
        home.margay(&["elasticsearch", "setup"]).expect(0);
        home.margay(&["run", "--once"]).expect(0);
        let first = documents(&server, "margay-once");
        let told: BTreeSet<String> = home
            .read("alerts.ndjson")
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|alert| format!("{}-{}", alert["id"].as_str().unwrap(), alert["revision"]))
            .collect();
        assert_eq!((first.len(), ids(&first)), (12, told), "{cluster:?}");
        // All is judged and written once more.
        std::fs::remove_dir_all(home.path(".margay")).unwrap();
        home.margay(&["run", "--once"]).expect(0);
        assert_eq!(documents(&server, "margay-once").len(), 12, "{cluster:?}");
        let again = home.margay(&["elasticsearch", "setup"]).expect(0).stdout;
        assert!(again.contains("wrote the mapping"), "{cluster:?}: {again}");
        let backing = server.ask("GET", "/margay-once", "");
        let name = backing.as_object().unwrap().keys().next().unwrap().clone();
        let prefix = if cluster.kind() == "index" { "margay-once-0" } else { ".ds-margay-once-" };
        assert!(name.starts_with(prefix), "{cluster:?}: {name}");
    }
}

#[test]
fn events_are_found_by_calicos_fields() {
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start("events_are_found_by_calicos_fields") else { continue };
        let home = sinks::home(&sink(&server, "margay-fields", cluster.kind()));
        home.margay(&["elasticsearch", "setup"]).expect(0);
        home.margay(&["run", "--once"]).expect(0);
        documents(&server, "margay-fields");
        let count =
            |query: &str| server.ask("GET", &format!("/margay-fields/_count?q={query}"), "")["count"].as_u64().unwrap();
        assert_eq!(count("type:anomaly_detection_job"), 12, "{cluster:?}");
        assert_eq!(count("origin:anomaly_detection.loud%20AND%20record.status:closed"), 6, "{cluster:?}");
        assert_eq!(count("time:%5B2026-11-02T00:00:00Z%20TO%202026-11-02T00:35:00Z%5D"), 8, "{cluster:?}");
        assert_eq!(count("record.app:web"), 0, "{cluster:?}: what logs say is kept, and adds no field");
        let mapping = server.ask("GET", "/margay-fields/_mapping", "").to_string();
        assert!(mapping.contains("\"source_ip\":{\"type\":\"ip\""), "{cluster:?}: {mapping}");
        assert!(!mapping.contains("suspicious_records"), "{cluster:?}: {mapping}");
    }
}

#[test]
fn an_index_in_the_place_of_a_data_stream_is_told_and_not_touched() {
    for cluster in [Cluster::OpenSearch, Cluster::Elasticsearch] {
        let test = "an_index_in_the_place_of_a_data_stream_is_told_and_not_touched";
        let Some(server) = cluster.start(test) else { continue };
        server.ask("PUT", "/margay-plain", "{}");
        let home = sinks::home(&sink(&server, "margay-plain", "data_stream"));
        let refused = home.margay(&["elasticsearch", "setup"]).expect(2).stderr;
        assert!(refused.contains("an index of its own already, not a data stream"), "{cluster:?}: {refused}");
        let stream = sinks::home(&sink(&server, "margay-stream", "data_stream"));
        stream.margay(&["elasticsearch", "setup"]).expect(0);
        stream.margay(&["run", "--once"]).expect(0);
        let home = sinks::home(&sink(&server, "margay-stream", "index"));
        let refused = home.margay(&["elasticsearch", "setup"]).expect(2).stderr;
        assert!(refused.contains("a data stream already, not an alias"), "{cluster:?}: {refused}");
    }
    let Some(server) = Cluster::ElasticsearchOss.start("") else { return };
    let refused = sinks::home(&sink(&server, "margay-plain", "data_stream")).margay(&["elasticsearch", "setup"]);
    assert!(refused.expect(2).stderr.contains("`kind: index`"));
}

#[test]
fn documents_that_the_index_refuses_are_put_aside_and_sent_again_when_it_is_mended() {
    for cluster in Cluster::ALL {
        let test = "documents_that_the_index_refuses_are_put_aside_and_sent_again_when_it_is_mended";
        let Some(server) = cluster.start(test) else { continue };
        // Closed alerts are refused: their status is no number.
        let mapping = r#"{"mappings":{"properties":{"record":{"properties":{"end_time":{"type":"ip"}}}}}}"#;
        server.ask("PUT", "/margay-odd", mapping);
        let home = sinks::home(&sink(&server, "margay-odd", "index"));
        home.margay(&["--log", "off", "run", "--once"]).expect(0);
        assert_eq!(documents(&server, "margay-odd"), [], "{cluster:?}");
        let status = home.margay(&["status", "--output", "json"]).expect(0).json();
        assert_eq!(status["sinks"][0]["dead_letters"], 12, "{cluster:?}: {status}");
        let listed = home.margay(&["sink", "dead-letters", "--output", "json"]).expect(0).json();
        let reason = listed["letters"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("400") && reason.contains("end_time"), "{cluster:?}: {reason}");
        let in_vain = home.margay(&["sink", "resend"]).expect(2).stdout;
        assert!(in_vain.starts_with("elasticsearch: 0 sent, 12 left: refuses it with 400"), "{cluster:?}: {in_vain}");
        server.ask("DELETE", "/margay-odd", "");
        let mended = home.margay(&["sink", "resend", "elasticsearch"]).expect(0).stdout;
        assert_eq!(mended, "elasticsearch: 12 sent, 0 left\n", "{cluster:?}");
        assert_eq!(documents(&server, "margay-odd").len(), 12, "{cluster:?}");
        assert_eq!(home.margay(&["sink", "dead-letters"]).expect(0).stdout, "", "{cluster:?}");
    }
}

/// The daemon reads an index and writes to another one, through a kill and a stop.
#[test]
fn a_daemon_over_an_index_alerts_on_what_comes_once_also_after_a_kill() {
    for cluster in Cluster::ALL {
        let test = "a_daemon_over_an_index_alerts_on_what_comes_once_also_after_a_kill";
        let Some(server) = cluster.start(test) else { continue };
        let index = |minutes: std::ops::Range<i64>| {
            let loud = |minute: i64| if minute % 60 == 0 { 90 } else { 1 };
            let lines: Vec<String> = minutes.map(|minute| record(minute, loud(minute))).collect();
            server.index("daemon-log", &lines.iter().map(String::as_str).collect::<Vec<_>>());
        };
        index(0..120);
        let home = Home::with(&format!(
            "logs:\n  web: {{ elasticsearch: {{ url: '{}', index: daemon-log }}, time: {{ field: ts }}, query_delay: 0s }}\n\
             daemon: {{ reload: 1s, alert_age: 520w }}\nsinks:\n{}",
            server.url,
            sink(&server, "daemon-alerts", cluster.kind())
        ));
        home.write(
            "detectors.d/hits.yaml",
            "name: hits\nlog: web\nentity: [app]\nbucket: 1m\nfeatures: { hits: sum(hits) }\nmodel: { limit: { above: 50 } }\nthreshold: { refractory: 1m }\n",
        );
        home.margay(&["elasticsearch", "setup"]).expect(0);
        let opened = || {
            let (status, found) =
                server.send("GET", "/daemon-alerts/_search?size=1000&q=record.status:open", String::new());
            let found: Value = serde_json::from_str(&found).unwrap();
            if status == 200 { found["hits"]["hits"].as_array().unwrap().len() } else { 0 }
        };
        let mut daemon = home.spawn("first", &["run"]);
        wait("the alerts of what was there", || opened() == 2);
        index(120..240);
        wait("the alerts of what came", || opened() == 4);
        daemon.kill();
        index(240..360);
        let mut daemon = home.spawn("second", &["run"]);
        wait("the alerts of what came meanwhile", || opened() == 6);
        assert_eq!(daemon.terminate(), Some(0), "{}", daemon.said());
        let found = documents(&server, "daemon-alerts");
        let alerts: BTreeSet<&str> = found.iter().map(|(_, event)| event["id"].as_str().unwrap()).collect();
        assert_eq!(alerts.len(), 6, "{cluster:?}: none twice under another id");
    }
}
