//! `check --format`: the forms that other programs read.

use serde_json::Value;

use crate::support::{Home, leave_out, root};

const BROKEN: &str = "name: odd\nlog: flows\nwhere: acton = 'deny'\nentity: [source_namespace]\nfeatures:\n  n: count(*)\nmodel: { count: {} }\nmode: respond\n";

fn home() -> Home {
    let home = Home::with("logs: { flows: { files: flows.ndjson, preset: calico-flows } }\ndetectors: [detectors.d]\n");
    home.write("detectors.d/odd.yaml", BROKEN);
    home
}

#[test]
fn sarif_names_rules_levels_and_places_by_relative_paths() {
    let home = home();
    for config in ["margay.yaml".to_owned(), home.path("margay.yaml").display().to_string()] {
        let log = home.margay(&["--config", &config, "check", "--format", "sarif"]).expect(3).json();
        assert_eq!(log["version"], "2.1.0");
        let results = log["runs"][0]["results"].as_array().unwrap();
        let of = |rule: &str| results.iter().find(|one| one["ruleId"] == rule).unwrap_or_else(|| panic!("{log}"));
        let place = &of("sql-where")["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "detectors.d/odd.yaml");
        assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&3.into(), &8.into()));
        assert_eq!(of("sql-where")["level"], "error");
        assert_eq!(of("respond-needs-action")["level"], "warning");
    }
}

#[test]
fn sarif_is_valid_by_its_schema() {
    let path = root().join("target/editor/sarif-schema.json");
    let Ok(schema) = std::fs::read_to_string(&path) else {
        return leave_out("sarif_is_valid_by_its_schema", "needs what tests/services/editor.sh fetches");
    };
    let mut schema: Value = serde_json::from_str(&schema).unwrap();
    // Its pattern for languages, which we do not write, is no regular expression: a bracket too many.
    for part in ["run", "toolComponent"] {
        schema["definitions"][part]["properties"]["language"].as_object_mut().unwrap().remove("pattern");
    }
    let validator = jsonschema::validator_for(&schema).unwrap();
    let broken = home().margay(&["check", "--format", "sarif"]).expect(3).json();
    let many =
        crate::support::run(root(), &["--config", "tests/bad-engine.yaml", "check", "tests/bad", "--format", "sarif"]);
    for log in [broken, many.expect(3).json()] {
        let errors: Vec<String> = validator.iter_errors(&log).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{log:#}");
    }
    assert!(!validator.is_valid(&serde_json::json!({ "version": "2.1.0" })));
}

#[test]
fn junit_has_a_failure_for_an_error_and_a_pass_for_none() {
    let home = home();
    let xml = home.margay(&["check", "--format", "junit"]).expect(3).stdout;
    assert!(xml.contains("failures=\"1\""), "{xml}");
    assert!(xml.contains("detectors.d/odd.yaml:3:8: sql-where"), "{xml}");
    home.write("detectors.d/odd.yaml", BROKEN.replace("acton", "action").replace("mode: respond\n", ""));
    let xml = home.margay(&["check", "--format", "junit"]).expect(0).stdout;
    assert!(xml.contains("failures=\"0\"") && xml.contains("tests=\"1\""), "{xml}");
}

#[test]
fn github_gets_one_command_a_problem() {
    let home = home();
    let text = home.margay(&["check", "--format", "github"]).expect(3).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("::error file=detectors.d/odd.yaml,line=3,col=8,title=sql-where::"), "{text}");
    assert!(lines[1].starts_with("::warning file=detectors.d/odd.yaml,line=8,col="), "{text}");
    home.write("detectors.d/odd.yaml", "name: \"a\\n::error::forged\"\n");
    let text = home.margay(&["check", "--format", "github"]).expect(3).stdout;
    assert!(text.lines().all(|line| line.starts_with("::error file=")), "{text}");
}
