//! Problems as SARIF 2.1.0, which code scanning reads.

use std::path::Path;

use margay_config::{Problem, Severity};
use serde::Serialize;

use super::relative;

/// The log of one run of `check`.
#[derive(Debug, Serialize)]
pub struct Sarif {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    results: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
struct Rule {
    id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: String,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: [Location; 1],
}

#[derive(Debug, Serialize)]
struct Message {
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Debug, Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
}

/// The log; `root` is what paths are shown relative to.
#[must_use]
pub fn log(problems: &[Problem], root: &Path) -> Sarif {
    let mut rules: Vec<&str> = problems.iter().map(|problem| &problem.rule[..]).collect();
    rules.sort_unstable();
    rules.dedup();
    let results = problems.iter().map(|problem| finding(problem, &rules, root)).collect();
    let rules = rules.iter().map(|id| Rule { id: (*id).to_owned() }).collect();
    let driver = Driver { name: "margay", version: env!("CARGO_PKG_VERSION"), rules };
    Sarif {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: [Run { tool: Tool { driver }, column_kind: "unicodeCodePoints", results }],
    }
}

fn finding(problem: &Problem, rules: &[&str], root: &Path) -> Finding {
    let hint = problem.hint.as_deref().map(|hint| format!("\n{hint}")).unwrap_or_default();
    let physical_location = PhysicalLocation {
        artifact_location: ArtifactLocation { uri: uri(&relative(&problem.file, root)) },
        region: Region { start_line: problem.line, start_column: problem.column },
    };
    Finding {
        rule_index: rules.binary_search(&&problem.rule[..]).unwrap_or_default(),
        rule_id: problem.rule.clone(),
        level: match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: Message { text: format!("{}{hint}", problem.message) },
        locations: [Location { physical_location }],
    }
}

/// A path as a reference: what has a meaning in an address is written by its bytes (RFC 3986).
fn uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let parts =
        path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    scheme.chars().map(String::from).chain(parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_references() {
        assert_eq!(uri("detectors.d/a b:c#é.yaml"), "detectors.d/a%20b%3Ac%23%C3%A9.yaml");
        assert_eq!(uri("/etc/margay.yaml"), "file:///etc/margay.yaml");
    }

    #[test]
    fn a_finding_has_its_rule_level_and_place() {
        let one = Problem::new(Path::new("/repo/d/a.yaml"), (3, 5), "sql", "wrong".to_owned());
        let two = Problem::new(Path::new("d/b.yaml"), (1, 1), "name", "odd".to_owned()).warning();
        let log = serde_json::json!(log(&[one.hint("right".to_owned()), two], Path::new("/repo")));
        let results = &log["runs"][0]["results"];
        assert_eq!(results[0]["message"]["text"], "wrong\nright");
        assert_eq!(results[0]["ruleIndex"], 1);
        let place = &results[0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "d/a.yaml");
        assert_eq!(place["region"], serde_json::json!({ "startLine": 3, "startColumn": 5 }));
        assert_eq!((&results[1]["level"], &results[1]["ruleId"]), (&"warning".into(), &"name".into()));
    }
}
