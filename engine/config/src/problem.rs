//! What is wrong with a file, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::{Serialize, Serializer};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file is used, but not all that it asks for happens.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// The file, as it was named.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// Stable kebab-case name of the broken rule.
    pub rule: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
    /// The offending line.
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

/// A window of the offending line and the bytes of it that are meant.
#[derive(Clone, Debug, PartialEq)]
struct Excerpt {
    text: String,
    marked: Range<usize>,
}

/// Characters of a line that are shown on either side of the place that is meant.
const EXCERPT_CHARS: usize = 100;

impl Problem {
    /// An error at a line and column (both from 1) of a file whose text is not at hand.
    #[must_use]
    pub fn new(file: &Path, position: (usize, usize), rule: &str, message: String) -> Self {
        Self {
            file: file.to_owned(),
            line: position.0,
            column: position.1,
            severity: Severity::Error,
            rule: rule.to_owned(),
            message,
            hint: None,
            excerpt: None,
        }
    }

    /// The same problem with what would be right.
    #[must_use]
    pub fn hint(self, hint: impl Into<Option<String>>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same problem as a warning.
    #[must_use]
    pub fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// The same problem with the line that holds the bytes `range` of `text`.
    pub(crate) fn excerpt(self, text: &str, range: Range<usize>) -> Self {
        let start = floor(text, range.start.min(text.len()));
        let line_start = text[..start].rfind(['\n', '\r']).map_or(0, |at| at + 1);
        let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |at| start + at);
        let from = text[line_start..start]
            .char_indices()
            .rev()
            .nth(EXCERPT_CHARS - 1)
            .map_or(line_start, |(at, _)| line_start + at);
        let to = text[start..line_end].char_indices().nth(EXCERPT_CHARS).map_or(line_end, |(at, _)| start + at);
        let end = floor(text, range.end.min(to)).max(start);
        let excerpt = Excerpt { text: text[from..to].to_owned(), marked: start - from..end - from };
        Self { excerpt: Some(excerpt), ..self }
    }

    /// A block for people: `file:line:column: severity[rule]: message`, the offending line, the hint.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let head = format!(
            "{}:{}:{}: {}[{}]: {}",
            self.file.display(),
            self.line,
            self.column,
            self.severity,
            self.rule,
            self.message
        );
        let body = self.body(if color { Renderer::styled() } else { Renderer::plain() });
        if body.is_empty() { head } else { format!("{head}\n{body}") }
    }

    fn body(&self, renderer: Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_level(level);
        if let Some(Excerpt { text, marked }) = &self.excerpt {
            let annotation = AnnotationKind::Primary.span(marked.clone());
            group = group.element(Snippet::source(text).line_start(self.line).annotation(annotation));
        }
        match (&self.hint, &self.excerpt) {
            (None, None) => return String::new(),
            (Some(hint), None) => return format!("  = help: {hint}"),
            (Some(hint), Some(_)) => group = group.element(Level::HELP.message(hint)),
            (None, Some(_)) => {}
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// By file, line and column, each once.
pub(crate) fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| {
        (&a.file, a.line, a.column, a.severity, &a.rule, &a.message)
            .cmp(&(&b.file, b.line, b.column, b.severity, &b.rule, &b.message))
    });
    problems.dedup();
    problems
}

fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// The last character border at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Longest part of a user's text that a message repeats, in characters.
const SHOWN_CHARS: usize = 60;

/// A user's text as a message may repeat it: without control characters, not longer than a line.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        out.push('…');
    }
    out
}
