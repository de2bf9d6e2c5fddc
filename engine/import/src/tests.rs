//! Damaged and hostile rules: never a panic, and what is converted passes every check of a detector.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use margay_config::{SchemaKind, text_problems};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{Format, Imported, Surroundings, import_bytes};

const ALERT: &str = include_str!("../../../tests/import/globalalert/network.cloudapi.yaml");
const RULE: &str = include_str!("../../../tests/import/elastalert/frequency-logins.yaml");

/// Any text, or characters that mean something in YAML and in the query languages.
const INSERTED: &str = "\\PC{0,6}|[:{}\\[\\]()&*!|>'\"%@`#\\-+=<>$\n\t ]{1,4}|AND|OR|NOT|IN|TO";

fn read(format: Format, text: &str) -> Imported {
    import_bytes(format, Path::new("rules/x.yaml"), text.as_bytes(), &Surroundings::default())
}

fn is_sound(imported: &Imported) {
    for one in &imported.detectors {
        let file = format!("{}.yaml", one.name);
        assert_eq!(text_problems(SchemaKind::Detector, Path::new(&file), one.yaml.as_bytes(), None), []);
    }
    for problem in &imported.problems {
        assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
        assert!(!problem.message.contains(|c: char| c.is_control()), "{problem:?}");
    }
}

fn damaged(text: &str, edits: Vec<(Index, usize, String)>) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for (at, removed, inserted) in edits {
        let at = at.index(text.len() + 1).min(text.len());
        let end = (at + removed).min(text.len());
        text.splice(at..end, inserted.chars());
    }
    text.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_rule_never_panics(edits in prop::collection::vec((any::<Index>(), 0usize..8, INSERTED), 1..6)) {
        is_sound(&read(Format::GlobalAlert, &damaged(ALERT, edits.clone())));
        is_sound(&read(Format::ElastAlert, &damaged(RULE, edits)));
    }

    #[test]
    fn any_query_is_a_condition_or_a_reason(query in "([ ()\"'{}=!<>$,*?:+^~/-]|\\[|\\]|AND|OR|NOT|IN|TO|[a-z_.]{1,5}|[0-9]){0,30}") {
        let quoted = query.replace('\'', "''");
        is_sound(&read(Format::GlobalAlert, &format!(
            "kind: GlobalAlert\nmetadata: {{ name: x }}\nspec: {{ description: d, severity: 1, dataSet: dns, query: '{quoted}' }}\n"
        )));
        is_sound(&read(Format::ElastAlert, &format!(
            "name: x\ntype: any\nindex: i\nfilter:\n  - query_string: {{ query: '{quoted}' }}\n"
        )));
    }
}

#[test]
fn a_list_of_alerts_is_read_and_names_differ() {
    let alert = |name: &str| {
        format!(
            "  - kind: GlobalAlert\n    metadata: {{ name: {name} }}\n    spec: {{ description: d, severity: 5, dataSet: dns }}\n"
        )
    };
    let imported =
        read(Format::GlobalAlert, &format!("kind: GlobalAlertList\nitems:\n{}{}", alert("a.b"), alert("a-b")));
    let names: Vec<(&str, usize)> = imported.detectors.iter().map(|one| (&one.name[..], one.line)).collect();
    assert_eq!(names, [("a-b", 3), ("a-b-2", 6)]);
    assert!(!imported.is_incomplete());
}

#[test]
fn conditions_become_bounds_that_mean_the_same() {
    let bounds = |condition: &str, metric: &str| {
        let text = format!(
            "kind: GlobalAlert\nmetadata: {{ name: x }}\nspec: {{ description: d, severity: 5, dataSet: flows, metric: {metric}, field: num_flows, aggregateBy: [host], condition: {condition}, threshold: 5 }}\n"
        );
        let imported = read(Format::GlobalAlert, &text);
        let yaml = imported.detectors.first().unwrap_or_else(|| panic!("{:?}", imported.problems)).yaml.clone();
        yaml.lines()
            .skip_while(|line| !line.starts_with("features"))
            .take(6)
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(bounds("gt", "count"), "features: count: count(*) model: limit: above: 6 alert:");
    assert_eq!(bounds("gte", "sum"), "features: sum: sum(num_flows) model: limit: above: 5 alert:");
    assert_eq!(bounds("lt", "count"), "features: count: count(*) model: limit: below: 4 alert:");
    assert_eq!(bounds("lte", "avg"), "features: avg: avg(num_flows) model: limit: below: 5 alert:");
    assert!(bounds("gt", "sum").contains("above: 5.000000005"), "{}", bounds("gt", "sum"));
    assert!(
        bounds("eq", "max").contains("max: CASE WHEN max(num_flows) = 5 THEN 1 ELSE 0 END"),
        "{}",
        bounds("eq", "max")
    );
}

#[test]
fn what_a_rule_says_in_vain_is_told_once_at_its_place() {
    let text = "name: x\ntype: any\nindex: i\nalert: [slack]\nslack_webhook_url: http://x\npriority: 2\nlimit_execution: '* 7 * * *'\n";
    let told: Vec<(usize, String)> =
        read(Format::ElastAlert, text).problems.into_iter().map(|problem| (problem.line, problem.message)).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].1.contains("margay.yaml has no log `i`"), "{told:?}");
    assert!(told[1].0 == 4 && told[1].1.ends_with("alert, slack_webhook_url, priority"), "{told:?}");
    assert!(told[2].0 == 7 && told[2].1.contains("limit_execution"), "{told:?}");
}
