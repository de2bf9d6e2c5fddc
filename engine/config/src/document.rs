//! A file that was read: its text, its tree, and the typed value.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::node::{Data, Node};
use crate::problem::{Problem, in_order};
use crate::schema::{SchemaKind, plain};
use crate::shape;
use crate::source::Source;
use crate::within::place_within;
use crate::yaml;

/// Text and tree of a file, from which problems get their places.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) source: Arc<Source>,
    pub(crate) root: Arc<Node>,
}

impl Document {
    pub(crate) fn new(source: Source, root: Node) -> Self {
        Self { source: Arc::new(source), root: Arc::new(root) }
    }

    /// A problem at the value of a path of keys; `within` is a line and column, from 1, inside that value.
    pub(crate) fn problem(&self, key: &[&str], within: Option<(usize, usize)>, rule: &str, message: String) -> Problem {
        let place = match (self.root.find(key), within) {
            (Some(Node { data: Data::Scalar(scalar), place, .. }), Some(position)) => {
                place_within(&self.source, scalar, *place, position)
            }
            _ => self.root.place_of(key),
        };
        self.source.problem(place, rule, message)
    }

    /// A problem at the key of a path.
    pub(crate) fn problem_at_key(&self, key: &[&str], rule: &str, message: String) -> Problem {
        self.source.problem(self.root.place_of_key(key), rule, message)
    }
}

static ENGINE: LazyLock<Value> = LazyLock::new(|| plain(SchemaKind::Engine));
pub(crate) static DETECTOR: LazyLock<Value> = LazyLock::new(|| plain(SchemaKind::Detector));
static EXCLUSION: LazyLock<Value> = LazyLock::new(|| plain(SchemaKind::Exclusion));
static SILENCE: LazyLock<Value> = LazyLock::new(|| plain(SchemaKind::Silence));
static CALENDAR: LazyLock<Value> = LazyLock::new(|| plain(SchemaKind::Calendar));

/// Reads a file by its schema. The value is missing where a required part of it is not usable.
pub(crate) fn read<T: DeserializeOwned + Validate<Context = ()>>(
    path: &Path,
    kind: SchemaKind,
    problems: &mut Vec<Problem>,
) -> (Option<Document>, Option<T>) {
    match Source::read(path) {
        Ok(source) => parse(source, kind, problems),
        Err(problem) => {
            problems.push(*problem);
            (None, None)
        }
    }
}

/// Like [`read`], of a text.
pub(crate) fn parse<T: DeserializeOwned + Validate<Context = ()>>(
    source: Source,
    kind: SchemaKind,
    problems: &mut Vec<Problem>,
) -> (Option<Document>, Option<T>) {
    let Some(root) = yaml::parse(&source, problems) else { return (None, None) };
    let schema = match kind {
        SchemaKind::Engine => &*ENGINE,
        SchemaKind::Detector => &*DETECTOR,
        SchemaKind::Exclusion => &*EXCLUSION,
        SchemaKind::Silence => &*SILENCE,
        SchemaKind::Calendar => &*CALENDAR,
    };
    let usable = shape::check(&source, &root, schema, problems);
    let document = Document::new(source, root);
    let value = usable.and_then(|usable| typed(&document, usable, problems));
    (Some(document), value)
}

/// What the schema lets through has the shape of `T`; a difference between the two is told, not hidden.
fn typed<T: DeserializeOwned + Validate<Context = ()>>(
    document: &Document,
    usable: Value,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let refused = match serde_json::from_value::<T>(usable) {
        Ok(value) => match value.validate() {
            Ok(()) => return Some(value),
            Err(report) => report.to_string().trim().replace('\n', "; "),
        },
        Err(error) => error.to_string(),
    };
    if problems.is_empty() {
        problems.push(document.problem(&[], None, "wrong-shape", refused));
    }
    None
}

/// Most problems of one file that are told.
const MAX_PROBLEMS: usize = 200;

/// The first problems of a file, and how many were left out.
pub(crate) fn cut(path: &Path, problems: Vec<Problem>) -> Vec<Problem> {
    let mut problems = in_order(problems);
    if let Some(last) = problems.get(MAX_PROBLEMS) {
        let message = format!("{} further problems of this file are not shown", problems.len() - MAX_PROBLEMS);
        let more = Problem::new(path, (last.line, last.column), "more-problems", message);
        problems.truncate(MAX_PROBLEMS);
        problems.push(more);
    }
    problems
}
