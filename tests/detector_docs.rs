//! The tables of docs/detectors.md are made from the detectors themselves.

use std::fmt::Write;

use serde_yaml::Value;

use crate::support::root;

/// Set to any value, the test writes the page instead of comparing it.
const UPDATE: &str = "MARGAY_UPDATE";
/// Lines between which the page is made.
const BEGIN: &str =
    "<!-- made from detectors.d: MARGAY_UPDATE=1 cargo test --release -p margay --test it detector_docs -->";
const END: &str = "<!-- end -->";

/// Calico Enterprise's ids of anomaly detectors, by the generation in which they came.
#[rustfmt::skip]
const CALICO: &[(&str, &[&str])] = &[
    ("2019, Elastic jobs", &[
        "inbound_connection_spike", "ip_sweep_external", "ip_sweep_pods", "port_scan_external", "port_scan_pods",
        "pod_outlier_ip_activity", "service_bytes_anomaly",
    ]),
    ("2021 to 2023", &[
        "port_scan", "ip_sweep", "bytes_in", "bytes_out", "process_restarts", "process_bytes", "dns_latency",
        "l7_latency", "l7_bytes", "http_connection_spike", "http_response_codes", "http_verbs", "dga", "dns_tunnel",
        "generic_flows", "generic_dns", "generic_l7", "time_series_flows", "time_series_dns", "time_series_l7",
        "multivariable_flow",
    ]),
];

#[test]
fn the_page_of_detectors_is_not_stale() {
    let path = root().join("docs/detectors.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a line where the tables begin");
    let (_, after) = rest.split_once(END).expect("the page has a line where the tables end");
    let fresh = format!("{before}{BEGIN}\n\n{}{END}{after}", tables());
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(stored == fresh, "docs/detectors.md is stale: run the tests with {UPDATE}=1");
}

fn tables() -> String {
    let detectors = detectors();
    let mut text = String::new();
    for (tag, title) in [("security", "Security"), ("performance", "Performance")] {
        writeln!(text, "## {title}\n").unwrap();
        writeln!(text, "| detector | fires when | log, entity | features | model | threshold | MITRE |").unwrap();
        writeln!(text, "| --- | --- | --- | --- | --- | --- | --- |").unwrap();
        for detector in detectors.iter().filter(|detector| main_tag(detector) == tag) {
            text.push_str(&row(detector));
        }
        text.push('\n');
    }
    text.push_str("## Calico's detectors\n\n| Calico's id | since | here |\n| --- | --- | --- |\n");
    for (since, ids) in CALICO {
        for id in *ids {
            let name = id.replace('_', "-");
            let known = detectors.iter().any(|detector| string(&detector["name"]) == name);
            let here = if known { format!("`{name}`") } else { "not yet".to_owned() };
            writeln!(text, "| `{id}` | {since} | {here} |").unwrap();
        }
    }
    text.push('\n');
    text
}

fn detectors() -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(root().join("detectors.d"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    files.iter().map(|path| serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
}

/// Detectors of both kinds stand among those of security.
fn main_tag(detector: &Value) -> &str {
    let tags = detector["tags"].as_sequence().unwrap();
    if tags.iter().any(|tag| tag == "security") { "security" } else { "performance" }
}

fn row(detector: &Value) -> String {
    let list = |value: &Value| value.as_sequence().into_iter().flatten().map(string).collect::<Vec<_>>().join(", ");
    let (model, _) = detector["model"].as_mapping().unwrap().iter().next().unwrap();
    let features: Vec<String> =
        detector["features"].as_mapping().unwrap().keys().map(|name| format!("`{}`", string(name))).collect();
    let gates: Vec<String> = detector["threshold"]
        .as_mapping()
        .into_iter()
        .flatten()
        .filter(|(key, _)| !["direction", "refractory"].contains(&&string(key)[..]))
        .map(|(key, value)| {
            if key == "score" || key == "sustained" {
                string(value)
            } else {
                format!("{} {}", string(key), string(value))
            }
        })
        .collect();
    let shared = if main_tag(detector) == "security" && detector["tags"].as_sequence().unwrap().len() > 1 {
        " (also performance)"
    } else {
        ""
    };
    format!(
        "| `{}` | {}{shared} | {}, {}: {} | {} | `{}` | {} | {} |\n",
        string(&detector["name"]),
        string(&detector["description"]).replace('|', "\\|"),
        string(&detector["log"]),
        string(&detector["bucket"]),
        list(&detector["entity"]),
        features.join(", "),
        string(model),
        gates.join(", "),
        list(&detector["alert"]["mitre"]),
    )
}

fn string(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        other => serde_yaml::to_string(other).unwrap().trim().to_owned(),
    }
}
