#![allow(clippy::unwrap_used, reason = "tests")]

use margay_core::Period;
use serde_json::{Value, json};

use super::*;

fn file(cases: &str) -> CaseFile {
    serde_yaml::from_str(&format!("detector: d\nlog: flows\ncases:\n{cases}")).unwrap()
}

const SPIKE: &str = r"
  - name: a spike
    for: 1d
    rows:
      - set: { who: a, bytes: { level: 1000, daily: 0.5 } }
      - set: { who: b, bytes: 7, labels: [x=1] }
    inject:
      - { at: 6h, for: 10m, where: { who: a }, scale: { bytes: 10 } }
      - at: 12h
        for: 5m
        rows:
          - { times: 3, set: { port: { next: 1 }, ip: { next: 10.0.0.254 }, pod: { next: p- } } }
    expect: { fires: { entity: { who: a }, within: 30m } }
";

#[test]
fn streams_and_injections_become_rows_in_order() {
    let case = &file(SPIKE).cases[0];
    let rows = expand(case, 1).unwrap();
    assert_eq!(rows.len(), 2 * 288 + 3);
    assert!(rows.windows(2).all(|pair| pair[0]["start_time"].as_i64() <= pair[1]["start_time"].as_i64()));
    let at = |who: &str, hour: f64| {
        let start = json!(case.start.0 / 1000 + (hour * 3600.0) as i64);
        rows.iter().find(|row| row["who"] == who && row["start_time"] == start).unwrap()["bytes"].clone()
    };
    assert_eq!((at("a", 8.0), at("a", 14.0), at("a", 20.0)), (json!(1000), json!(1500), json!(1000)));
    assert_eq!((at("a", 6.0), at("b", 6.0)), (json!(7500), json!(7)));
    let injected: Vec<&Value> = rows.iter().filter(|row| row.get("port").is_some()).collect();
    assert_eq!(injected[2]["port"], 3);
    assert_eq!(injected[2]["ip"], "10.0.1.0");
    assert_eq!(injected[2]["pod"], "p-2");
    assert_eq!(case.awaited_from(), case.start.plus(Period::HOUR.times(6)));
}

#[test]
fn quiet_is_a_word() {
    let cases = "  - { name: calm, for: 1h, rows: [{ set: { n: { level: 5, noise: 0.3 } } }], expect: quiet }";
    let case = &file(cases).cases[0];
    assert_eq!(case.expect, Expect::Quiet(Quiet::Quiet));
    assert_eq!(expand(case, 1), expand(case, 1));
    assert_ne!(expand(case, 1), expand(case, 2));
}

#[test]
fn rows_without_end_are_refused() {
    let case = |every: &str, length: &str| {
        let cases = format!("  - {{ name: c, for: {length}, rows: [{{ every: {every}, set: {{}} }}], expect: quiet }}");
        expand(&file(&cases).cases[0], 1).unwrap_err().to_string()
    };
    assert_eq!(case("0s", "1h"), "case `c`: `every` must be at least 1s");
    assert_eq!(case("1s", "52w"), "case `c`: 31449601 rows are more than 2000000");
}

#[test]
fn rows_grow_are_missing_stand_alone_and_have_generated_names() {
    let cases = r"
  - name: more kinds
    for: 2h
    rows:
      - set: { who: a, bytes: 100, name: { dga: .com } }
      - set: { who: b, name: { tunnel: evil.example } }
      - { at: 30m, set: { who: c, labels: [x=1] } }
    inject:
      - { at: 0s, for: 1h, where: { who: a }, ramp: { bytes: 13 } }
      - { at: 1h, for: 1h, where: { who: b }, drop: true }
    expect: { fires: { entity: { who: a }, within: 30m, from: 1h, severity: 40 } }
";
    let case = &file(cases).cases[0];
    let rows = expand(case, 1).unwrap();
    let of = |who: &str| rows.iter().filter(|row| row["who"] == who).collect::<Vec<_>>();
    assert_eq!((of("a").len(), of("b").len(), of("c").len()), (24, 12, 1));
    let bytes: Vec<u64> = of("a").iter().map(|row| row["bytes"].as_u64().unwrap()).collect();
    assert_eq!(bytes[..4], [100, 200, 300, 400]);
    assert_eq!(bytes[12..14], [100, 100]);
    let names: std::collections::BTreeSet<&str> =
        of("a").iter().chain(&of("b")).map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 36, "each is another");
    assert!(of("b").iter().all(|row| row["name"].as_str().unwrap().ends_with(".evil.example")));
    assert_eq!(case.awaited_from(), case.start.plus(Period::HOUR));
}
