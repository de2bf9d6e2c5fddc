//! margay.yaml and the files it names → typed values and problems.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::beside::{Beside, Kind};
use crate::detector::Detector;
use crate::digest::Digests;
use crate::document::{self, Document};
use crate::engine::Engine;
use crate::files;
use crate::problem::{Problem, Severity, in_order};
use crate::rules::{self, Findings};
use crate::schema::SchemaKind;

/// Everything that was found.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The engine's configuration; the default where there is none or it is broken.
    pub engine: Engine,
    /// Directory to which the paths in `engine` are relative.
    pub root: PathBuf,
    /// Detectors without errors, by name.
    pub detectors: Vec<LoadedDetector>,
    /// Detectors with errors, as far as they can be read: to be checked further, never to be run.
    pub broken: Vec<LoadedDetector>,
    /// What the folders beside detectors.d hold.
    pub beside: Beside,
    /// What is wrong, by file and line.
    pub problems: Vec<Problem>,
    /// How many files were read.
    pub files_checked: usize,
    document: Option<Document>,
    path: PathBuf,
}

/// A detector and where it came from.
#[derive(Clone, Debug)]
pub struct LoadedDetector {
    /// The definition.
    pub detector: Detector,
    /// Its file.
    pub path: PathBuf,
    /// Digest of the whole definition, whatever its comments and the order of its keys.
    pub digest: String,
    /// Digest of what determines its features: log, where, entity, bucket, features, sql, exclude, requires.
    pub data_digest: String,
    /// Digest of what determines its trained model: features, model and direction.
    pub model_digest: String,
    document: Document,
}

impl LoadedDetector {
    /// An error at the value of a path of keys, such as `["exclude", "0", "where"]`; where the key is left out, at
    /// what is around it. `within` is a line and column, both from 1, inside that value.
    #[must_use]
    pub fn problem(
        &self,
        key: &[&str],
        within: Option<(usize, usize)>,
        rule: &'static str,
        message: String,
        hint: Option<String>,
    ) -> Problem {
        self.document.problem(key, within, rule, message).hint(hint)
    }
}

impl Loaded {
    /// An error at the value of a path of keys of margay.yaml, such as `["templates"]`.
    #[must_use]
    pub fn engine_problem(&self, key: &[&str], rule: &'static str, message: String, hint: Option<String>) -> Problem {
        match &self.document {
            Some(document) => document.problem(key, None, rule, message).hint(hint),
            None => Problem::new(&self.path, (1, 1), rule, message).hint(hint),
        }
    }

    /// True where something is wrong enough that a file is not used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

/// Reads margay.yaml and the detectors it names. What is broken is told and left out; the rest is kept.
#[must_use]
pub fn load(path: &Path) -> Loaded {
    let mut problems = Vec::new();
    let (document, engine) = document::read::<Engine>(path, SchemaKind::Engine, &mut problems);
    if let (Some(document), Some(engine)) = (&document, &engine) {
        rules::engine::check(engine, &mut Findings { document, problems: &mut problems });
    }
    let mut problems = document::cut(path, problems);
    let root = path.parent().unwrap_or(Path::new("")).to_owned();
    let known = document.as_ref().zip(engine.as_ref());
    let mut found = Vec::new();
    for (at, entry) in engine.clone().unwrap_or_default().detectors.iter().enumerate() {
        match (files::list(&root.join(entry)), known) {
            (Ok(files), _) => take(files, &mut found),
            (Err((rule, message)), Some((document, _))) => {
                problems.push(document.problem(&["detectors", &at.to_string()], None, rule, message));
            }
            (Err(_), None) => {}
        }
    }
    let (mut detectors, mut broken) = read_all(&found, engine.as_ref(), &mut problems);
    let beside = Beside::load(&engine.clone().unwrap_or_default(), document.as_ref(), &root, &mut problems);
    beside.check_names(&mut detectors, &mut broken, &mut problems);
    let files_checked = found.len() + beside.files.len() + 1;
    let root = if root.as_os_str().is_empty() { PathBuf::from(".") } else { root };
    Loaded {
        engine: engine.unwrap_or_default(),
        root,
        detectors,
        broken,
        beside,
        problems: in_order(problems),
        files_checked,
        document,
        path: path.to_owned(),
    }
}

/// Reads detector files, and directories of them, without margay.yaml. A folder that is named `exclusions.d`,
/// `silences.d` or `calendars.d` holds what its name says.
#[must_use]
pub fn load_detectors(paths: &[PathBuf], engine: Option<&Engine>) -> Loaded {
    let (mut problems, mut found, mut beside) = (Vec::new(), Vec::new(), Beside::default());
    for path in paths {
        if let Some(kind) = Kind::of(path) {
            beside.take(kind, path, &mut problems, |rule, message| Problem::new(path, (1, 1), rule, message));
            continue;
        }
        match files::list(path) {
            Ok(files) => take(files, &mut found),
            Err((rule, message)) => problems.push(Problem::new(path, (1, 1), rule, message)),
        }
    }
    let (detectors, broken) = read_all(&found, engine, &mut problems);
    let files_checked = found.len() + beside.files.len();
    Loaded {
        engine: engine.cloned().unwrap_or_default(),
        root: PathBuf::from("."),
        detectors,
        broken,
        beside,
        problems: in_order(problems),
        files_checked,
        document: None,
        path: PathBuf::new(),
    }
}

/// Adds files once each.
fn take(files: Vec<PathBuf>, found: &mut Vec<PathBuf>) {
    for file in files {
        if !found.contains(&file) {
            found.push(file);
        }
    }
}

/// Detectors without errors, by name, and those with errors as far as they can be read.
fn read_all(
    paths: &[PathBuf],
    engine: Option<&Engine>,
    problems: &mut Vec<Problem>,
) -> (Vec<LoadedDetector>, Vec<LoadedDetector>) {
    let mut detectors: BTreeMap<String, LoadedDetector> = BTreeMap::new();
    let mut broken = Vec::new();
    for path in paths {
        let Some((loaded, is_broken)) = read_one(path, engine, problems) else { continue };
        if is_broken {
            broken.push(loaded);
            continue;
        }
        match detectors.get(&loaded.detector.name) {
            None => drop(detectors.insert(loaded.detector.name.clone(), loaded)),
            Some(first) => {
                let message = format!("{} already defines `{}`", first.path.display(), loaded.detector.name);
                problems.push(loaded.problem(&["name"], None, "duplicate-detector", message, None));
            }
        }
    }
    (detectors.into_values().collect(), broken)
}

/// The detector of a file, if it can be read at all, and whether it has errors.
fn read_one(path: &Path, engine: Option<&Engine>, problems: &mut Vec<Problem>) -> Option<(LoadedDetector, bool)> {
    let mut own = Vec::new();
    let (document, detector) = document::read::<Detector>(path, SchemaKind::Detector, &mut own);
    let read = document.zip(detector);
    if let Some((document, detector)) = &read {
        rules::detector::check(detector, engine, &mut Findings { document, problems: &mut own });
    }
    let is_broken = own.iter().any(|problem| problem.severity == Severity::Error);
    problems.append(&mut document::cut(path, own));
    let (document, detector) = read?;
    let digests = Digests::of(&detector);
    let loaded = LoadedDetector {
        detector,
        path: path.to_owned(),
        digest: digests.whole,
        data_digest: digests.data,
        model_digest: digests.model,
        document,
    };
    Some((loaded, is_broken))
}
