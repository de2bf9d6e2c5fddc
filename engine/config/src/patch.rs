//! Changes single values of a detector's file and leaves every other byte as it is: comments, order, line ends.
//!
//! Works on the bytes at which the reader found values. What comes out is read back and must differ from what went
//! in by the change alone.

use std::path::Path;

use serde_json::{Map, Value};

use crate::document::DETECTOR;
use crate::node::{Data, Entry, Meaning, Node, Scalar, Style};
use crate::problem::Problem;
use crate::schema::keys_in_order;
use crate::source::Source;
use crate::yaml;

/// Indentation of a file that has none to follow.
const INDENT: usize = 2;

/// A value to be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Keys from the root, such as `["threshold", "score"]`; those that are missing are added.
    pub path: Vec<String>,
    /// The new value: a number, a text, true or false.
    pub value: Value,
}

/// Why a file was not changed.
#[derive(Clone, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum PatchError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(Box<Problem>),
    /// The value, or something around it, is an alias: changing it would change other places.
    #[error("`{path}` is an alias (`*name`); write its value out there, then try again")]
    Alias { path: String },
    /// There is a list, a map or a text of several lines.
    #[error("`{path}` is not a value on one line, so it is not replaced; change it by hand")]
    NotScalar { path: String },
    /// It would change more than the value.
    #[error("`{path}` cannot be set without changing other values; change it by hand")]
    Differs { path: String },
}

/// The text of a detector's file with the edits made, one after the other. `file` is for messages.
///
/// # Errors
/// The text is no YAML, or a value cannot be changed alone. Nothing is changed then.
pub fn patch_detector(file: &Path, text: &str, edits: &[Edit]) -> Result<String, PatchError> {
    let (mark, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    let mut body = body.to_owned();
    for edit in edits {
        body = apply(file, body, edit)?;
    }
    Ok(format!("{mark}{body}"))
}

fn apply(file: &Path, text: String, edit: &Edit) -> Result<String, PatchError> {
    let source = Source { path: file.to_owned(), text };
    let root = read(&source)?;
    let mut wanted = root.to_json();
    let place = Place { source: &source, root: &root, path: &edit.path };
    if wanted.pointer(&place.pointer()) == Some(&edit.value) {
        return Ok(source.text);
    }
    set(&mut wanted, &edit.path, edit.value.clone());
    let changed = Source { path: file.to_owned(), text: place.set(&written(&edit.value))? };
    match read(&changed) {
        Ok(node) if node.to_json() == wanted => Ok(changed.text),
        _ => Err(PatchError::Differs { path: edit.path.join(".") }),
    }
}

fn read(source: &Source) -> Result<Node, PatchError> {
    let mut problems = Vec::new();
    let root = yaml::parse(source, &mut problems);
    match (root, problems.into_iter().next()) {
        (Some(root), None) => Ok(root),
        (_, Some(problem)) => Err(PatchError::Unreadable(Box::new(problem))),
        (None, None) => {
            let problem = Problem::new(&source.path, (1, 1), "empty-file", "the file says nothing".to_owned());
            Err(PatchError::Unreadable(Box::new(problem)))
        }
    }
}

/// Sets the value in a tree; what stands in the way of a key becomes a map.
fn set(tree: &mut Value, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        *tree = value;
        return;
    };
    if !tree.is_object() {
        *tree = Map::new().into();
    }
    if let Value::Object(object) = tree {
        set(object.entry(key.clone()).or_insert(Value::Null), rest, value);
    }
}

/// A value as YAML writes it on one line.
fn written(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let is_word = |c: char| c.is_ascii_alphanumeric() || " ._%/".contains(c);
    let is_plain = text.chars().all(is_word)
        && text.trim() == text
        && Scalar { text: text.clone(), style: Style::Plain }.meaning() == Meaning::Text;
    if is_plain { text.clone() } else { value.to_string() }
}

/// Where a value is to stand.
struct Place<'a> {
    source: &'a Source,
    root: &'a Node,
    path: &'a [String],
}

impl Place<'_> {
    fn pointer(&self) -> String {
        self.path.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect()
    }

    /// The text with `value` at the path.
    fn set(&self, value: &str) -> Result<String, PatchError> {
        let mut node = self.root;
        let mut above: Option<&Entry> = None;
        for (depth, key) in self.path.iter().enumerate() {
            let entry = match &node.data {
                Data::Map(entries) => entries.iter().find(|entry| entry.key == *key),
                Data::Scalar(_) if node.is_null() => None,
                _ => return Err(PatchError::NotScalar { path: self.path[..depth].join(".") }),
            };
            let Some(entry) = entry else { return Ok(self.add(node, above, depth, value)) };
            if is_alias(entry) {
                return Err(PatchError::Alias { path: self.path[..=depth].join(".") });
            }
            (node, above) = (&entry.value, Some(entry));
        }
        match (&node.data, above) {
            (Data::Scalar(scalar), Some(above)) if !matches!(scalar.style, Style::Literal | Style::Folded) => {
                Ok(self.replace(node, above, value))
            }
            _ => Err(PatchError::NotScalar { path: self.path.join(".") }),
        }
    }

    fn replace(&self, node: &Node, above: &Entry, value: &str) -> String {
        let text = &self.source.text;
        if self.is_empty(node) {
            let colon = text[above.place.end..].find(':').map_or(above.place.end, |at| above.place.end + at + 1);
            return self.spliced(colon, colon, &format!(" {value}"));
        }
        let end = node.place.start + text[node.place.start..node.place.end].trim_end().len();
        self.spliced(node.place.start, end, value)
    }

    /// The text with the keys of the path from `depth` on added to `parent`, which is the value of `above`.
    fn add(&self, parent: &Node, above: Option<&Entry>, depth: usize, value: &str) -> String {
        let keys = &self.path[depth..];
        let nested = keys.iter().rev().fold(value.to_owned(), |inner, key| {
            if inner == value { format!("{key}: {inner}") } else { format!("{key}: {{ {inner} }}") }
        });
        match (&parent.data, above) {
            (Data::Map(entries), _) if self.is_flow(parent) => self.add_to_flow(parent, entries, depth, &nested),
            (Data::Map(entries), _) => self.add_lines(entries, depth, value),
            (_, Some(above)) if self.is_empty(parent) => {
                let indent = above.place.column - 1 + self.indent();
                self.add_after(above.place.end, &self.lines(keys, indent, value))
            }
            _ => self.spliced(parent.place.start, parent.place.end, &format!("{{ {nested} }}")),
        }
    }

    fn add_to_flow(&self, parent: &Node, entries: &[Entry], depth: usize, nested: &str) -> String {
        match (self.before(entries, depth), entries.first()) {
            (Some(before), _) => {
                let end = self.last_byte(before);
                self.spliced(end, end, &format!(", {nested}"))
            }
            (None, Some(first)) => self.spliced(first.place.start, first.place.start, &format!("{nested}, ")),
            (None, None) => self.spliced(parent.place.start, parent.end, &format!("{{ {nested} }}")),
        }
    }

    fn add_lines(&self, entries: &[Entry], depth: usize, value: &str) -> String {
        let Some(first) = entries.first() else { return self.source.text.clone() };
        let lines = self.lines(&self.path[depth..], first.place.column - 1, value);
        let text = &self.source.text;
        let line_start = text[..first.place.start].rfind('\n').map_or(0, |at| at + 1);
        let opens_line = text[line_start..first.place.start].chars().all(|c| c == ' ');
        match self.before(entries, depth) {
            None if opens_line => self.spliced(line_start, line_start, &lines),
            before => self.add_after(self.last_byte(before.unwrap_or(first)), &lines),
        }
    }

    /// `lines` after the line in which the byte stands.
    fn add_after(&self, byte: usize, lines: &str) -> String {
        let text = &self.source.text;
        let byte = text[..byte].trim_end().len();
        match text[byte..].find('\n') {
            Some(end) => self.spliced(byte + end + 1, byte + end + 1, lines),
            None => self.spliced(text.len(), text.len(), &format!("{}{lines}", self.line_end())),
        }
    }

    /// Keys, each under the one before, as lines of their own.
    fn lines(&self, keys: &[String], indent: usize, value: &str) -> String {
        let mut lines = String::new();
        for (at, key) in keys.iter().enumerate() {
            let value = if at + 1 == keys.len() { format!(" {value}") } else { String::new() };
            let blanks = " ".repeat(indent + at * self.indent());
            lines.push_str(&format!("{blanks}{key}:{value}{}", self.line_end()));
        }
        lines
    }

    /// The entry after which a new key stands: the last one before it in the order of the schema.
    fn before<'e>(&self, entries: &'e [Entry], depth: usize) -> Option<&'e Entry> {
        let order = keys_in_order(&DETECTOR, &self.path[..depth]);
        let place = |key: &str| order.iter().position(|known| *known == key);
        let Some(own) = place(&self.path[depth]) else { return entries.last() };
        entries
            .iter()
            .filter(|entry| place(&entry.key).is_some_and(|at| at < own))
            .max_by_key(|entry| place(&entry.key))
    }

    /// First byte after an entry. The end of a block is noticed at what follows it, so its last entry decides.
    fn last_byte(&self, entry: &Entry) -> usize {
        let mut node = &entry.value;
        if is_alias(entry) {
            return node.end;
        }
        if self.is_empty(node) {
            return entry.place.end;
        }
        loop {
            node = match &node.data {
                Data::Map(entries) if !self.is_flow(node) => match entries.last() {
                    Some(last) => return self.last_byte(last),
                    None => return node.end,
                },
                Data::List(items) if !self.is_flow(node) => match items.last() {
                    Some(last) => last,
                    None => return node.end,
                },
                _ => return node.end,
            }
        }
    }

    /// Whether a key has nothing after it; the reader has a `~` there.
    fn is_empty(&self, node: &Node) -> bool {
        node.is_null() && node.place.start == node.place.end
    }

    fn is_flow(&self, node: &Node) -> bool {
        self.source.text[node.place.start..].starts_with(['{', '['])
    }

    /// Columns by which the file indents: those of its first nested map.
    fn indent(&self) -> usize {
        let Data::Map(entries) = &self.root.data else { return INDENT };
        let nested = entries.iter().find_map(|entry| match &entry.value.data {
            Data::Map(inner) if !is_alias(entry) && !self.is_flow(&entry.value) => inner.first(),
            _ => None,
        });
        nested.map_or(INDENT, |inner| inner.place.column.saturating_sub(self.root.place.column).max(1))
    }

    fn line_end(&self) -> &'static str {
        if self.source.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    fn spliced(&self, start: usize, end: usize, new: &str) -> String {
        let text = &self.source.text;
        format!("{}{new}{}", &text[..start], &text[end..])
    }
}

/// A value that stands before its key was anchored there and is only repeated here.
fn is_alias(entry: &Entry) -> bool {
    entry.value.place.start < entry.place.start
}
