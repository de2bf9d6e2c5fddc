//! `margay test`: the shipped detectors' own tests hold, and a case that does not says why.

use margay_generate::cases::{CaseFile, Expect};

use crate::support::{Home, root, run};

/// Cases that come with margay.
const CASES_LEAST: usize = 34;

const CONFIGURATION: &str = "\
logs:
  sales: { files: sales.csv, time: { field: ts, end_field: until, format: rfc3339 } }
detectors: [detectors.d]
";

const DETECTOR: &str = "\
name: orders
log: sales
entity: [shop]
bucket: 5m
features: { orders: count(*), worth: sum(worth) }
model: { auto: {} }
threshold: { score: 40, min_rel_dev: 0.5 }
alert: { severity: 80 }
";

/// A shop whose orders are worth ten times the usual for half an hour.
fn cases(expect: &str) -> String {
    format!(
        "detector: orders
log: sales
cases:
  - name: dear orders
    for: 5d
    rows:
      - set: {{ shop: lyon, worth: {{ level: 5000, noise: 0.05 }} }}
    inject:
      - {{ at: 4d, for: 30m, scale: {{ worth: 10 }} }}
    expect: {expect}
"
    )
}

fn home(expect: &str) -> Home {
    let home = Home::with(CONFIGURATION);
    home.write("detectors.d/orders.yaml", DETECTOR);
    home.write("tests/detectors/orders.yaml", cases(expect));
    home
}

#[test]
fn every_shipped_detector_says_what_to_do_and_has_a_case_that_fires_and_one_that_stays_quiet() {
    for entry in std::fs::read_dir(root().join("detectors.d")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let detector: serde_yaml::Value = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mitigations = detector["alert"]["mitigations"].as_sequence();
        assert!(detector["alert"]["runbook"].is_string() && mitigations.is_some_and(|all| !all.is_empty()), "{path:?}");
        let tests = root().join("tests/detectors").join(path.file_name().unwrap());
        let text = std::fs::read_to_string(&tests).unwrap_or_else(|error| panic!("{}: {error}", tests.display()));
        let file: CaseFile = serde_yaml::from_str(&text).unwrap();
        assert!(file.cases.iter().any(|case| matches!(case.expect, Expect::Fires { .. })), "{}", path.display());
        assert!(file.cases.iter().any(|case| matches!(case.expect, Expect::Quiet(_))), "{}", path.display());
    }
}

#[test]
fn every_case_of_every_shipped_detector_holds() {
    let ran = run(root(), &["--config", "examples/calico/margay.yaml", "test", "tests/detectors", "--output", "json"]);
    let document = ran.json();
    let tests = document["tests"].as_array().unwrap();
    let failed: Vec<_> = tests.iter().filter(|test| test["passed"] != true).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(tests.len() >= CASES_LEAST, "{}", tests.len());
    assert!(tests.iter().all(|test| test["file"].is_string() && test["name"].is_string() && test["message"] == ""));
    ran.expect(0);
}

#[test]
fn a_case_of_a_log_of_ones_own_holds() {
    let ran = home("{ fires: { entity: { shop: lyon }, within: 15m, severity: 30 } }").margay(&["test"]).expect(0);
    assert_eq!(ran.stdout, "ok    orders: dear orders\n1 passed, 0 failed\n");
}

#[test]
fn a_case_that_does_not_hold_says_why() {
    for (expect, why) in [
        ("quiet", "should be quiet, but "),
        ("{ fires: { entity: { shop: lyon }, within: 15m, severity: 100 } }", "fired with the severity "),
        ("{ fires: { entity: { shop: lyon }, within: 15m, from: 1d } }", "fired after 3d"),
        ("{ fires: { entity: { shop: lyon }, within: 15m, from: 4d12h } }", "before it should"),
        ("{ fires: { entity: { shop: nice }, within: 15m } }", "fired for another entity"),
    ] {
        let document = home(expect).margay(&["test", "--output", "json"]).expect(1).json();
        let message = document["tests"][0]["message"].as_str().unwrap();
        assert!(message.contains(why), "{expect}: {message}");
    }
    let quiet = home("{ fires: { entity: { shop: lyon }, within: 15m } }");
    quiet.write("detectors.d/orders.yaml", DETECTOR.replace("min_rel_dev: 0.5", "min_rel_dev: 50"));
    let ran = quiet.margay(&["test", "--format", "junit"]).expect(1);
    assert!(ran.stdout.contains("<failure message=\"did not fire: the highest score is "), "{}", ran.stdout);
    assert!(ran.stdout.contains("gate `min_rel_dev` saw "), "{}", ran.stdout);
    assert!(ran.stdout.contains("tests=\"1\" skipped=\"0\" failures=\"1\""), "{}", ran.stdout);
}

#[test]
fn what_is_wrong_with_a_file_of_cases_is_told_at_its_line() {
    let good = cases("quiet");
    for (from, to, line, rule) in [
        ("level: 5000", "levl: 5000", 7, "unknown-key"),
        ("for: 5d", "for: 5 days", 5, "bad-period"),
        ("expect: quiet", "expect: silent", 10, "unknown-value"),
        ("expect: quiet", "expect: { fires: { entity: { shop: lyon } } }", 10, "missing-key"),
        ("expect: quiet", "expect: { fires: { entity: { shp: lyon }, within: 5m } }", 10, "wrong-entity"),
        ("detector: orders", "detector: order", 1, "unknown-detector"),
        ("log: sales", "log: flows", 2, "wrong-log"),
        ("at: 4d, for: 30m", "at: 4d, for: 3d", 9, "injection-outside-case"),
        ("- set:", "- every: 1ms\n        set:", 4, "case-too-long"),
    ] {
        let home = home("quiet");
        home.write("tests/detectors/orders.yaml", good.replace(from, to));
        let ran = home.margay(&["test"]).expect(3);
        let told = format!("tests/detectors/orders.yaml:{line}:");
        assert!(ran.stderr.contains(&told) && ran.stderr.contains(&format!("error[{rule}]")), "{to}: {}", ran.stderr);
    }
}

#[test]
fn the_schema_of_tests_stands_beside_them() {
    let fresh = run(root(), &["schema", "test"]).expect(0).stdout;
    let path = root().join("tests/detectors/test.schema.json");
    if std::env::var_os("MARGAY_UPDATE").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == fresh, "tests/detectors/test.schema.json is stale: run the tests with MARGAY_UPDATE=1");
}
