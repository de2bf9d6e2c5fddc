//! Files whose type is another crate's: the same guards, messages and places as for our own.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::document::{self, Document};
use crate::files;
use crate::problem::Problem;
use crate::schema::plain_of;
use crate::shape;
use crate::source::Source;
use crate::yaml;

/// A file that was read as a `T`.
#[derive(Clone, Debug)]
pub struct Typed<T> {
    /// What it says; missing where a required part of it is not usable.
    pub value: Option<T>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    document: Option<Document>,
}

impl<T> Typed<T> {
    /// An error at the value of a path of keys and list positions, such as `["cases", "0", "for"]`.
    #[must_use]
    pub fn problem(&self, file: &Path, key: &[&str], rule: &str, message: String) -> Problem {
        match &self.document {
            Some(document) => document.problem(key, None, rule, message),
            None => Problem::new(file, (1, 1), rule, message),
        }
    }
}

/// The file itself, or the `.yaml` and `.yml` files of a directory by name, without hidden ones.
///
/// # Errors
/// There is no such file or directory, or the directory holds none or too many.
pub fn yaml_files(path: &Path) -> Result<Vec<PathBuf>, Box<Problem>> {
    files::list(path).map_err(|(rule, message)| Box::new(Problem::new(path, (1, 1), rule, message)))
}

/// Reads a YAML file by the schema of a type.
#[must_use]
pub fn read_typed<T: DeserializeOwned + JsonSchema>(path: &Path) -> Typed<T> {
    let mut problems = Vec::new();
    let read = Source::read(path).map_err(|problem| problems.push(*problem)).ok();
    let parsed = read.and_then(|source| yaml::parse(&source, &mut problems).map(|root| (source, root)));
    let Some((source, root)) = parsed else { return Typed { value: None, problems, document: None } };
    let usable = shape::check(&source, &root, &plain_of::<T>(), &mut problems);
    let document = Document::new(source, root);
    let value = usable.and_then(|usable| match serde_json::from_value(usable) {
        Ok(value) => Some(value),
        Err(error) => {
            if problems.is_empty() {
                problems.push(document.problem(&[], None, "wrong-shape", error.to_string()));
            }
            None
        }
    });
    Typed { value, problems: document::cut(path, problems), document: Some(document) }
}
