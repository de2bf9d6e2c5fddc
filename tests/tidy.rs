//! What the code should look like, where a machine can tell.

use std::path::{Path, PathBuf};

use crate::support::root;

/// Lines of a file, without its tests.
const FILE_LINES_MOST: usize = 400;

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn files_are_short() {
    let mut files = Vec::new();
    sources(&root().join("engine"), &mut files);
    let long: Vec<String> = files
        .iter()
        .filter(|path| path.file_name().is_none_or(|name| name != "tests.rs"))
        .filter_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
            (lines > FILE_LINES_MOST).then(|| format!("{}: {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn stages_do_not_name_each_other() {
    let stages = ["config", "source", "features", "model", "decide", "render", "deliver"];
    for stage in stages {
        let manifest = std::fs::read_to_string(root().join("engine").join(stage).join("Cargo.toml")).unwrap();
        for other in stages.iter().filter(|other| **other != stage) {
            assert!(!manifest.contains(&format!("margay-{other}")), "{stage} names {other}");
        }
    }
}

#[test]
fn only_its_own_crate_names_a_heavy_library() {
    for (library, owner) in [("datafusion", "features"), ("augurs", "model"), ("handlebars", "render")] {
        for entry in std::fs::read_dir(root().join("engine")).unwrap() {
            let dir = entry.unwrap().path();
            let Ok(manifest) = std::fs::read_to_string(dir.join("Cargo.toml")) else { continue };
            let names = manifest.lines().any(|line| line.starts_with(library));
            assert_eq!(names, dir.ends_with(owner), "{} and {library}", dir.display());
        }
    }
}

#[test]
fn every_dependency_is_explained() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let explained = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in section.lines().filter(|line| line.contains('=') && line.starts_with(|c: char| c.is_ascii_lowercase()))
    {
        let name = line.split([' ', '=']).next().unwrap();
        if !name.starts_with("margay-") {
            assert!(explained.contains(&format!("`{name}`")) || explained.contains(&format!("| {name} ")), "{name}");
        }
    }
}

#[test]
fn the_demo_writes_all_shipped_detectors() {
    let list = std::fs::read_to_string(root().join("engine/app/shipped.rs")).unwrap();
    for entry in std::fs::read_dir(root().join("detectors.d")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(list.contains(&format!("(\"{name}\"")), "{name} is missing in engine/app/shipped.rs");
    }
}
