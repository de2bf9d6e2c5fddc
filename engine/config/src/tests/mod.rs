//! What users see of the crate: problems with places, schemas, whole directories.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bad;
mod beside;
mod engine;
mod files;
mod mutations;
mod patches;
mod places;
mod schemas;

use std::path::{Path, PathBuf};

use crate::{Engine, Loaded, Log, load_detectors};

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// An engine with the three logs of Calico and nothing else.
fn engine_with_logs() -> Engine {
    let logs = ["flows", "dns", "l7"].map(|name| (name.to_owned(), Log::default()));
    Engine { logs: logs.into(), ..Engine::default() }
}

/// Loads a text as the detector file `name.yaml`.
fn load_text(name: &str, text: &[u8]) -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(format!("{name}.yaml"));
    std::fs::write(&path, text).unwrap();
    load_detectors(&[path], Some(&engine_with_logs()))
}

/// Rule, line and column of everything that was found.
fn found(loaded: &Loaded) -> Vec<(&str, usize, usize)> {
    loaded.problems.iter().map(|problem| (problem.rule.as_str(), problem.line, problem.column)).collect()
}

/// The example of the design, whole.
const GOOD: &str = include_str!("good.yaml");
