//! `margay check`: all problems, each at its place.

use std::path::Path;

use crate::support::{Home, root, run};

#[test]
fn the_shipped_detectors_have_no_problems() {
    let ran = run(root(), &["check", "detectors.d", "--format", "json"]).expect(0);
    assert_eq!(ran.json(), serde_json::json!([]));
}

#[test]
fn every_broken_detector_is_told_at_the_rule_it_is_named_after() {
    let ran = run(root(), &["--config", "tests/bad-engine.yaml", "check", "tests/bad", "--format", "json"]).expect(3);
    let problems = ran.json();
    let problems = problems.as_array().unwrap();
    assert!(problems.len() >= 25, "{} problems", problems.len());
    for entry in std::fs::read_dir(root().join("tests/bad")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let own: Vec<_> = problems
            .iter()
            .filter(|one| Path::new(one["file"].as_str().unwrap()).file_name() == path.file_name())
            .collect();
        assert!(!own.is_empty(), "{name}: no problem was told");
        assert!(own.iter().any(|one| name.starts_with(one["rule"].as_str().unwrap())), "{name}: {own:?}");
        assert!(own.iter().all(|one| one["line"].as_u64().unwrap() >= 1), "{name}: {own:?}");
    }
}

#[test]
fn an_sql_error_stands_at_its_place_in_the_yaml() {
    let home = Home::new();
    home.write(
        "detectors.d/typo.yaml",
        "name: typo\nlog: flows\nwhere: reporter = 'src' AND actoin = 'allow'\nentity: [source_namespace]\nfeatures:\n  bytes: sum(bytes_out)\n  bad: bytes_in\nmodel: { seasonal: {} }\n",
    );
    let ran = home.margay(&["check", "detectors.d", "--format", "json"]).expect(3);
    let problems = ran.json();
    let places: Vec<(u64, u64)> = problems
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["line"].as_u64().unwrap(), one["column"].as_u64().unwrap()))
        .collect();
    assert!(places.contains(&(3, 29)), "{problems}");
    assert!(places.iter().any(|(line, _)| *line == 7), "{problems}");
    assert!(problems[0]["hint"].as_str().unwrap().contains("action"), "{problems}");
}

#[test]
fn a_template_error_stands_at_its_place_in_the_yaml() {
    let home = Home::new();
    home.write(
        "detectors.d/typo.yaml",
        "name: typo\nlog: flows\nentity: [source_namespace]\nfeatures:\n  bytes: sum(bytes_out)\nmodel: { seasonal: {} }\nalert:\n  summary: \"{{entity}} sent {{bytes feature.byts.value}}\"\n",
    );
    let ran = home.margay(&["check", "detectors.d", "--format", "json"]).expect(3);
    assert_eq!(ran.json()[0]["line"], 8, "{}", ran.stdout);
    assert_eq!(ran.json()[0]["rule"], "template", "{}", ran.stdout);
}

#[test]
fn a_file_with_a_wrong_key_is_checked_to_its_end() {
    let home = Home::new();
    home.write(
        "detectors.d/many.yaml",
        "name: many\nlog: flows\nwhere: acton = 'deny'\nentity: [source_namespace]\nfeatures:\n  denied: sum(num_flows)\nmodel: { count: {} }\nthreshold: { min_deviation: 20 }\nalert: { summary: \"{{feature.denid.value}}\" }\n",
    );
    let ran = home.margay(&["check", "detectors.d", "--format", "json"]).expect(3);
    let problems = ran.json();
    let told: Vec<(u64, &str)> = problems
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["line"].as_u64().unwrap(), one["rule"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [(3, "sql-where"), (8, "unknown-key"), (9, "template")]);
}

#[test]
fn schemas_are_printed_as_they_are_committed() {
    for (kind, file) in [
        ("detector", "detectors.d/detector.schema.json"),
        ("engine", "examples/engine.schema.json"),
        ("exclusion", "examples/calico/exclusions.d/exclusion.schema.json"),
        ("silence", "examples/calico/silences.d/silence.schema.json"),
        ("calendar", "examples/calico/calendars.d/calendar.schema.json"),
    ] {
        let printed = run(root(), &["schema", kind]).expect(0).json();
        let committed: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(root().join(file)).unwrap()).unwrap();
        assert_eq!(printed, committed, "{file} is stale");
    }
}

#[test]
fn completions_and_the_manual_are_printed() {
    assert!(run(root(), &["completions", "bash"]).expect(0).stdout.contains("margay"));
    assert!(run(root(), &["man"]).expect(0).stdout.contains("replay"));
}
