//! Files that are hardly files: each is a clear problem, none takes long.

use std::fs;
use std::time::{Duration, Instant};

use crate::load_detectors;

use super::{GOOD, found, load_text};

fn rules(text: impl AsRef<[u8]>) -> Vec<String> {
    let timed = || {
        let start = Instant::now();
        (load_text("good", text.as_ref()), start.elapsed())
    };
    let (loaded, first) = timed();
    let fastest = [first, timed().1, timed().1].into_iter().min().unwrap();
    assert!(fastest < Duration::from_millis(200), "{fastest:?}");
    loaded.problems.iter().map(|problem| problem.rule.clone()).collect()
}

#[test]
fn a_sound_file_has_no_problems_however_its_lines_end() {
    assert_eq!(rules(GOOD), [""; 0]);
    assert_eq!(rules(GOOD.replace('\n', "\r\n")), [""; 0]);
    assert_eq!(rules(format!("\u{feff}{GOOD}")), [""; 0]);
    assert_eq!(rules(format!("---\n{GOOD}...\n")), [""; 0]);
}

#[test]
fn hostile_texts_are_refused_quickly() {
    let bomb: String = (0..9)
        .map(|at| match at {
            0 => "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(),
            _ => format!("a{at}: &a{at} [{}]\n", vec![format!("*a{}", at - 1); 9].join(", ")),
        })
        .collect();
    let chain: String =
        (0..40).map(|at| format!("a{at}: &a{at} [[[*a{}]]]\n", if at == 0 { 0 } else { at - 1 })).collect();
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(200_000), vec!["*a"; 1000].join(", "));
    for (text, rule) in [
        (Vec::new(), "empty-file"),
        (b"# only a comment\n".to_vec(), "empty-file"),
        (b"~\n".to_vec(), "empty-file"),
        (b"[1, 2]\n".to_vec(), "wrong-type"),
        (b"name: a\0b\n".to_vec(), "control-character"),
        (b"name: \xff\xfe\n".to_vec(), "not-utf8"),
        ("\u{feff}name: x\n".encode_utf16().flat_map(u16::to_le_bytes).collect(), "not-utf8"),
        (vec![b'['; 200_000], "nesting-too-deep"),
        (vec![b'x'; 300_000], "file-too-large"),
        ("- a\n".repeat(40_000).into_bytes(), "too-many-values"),
        (bomb.into_bytes(), "too-many-values"),
        (chain.replace("*a0]]]\na1", "x]]]\na1").into_bytes(), "nesting-too-deep"),
        (long.into_bytes(), "too-many-values"),
        (b"a: &a [*a]\n".to_vec(), "yaml-syntax"),
        (format!("features:\n{}", "  1: x\n".repeat(2000)).into_bytes(), "duplicate-key"),
        (b"a: *b\n".to_vec(), "yaml-syntax"),
        (b"a: 'open\n".to_vec(), "yaml-syntax"),
    ] {
        let shown = String::from_utf8_lossy(&text).chars().take(60).collect::<String>();
        assert!(rules(&text).iter().any(|found| found == rule), "{rule}: {shown}");
    }
}

#[test]
fn a_file_with_very_many_problems_says_how_many_are_not_shown() {
    let keys: String = (0..2000).map(|at| format!("k{at}: 1\n")).collect();
    let loaded = load_text("good", format!("{GOOD}{keys}").as_bytes());
    assert_eq!(loaded.problems.len(), 201);
    assert!(loaded.problems.iter().any(|problem| problem.message.starts_with("1800 further problems")));
}

#[test]
fn what_is_not_a_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("folder.yaml")).unwrap();
    fs::write(dir.path().join("good.yaml"), GOOD).unwrap();
    fs::write(dir.path().join(".hidden.yaml"), "{").unwrap();
    fs::write(dir.path().join("notes.txt"), "{").unwrap();
    let loaded = load_detectors(&[dir.path().to_owned()], None);
    assert_eq!(found(&loaded), [("not-a-file", 1, 1)]);
    assert!(loaded.problems[0].file.ends_with("folder.yaml"));
    assert_eq!(loaded.detectors.len(), 1);
    assert_eq!(loaded.files_checked, 2);
}

#[test]
fn missing_and_empty_directories_are_named() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(found(&load_detectors(&[dir.path().to_owned()], None)), [("no-detectors", 1, 1)]);
    assert_eq!(found(&load_detectors(&[dir.path().join("none.yaml")], None)), [("unreadable-file", 1, 1)]);
}

#[test]
fn a_name_is_defined_once() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|sub| dir.path().join(sub).join("good.yaml"));
    for path in &paths {
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(path, GOOD).unwrap();
    }
    let loaded = load_detectors(&paths, None);
    assert_eq!(found(&loaded), [("duplicate-detector", 2, 7)]);
    assert_eq!(loaded.problems[0].file, paths[1]);
    assert_eq!(loaded.detectors.len(), 1);
}

#[test]
fn very_many_features_do_not_take_long() {
    let names: String = (0..2000).map(|at| format!("  1n{at}: count(*)\n")).collect();
    assert_eq!(rules(GOOD.replace("features:\n", &format!("features:\n{names}"))).len(), 201);
}
