//! `margay init`: a repository that works as it is written.

use crate::support::Home;

#[test]
fn what_init_wrote_is_checked_and_finds_what_it_is_for() {
    let home = Home::new();
    let said = home.margay(&["init", "new"]).expect(0).stdout;
    assert!(said.contains("wrote new/margay.yaml"), "{said}");
    let dir = home.path("new");
    let margay = |args: &[&str]| crate::support::run(&dir, args);
    assert_eq!(margay(&["check", "--format", "json"]).expect(0).json(), serde_json::json!([]));
    let tests = margay(&["test", "--output", "json"]).expect(0).json();
    assert_eq!(tests["tests"].as_array().unwrap().len(), 2, "{tests}");
    let schema = std::fs::read_to_string(dir.join("tests/detectors/test.schema.json")).unwrap();
    let case = std::fs::read_to_string(dir.join("tests/detectors/connections.yaml")).unwrap();
    let case: serde_json::Value = serde_yaml::from_str(&case).unwrap();
    assert!(jsonschema::is_valid(&serde_json::from_str(&schema).unwrap(), &case));
    margay(&["generate", "--out", "logs", "--days", "5", "--pods", "30", "--incidents", "port_scan"]).expect(0);
    margay(&["run", "--once"]).expect(0);
    let alerts = margay(&["alerts", "--output", "json"]).expect(0).json();
    let alerts = alerts.as_array().unwrap();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["detector"], "connections");
}

#[test]
fn init_replaces_nothing() {
    let home = Home::new();
    home.write("detectors.d/connections.yaml", "mine");
    let refused = home.margay(&["init"]).expect(2);
    assert!(refused.stderr.contains("connections.yaml is there already"), "{}", refused.stderr);
    assert_eq!(home.read("detectors.d/connections.yaml"), "mine");
    assert!(!home.path("margay.yaml").exists());
}

#[test]
fn a_repository_keeps_its_own_list_of_ignored_files() {
    let home = Home::new();
    home.write(".gitignore", "target\n");
    let written = home.margay(&["init", "--output", "json"]).expect(0).json();
    assert_eq!(home.read(".gitignore"), "target\n");
    assert!(!written.to_string().contains(".gitignore"), "{written}");
    assert!(home.path("engine.schema.json").exists());
}
