//! Floods: more entities than can be remembered, more alerts than can be read. What is known goes on as before, and what is
//! left out is counted and told.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use crate::listener::Listener;
use crate::support::{Home, rounds};

/// Random entities of the flood; the long form has 1,000,000.
const ENTITIES: &str = "MARGAY_ENTITIES";
/// Memory that margay is given, and a tenth more.
const MEMORY_MOST: u64 = 282 << 20;
const START_MS: i64 = 1_793_577_600_000;
const MINUTE_MS: i64 = 60_000;
/// Minutes before the flood, and of the flood.
const BEFORE: i64 = 600;
const FLOOD: i64 = 10;

/// A generator of numbers, the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 24
    }
}

fn time(minute: i64) -> margay_core::Time {
    margay_core::Time(START_MS + minute * MINUTE_MS)
}

/// Two hundred applications of every day.
fn known(minute: i64, dice: &mut Dice, csv: &mut String) {
    for app in 0..200 {
        writeln!(csv, "{},app-{app:03},{}", time(minute), 50 + dice.roll() % 20).unwrap();
    }
}

fn home(entities_most: i64) -> Home {
    let home = Home::with(&format!(
        "logs:\n  web: {{ files: \"logs/*.csv\", time: {{ field: ts }} }}\ndetectors: [detectors.d]\n\
         limits: {{ memory: 256MiB, entities_per_detector: {entities_most} }}\nsinks:\n  - file: {{ path: alerts.ndjson }}\n"
    ));
    home.write(
        "detectors.d/load.yaml",
        "name: load\nlog: web\nentity: [app]\nbucket: 1m\nfeatures: { hits: sum(hits) }\nmodel: { seasonal: {} }\nthreshold: { score: 60, min_rel_dev: 2 }\n",
    );
    let (mut csv, mut dice) = ("ts,app,hits\n".to_owned(), Dice(1));
    (0..BEFORE).for_each(|minute| known(minute, &mut dice, &mut csv));
    home.write("logs/0.csv", csv);
    home
}

/// Runs minute by minute through the flood; scores of the two hundred, and the most memory that a run had.
fn through(home: &Home, random: i64) -> (String, u64) {
    home.margay(&["run", "--once", "--until", &time(BEFORE).to_string()]).expect(0);
    let (mut dice, mut names, mut scores, mut peak) = (Dice(2), Dice(3), String::new(), 0);
    for minute in BEFORE..BEFORE + FLOOD + 2 {
        let mut csv = "ts,app,hits\n".to_owned();
        known(minute, &mut dice, &mut csv);
        let flood = if minute < BEFORE + FLOOD { random / FLOOD } else { 0 };
        for _ in 0..flood {
            writeln!(csv, "{},pod-{:010x},{}", time(minute), names.roll(), names.roll() % 100).unwrap();
        }
        home.write(&format!("logs/{minute}.csv"), csv);
        let until = time(minute + 1).to_string();
        let args = ["run", "--once", "--until", &until[..], "--scores", "piece.csv"];
        peak = peak.max(home.peak_of(&args));
        let of_known = |line: &&str| line.contains("app-");
        home.read("piece.csv").lines().filter(of_known).for_each(|line| writeln!(scores, "{line}").unwrap());
    }
    (scores, peak)
}

#[test]
fn a_flood_of_entities_takes_bounded_memory_and_changes_no_score_of_those_that_were_known() {
    let random = rounds(ENTITIES, 30_000);
    let most = if random > 100_000 { 20_000 } else { 1_000 };
    let (quiet, flooded) = (home(most), home(most));
    let (expected, _) = through(&quiet, 0);
    let (scores, peak) = through(&flooded, random);
    assert_eq!(expected.lines().count() as i64, (FLOOD + 2) * 200);
    assert_eq!(scores.lines().zip(expected.lines()).find(|(one, other)| one != other), None);
    println!("{random} entities: at most {} MiB", peak >> 20);
    assert!(peak <= MEMORY_MOST, "{} MiB", peak >> 20);
    let status = flooded.margay(&["status", "--output", "json"]).expect(0).json();
    let load = &status["detectors"][0];
    let left_out = load["left_out"].as_f64().unwrap();
    println!("left out: {left_out}; {load}");
    // Each minute the sample has room for those that are missing to the limit.
    let outside = (random - FLOOD * (most - 200)) as f64;
    assert!((0.95 * outside..1.05 * outside).contains(&left_out), "{left_out} of {outside}: {load}");
    assert_eq!(load["entities"], serde_json::json!({ "warming": 200 }), "nobody who came once was remembered: {load}");
    assert_eq!(load["crowded_since"], Value::Null, "the flood is over: {load}");
    let alerts = flooded.margay(&["alerts", "--output", "json"]).expect(0).json();
    let of_crowd: Vec<&Value> =
        alerts.as_array().unwrap().iter().filter(|alert| alert["tags"][0] == "cardinality").collect();
    assert_eq!(of_crowd.len(), 1, "{alerts}");
    assert_eq!((&of_crowd[0]["status"], &of_crowd[0]["revision"]), (&"closed".into(), &2.into()));
    assert!(alerts.as_array().unwrap().len() < 20, "one alert, not thousands: {}", alerts.as_array().unwrap().len());
}

#[test]
fn ten_thousand_alerts_at_once_are_all_kept_and_people_get_twenty_messages() {
    const LOUD: usize = 10_000;
    let channel = Listener::start(|_| 200);
    let home = Home::with(&format!(
        "logs:\n  web: {{ files: \"logs/*.csv\", time: {{ field: ts }} }}\ndetectors: [detectors.d]\nsinks:\n  \
         - file: {{ path: alerts.ndjson }}\n  - webhook: {{ url: 'http://{}/', allow_local: true }}\n",
        channel.address
    ));
    home.write(
        "detectors.d/loud.yaml",
        "name: loud\nlog: web\nentity: [app]\nbucket: 1m\nfeatures: { hits: sum(hits) }\nmodel: { limit: { above: 50 } }\n",
    );
    let mut csv = "ts,app,hits\n".to_owned();
    (0..LOUD).for_each(|app| writeln!(csv, "{},app-{app:05},{}", time(0), 51 + app % 50).unwrap());
    home.write("logs/0.csv", csv);
    home.margay(&["run", "--once", "--until", &time(1).to_string()]).expect(0);
    let kept = home.margay(&["alerts", "--output", "json"]).expect(0).json();
    assert_eq!(kept.as_array().unwrap().len(), LOUD);
    let recorded: BTreeSet<String> = home
        .read("alerts.ndjson")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["entity"]["app"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(recorded.len(), LOUD, "every entity in the file, which no person reads as it comes");
    let told: Vec<Value> = channel.bodies().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(told.len(), 20);
    let of_digest = |one: &&Value| one["detector"] == "margay-digest";
    let digest: Vec<&Value> = told.iter().filter(of_digest).collect();
    assert_eq!(digest.len(), 1);
    assert_eq!(digest[0]["entity"]["alerts"], (LOUD - 19).to_string(), "{}", digest[0]["summary"]);
    assert_eq!(digest[0]["evidence"].as_array().unwrap().len(), 100);
    let worst = told.iter().map(|one| one["severity"].as_u64().unwrap()).min();
    assert_eq!(worst, kept.as_array().unwrap().iter().map(|one| one["severity"].as_u64().unwrap()).max());
    let status = home.margay(&["status", "--output", "json"]).expect(0).json();
    assert_eq!(status["sinks"][1]["waiting"], 0, "{status}");
}
