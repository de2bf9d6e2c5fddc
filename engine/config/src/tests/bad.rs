//! Every file of tests/bad breaks the rule it is named after, at the line that this table says.

use std::collections::BTreeMap;

use crate::{Severity, load_detectors};

use super::{GOOD, engine_with_logs, repository};

const BROKEN: [(&str, usize); 43] = [
    ("bad-feature-name", 10),
    ("bad-mitre-id", 14),
    ("bad-name", 2),
    ("bad-period", 8),
    ("bad-quantity", 14),
    ("bad-sustained", 14),
    ("bad-time", 16),
    ("bucket-divides-day", 8),
    ("duplicate-key", 9),
    ("empty-value", 7),
    ("entity-needs-name", 9),
    ("feature-list-needs-sql", 9),
    ("history-holds-two-seasons", 14),
    ("key-not-text", 9),
    ("limit-bounds-cross", 14),
    ("limit-needs-bound", 12),
    ("missing-key", 16),
    ("model-needs-list", 9),
    ("multiple-documents", 15),
    ("multivariate-needs-features", 9),
    ("name-clash", 10),
    ("name-is-not-file-name", 2),
    ("nesting-too-deep", 4),
    ("not-finite", 14),
    ("one-model", 13),
    ("out-of-range", 14),
    ("ratio-needs-hits-and-total", 9),
    ("respond-needs-action", 6),
    ("respond-needs-response", 7),
    ("score-or-budget", 15),
    ("seasonality-multiple-of-bucket", 12),
    ("sql-replaces-features", 11),
    ("sql-replaces-where", 6),
    ("sustained-n-of-m", 14),
    ("tab-indentation", 10),
    ("unknown-group", 12),
    ("unknown-key", 13),
    ("unknown-log", 5),
    ("unknown-model", 12),
    ("unknown-value", 14),
    ("wrong-type", 7),
    ("yaml-syntax", 5),
    ("yaml-tag", 8),
];

#[test]
fn each_broken_file_gives_the_problem_it_is_named_after_at_its_line() {
    let directory = repository().join("tests/bad");
    let loaded = load_detectors(&[directory], Some(&engine_with_logs()));
    let mut found: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    for problem in &loaded.problems {
        let stem = problem.file.file_stem().unwrap().to_string_lossy().into_owned();
        found.entry(stem).or_default().push((problem.rule.clone(), problem.line));
    }
    let expected: BTreeMap<String, Vec<(String, usize)>> =
        BROKEN.iter().map(|(rule, line)| ((*rule).to_owned(), vec![((*rule).to_owned(), *line)])).collect();
    assert_eq!(found, expected);
    assert_eq!(loaded.files_checked, BROKEN.len());
}

#[test]
fn a_detector_with_only_warnings_is_used() {
    let loaded = load_detectors(&[repository().join("tests/bad")], Some(&engine_with_logs()));
    let used: Vec<&str> = loaded.detectors.iter().map(|loaded| loaded.detector.name.as_str()).collect();
    assert_eq!(used, ["respond-needs-action", "respond-needs-response"]);
    let warnings = loaded.problems.iter().filter(|problem| problem.severity == Severity::Warning).count();
    assert_eq!(warnings, used.len());
}

#[test]
fn problems_are_shown_with_the_offending_line_and_a_hint() {
    let directory = repository().join("tests/bad");
    let loaded = load_detectors(std::slice::from_ref(&directory), Some(&engine_with_logs()));
    let blocks: Vec<String> = loaded
        .problems
        .into_iter()
        .map(|mut problem| {
            problem.file = problem.file.strip_prefix(&directory).unwrap().to_owned();
            problem.render(false)
        })
        .collect();
    insta::assert_snapshot!(blocks.join("\n\n"));
}

#[test]
fn the_shipped_detectors_have_no_problems() {
    let loaded = load_detectors(&[repository().join("detectors.d")], Some(&engine_with_logs()));
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.detectors.len(), loaded.files_checked);
}

#[test]
fn a_template_without_quotes_is_told_to_have_some() {
    let loaded =
        super::load_text("good", GOOD.replace("summary: \"{{entity}} sent", "summary: {{entity}} sent").as_bytes());
    let hints: Vec<&str> = loaded.problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
    assert!(hints.iter().any(|hint| hint.ends_with("needs quotes")), "{:#?}", loaded.problems);
}
