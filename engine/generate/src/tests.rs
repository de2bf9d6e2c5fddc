//! What the logs of a whole run must be.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;

use super::*;

fn options() -> Options {
    Options {
        seed: 7,
        days: 1,
        pods: 60,
        end: "2026-11-24T07:00:30Z".parse().unwrap(),
        incidents: IncidentKind::ALL.to_vec(),
    }
}

fn rows(directory: &Path, log: &str) -> Vec<Value> {
    let mut text = String::new();
    let file = fs::File::open(directory.join(format!("{log}.ndjson.gz"))).unwrap();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn written(options: &Options) -> (tempfile::TempDir, Vec<Planted>) {
    let directory = tempfile::tempdir().unwrap();
    let planted = write(options, directory.path(), &|_| ()).unwrap();
    (directory, planted)
}

#[test]
fn the_same_options_give_the_same_bytes_and_another_seed_gives_others() {
    let mut options = options();
    let read = |directory: &tempfile::TempDir| {
        ["flows.ndjson.gz", "dns.ndjson.gz", "l7.ndjson.gz", "incidents.json"]
            .map(|name| fs::read(directory.path().join(name)).unwrap())
    };
    let (first, second) = (written(&options), written(&options));
    assert!(read(&first.0) == read(&second.0));
    options.seed += 1;
    assert!(read(&first.0) != read(&written(&options).0));
}

#[test]
fn a_flow_has_all_keys_and_both_ends_saw_the_same_bytes() {
    let (directory, _) = written(&Options { incidents: Vec::new(), ..options() });
    let mut sent: BTreeMap<(String, String), [f64; 2]> = BTreeMap::new();
    for row in rows(directory.path(), "flows") {
        assert_eq!(row.as_object().unwrap().len(), 57);
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        if text("source_type") != "wep" || text("dest_type") != "wep" || text("source_name_aggr").starts_with("catalog")
        {
            continue;
        }
        let totals = sent.entry((text("source_name"), text("dest_name"))).or_default();
        match row["reporter"].as_str().unwrap() {
            "src" => totals[0] += row["bytes_out"].as_f64().unwrap(),
            _ => totals[1] += row["bytes_in"].as_f64().unwrap(),
        }
    }
    let total = sent.values().fold([0.0; 2], |sum, pair| [sum[0] + pair[0], sum[1] + pair[1]]);
    assert!((total[0] / total[1] - 1.0).abs() < 0.01, "{total:?}");
}

/// Means of a number over the rows of an incident's entity: well inside of it, and away from it.
fn inside_and_outside(rows: &[Value], incident: &Planted, number: &dyn Fn(&Value) -> f64) -> [f64; 2] {
    let time = |row: &Value, key: &str| match &row[key] {
        Value::String(text) => text.parse().unwrap(),
        seconds => Time(seconds.as_i64().unwrap() * 1000),
    };
    let mut sums = [[0.0; 2]; 2];
    for row in rows.iter().filter(|row| incident.entity.iter().all(|(column, value)| &row[column] == value)) {
        let (start, end) = (time(row, "start_time"), time(row, "end_time"));
        let inside = start >= incident.start && end <= incident.end;
        let outside = end <= incident.start || start >= incident.end;
        if inside || outside {
            let sum = &mut sums[usize::from(outside)];
            *sum = [sum[0] + number(row), sum[1] + 1.0];
        }
    }
    sums.map(|sum| sum[0] / sum[1])
}

#[test]
fn every_incident_shows_in_its_log() {
    let (directory, planted) = written(&options());
    assert_eq!(planted.len(), IncidentKind::ALL.len());
    let [flows, dns, l7] = ["flows", "dns", "l7"].map(|log| rows(directory.path(), log));
    let ratio = |kind: IncidentKind, rows: &[Value], number: &dyn Fn(&Value) -> f64| {
        let incident = planted.iter().find(|incident| incident.kind == kind.to_string()).unwrap();
        let [inside, outside] = inside_and_outside(rows, incident, number);
        inside / outside
    };
    let of = |key: &'static str| move |row: &Value| row[key].as_f64().unwrap();
    let outgoing = |row: &Value| if row["reporter"] == "src" { row["bytes_out"].as_f64().unwrap() } else { 0.0 };
    assert!(ratio(IncidentKind::Exfiltration, &flows, &outgoing) > 10.0);
    assert!(ratio(IncidentKind::DnsLatency, &dns, &of("latency_mean")) > 50.0);
    assert!(ratio(IncidentKind::Latency, &l7, &of("duration_mean")) > 3.0);
    assert!(ratio(IncidentKind::ConnectionFlood, &l7, &of("count")) > 3.0);
    let failed = |row: &Value| f64::from(u8::from(row["response_code"] == "503"));
    assert!(ratio(IncidentKind::Http5xx, &l7, &failed) > 10.0);
}

#[test]
fn scans_sweeps_and_restarts_show_as_many_distinct_values() {
    let (directory, planted) = written(&options());
    let flows = rows(directory.path(), "flows");
    for (kind, key, least) in
        [("port_scan", "dest_port", 1000), ("ip_sweep", "dest_ip", 300), ("restart_loop", "process_id", 20)]
    {
        let incident = planted.iter().find(|incident| incident.kind == kind).unwrap();
        let seen: BTreeSet<String> = flows
            .iter()
            .filter(|row| row["reporter"] == "src")
            .filter(|row| incident.entity.iter().all(|(column, value)| &row[column] == value))
            .map(|row| row[key].to_string())
            .collect();
        assert!(seen.len() > least, "{kind}: {}", seen.len());
    }
}

#[test]
fn without_incidents_nothing_is_denied_and_processes_live_long() {
    let (directory, planted) = written(&Options { incidents: Vec::new(), ..options() });
    assert!(planted.is_empty());
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows(directory.path(), "flows") {
        assert_eq!(row["action"], "allow");
        if row["reporter"] == "src" {
            ids.entry(row["source_name"].to_string()).or_default().insert(row["process_id"].to_string());
        }
    }
    assert!(ids.values().all(|ids| ids.len() <= 5), "{ids:?}");
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let error = |options: Options| write(&options, directory.path(), &|_| ()).unwrap_err().to_string();
    assert_eq!(error(Options { days: 0, ..options() }), "0 days cannot be written, only 1 to 400");
    assert_eq!(error(Options { pods: 5, ..options() }), "a cluster of 5 pods cannot be written, only of 22 to 6000");
}

#[test]
fn progress_never_goes_back_and_ends_at_one() {
    let directory = tempfile::tempdir().unwrap();
    let told = std::cell::RefCell::new(vec![0.0]);
    write(&options(), directory.path(), &|done| told.borrow_mut().push(done)).unwrap();
    let told = told.into_inner();
    assert!(told.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9));
    assert_eq!(told.last(), Some(&1.0));
}
