//! A patch changes one value and nothing else.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Edit, PatchError, patch_detector};

use super::{GOOD, load_text, repository};

fn edit(path: &str, value: impl Into<Value>) -> Edit {
    Edit { path: path.split('.').map(str::to_owned).collect(), value: value.into() }
}

fn patched(text: &str, path: &str, value: impl Into<Value>) -> Result<String, PatchError> {
    patch_detector(Path::new("d.yaml"), text, &[edit(path, value)])
}

#[test]
fn values_are_replaced_where_they_stand() {
    for (text, path, value, expected) in [
        ("a: 1\nb: 2 # why\n", "b", json!(3), "a: 1\nb: 3 # why\n"),
        ("b:   2\t # why", "b", json!(3), "b:   3\t # why"),
        ("b: 'it''s' # why\n", "b", json!("x: y"), "b: \"x: y\" # why\n"),
        ("t: { score: 60, min_dev: 1 } # t\n", "t.score", json!(41.5), "t: { score: 41.5, min_dev: 1 } # t\n"),
        ("b: &x 2\n", "b", json!(3), "b: &x 3\n"),
        ("b:\nname: 1\n", "b", json!(3), "b: 3\nname: 1\n"),
        ("b: null # n\n", "b", json!(3), "b: 3 # n\n"),
        ("b: # later\nc: 1\n", "b", json!(3), "b: 3 # later\nc: 1\n"),
        ("b: 2", "b", json!("2 of 3"), "b: 2 of 3"),
        ("b: 2\n", "b", json!(2), "b: 2\n"),
        ("b: x\n", "b", json!("5"), "b: \"5\"\n"),
        ("b: x\n", "b", json!("tab\tline\nend"), "b: \"tab\\tline\\nend\"\n"),
    ] {
        assert_eq!(patched(text, path, value).unwrap(), expected, "{text}");
    }
}

#[test]
fn missing_keys_are_added_where_the_schema_has_them_with_the_indentation_of_the_file() {
    for (text, path, value, expected) in [
        (
            "threshold:\n    score: 60 # s\n    sustained: 2 of 3\nalert: {}\n",
            "threshold.min_dev",
            json!("10MB"),
            "threshold:\n    score: 60 # s\n    min_dev: 10MB\n    sustained: 2 of 3\nalert: {}\n",
        ),
        (
            "threshold:\n  sustained: 2 of 3 # c\n",
            "threshold.score",
            json!(50),
            "threshold:\n  score: 50\n  sustained: 2 of 3 # c\n",
        ),
        ("threshold: { score: 60 } # c\n", "threshold.min_dev", json!(1), "threshold: { score: 60, min_dev: 1 } # c\n"),
        ("threshold: { min_dev: 6 }\n", "threshold.score", json!(1), "threshold: { score: 1, min_dev: 6 }\n"),
        ("threshold: {}\nname: x\n", "threshold.score", json!(1), "threshold: { score: 1 }\nname: x\n"),
        ("threshold: # t\nname: x\n", "threshold.score", json!(1), "threshold: # t\n  score: 1\nname: x\n"),
        ("threshold: ~\n", "threshold.score", json!(1), "threshold: { score: 1 }\n"),
        (
            "model:\n   seasonal:\n      history: 4w # h\n# on the alert\nalert:\n   severity: 3",
            "threshold.score",
            json!(1),
            "model:\n   seasonal:\n      history: 4w # h\nthreshold:\n   score: 1\n# on the alert\nalert:\n   severity: 3",
        ),
        ("model: { auto: {} }", "threshold.score", json!(1), "model: { auto: {} }\nthreshold:\n  score: 1\n"),
        (
            "name: x\r\nmodel: {}\r\n",
            "threshold.score",
            json!(1),
            "name: x\r\nmodel: {}\r\nthreshold:\r\n  score: 1\r\n",
        ),
        ("{ name: x }\n", "threshold.score", json!(1), "{ name: x, threshold: { score: 1 } }\n"),
        (
            "entity:\n- a\n- b # the second\nfeatures: {}\n",
            "bucket",
            json!("1m"),
            "entity:\n- a\n- b # the second\nbucket: 1m\nfeatures: {}\n",
        ),
    ] {
        assert_eq!(patched(text, path, value).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_byte_order_mark_stays() {
    assert_eq!(patched("\u{feff}b: 2\n", "b", 3).unwrap(), "\u{feff}b: 3\n");
}

#[test]
fn what_would_change_something_else_is_refused() {
    let alias = "model: &m { auto: { history: 4w } }\nthreshold: *m\n";
    assert!(matches!(patched(alias, "threshold.score", 1), Err(PatchError::Alias { path }) if path == "threshold"));
    assert!(matches!(patched("a: &x 1\nb: *x\n", "a", 2), Err(PatchError::Differs { .. })));
    assert!(matches!(patched("a: [1]\n", "a", 2), Err(PatchError::NotScalar { .. })));
    assert!(matches!(patched("a: |\n  text\n", "a", 2), Err(PatchError::NotScalar { .. })));
    assert!(matches!(patched("a: 1\n", "a.b", 2), Err(PatchError::NotScalar { path }) if path == "a"));
    assert!(matches!(patched("a: [\n", "a", 2), Err(PatchError::Unreadable(_))));
    assert!(matches!(patched("a: 1\na: 2\n", "a", 3), Err(PatchError::Unreadable(_))));
}

/// What the text keeps when a patch is made: every line, but for the value in one of them.
fn assert_kept(before: &str, after: &str, edit: &Edit) {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let first = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let last = old[first..].iter().rev().zip(new[first..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (gone, came) = (&old[first..old.len() - last], &new[first..new.len() - last]);
    assert!(gone.len() <= 1, "{gone:?} became {came:?}");
    if let ([gone], [came]) = (gone, came) {
        let key = edit.path.last().unwrap();
        assert!(came.contains(&format!("{key}: ")), "{came}");
        let comment = |line: &str| line.rfind(" #").map(|at| line[at..].to_owned());
        assert_eq!(comment(gone), comment(came));
    }
}

fn edits() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0u32..1000).prop_map(|score| edit("threshold.score", f64::from(score) / 10.0)),
        (1u32..5000).prop_map(|dev| edit("threshold.min_dev", format!("{dev}MB"))),
        (0u32..100).prop_map(|dev| edit("threshold.min_rel_dev", f64::from(dev) / 8.0)),
        (1u32..6).prop_map(|m| edit("threshold.sustained", format!("1 of {m}"))),
        (0u32..100).prop_map(|severity| edit("alert.severity", severity)),
        Just(edit("mode", "shadow")),
    ]
}

fn shipped() -> Vec<String> {
    let mut texts: Vec<String> = std::fs::read_dir(repository().join("detectors.d"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    texts.sort();
    texts.push(GOOD.to_owned());
    texts
}

/// A detector with its keys in any order, in block or flow style, with comments everywhere.
fn generated() -> impl Strategy<Value = String> {
    let threshold = prop_oneof![
        Just(String::new()),
        Just("threshold:\n".to_owned()),
        Just("threshold: {} # none\n".to_owned()),
        Just("threshold: { score: 55, # why 55\n  sustained: 2 of 3 } # flow\n".to_owned()),
        (1usize..7).prop_map(|indent| {
            let blank = " ".repeat(indent);
            format!("threshold: # block\n{blank}score: 55 # why 55\n\n{blank}# on the next\n{blank}min_rel_dev: 0.5\n")
        }),
    ];
    let alert = prop_oneof![
        Just(String::new()),
        Just("alert:\n  summary: |\n    {{entity}} # no comment\n  severity:   7    # seven\n".to_owned()),
        Just("alert: { summary: '{{entity}} # no comment', severity: 7 }   # flow\n".to_owned()),
    ];
    let parts = (threshold, alert).prop_map(|(threshold, alert)| {
        vec![
            "name: good # the name\n".to_owned(),
            "log: flows\nentity:\n- source_namespace # a list without indentation\n".to_owned(),
            "features: { n: count(*) }\n".to_owned(),
            "model:\n  seasonal:\n    history: 4w # four\n".to_owned(),
            threshold,
            alert,
        ]
    });
    (parts.prop_flat_map(|parts| Just(parts).prop_shuffle()), prop::bool::ANY, prop::bool::ANY).prop_map(
        |(parts, windows, open_end)| {
            let text = format!("# head\n{}# foot", parts.join("# between\n"));
            let text = if open_end { text } else { text + "\n" };
            if windows { text.replace('\n', "\r\n") } else { text }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_shipped_detectors_keep_every_comment_and_the_order_of_their_keys(
        text in prop::sample::select(shipped()),
        edits in prop::collection::vec(edits(), 1..4),
    ) {
        let mut text = text;
        for edit in edits {
            let after = patch_detector(Path::new("d.yaml"), &text, std::slice::from_ref(&edit)).unwrap();
            assert_kept(&text, &after, &edit);
            text = after;
        }
    }

    #[test]
    fn generated_detectors_keep_every_comment_and_the_order_of_their_keys(text in generated(), edit in edits()) {
        let after = patch_detector(Path::new("d.yaml"), &text, std::slice::from_ref(&edit)).unwrap();
        assert_kept(&text, &after, &edit);
        let loaded = load_text("good", after.as_bytes());
        prop_assert!(!loaded.has_errors(), "{after}\n{:#?}", loaded.problems);
        let hashes = |text: &str| text.matches('#').count();
        prop_assert_eq!(hashes(&after), hashes(&text));
    }

    #[test]
    fn damaged_files_never_panic(text in "[a: {}\\[\\]&*#|'\"\n-]{0,60}", path in "[a-c](\\.[a-c])?") {
        let _ = patched(&text, &path, 1);
    }
}
