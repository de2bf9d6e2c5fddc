//! Rules of other tools to detectors.
//!
//! Foreign YAML and query languages are hostile input: they are read into typed trees, bounded in size and depth, and
//! SQL, templates and YAML are written from the trees, with every name and value quoted. What cannot be said by a
//! detector is told with its place, never dropped in silence.

mod columns;
mod draft;
mod elastalert;
mod fields;
mod globalalert;
mod names;
mod sql;
mod words;

use std::path::{Path, PathBuf};

use margay_config::{ForeignDocument, Problem, Severity, read_foreign, read_foreign_bytes};

pub use columns::{ColumnKind, Columns, KnownLog};
use names::Names;

/// Rule of a problem: this part of a rule, and so the rule, has no counterpart.
const NOT_CONVERTED: &str = "not-converted";
/// Rule of a problem: this part means something slightly different.
const APPROXIMATE: &str = "approximate";
/// Rule of a problem: this part is left out without a change of what fires.
const LEFT_OUT: &str = "left-out";

/// A tool whose rules are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Calico's GlobalAlert and GlobalAlertTemplate.
    GlobalAlert,
    /// Rules of ElastAlert and ElastAlert 2.
    ElastAlert,
}

/// What margay.yaml says of the logs.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The logs that are there.
    pub logs: Vec<KnownLog>,
    /// The log that all rules are about, whatever they say.
    pub log: Option<String>,
}

/// A detector that was made of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Its name, which its file must have.
    pub name: String,
    /// The file of the rule.
    pub from: PathBuf,
    /// The rule's line in it.
    pub line: usize,
    /// The detector as YAML.
    pub yaml: String,
}

/// What came of some files.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// The detectors, in the order of the rules.
    pub detectors: Vec<Converted>,
    /// What could not be converted (errors), and what means something else now or is left out (warnings).
    pub problems: Vec<Problem>,
}

/// Converts the rules of some files.
#[must_use]
pub fn import(format: Format, files: &[PathBuf], surroundings: &Surroundings) -> Imported {
    let mut converter = Converter { format, surroundings, names: Names::default(), imported: Imported::default() };
    for file in files {
        converter.take(file, read_foreign(file));
    }
    converter.imported
}

/// Like [`import`], of bytes.
#[must_use]
pub fn import_bytes(format: Format, file: &Path, bytes: &[u8], surroundings: &Surroundings) -> Imported {
    let mut converter = Converter { format, surroundings, names: Names::default(), imported: Imported::default() };
    converter.take(file, read_foreign_bytes(file, bytes));
    converter.imported
}

struct Converter<'a> {
    format: Format,
    surroundings: &'a Surroundings,
    names: Names,
    imported: Imported,
}

impl Converter<'_> {
    fn take(&mut self, file: &Path, (documents, problems): (Vec<ForeignDocument>, Vec<Problem>)) {
        self.imported.problems.extend(problems);
        for document in &documents {
            self.document(file, document);
        }
    }

    /// Converts one document, which may hold several rules.
    fn document(&mut self, file: &Path, document: &ForeignDocument) {
        let (drafts, mut problems) = match self.format {
            Format::GlobalAlert => globalalert::convert(document, self.surroundings),
            Format::ElastAlert => elastalert::convert(document, file, self.surroundings),
        };
        for draft in drafts {
            let name = self.names.unique(&draft.name);
            match draft.yaml(&name, file, document) {
                Ok(yaml) => {
                    let line = document.line(draft.place);
                    self.imported.detectors.push(Converted { name, from: file.to_owned(), line, yaml });
                }
                Err(problem) => problems.push(*problem),
            }
        }
        problems.sort_by_key(|problem| (problem.line, problem.column));
        self.imported.problems.extend(problems);
    }
}

impl Imported {
    /// Whether something could not be converted.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

#[cfg(test)]
mod tests;
