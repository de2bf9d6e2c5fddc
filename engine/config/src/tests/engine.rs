//! margay.yaml.

use crate::{Engine, Format, Loaded, Preset, Quantity, QuarantineMode, Sink, TimeFormat, load};
use margay_core::Period;

use super::{GOOD, found};

/// Loads a text as margay.yaml beside a directory with one good detector.
fn load_engine(text: &str) -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("detectors.d")).unwrap();
    std::fs::write(dir.path().join("detectors.d/good.yaml"), GOOD).unwrap();
    std::fs::write(dir.path().join("margay.yaml"), text).unwrap();
    load(&dir.path().join("margay.yaml"))
}

/// A margay.yaml whose only log is sound, and more.
fn with_flows(more: &str) -> String {
    format!("logs:\n  flows: {{ files: flows.csv, preset: calico-flows }}\n{more}")
}

#[test]
fn the_example_of_the_design_is_read_in_full() {
    let loaded = load_engine(include_str!("engine.yaml"));
    let warnings: Vec<_> = found(&loaded);
    assert_eq!(warnings, []);
    assert!(!loaded.has_errors());
    let engine = loaded.engine;
    assert_eq!(engine.logs["flows"].files, ["logs/flows/*.ndjson.gz"]);
    assert_eq!(engine.logs["flows"].preset, Some(Preset::CalicoFlows));
    assert_eq!(engine.logs["flows"].delay(), Period(0));
    assert_eq!(engine.logs["dns"].delay(), Period::MINUTE.times(2));
    assert_eq!(engine.logs["sales"].time.as_ref().unwrap().format, TimeFormat::Rfc3339);
    assert!(matches!(&engine.sinks[0], Sink::Stdout(stdout) if stdout.format == Format::Text));
    assert_eq!(engine.sinks.len(), 6);
    let quarantine = engine.response.quarantine.unwrap();
    assert_eq!((quarantine.mode, quarantine.max_active), (QuarantineMode::Staged, 5));
    assert_eq!(engine.limits.query_memory, Quantity(512.0 * 1024.0 * 1024.0));
    assert_eq!(loaded.detectors.len(), 1);
    assert_eq!(loaded.files_checked, 2);
}

#[test]
fn what_is_left_out_has_its_default() {
    let loaded = load_engine(&with_flows(""));
    assert_eq!(found(&loaded), []);
    assert_eq!(Engine { logs: loaded.engine.logs.clone(), ..Engine::default() }, loaded.engine);
    assert_eq!(loaded.engine.limits.entities_per_detector, 20_000);
    assert_eq!(loaded.engine.limits.query_timeout, Period::MINUTE);
}

#[test]
fn each_rule_of_margay_yaml_is_told_at_its_line() {
    for (more, rule, line) in [
        ("  a-b: { files: x.csv, preset: calico-dns }", "bad-log-name", 3),
        ("  a: { preset: calico-dns }", "log-needs-one-source", 3),
        ("  a: { files: x.csv }", "preset-or-time", 3),
        ("  a: { files: x.csv, preset: calico-dns, time: { field: ts } }", "preset-or-time", 3),
        ("  a: { files: [], preset: calico-dns }", "empty-value", 3),
        ("  a: { files: 5, preset: calico-dns }", "wrong-type", 3),
        ("  a: { files: x.csv, preset: calico-flow }", "unknown-value", 3),
        ("detectors: [missing.d]", "unreadable-file", 3),
        ("state: { dir: [a] }", "wrong-type", 3),
        ("sinks: [{ stdout: {}, file: { path: a } }]", "one-sink", 3),
        ("sinks: [{ stdoit: {} }]", "unknown-sink", 3),
        ("sinks:\n  - file: {}", "missing-key", 4),
        ("sinks:\n  - slack: {}", "sink-needs-one-url", 4),
        ("sinks:\n  - webhook: { url: 'es:9200' }", "bad-url", 4),
        ("sinks:\n  - alertmanager: { url: 'https://me:secret@host' }", "secret-in-url", 4),
        ("sinks:\n  - elasticsearch: { url: 'https://e', index: i, username: me }", "username-needs-password", 4),
        ("sinks:\n  - elasticsearch: { url: 'https://e', index: i, api_key_file: a, api_key_env: b }", "one-secret", 4),
        (
            "sinks:\n  - elasticsearch: { url: 'https://e', index: i, bearer_token_file: a, api_key_env: b }",
            "one-secret",
            4,
        ),
        (
            "sinks:\n  - elasticsearch: { url: 'https://e', index: i, client_certificate_file: a }",
            "certificate-needs-key",
            4,
        ),
        ("limits: { pull_time: 0s }", "out-of-range", 3),
        ("limits: { pull_bytes: 1kB }", "out-of-range", 3),
        ("sinks:\n  - alertmanager: { url: 'https://host', username: me }", "username-needs-password", 4),
        ("sinks:\n  - alertmanager: { url: 'https://host', fires_for: 10s }", "out-of-range", 4),
        ("sinks:\n  - webhook: { url: 'http://localhost:8080/x' }", "local-address", 4),
        ("sinks:\n  - webhook: { url: 'http://[::1]:8080' }", "local-address", 4),
        ("sinks:\n  - webhook: { url: 'http://169.254.169.254/latest' }", "local-address", 4),
        ("sinks:\n  - webhook: { url: 'http://a', name: 'a b' }", "bad-name", 4),
        ("sinks:\n  - file: { path: a, name: x }\n  - file: { path: b, name: x }", "duplicate-sink", 5),
        ("delivery:\n  timeout: 10ms", "out-of-range", 4),
        ("delivery:\n  tries: 0", "out-of-range", 4),
        ("response: { quarantine: { max_active: 0 } }", "out-of-range", 3),
        ("response: { quarantine: { mode: live } }", "unknown-value", 3),
        ("limits:\n  query_timeout: 10ms", "out-of-range", 4),
        ("limits:\n  query_memory: 1KiB", "out-of-range", 4),
        ("limits:\n  memory: 64MiB", "out-of-range", 4),
        ("limits:\n  query_memory: .inf", "not-finite", 4),
        ("limits:\n  entities_per_detector: 1.5", "wrong-type", 4),
        ("daemon:\n  detector_timeout: 10ms", "out-of-range", 4),
        ("daemon:\n  reload: often", "bad-period", 4),
        ("web:\n  listen: localhost:9090", "bad-address", 4),
        ("web: {}", "missing-key", 3),
    ] {
        let loaded = load_engine(&with_flows(more));
        let errors: Vec<(&str, usize)> =
            loaded.problems.iter().map(|problem| (problem.rule.as_str(), problem.line)).collect();
        assert_eq!(errors, [(rule, line)], "{more}\n{:#?}", loaded.problems);
    }
}

#[test]
fn a_broken_margay_yaml_does_not_hide_the_detectors_problems() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("detectors.d")).unwrap();
    std::fs::write(dir.path().join("detectors.d/good.yaml"), GOOD.replace("bucket: 5m", "bucket: 7m")).unwrap();
    std::fs::write(dir.path().join("margay.yaml"), "logs: [").unwrap();
    let loaded = load(&dir.path().join("margay.yaml"));
    let rules: Vec<&str> = loaded.problems.iter().map(|problem| problem.rule.as_str()).collect();
    assert_eq!(rules, ["bucket-divides-day", "yaml-syntax"]);
}

#[test]
fn a_missing_margay_yaml_is_named() {
    let loaded = load(std::path::Path::new("/nowhere/margay.yaml"));
    assert_eq!(loaded.problems[0].rule, "unreadable-file");
    assert!(loaded.problems[0].file.ends_with("margay.yaml"));
}

#[test]
fn problems_of_the_engine_can_be_placed_later() {
    let loaded = load_engine(&with_flows("templates: nowhere\n"));
    let problem = loaded.engine_problem(&["templates"], "unreadable-file", "no such directory".to_owned(), None);
    assert_eq!((problem.line, problem.column), (3, 12));
}

#[test]
fn sinks_are_named_by_their_kind_unless_they_have_a_name() {
    let loaded = load_engine(&with_flows(
        "sinks:\n  - stdout: {}\n  - webhook: { url: 'http://127.0.0.1:1', allow_local: true }\n  - webhook: { url: 'http://b', name: pager }\n  - webhook: { url: 'http://c' }\n",
    ));
    assert_eq!(found(&loaded), []);
    assert_eq!(crate::sink_names(&loaded.engine.sinks), ["stdout", "webhook", "pager", "webhook-3"]);
}
