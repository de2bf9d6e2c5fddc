//! Hundreds of malformed files: each is told with its place, by a rule that has a name.
//!
//! With `MARGAY_KEEP_CORPUS=DIR` the files stay in DIR, to measure each alone (docs/performance.md).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Home, root, run};

/// Names the folder in which the files stay.
const KEEP: &str = "MARGAY_KEEP_CORPUS";
/// Fewest files that make a corpus.
const FILES_LEAST: usize = 300;

/// A malformed file: what is wrong with it, and its bytes.
type Damage = (String, Vec<u8>);

/// What breaks any file, whatever it says.
fn broken_anyhow(text: &str) -> Vec<Damage> {
    let mut found: Vec<Damage> = Vec::new();
    let mut add = |what: &str, bytes: Vec<u8>| found.push((what.to_owned(), bytes));
    let with = |ending: &str| format!("{text}{ending}").into_bytes();
    add("unknown key", with("colour: red\n"));
    add("unknown key after a byte order mark", [b"\xef\xbb\xbf".as_slice(), &with("colour: red\n")].concat());
    add("unknown key and CRLF", String::from_utf8(with("colour: red\n")).unwrap().replace('\n', "\r\n").into_bytes());
    add("unknown key with a mark", with("\u{202e}: x\n"));
    add("open list", with("x: [\n"));
    add("open map", with("x: {a: \n"));
    add("open quote", with("x: \"a\n"));
    add("closed bracket", with("x: ]\n"));
    add("second document", with("---\na: 1\n"));
    add("binary tag", with("x: !!binary aGVsbG8=\n"));
    add("own tag", with("x: !ruby/object:Gem {}\n"));
    add("unknown alias", with("x: *nowhere\n"));
    add("alias of itself", with("x: &a [*a]\n"));
    add("key that is a list", with("? [a, b]\n: x\n"));
    add("tab", with("x:\n\ty: 1\n"));
    add("NUL", with("# \0\n"));
    add("escape", with("# \u{1b}[31m\n"));
    add("not UTF-8", [text.as_bytes(), b"# \xff\xfe\n"].concat());
    add("UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    add("brackets", vec![b'['; 200_000]);
    add("two megabytes of brackets", vec![b'['; 2_000_000]);
    add("two megabytes of maps", "{a: ".repeat(500_000).into_bytes());
    add("ten megabytes of text", with(&format!("x: {}\n", "y".repeat(10_000_000))));
    add("deep nesting", with(&format!("x: {}1{}\n", "[".repeat(60), "]".repeat(60))));
    add("alias bomb", with(&bomb()));
    add("many values", with(&format!("x: [{}]\n", "1, ".repeat(20_000))));
    add("nothing", Vec::new());
    add("only a comment", b"# nothing\n".to_vec());
    add("only a mark", b"---\n".to_vec());
    add("null", b"~\n".to_vec());
    add("a word", b"hello\n".to_vec());
    add("a list", b"- a\n- b\n".to_vec());
    add("a number", b"42\n".to_vec());
    found
}

/// Nine lists, each nine times the one before.
fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for at in 1..10 {
        let before = vec![format!("*a{}", at - 1); 9].join(", ");
        text.push_str(&format!("a{at}: &a{at} [{before}]\n"));
    }
    text
}

/// What breaks each key of the root.
fn broken_keys(text: &str) -> Vec<Damage> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some((key, value)) = line.split_once(':').filter(|(key, _)| is_key(key)) else { continue };
        let replaced = |new: String| {
            let lines: Vec<String> = text
                .lines()
                .enumerate()
                .map(|(number, line)| if number == at { new.clone() } else { line.to_owned() })
                .collect();
            format!("{}\n", lines.join("\n")).into_bytes()
        };
        found.push((format!("misspelt {key}"), replaced(format!("{key}x:{value}"))));
        found.push((format!("{key} twice"), format!("{text}{key}:{value}\n").into_bytes()));
        found.push((format!("{key} in a wrong case"), replaced(format!("{}:{value}", key.to_uppercase()))));
        if !value.trim().is_empty() {
            found.push((format!("{key} not finite"), replaced(format!("{key}: .nan"))));
            found.push((format!("{key} nested"), replaced(format!("{key}: {{ a: {{ b: [] }} }}"))));
        }
    }
    found
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Writes a file into a folder of its own, because its name must stay.
fn store(folder: &Path, number: usize, name: &str, bytes: &[u8]) -> PathBuf {
    let dir = folder.join(format!("{number:03}"));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Files that are no files.
fn odd_files(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut add = |what: &str, make: &dyn Fn(&Path)| {
        let dir = folder.join(what.replace(' ', "-"));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("odd.yaml");
        make(&path);
        found.push((what.to_owned(), path));
    };
    add("missing", &|_| {});
    add("folder", &|path| std::fs::create_dir_all(path).unwrap());
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        add("link to nowhere", &|path| drop(symlink("nowhere", path)));
        add("link to itself", &|path| drop(symlink("odd.yaml", path)));
        add("device", &|path| drop(symlink("/dev/zero", path)));
    }
    found
}

fn detector_files(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    let mut shipped: Vec<PathBuf> =
        std::fs::read_dir(root().join("detectors.d")).unwrap().map(|entry| entry.unwrap().path()).collect();
    shipped.sort();
    for (at, path) in shipped.iter().filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).enumerate()
    {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut damages = broken_keys(&text);
        // One file is enough for what does not look at the text, two for what stands behind it.
        if at < 2 {
            damages.extend(broken_anyhow(&text));
        }
        // Each file lends some of its keys, so that all are there and the corpus stays small.
        for (what, bytes) in
            damages.into_iter().enumerate().filter(|(number, _)| at < 2 || number % 3 == at % 3).map(|(_, one)| one)
        {
            let number = files.len();
            files.push((format!("{what}, {name}"), store(folder, number, &name, &bytes)));
        }
    }
    files.extend(odd_files(folder));
    files
}

/// Problems by file, without those that only say that a good detector stands elsewhere too.
fn by_file(problems: &Value) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for problem in problems.as_array().unwrap().iter().filter(|problem| problem["rule"] != "duplicate-detector") {
        found.entry(problem["file"].as_str().unwrap().to_owned()).or_default().push(problem.clone());
    }
    found
}

#[test]
fn each_of_three_hundred_malformed_files_is_told_with_its_place() {
    let home = Home::with(
        "logs:\n  flows: { files: f, preset: calico-flows }\n  dns: { files: d, preset: calico-dns }\n  l7: { files: l, preset: calico-l7 }\n",
    );
    let folder = std::env::var_os(KEEP).map_or_else(|| home.path("corpus"), PathBuf::from);
    let files = detector_files(&folder.join("detectors"));
    let mut args = vec!["check".to_owned(), "--format".to_owned(), "json".to_owned()];
    args.extend(files.iter().map(|(_, path)| path.display().to_string()));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = home.margay(&args).expect(3);
    let problems = by_file(&ran.json());
    for (what, path) in &files {
        let own = problems
            .get(&path.display().to_string())
            .unwrap_or_else(|| panic!("{what}: nothing is said of {}", path.display()));
        told(what, own);
    }
    let beside = beside_files(&folder);
    let mut args = vec!["check", "--format", "json"];
    let paths: Vec<String> = beside.iter().map(|(_, path)| path.display().to_string()).collect();
    args.extend(paths.iter().map(String::as_str));
    let problems = by_file(&home.margay(&args).expect(3).json());
    for (what, path) in &beside {
        let own = problems.get(&path.display().to_string());
        told(what, own.unwrap_or_else(|| panic!("{what}: nothing is said of {}", path.display())));
    }
    let engines = engine_files(&folder.join("engine"));
    for (what, path) in &engines {
        let path = path.display().to_string();
        let problems = run(&home.path(""), &["--config", &path, "check", "--format", "json"]).expect(3).json();
        told(what, by_file(&problems).get(&path).unwrap_or_else(|| panic!("{what}: nothing is said of {path}")));
    }
    let count = files.len() + beside.len() + engines.len();
    assert!(count >= FILES_LEAST, "{count}");
}

#[test]
fn the_files_that_are_damaged_are_good_before() {
    let ran = run(root(), &["check", "detectors.d", "--format", "json"]).expect(0);
    assert_eq!(ran.json(), serde_json::json!([]));
}

/// At least one error, each problem with a place, a rule and a message on one line.
#[track_caller]
fn told(what: &str, problems: &[Value]) {
    assert!(problems.iter().any(|problem| problem["severity"] == "error"), "{what}: {problems:?}");
    for problem in problems {
        assert!(
            problem["line"].as_u64().unwrap() >= 1 && problem["column"].as_u64().unwrap() >= 1,
            "{what}: {problem}"
        );
        let (rule, message) = (problem["rule"].as_str().unwrap(), problem["message"].as_str().unwrap());
        assert!(!rule.is_empty() && !message.is_empty() && message.len() < 2000, "{what}: {problem}");
        assert!(!message.contains(|c: char| c.is_control()), "{what}: {problem}");
    }
}

/// Exclusions and silences, which are known by the name of their folder.
fn beside_files(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    for (kind, text) in [
        ("exclusions.d", "selector: { detectors: [bytes-out] }\nfrom: 2026-11-01\nto: 2026-11-02\nreason: upgrade\n"),
        (
            "silences.d",
            "selector: { detectors: [bytes-out] }\nfrom: 2026-11-01\nuntil: 2026-11-02\nreason: known\nowner: team\n",
        ),
    ] {
        for (number, (what, bytes)) in broken_anyhow(text).into_iter().chain(broken_keys(text)).enumerate() {
            let dir = folder.join(format!("{kind}-{number:03}")).join(kind);
            std::fs::create_dir_all(&dir).unwrap();
            let path = dir.join("odd.yaml");
            std::fs::write(&path, bytes).unwrap();
            files.push((format!("{what}, {kind}"), path));
        }
    }
    files
}

fn engine_files(folder: &Path) -> Vec<(String, PathBuf)> {
    let text = std::fs::read_to_string(root().join("examples/calico/margay.yaml")).unwrap();
    let damages = broken_anyhow(&text).into_iter().chain(broken_keys(&text)).enumerate();
    damages
        .map(|(number, (what, bytes))| (format!("{what}, margay.yaml"), store(folder, number, "margay.yaml", &bytes)))
        .collect()
}

#[test]
fn malformed_rules_of_other_tools_are_told_with_their_places() {
    let home = Home::new();
    for (format, rule) in [("globalalert", "network.ssh"), ("elastalert", "frequency-errors")] {
        let source = root().join("tests/import").join(format).join(format!("{rule}.yaml"));
        let text = std::fs::read_to_string(source).unwrap();
        let damages = broken_anyhow(&text);
        for (number, (what, bytes)) in damages.iter().enumerate().filter(|(_, (what, _))| what != "second document") {
            let path = store(&home.path(format), number, "rule.yaml", bytes).display().to_string();
            let ran = home.margay(&["import", format, &path, "--output", "json"]);
            assert!(ran.code == 0 || ran.code == 1, "{what}: {}", ran.stderr);
            let document = ran.json();
            let problems = document["problems"].as_array().unwrap();
            assert!(problems.iter().any(|problem| problem["file"] == path[..]), "{what}: {document}");
            assert!(problems.iter().all(|problem| problem["line"].as_u64().unwrap() >= 1), "{what}: {document}");
        }
    }
}
