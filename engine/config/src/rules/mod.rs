//! Rules across keys: what a schema cannot say.

pub(crate) mod beside;
pub(crate) mod detector;
pub(crate) mod engine;
pub(crate) mod naming;
pub(crate) mod timing;

use crate::document::Document;
use crate::node::Data;
use crate::problem::Problem;

/// Collects the problems of one file.
pub(crate) struct Findings<'a> {
    pub(crate) document: &'a Document,
    pub(crate) problems: &'a mut Vec<Problem>,
}

impl Findings<'_> {
    /// A problem at the value under `key`.
    pub(crate) fn value(&mut self, key: &[&str], rule: &str, message: String, hint: &str) {
        self.problems.push(self.document.problem(key, None, rule, message).hint(some(hint)));
    }

    /// A problem at `key` itself.
    pub(crate) fn key(&mut self, key: &[&str], rule: &str, message: String, hint: &str) {
        self.problems.push(self.document.problem_at_key(key, rule, message).hint(some(hint)));
    }

    /// A warning at `key` itself.
    pub(crate) fn warn(&mut self, key: &[&str], rule: &str, message: String, hint: &str) {
        self.problems.push(self.document.problem_at_key(key, rule, message).hint(some(hint)).warning());
    }

    /// Whether the file gives `key` a value.
    pub(crate) fn has(&self, key: &[&str]) -> bool {
        self.document.root.find(key).is_some_and(|node| !node.is_null())
    }

    /// Whether the value under `key` is an empty list.
    pub(crate) fn has_empty_list(&self, key: &[&str]) -> bool {
        self.document.root.find(key).is_some_and(|node| matches!(&node.data, Data::List(items) if items.is_empty()))
    }
}

fn some(hint: &str) -> Option<String> {
    (!hint.is_empty()).then(|| hint.to_owned())
}
