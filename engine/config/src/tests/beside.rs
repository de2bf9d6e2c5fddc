//! Files beside detectors.d.

use std::collections::BTreeMap;

use margay_core::Time;

use crate::{Selector, SilenceFile, load, load_detectors};

use super::{found, repository};

const EXCLUSION: &str = "\
selector: { detectors: [bytes-*], entity: { namespace: payments } }
from: 2026-11-10T08:00:00Z
to: 2026-11-10T12:30:00Z
reason: payment provider down
owner: team-payments
";

/// Files of a folder and the rule and line of what is wrong with each.
fn broken(folder: &str) -> BTreeMap<String, (String, usize)> {
    let loaded = load_detectors(&[repository().join("tests/bad").join(folder)], None);
    assert_eq!(loaded.beside.exclusions.len() + loaded.beside.silences.len(), 0);
    let stem = |path: &std::path::Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let told = loaded.problems.iter().map(|one| (stem(&one.file), (one.rule.clone(), one.line))).collect();
    assert_eq!(loaded.problems.len(), loaded.files_checked, "{:?}", loaded.problems);
    told
}

fn at_lines(lines: &[(&str, usize)]) -> BTreeMap<String, (String, usize)> {
    lines.iter().map(|(rule, line)| ((*rule).to_owned(), ((*rule).to_owned(), *line))).collect()
}

#[test]
fn each_broken_exclusion_gives_the_problem_it_is_named_after_at_its_line() {
    let expected = [
        ("bad-time", 4),
        ("empty-value", 5),
        ("missing-key", 2),
        ("selector-is-empty", 4),
        ("times-cross", 4),
        ("unknown-key", 2),
    ];
    assert_eq!(broken("exclusions.d"), at_lines(&expected));
}

#[test]
fn each_broken_silence_gives_the_problem_it_is_named_after_at_its_line() {
    let expected =
        [("missing-key", 2), ("selector-is-empty", 2), ("silence-too-long", 4), ("times-cross", 4), ("wrong-type", 2)];
    assert_eq!(broken("silences.d"), at_lines(&expected));
}

#[test]
fn folders_beside_the_detectors_are_read_if_they_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("margay.yaml");
    std::fs::write(&config, "detectors: []\n").unwrap();
    assert_eq!(found(&load(&config)), []);
    std::fs::create_dir(dir.path().join("exclusions.d")).unwrap();
    assert_eq!(found(&load(&config)), []);
    std::fs::write(dir.path().join("exclusions.d/outage.yaml"), EXCLUSION).unwrap();
    let loaded = load(&config);
    assert_eq!((found(&loaded), loaded.files_checked), (vec![], 2));
    let [outage] = &loaded.beside.exclusions[..] else { panic!("{:?}", loaded.beside) };
    assert_eq!((outage.name.as_str(), outage.value.owner.as_str()), ("outage", "team-payments"));
    assert_eq!(outage.value.selector.entity["namespace"], "payments");
}

#[test]
fn a_folder_that_is_named_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("margay.yaml");
    std::fs::write(&config, "detectors: []\nsilences: [quiet.d]\n").unwrap();
    assert_eq!(found(&load(&config)), [("unreadable-file", 2, 12)]);
}

#[test]
fn a_silence_reads_back_whatever_its_texts_hold() {
    for text in ["web-*", "it's: {a} #b", "- x", "\"q\"\n---\nowner: evil", "\u{202e}\u{7f}", "true", "12", " a ", "~"]
    {
        let silence = SilenceFile {
            selector: Selector {
                entity: [("app".to_owned(), text.to_owned()), (text.to_owned(), "x".to_owned())].into(),
                ..Selector::default()
            },
            from: Time(1_793_577_600_000),
            until: Time(1_793_664_000_000),
            reason: text.to_owned(),
            owner: "ops".to_owned(),
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("silences.d").join("quiet.yaml");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, silence.to_yaml()).unwrap();
        let loaded = load_detectors(&[path], None);
        let back: Vec<&SilenceFile> = loaded.beside.silences.iter().map(|file| &file.value).collect();
        assert_eq!(back, [&silence], "{text:?}: {:?}\n{}", loaded.problems, silence.to_yaml());
    }
}
