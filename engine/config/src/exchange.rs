//! Files of other tools, read with the same guards and places as ours but without a schema of ours; and
//! detectors that were written by a program, read back before they reach a file.

use std::path::Path;

use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::Number;

use crate::detector::Detector;
use crate::document;
use crate::engine::Engine;
use crate::node::{Data, Meaning, Node};
use crate::problem::{Problem, in_order};
use crate::rules::{self, Findings};
use crate::schema::SchemaKind;
use crate::source::{Place, Source};
use crate::yaml;

/// Most documents in one file.
const MAX_DOCUMENTS: usize = 1000;

/// One YAML document of a file, with its text for messages.
#[derive(Clone, Debug)]
pub struct ForeignDocument {
    /// What it says.
    pub root: Item,
    source: Source,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub tree: Tree,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// Text, or a number that is not finite.
    Text(String),
    /// A list.
    List(Vec<Item>),
    /// Keys with their places, and their values.
    Map(Vec<(String, Place, Item)>),
}

impl PartialEq for Item {
    /// Wherever they stand.
    fn eq(&self, other: &Self) -> bool {
        self.tree == other.tree
    }
}

impl ForeignDocument {
    /// An error at a place of the file.
    #[must_use]
    pub fn problem(&self, place: Place, rule: &'static str, message: String, hint: Option<String>) -> Problem {
        self.source.problem(place, rule, message).hint(hint)
    }

    /// The line of a place, from 1.
    #[must_use]
    pub fn line(&self, place: Place) -> usize {
        place.line
    }
}

/// Reads the documents of a file; those that are no YAML are told and left out.
#[must_use]
pub fn read_foreign(path: &Path) -> (Vec<ForeignDocument>, Vec<Problem>) {
    match Source::read(path) {
        Ok(source) => parse_foreign(source),
        Err(problem) => (Vec::new(), vec![*problem]),
    }
}

/// Like [`read_foreign`], of bytes.
#[must_use]
pub fn read_foreign_bytes(path: &Path, bytes: &[u8]) -> (Vec<ForeignDocument>, Vec<Problem>) {
    match Source::from_bytes(path, bytes) {
        Ok(source) => parse_foreign(source),
        Err(problem) => (Vec::new(), vec![*problem]),
    }
}

fn parse_foreign(source: Source) -> (Vec<ForeignDocument>, Vec<Problem>) {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for text in documents_of(&source.text) {
        if documents.len() == MAX_DOCUMENTS {
            let message = format!("only the first {MAX_DOCUMENTS} documents of the file are read");
            problems.push(Problem::new(&source.path, (1, 1), "too-many-documents", message));
            break;
        }
        let source = Source { path: source.path.clone(), text };
        if let Some(root) = yaml::parse(&source, &mut problems) {
            documents.push(ForeignDocument { root: item(&root), source });
        }
    }
    (documents, in_order(problems))
}

/// The documents between lines of `---`, each with the lines of the others left empty, so that places stay what they are.
/// Documents that say nothing are left out, unless there is no other.
fn documents_of(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "---" {
            let blank: String =
                documents.last().map(|last| "\n".repeat(last.matches('\n').count())).unwrap_or_default();
            documents.push(blank);
        }
        if let Some(last) = documents.last_mut() {
            last.push_str(line);
        }
    }
    let says = |line: &str| !line.trim().is_empty() && line.trim_end() != "---" && !line.trim_start().starts_with('#');
    let saying: Vec<String> = documents.iter().filter(|text| text.lines().any(says)).cloned().collect();
    if saying.is_empty() { documents.into_iter().take(1).collect() } else { saying }
}

/// Recursion is bounded by the depth of the tree.
fn item(node: &Node) -> Item {
    let tree = match &node.data {
        Data::List(items) => Tree::List(items.iter().map(item).collect()),
        Data::Map(entries) => {
            Tree::Map(entries.iter().map(|entry| (entry.key.clone(), entry.place, item(&entry.value))).collect())
        }
        Data::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => Tree::Null,
            Meaning::Bool(value) => Tree::Bool(value),
            Meaning::Number(number) => Tree::Number(number),
            Meaning::NotFinite | Meaning::Text => Tree::Text(scalar.text.clone()),
        },
    };
    Item { place: node.place, tree }
}

/// What is wrong with bytes that are, or are to become, a file of a kind.
#[must_use]
pub fn text_problems(kind: SchemaKind, path: &Path, bytes: &[u8], engine: Option<&Engine>) -> Vec<Problem> {
    let mut problems = Vec::new();
    match Source::from_bytes(path, bytes) {
        Ok(source) => match kind {
            SchemaKind::Engine => checked(source, kind, rules::engine::check, &mut problems),
            SchemaKind::Detector => {
                let rules = |detector: &Detector, findings: &mut Findings<'_>| {
                    rules::detector::check(detector, engine, findings);
                };
                checked(source, kind, rules, &mut problems);
            }
            SchemaKind::Exclusion => checked(source, kind, rules::beside::exclusion, &mut problems),
            SchemaKind::Silence => checked(source, kind, rules::beside::silence, &mut problems),
            SchemaKind::Calendar => checked(source, kind, rules::beside::calendar, &mut problems),
        },
        Err(problem) => problems.push(*problem),
    }
    document::cut(path, problems)
}

/// Adds what the schema and the rules across keys say of a text.
fn checked<T: DeserializeOwned + Validate<Context = ()>>(
    source: Source,
    kind: SchemaKind,
    rules: impl Fn(&T, &mut Findings<'_>),
    problems: &mut Vec<Problem>,
) {
    let (document, value) = document::parse::<T>(source, kind, problems);
    if let (Some(document), Some(value)) = (&document, &value) {
        rules(value, &mut Findings { document, problems });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<ForeignDocument>, Vec<Problem>) {
        read_foreign_bytes(Path::new("x.yaml"), text.as_bytes())
    }

    #[test]
    fn documents_keep_their_lines() {
        let (documents, problems) = read("# head\n---\na: 1\n---\n\n---\nb: [x, 2.5, ~]\n");
        assert_eq!(problems, []);
        let Tree::Map(entries) = &documents[1].root.tree else { panic!("a map") };
        assert_eq!((documents.len(), entries[0].1.line, &entries[0].0[..]), (2, 7, "b"));
        assert_eq!(documents[1].problem(entries[0].2.place, "x", String::new(), None).column, 4);
    }

    #[test]
    fn a_broken_document_is_told_and_its_neighbours_are_read() {
        let (documents, problems) = read("a: 1\n---\nb: [\n---\nc: 3\n");
        assert_eq!(documents.len(), 2);
        assert_eq!((problems[0].rule.as_str(), problems.len()), ("yaml-syntax", 1));
        assert!(problems[0].line >= 3, "{problems:?}");
        assert_eq!(read("").1[0].rule, "empty-file");
    }

    #[test]
    fn a_written_detector_is_read_back() {
        let good = "name: a\nlog: flows\nentity: [x]\nfeatures: { n: count(*) }\nmodel: { limit: { above: 1 } }\n";
        let problems = |name: &str| text_problems(SchemaKind::Detector, Path::new(name), good.as_bytes(), None);
        assert_eq!(problems("a.yaml"), []);
        let rules: Vec<String> = problems("b.yaml").into_iter().map(|problem| problem.rule).collect();
        assert_eq!(rules, ["name-is-not-file-name"]);
    }
}
