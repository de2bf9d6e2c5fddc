//! The folders beside detectors.d, each with one kind of file: exclusions.d and silences.d.

use std::path::{Path, PathBuf};

use garde::Validate;
use serde::de::DeserializeOwned;

use crate::document::{self, Document};
use crate::engine::Engine;
use crate::exclusion::ExclusionFile;
use crate::files;
use crate::problem::{Problem, Severity};
use crate::rules::{self, Findings};
use crate::schema::SchemaKind;
use crate::silence::SilenceFile;

/// What the folders beside detectors.d hold; broken files are told of and left out.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Files of exclusions.d, by name.
    pub exclusions: Vec<LoadedFile<ExclusionFile>>,
    /// Files of silences.d, by name.
    pub silences: Vec<LoadedFile<SilenceFile>>,
    /// Every file that was read, broken ones too.
    pub files: Vec<PathBuf>,
}

/// A file that was read, and where it came from.
#[derive(Clone, Debug)]
pub struct LoadedFile<T> {
    /// The file's name without its ending.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub value: T,
    document: Document,
}

impl<T> LoadedFile<T> {
    /// An error at the value of a path of keys, such as `["selector"]`.
    #[must_use]
    pub fn problem(&self, key: &[&str], rule: &'static str, message: String, hint: Option<String>) -> Problem {
        self.document.problem(key, None, rule, message).hint(hint)
    }
}

/// A kind of file that lies in a folder beside detectors.d.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Exclusion,
    Silence,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Exclusion, Self::Silence];

    /// Key of margay.yaml that names its folders.
    fn key(self) -> &'static str {
        match self {
            Self::Exclusion => "exclusions",
            Self::Silence => "silences",
        }
    }

    fn entries(self, engine: &Engine) -> &[PathBuf] {
        match self {
            Self::Exclusion => &engine.exclusions,
            Self::Silence => &engine.silences,
        }
    }

    /// The kind of what lies at a path, by the name of its folder; `None` where it is a detector's.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let folder = if path.is_dir() { Some(path) } else { path.parent() };
        let name = folder?.file_name()?.to_string_lossy();
        Self::ALL.into_iter().find(|kind| name == format!("{}.d", kind.key()))
    }
}

impl Beside {
    /// Reads the folders that margay.yaml names. One that is not named need not be there.
    pub(crate) fn load(engine: &Engine, document: Option<&Document>, root: &Path, problems: &mut Vec<Problem>) -> Self {
        let mut beside = Self::default();
        for kind in Kind::ALL {
            let is_named = document.is_some_and(|document| document.root.find(&[kind.key()]).is_some());
            for (at, entry) in kind.entries(engine).iter().enumerate() {
                let path = root.join(entry);
                if !is_named && !path.exists() {
                    continue;
                }
                let place = [kind.key(), &at.to_string()];
                beside.take(kind, &path, problems, |rule, message| match document {
                    Some(document) => document.problem(&place, None, rule, message),
                    None => Problem::new(&path, (1, 1), rule, message),
                });
            }
        }
        beside
    }

    /// Reads what lies at a path.
    pub(crate) fn take(
        &mut self,
        kind: Kind,
        path: &Path,
        problems: &mut Vec<Problem>,
        lost: impl Fn(&str, String) -> Problem,
    ) {
        let files = match files::list_all(path) {
            Ok(files) => files,
            Err((rule, message)) => return problems.push(lost(rule, message)),
        };
        for file in files.into_iter().filter(|file| !self.files.contains(file)).collect::<Vec<_>>() {
            match kind {
                Kind::Exclusion => {
                    self.exclusions.extend(read(&file, SchemaKind::Exclusion, rules::beside::exclusion, problems));
                }
                Kind::Silence => {
                    self.silences.extend(read(&file, SchemaKind::Silence, rules::beside::silence, problems));
                }
            }
            self.files.push(file);
        }
    }
}

/// The file, unless it has errors.
fn read<T: DeserializeOwned + Validate<Context = ()>>(
    path: &Path,
    kind: SchemaKind,
    check: impl Fn(&T, &mut Findings<'_>),
    problems: &mut Vec<Problem>,
) -> Option<LoadedFile<T>> {
    let mut own = Vec::new();
    let (document, value) = document::read::<T>(path, kind, &mut own);
    let read = document.zip(value);
    if let Some((document, value)) = &read {
        check(value, &mut Findings { document, problems: &mut own });
    }
    let is_broken = own.iter().any(|problem| problem.severity == Severity::Error);
    problems.append(&mut document::cut(path, own));
    let (document, value) = read.filter(|_| !is_broken)?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Some(LoadedFile { name, path: path.to_owned(), value, document })
}
