//! Late rows: once they have come, everything is as if they had never been late; how many there were is counted exactly, and
//! what was only missing is no alert in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::support::{Home, rounds};

/// Hours of the day that is lived through; the long form has 24.
const HOURS: &str = "MARGAY_HOURS";
const START_MS: i64 = 1_793_577_600_000;
const BUCKET_MS: i64 = 300_000;
const DELAY_MS: i64 = 120_000;
const NODES: i64 = 4;
const PODS: i64 = 3;

/// A record of a flow: its time, when it can be read, and what it says.
struct Record {
    start_ms: i64,
    end_ms: i64,
    arrives_ms: i64,
    pod: String,
    bytes: i64,
}

struct Dice(u64);

impl Dice {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 31)
    }

    /// Exponentially distributed.
    fn wait_ms(&mut self, mean_ms: f64) -> i64 {
        (-mean_ms * (1.0 - self.share()).ln()) as i64
    }
}

/// Each node flushes every 300 to 325 seconds, at no common time; one has a clock seven minutes ahead. Of the records one in
/// twenty is late by a minute on average, one in a thousand by an hour.
fn day(hours: i64) -> Vec<Record> {
    let (mut dice, mut records) = (Dice(11), Vec::new());
    for node in 0..NODES {
        let every_ms = 300_000 + node * 8_000;
        let ahead_ms = if node == NODES - 1 { 7 * 60_000 } else { 0 };
        let mut from_ms = -(node * 71_000);
        while from_ms < hours * 3_600_000 {
            let until_ms = from_ms + every_ms;
            for pod in 0..PODS {
                let late_ms = match dice.share() {
                    chance if chance < 0.001 => dice.wait_ms(3_600_000.0),
                    chance if chance < 0.051 => dice.wait_ms(60_000.0),
                    _ => 0,
                };
                records.push(Record {
                    start_ms: START_MS + from_ms + ahead_ms,
                    end_ms: START_MS + until_ms + ahead_ms,
                    arrives_ms: START_MS + until_ms + 5_000 + late_ms,
                    pod: format!("node-{node}-pod-{pod}"),
                    bytes: 50_000_000 + (dice.share() * 10_000_000.0) as i64,
                });
            }
            from_ms = until_ms;
        }
    }
    records
}

/// Calico's flows.
fn flows(records: &[&Record]) -> String {
    let mut text = String::new();
    for record in records {
        let [start, end] = [record.start_ms / 1000, record.end_ms / 1000];
        let (pod, bytes) = (&record.pod, record.bytes);
        writeln!(
            text,
            "{{\"start_time\":{start},\"end_time\":{end},\"source_name_aggr\":\"{pod}\",\"bytes_out\":{bytes}}}"
        )
        .unwrap();
    }
    text
}

fn home() -> Home {
    let home = Home::with(
        "logs:\n  flows: { files: \"logs/*.ndjson\", preset: calico-flows }\ndetectors: [detectors.d]\nsinks:\n  - file: { path: alerts.ndjson }\n",
    );
    let detector = |name: &str, model: &str| {
        format!(
            "name: {name}\nlog: flows\nentity: [source_name_aggr]\nbucket: 5m\nfeatures: {{ bytes: sum(bytes_out) }}\nmodel: {model}\nthreshold: {{ direction: both }}\n"
        )
    };
    home.write("detectors.d/drop.yaml", detector("drop", "{ limit: { below: 30000000 } }").replace("both", "below"));
    home.write("detectors.d/bytes.yaml", detector("bytes", "{ auto: {} }"));
    home
}

/// Which values change after they were judged: an entity's in each bucket that its late record reaches into.
fn late_values(records: &[Record], cycles: &[i64]) -> usize {
    let mut late = 0;
    let mut judged_ms = i64::MIN;
    for pair in cycles.windows(2) {
        judged_ms = judged_ms.max((pair[0] - DELAY_MS).div_euclid(BUCKET_MS) * BUCKET_MS);
        let mut touched = BTreeSet::new();
        for record in records.iter().filter(|record| pair[0] < record.arrives_ms && record.arrives_ms <= pair[1]) {
            let first = record.start_ms.div_euclid(BUCKET_MS);
            for bucket in first..=(record.end_ms - 1).div_euclid(BUCKET_MS) {
                if bucket * BUCKET_MS < judged_ms {
                    touched.insert((&record.pod, bucket));
                }
            }
        }
        late += touched.len();
    }
    late
}

#[test]
fn late_rows_are_counted_and_change_nothing_in_the_end() {
    let hours = rounds(HOURS, 3);
    let records = day(hours);
    let live = home();
    let cycles: Vec<i64> = (0..=hours * 12 + 36).map(|cycle| START_MS + cycle * BUCKET_MS).collect();
    for (at, pair) in [START_MS - 3_600_000].iter().chain(&cycles).collect::<Vec<_>>().windows(2).enumerate() {
        let arrived: Vec<&Record> =
            records.iter().filter(|record| *pair[0] < record.arrives_ms && record.arrives_ms <= *pair[1]).collect();
        if !arrived.is_empty() {
            live.write(&format!("logs/{at:04}.ndjson"), flows(&arrived));
        }
        let until = margay_core::Time(pair[1] - DELAY_MS).to_string();
        live.margay(&["run", "--once", "--until", &until]);
    }
    let rest: Vec<&Record> = records.iter().filter(|record| record.arrives_ms > *cycles.last().unwrap()).collect();
    let whole = home();
    whole.write(
        "logs/0.ndjson",
        flows(&records.iter().filter(|record| record.arrives_ms <= *cycles.last().unwrap()).collect::<Vec<_>>()),
    );
    let end = margay_core::Time(START_MS + hours * 3_600_000).to_string();
    let scores = |home: &Home| {
        home.margay(&["replay", "--to", &end, "--scores", "scores.csv", "--alerts", "replayed.ndjson"]).expect(0);
        (home.read("scores.csv"), home.read("replayed.ndjson"))
    };
    let (live_scores, whole_scores) = (scores(&live), scores(&whole));
    assert_eq!(live_scores.0, whole_scores.0, "features and scores as if nothing had been late");
    assert_eq!(live_scores.1, whole_scores.1);
    totals(&live_scores.0, &records, &rest, START_MS + hours * 3_600_000);
    let status = live.margay(&["status", "--output", "json"]).expect(0).json();
    let expected = late_values(&records, &cycles);
    for row in status["detectors"].as_array().unwrap() {
        assert_eq!(row["late"], expected, "{row}");
    }
    let alerts = live.margay(&["alerts", "--output", "json"]).expect(0).json();
    let standing: BTreeSet<&str> = alerts
        .as_array()
        .unwrap()
        .iter()
        .filter(|alert| alert["status"] != "withdrawn" && alert["time"].as_str() <= Some(&end[..]))
        .map(|alert| alert["id"].as_str().unwrap())
        .collect();
    let replayed: Vec<serde_json::Value> =
        live_scores.1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let true_ones: BTreeSet<&str> = replayed.iter().map(|alert| alert["id"].as_str().unwrap()).collect();
    assert_eq!(standing, true_ones, "what late rows disproved is withdrawn");
    let withdrawn = alerts.as_array().unwrap().iter().filter(|alert| alert["status"] == "withdrawn").count();
    println!(
        "{} records, {expected} values late, {} alerts stand, {withdrawn} withdrawn",
        records.len(),
        standing.len()
    );
}

/// Whole buckets of a pod add up to what its records say, to the byte.
fn totals(scores: &str, records: &[Record], rest: &[&Record], until_ms: i64) {
    assert!(rest.len() < 5, "{} records never came", rest.len());
    let mut truth: BTreeMap<&str, i64> = BTreeMap::new();
    let never: BTreeSet<(&str, i64)> = rest.iter().map(|record| (&record.pod[..], record.start_ms)).collect();
    for record in records.iter().filter(|record| !never.contains(&(&record.pod[..], record.start_ms))) {
        let whole = record.end_ms - record.start_ms;
        let within = (until_ms - record.start_ms).clamp(0, whole);
        *truth.entry(&record.pod).or_default() +=
            (i128::from(record.bytes) * i128::from(within) / i128::from(whole)) as i64;
    }
    let mut reader = csv::Reader::from_reader(scores.as_bytes());
    let mut found: BTreeMap<String, i64> = BTreeMap::new();
    for row in reader.records().map(Result::unwrap).filter(|row| &row[0] == "drop") {
        let entity: serde_json::Value = serde_json::from_str(&row[1]).unwrap();
        *found.entry(entity["source_name_aggr"].as_str().unwrap().to_owned()).or_default() +=
            row[4].parse::<f64>().unwrap_or(0.0) as i64;
    }
    for (pod, bytes) in truth {
        assert_eq!(found[pod], bytes, "{pod}");
    }
}
