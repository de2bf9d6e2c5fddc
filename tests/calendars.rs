//! Special days: a Wednesday on which nobody orders.

use std::fmt::Write;

use serde_json::Value;

use crate::repeat::time;
use crate::support::Home;

const CONFIGURATION: &str = "\
logs:
  web: { files: orders.csv, time: { field: ts, format: rfc3339 } }
detectors: [detectors.d]
sinks:
  - file: { path: alerts.ndjson }
";

const DETECTOR: &str = "\
name: orders
log: web
entity: [shop]
bucket: 1h
features: { orders: sum(orders) }
model: { seasonal: {} }
threshold: { score: 30, direction: below, min_rel_dev: 0.5 }
";

const DAYS: i64 = 35;
/// Wednesday 2026-11-25.
const HOLIDAY: i64 = 23;

const YAML: &str = "days:\n  - { name: a holiday, date: 2025-11-25, repeat: FREQ=YEARLY }\n";
const ICAL: &str = "\
BEGIN:VCALENDAR
BEGIN:VEVENT
SUMMARY:a holiday
DTSTART;VALUE=DATE:20251125
RRULE:FREQ=YEARLY
END:VEVENT
END:VCALENDAR
";

/// Orders by the hour from Monday 2026-11-02 on: few of them on Sundays and on the holiday.
fn orders() -> String {
    let mut text = String::from("ts,shop,orders\n");
    let mut dice: u64 = 7;
    for hour in 0..DAYS * 24 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = 0.95 + 0.1 * ((dice >> 33) as f64 / f64::from(1u32 << 31));
        let daily = 1.0 + 0.5 * ((hour % 24) as f64 / 24.0 * std::f64::consts::TAU).sin();
        let day = hour / 24;
        let quiet = if day % 7 == 6 || day == HOLIDAY { 0.1 } else { 1.0 };
        writeln!(text, "{},lyon,{}", time(hour * 3600), (1000.0 * daily * quiet * noise) as i64).unwrap();
    }
    text
}

fn home(treat_as: &str) -> Home {
    let home = Home::with(CONFIGURATION);
    home.write("orders.csv", orders());
    home.write("detectors.d/orders.yaml", format!("{DETECTOR}{treat_as}"));
    home
}

/// Judges everything, whatever day it is.
fn run(home: &Home) {
    home.margay(&["run", "--once", "--until", "2026-12-07"]).expect(0);
}

/// Where the alerts stand that began on the holiday.
fn statuses(home: &Home) -> Vec<String> {
    let alerts = home.margay(&["alerts", "--output", "json"]).expect(0).json();
    let began = |alert: &&Value| alert["start"].as_str().unwrap().starts_with("2026-11-25");
    alerts.as_array().unwrap().iter().filter(began).map(|alert| alert["status"].as_str().unwrap().to_owned()).collect()
}

/// Expected value and state at noon of a day.
fn at_noon(scores: &str, day: &str) -> (f64, String) {
    let row = scores.lines().find(|row| row.contains(&format!("{day}T12:00:00Z"))).unwrap();
    let fields: Vec<&str> = row.split(&format!("{day}T12:00:00Z,orders,")).nth(1).unwrap().split(',').collect();
    (fields[1].parse().unwrap_or(f64::NAN), fields[5].to_owned())
}

fn scores(home: &Home) -> String {
    home.margay(&["replay", "--scores", "scores.csv"]).expect(0);
    home.read("scores.csv")
}

#[test]
fn a_holiday_is_judged_as_a_sunday_and_not_learnt() {
    let plain = home("");
    run(&plain);
    assert_eq!(statuses(&plain), ["closed"]);
    let home = home("calendars: [{ name: holidays, treat_as: sunday }]\n");
    home.write("calendars.d/holidays.yaml", YAML);
    home.margay(&["check"]).expect(0);
    run(&home);
    assert_eq!(statuses(&home), [""; 0]);
    let (with, without) = (scores(&home), scores(&plain));
    assert!(at_noon(&with, "2026-11-25").0 < 300.0, "{:?}", at_noon(&with, "2026-11-25"));
    assert_eq!(at_noon(&with, "2026-11-25").1, "scored");
    assert!(at_noon(&without, "2026-11-25").0 > 500.0);
    assert!(at_noon(&with, "2026-11-26").0 > 500.0);
}

#[test]
fn a_holiday_can_be_left_out_and_an_icalendar_says_the_same() {
    let yaml = home("calendars: [{ name: holidays }]\n");
    yaml.write("calendars.d/holidays.yaml", YAML);
    let ical = home("calendars: [{ name: holidays }]\n");
    ical.write("calendars.d/holidays.ics", ICAL);
    let said = scores(&yaml);
    assert_eq!(at_noon(&said, "2026-11-25").1, "excluded");
    assert_eq!(at_noon(&said, "2026-11-26").1, "scored");
    assert_eq!(scores(&ical), said);
}

#[test]
fn a_calendar_that_comes_later_withdraws_what_it_explains() {
    let home = home("");
    run(&home);
    assert_eq!(statuses(&home), ["closed"]);
    home.write("calendars.d/holidays.ics", ICAL);
    home.write("detectors.d/orders.yaml", format!("{DETECTOR}calendars: [{{ name: holidays, treat_as: sunday }}]\n"));
    run(&home);
    assert_eq!(statuses(&home), ["withdrawn"]);
}

#[test]
fn many_cycles_equal_one_replay_with_a_calendar() {
    let home = home("calendars: [{ name: holidays, treat_as: sunday }]\n");
    home.write("calendars.d/holidays.yaml", YAML);
    let whole = scores(&home);
    let mut pieces = String::new();
    for cycle in 1..=8 {
        let until = time(cycle * 5 * 86_400 + 4000);
        home.margay(&["run", "--once", "--until", &until, "--scores", "piece.csv"]).expect(0);
        let piece = home.read("piece.csv");
        pieces.push_str(if cycle == 1 { &piece } else { piece.split_once('\n').unwrap().1 });
    }
    assert_eq!(pieces, whole);
}
