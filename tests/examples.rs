//! Every example runs as its text says.

use crate::support::{Home, copy, root};

#[test]
fn the_sales_example_finds_the_dead_checkout_and_nothing_else() {
    let home = Home::new();
    copy(&root().join("examples"), &home.path("examples"));
    let ran = crate::support::run(&home.path("examples/sales"), &["run", "--once", "--until", "2026-11-16"]).expect(0);
    assert!(ran.stdout.contains("lyon"), "{}", ran.stdout);
    let alerts = crate::support::run(&home.path("examples/sales"), &["alerts", "--output", "json"]).expect(0).json();
    let alerts = alerts.as_array().unwrap();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["entity"]["shop"], "lyon");
    assert!(alerts[0]["start"].as_str().unwrap().starts_with("2026-11-12T1"), "{alerts:?}");
}

/// Shipped detectors that are not switched off.
fn enabled() -> usize {
    let files = std::fs::read_dir(root().join("detectors.d")).unwrap().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    yaml.filter(|path| !std::fs::read_to_string(path).unwrap().contains("\nmode: disabled")).count()
}

#[test]
fn the_calico_example_runs_on_generated_logs() {
    let home = Home::new();
    copy(&root().join("examples"), &home.path("examples"));
    copy(&root().join("detectors.d"), &home.path("detectors.d"));
    let dir = home.path("examples/calico");
    crate::support::run(&dir, &["generate", "--out", "logs", "--days", "2", "--pods", "30", "--incidents", "none"])
        .expect(0);
    crate::support::run(&dir, &["check"]).expect(0);
    crate::support::run(&dir, &["run", "--once"]).expect(0);
    let status = crate::support::run(&dir, &["status", "--output", "json"]).expect(0).json();
    let detectors = status["detectors"].as_array().unwrap();
    assert_eq!(detectors.len(), enabled());
    for detector in detectors {
        assert_eq!(detector["state"], "ok", "{detector}");
    }
}

#[test]
fn the_example_in_elasticsearch_checks_without_a_server() {
    let dir = root().join("examples/calico");
    let ran = crate::support::run(&dir, &["--config", "elasticsearch.yaml", "check"]).expect(0);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
}
