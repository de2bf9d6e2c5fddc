//! What is wrong with a piece of SQL, before it is known which part of a query it is.

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::tokenizer::{Location, Span};

use crate::query::{Part, QueryError};

/// Characters of a message at most: messages of the planner may repeat the whole query.
const MESSAGE_CHARS_MOST: usize = 400;

/// A problem and its place within a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    line: usize,
    column: usize,
    message: String,
    hint: Option<String>,
}

impl Complaint {
    /// A problem whose place is not known.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { line: 1, column: 1, message: message.into(), hint: None }
    }

    /// At a place that the parser gave.
    pub(crate) fn at(self, place: Location) -> Self {
        self.at_line(place.line as usize, place.column as usize)
    }

    /// At the start of a span that the parser gave.
    pub(crate) fn at_span(self, span: Span) -> Self {
        self.at(span.start)
    }

    /// At a line and column from 1; nothing changes where they are 0, the parser's "unknown".
    pub(crate) fn at_line(self, line: usize, column: usize) -> Self {
        if line == 0 || column == 0 { self } else { Self { line, column, ..self } }
    }

    /// With what to write instead.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With the nearest of the names that could have been meant, if one is near.
    pub(crate) fn nearest<'a>(self, name: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(name, names) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// The error of a part.
    pub(crate) fn of(self, part: Part) -> QueryError {
        let Self { line, column, mut message, hint } = self;
        if message.chars().count() > MESSAGE_CHARS_MOST {
            message = message.chars().take(MESSAGE_CHARS_MOST).chain(['…']).collect();
        }
        QueryError { part, line, column, message, hint }
    }
}

impl From<DataFusionError> for Complaint {
    fn from(error: DataFusionError) -> Self {
        if let Some(diagnostic) = error.diagnostic() {
            let (line, column) =
                diagnostic.span.map_or((0, 0), |span| (span.start.line as usize, span.start.column as usize));
            let complaint = Self::new(&diagnostic.message).at_line(line, column);
            let help = diagnostic.helps.first().map(|help| &help.message);
            return match help.or(diagnostic.notes.first().map(|note| &note.message)) {
                Some(help) => complaint.hint(help),
                None => complaint,
            };
        }
        Self::new(plain_message(&error))
    }
}

/// The message of the innermost error, without the planner's prefixes.
pub(crate) fn plain_message(error: &DataFusionError) -> String {
    let root = error.find_root();
    let text = match root {
        DataFusionError::Plan(text)
        | DataFusionError::Execution(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::ResourcesExhausted(text) => text.clone(),
        other => other.strip_backtrace(),
    };
    text.split("\n\nbacktrace:").next().unwrap_or_default().trim().to_owned()
}

/// The most similar name, if it is similar at all.
fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const SIMILAR: f64 = 0.75;
    let lower = name.to_lowercase();
    let scored = names.into_iter().map(|other| (strsim::jaro_winkler(&lower, &other.to_lowercase()), other));
    scored
        .filter(|(score, _)| *score >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)))
        .map(|best| best.1)
}
