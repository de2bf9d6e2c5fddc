//! Aggregation in Elasticsearch and OpenSearch: the same features as from the records, to the bit, or none of it.

use serde_json::{Value, json};

use crate::elasticsearch::{contents, lines};
use crate::servers::{Cluster, Server};
use crate::support::Home;

const UNTIL: &str = "2026-11-16";

/// Detectors whose features a server can aggregate, each in another way.
const ABLE: [(&str, &str); 6] = [
    (
        "sent",
        "log: flows
where: reporter = 'src' AND action = 'allow'
entity: [source_namespace, source_name_aggr]
bucket: 1h
features: { sent: sum(bytes_out) }
requires: [bytes_out, dest_type]
",
    ),
    (
        "all",
        "log: flows
entity: [dest_namespace]
bucket: 2h
features:
  rows: count(*)
  denied: coalesce(sum(num_flows) FILTER (WHERE action = 'deny'), 0)
  mean: avg(bytes_in)
  least: min(packets_out)
  most: max(bytes_in) FILTER (WHERE dest_port = 443)
  values: count(tcp_mean_smooth_rtt)
  names: count(DISTINCT dest_name_aggr)
exclude:
  - { where: \"source_namespace = 'shop'\", reason: a load test, until: 2026-11-15 }
",
    ),
    (
        "received",
        "log: flows
where: dest_service_name IS NOT NULL AND action = 'allow' AND (reporter = 'src' OR source_type = 'net')
entity: [dest_namespace, dest_service_name]
bucket: 4h
features: { received: sum(CASE WHEN reporter = 'src' THEN bytes_out ELSE bytes_in END) }
",
    ),
    (
        "names",
        "log: dns
entity: [client_namespace, client_name_aggr]
bucket: 6h
features:
  asked: sum(count)
  missing: sum(CASE WHEN rcode = 'NXDomain' THEN count ELSE 0 END)
  answers: array_agg(DISTINCT rcode)
",
    ),
    (
        "slow",
        "log: dns
entity: [client_namespace, client_name_aggr]
bucket: 6h
features: { slowest: max(latency_max) }
",
    ),
    (
        "failed",
        "log: l7
entity: [dest_namespace, dest_service_name]
bucket: 1d
features:
  hits: sum(CASE WHEN response_code LIKE '4%' OR response_code LIKE '5%' THEN count ELSE 0 END)
  total: sum(count)
",
    ),
];

fn configure(home: &Home, place: impl Fn(&str) -> String) {
    let log = |log: &str| format!("  {log}: {{ {}, preset: calico-{log} }}\n", place(log));
    let logs: String = ["flows", "dns", "l7"].iter().map(|name| log(name)).collect();
    home.write("margay.yaml", format!("logs:\n{logs}sinks:\n  - file: {{ path: alerts.ndjson }}\n"));
}

fn in_index(server: &Server, more: &str) -> impl Fn(&str) -> String {
    let (url, more) = (server.url.clone(), more.to_owned());
    move |log| format!("elasticsearch: {{ url: \"{url}\", index: \"able_{log}.*\" }}{more}")
}

fn able(home: &Home) {
    for (name, text) in ABLE {
        let model = "model: { limit: { above: 1000000000000 } }\n";
        home.write(&format!("detectors.d/{name}.yaml"), format!("name: {name}\n{text}{model}"));
    }
}

/// Mapped as Calico does it: all that is known, and nothing else.
fn mapping(record: &Value) -> Value {
    let kind = |name: &str, value: &Value| match (name, value) {
        ("start_time" | "end_time", Value::String(_)) => json!({ "type": "date" }),
        ("start_time" | "end_time", _) => json!({ "type": "date", "format": "epoch_second" }),
        ("source_ip" | "dest_ip" | "client_ip", _) => json!({ "type": "ip" }),
        ("response_code", _) => json!({ "type": "keyword" }),
        ("source_port" | "dest_port", _) | (_, Value::Number(_)) => json!({ "type": "long" }),
        (_, Value::Object(_)) => json!({ "type": "object", "enabled": false }),
        _ => json!({ "type": "keyword" }),
    };
    let fields = record.as_object().unwrap().iter();
    let fields = fields.filter(|(_, value)| !value.is_array());
    let fields: serde_json::Map<String, Value> =
        fields.map(|(name, value)| (name.clone(), kind(name, value))).collect();
    json!({ "dynamic": false, "properties": fields })
}

/// Writes a log into two indices, one of them with three shards.
fn fill(server: &Server, log: &str, lines: &[String]) {
    let half = lines.len() / 2;
    for (name, shards, lines) in [("a", 1, &lines[..half]), ("b", 3, &lines[half..])] {
        let record = serde_json::from_str(&lines[0]).unwrap();
        let index = json!({
            "settings": { "number_of_shards": shards, "number_of_replicas": 0 }, "mappings": mapping(&record),
        });
        let name = format!("able_{log}.{name}");
        server.ask("PUT", &format!("/{name}"), index.to_string());
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        lines.chunks(5_000).for_each(|lines| server.index(&name, lines));
    }
}

/// Runs once, and returns the groups that came and the rows that were read of each log.
#[track_caller]
fn run(home: &Home) -> Vec<(u64, u64)> {
    let ran = home.margay(&["run", "--once", "--until", UNTIL, "--output", "json"]).expect(0).json();
    let logs = ran["logs"].as_array().unwrap().iter();
    logs.map(|log| (log["groups"].as_u64().unwrap(), log["rows"].as_u64().unwrap())).collect()
}

#[track_caller]
fn expect_same(cluster: Cluster, home: &Home, other: &Home) {
    let (one, other) = (contents(&home.path(".margay/features")), contents(&other.path(".margay/features")));
    for (name, bytes) in &one {
        assert!(other.get(name) == Some(bytes), "{cluster:?}: {name} differs");
    }
    assert_eq!(one.len(), other.len(), "{cluster:?}");
}

#[test]
fn a_server_aggregates_to_the_features_of_the_same_records_in_files() {
    let test = "a_server_aggregates_to_the_features_of_the_same_records_in_files";
    let in_files = Home::new();
    in_files.margay(&["generate", "--out", "logs", "--seed", "7", "--days", "2", "--pods", "30"]).expect(0);
    configure(&in_files, |log| format!("files: \"logs/{log}*.gz\""));
    able(&in_files);
    let rows: Vec<u64> = run(&in_files).into_iter().map(|(_, rows)| rows).collect();
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start(test) else { continue };
        for log in ["flows", "dns", "l7"] {
            fill(&server, log, &lines(&in_files.path(&format!("logs/{log}.ndjson.gz"))));
        }
        let home = Home::new();
        configure(&home, in_index(&server, ""));
        able(&home);
        for ((groups, read), rows) in run(&home).into_iter().zip(&rows) {
            assert_eq!(read, *rows, "{cluster:?}");
            assert!(0 < groups && groups < *rows, "{cluster:?}: {groups} groups of {rows} rows");
        }
        expect_same(cluster, &in_files, &home);
        let said = home.margay(&["check", "--source"]).expect(0).stderr;
        for (name, _) in ABLE {
            assert!(said.contains(&format!("{name}: the server aggregates")), "{cluster:?}: {said}");
        }
        pulled(cluster, &server, &in_files);
    }
}

/// What cannot be aggregated, or should not be, is pulled.
fn pulled(cluster: Cluster, server: &Server, in_files: &Home) {
    let off = Home::new();
    configure(&off, in_index(server, ", push_down: false"));
    able(&off);
    assert!(run(&off).iter().all(|(groups, _)| *groups == 0), "{cluster:?}");
    expect_same(cluster, in_files, &off);
    let said = off.margay(&["check", "--source"]).expect(0).stderr;
    assert!(said.contains("sent: every record is read: `push_down` is off"), "{cluster:?}: {said}");

    let mixed = Home::new();
    configure(&mixed, in_index(server, ""));
    able(&mixed);
    let spread = "name: spread\nlog: flows\nentity: [host]\nbucket: 1h\nfeatures: { x: stddev(bytes_in) }\nmodel: { limit: { above: 1000000000000 } }\n";
    mixed.write("detectors.d/spread.yaml", spread);
    let read = run(&mixed);
    assert!(read.iter().filter(|(groups, _)| *groups == 0).count() == 1, "{cluster:?}: {read:?}");
    let said = mixed.margay(&["check", "--source"]).expect(0).stderr;
    assert!(said.contains("spread: every record is read: `stddev` cannot be made of totals"), "{cluster:?}: {said}");
    std::fs::remove_dir_all(mixed.path(".margay/features/spread")).unwrap();
    expect_same(cluster, in_files, &mixed);

    let short = Home::new();
    configure(&short, in_index(server, ""));
    short.write(
        "detectors.d/sent.yaml",
        format!("name: sent\n{}model: {{ limit: {{ above: 1000000000000 }} }}\n", ABLE[0].1.replace("1h", "5m")),
    );
    assert!(run(&short).iter().all(|(groups, _)| *groups == 0), "{cluster:?}: most records span two buckets");
}

const ODD: &str = "\
name: odd
log: odd
entity: [app, kind]
bucket: 10m
features: { sum: sum(hits), rows: count(*), values: count(hits), most: max(hits), part: max(share) }
model: { limit: { above: 1000000000000 } }
";

fn odd(server: &Server, index: &str, more: &str) -> Home {
    let place = format!("elasticsearch: {{ url: \"{}\", index: \"{index}\" }}{more}", server.url);
    let time = "time: { field: ts, end_field: until }";
    let logs = format!("logs:\n  odd: {{ {place}, {time} }}\n");
    let home = Home::with(&format!("{logs}sinks:\n  - file: {{ path: alerts.ndjson }}\n"));
    home.write("detectors.d/odd.yaml", ODD);
    home
}

fn mapped(kind: &Value) -> String {
    let date = json!({ "type": "date" });
    let fields = json!({
        "ts": date, "until": date, "app": { "type": "keyword" }, "kind": kind, "hits": { "type": "long" },
        "share": { "type": "double" },
    });
    json!({ "mappings": { "properties": fields } }).to_string()
}

fn record(second: i64, more: &Value) -> String {
    let mut record = json!({ "ts": margay_core::Time(1_793_577_600_000 + second * 1000).to_string() });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record.to_string()
}

/// Records that are as they should be.
fn plain() -> Vec<String> {
    let until = |second: i64| margay_core::Time(1_793_577_600_000 + second * 1000).to_string();
    (0..400)
        .map(|at| {
            let more = match at % 8 {
                0 => json!({ "app": "a", "kind": "x", "hits": at, "share": 0.1 }),
                1 => json!({ "app": "a", "kind": "-", "hits": 3, "until": until(at * 20 + 15) }),
                2 => json!({ "kind": "*", "hits": -7, "until": until(at * 20 + 900) }),
                3 => json!({ "app": "é😀\"\\\u{1f}", "kind": "", "share": -2.5e-3 }),
                4 => json!({ "app": "a", "hits": null, "until": until(at * 20) }),
                5 => json!({ "app": "b", "kind": "x", "hits": 1_000_000_007, "until": until(at * 20 - 100) }),
                6 => json!({ "app": "b", "kind": "y", "hits": 2, "share": 1e11, "until": until((at * 20 / 600 + 1) * 600) }),
                _ => json!({}),
            };
            record(at * 20, &more)
        })
        .collect()
}

fn features(home: &Home) -> u64 {
    let ran = home.margay(&["run", "--once", "--until", "2026-11-03", "--output", "json"]).expect(0).json();
    ran["logs"][0]["groups"].as_u64().unwrap()
}

#[test]
fn odd_values_are_the_same_whether_a_server_aggregates_them_or_not() {
    let test = "odd_values_are_the_same_whether_a_server_aggregates_them_or_not";
    let keyword = json!({ "type": "keyword" });
    let short = json!({ "type": "keyword", "ignore_above": 3 });
    let text = json!({ "type": "text", "fields": { "keyword": { "type": "keyword", "ignore_above": 8 } } });
    // Name, mapping of the kind, a record more, and whether it is aggregated all the same.
    let cases = [
        ("plain", &keyword, json!({ "app": "a", "kind": "x", "hits": 5 }), true),
        ("text", &text, json!({ "app": "a", "kind": "x", "hits": 5 }), true),
        ("several", &keyword, json!({ "app": ["a", "b"], "kind": "x", "hits": 5 }), false),
        ("numbers", &keyword, json!({ "app": "a", "kind": "x", "hits": [5, 6] }), false),
        ("large", &keyword, json!({ "app": "a", "kind": "x", "hits": 9_007_199_254_740_993_i64 }), false),
        ("longer", &short, json!({ "app": "a", "kind": "longer", "hits": 5 }), false),
        ("longer-text", &text, json!({ "app": "a", "kind": "much longer", "hits": 5 }), false),
        (
            "lower",
            &json!({ "type": "keyword", "null_value": "none" }),
            json!({ "app": "a", "kind": null, "hits": 5 }),
            false,
        ),
        ("fraction", &keyword, json!({ "app": "a", "kind": "x", "hits": "5.75" }), true),
    ];
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start(test) else { continue };
        for (name, kind, more, is_aggregated) in &cases {
            let index = format!("odd-{name}");
            server.ask("PUT", &format!("/{index}"), mapped(kind));
            let mut records = plain();
            records.push(record(77, more));
            server.index(&index, &records.iter().map(String::as_str).collect::<Vec<_>>());
            let (pushed, pulled) = (odd(&server, &index, ""), odd(&server, &index, ", push_down: false"));
            assert_eq!(features(&pulled), 0, "{cluster:?}: {name}");
            let groups = features(&pushed);
            assert_eq!(groups > 0, *is_aggregated, "{cluster:?}: {name}: {groups} groups");
            expect_same(cluster, &pulled, &pushed);
        }
    }
}

#[test]
fn an_index_that_cannot_aggregate_is_pulled_and_others_are_not() {
    let test = "an_index_that_cannot_aggregate_is_pulled_and_others_are_not";
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start(test) else { continue };
        let records = plain();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let float = mapped(&json!({ "type": "keyword" })).replace("\"double\"", "\"float\"");
        server.ask("PUT", "/two-1", mapped(&json!({ "type": "keyword" })));
        server.ask("PUT", "/two-2", float);
        server.index("two-1", &records[..200]);
        server.index("two-2", &records[200..]);
        let (pushed, pulled) = (odd(&server, "two-*", ""), odd(&server, "two-*", ", push_down: false"));
        assert_eq!(features(&pulled), 0);
        let ran = pushed.margay(&["run", "--once", "--until", "2026-11-03", "--output", "json"]).expect(0).json();
        let log = &ran["logs"][0];
        assert!(log["groups"].as_u64().unwrap() > 0, "{cluster:?}: {log}");
        assert!(log["ungathered"][0].as_str().unwrap().contains("index two-2"), "{cluster:?}: {log}");
        expect_same(cluster, &pulled, &pushed);
    }
}
