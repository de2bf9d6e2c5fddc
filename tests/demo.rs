//! The demo finds what it planted.

use crate::support::Home;

#[test]
fn the_demo_finds_every_planted_incident_with_at_most_two_false_alerts() {
    let home = Home::new();
    let result = home.margay(&["demo", "--output", "json"]).expect(0).json();
    let incidents = result["incidents"].as_array().unwrap();
    assert!(incidents.len() >= 8);
    let missed: Vec<_> = incidents.iter().filter(|incident| incident["found"] != true).collect();
    assert!(missed.is_empty(), "{missed:?}");
    assert!(result["false_alerts"].as_array().unwrap().len() <= 2, "{}", result["false_alerts"]);
    explained(&home, &incidents[0]);
    policies_are_staged(&home);
    nothing_is_new(&home);
}

fn explained(home: &Home, incident: &serde_json::Value) {
    let alert = incident["alert"].as_str().unwrap();
    let ran = crate::support::run(&home.path("margay-demo"), &["explain", alert, "--output", "json"]).expect(0);
    let gates = ran.json()["gates"].clone();
    assert!(gates.as_array().unwrap().iter().all(|gate| gate["passed"] == true), "{gates}");
    let text = crate::support::run(&home.path("margay-demo"), &["explain", alert]).expect(0).stdout;
    assert!(text.contains("Gates, in order"), "{text}");
}

fn policies_are_staged(home: &Home) {
    let mut policies = 0;
    for entry in std::fs::read_dir(home.path("margay-demo/quarantine")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains("kind: StagedGlobalNetworkPolicy"), "{}: {text}", path.display());
            policies += 1;
        }
    }
    assert!(policies >= 2, "a policy and its undo");
}

fn nothing_is_new(home: &Home) {
    let before = home.read("margay-demo/alerts.ndjson");
    crate::support::run(&home.path("margay-demo"), &["run", "--once"]).expect(0);
    assert_eq!(home.read("margay-demo/alerts.ndjson"), before);
}
