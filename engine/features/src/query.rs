//! What a detector asks of its log, and what may be wrong with it.

use std::fmt;

use margay_core::{Period, Time};

/// A detector's query as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Name of the detector.
    pub detector: String,
    /// Name of its log: the table in SQL.
    pub log: String,
    /// Columns of the entity: name and expression.
    pub entity: Vec<(String, String)>,
    /// Length of the buckets.
    pub bucket: Period,
    /// What is computed.
    pub body: Body,
    /// Columns of the log that must not be null throughout.
    pub requires: Vec<String>,
}

/// What is computed for each (entity, bucket).
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Expressions, each on its own.
    Parts {
        /// Rows that count; all where there is none.
        filter: Option<String>,
        /// Aggregates by name.
        features: Vec<(String, String)>,
        /// Rows that do not count.
        exclude: Vec<Exclude>,
    },
    /// One `SELECT` that yields `bucket_start`, the columns of the entity and the features.
    Full {
        /// The statement.
        sql: String,
        /// Names of the columns that are features.
        features: Vec<String>,
    },
}

/// Rows that do not count.
#[derive(Clone, Debug, PartialEq)]
pub struct Exclude {
    /// Which rows.
    pub filter: String,
    /// Only in buckets that start before this time.
    pub until: Option<Time>,
}

/// The part of a query in which an error stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The expression of an entity's column, by index.
    Entity(usize),
    /// The filter of rows.
    Filter,
    /// A feature, by name.
    Feature(String),
    /// The filter of an exclusion, by index.
    Exclude(usize),
    /// A required column, by index.
    Requires(usize),
    /// The full statement, or the query as a whole.
    Sql,
}

/// What is wrong with a query, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueryError {
    /// The part.
    pub part: Part,
    /// Line within the part's text, from 1; 1 where it is not known.
    pub line: usize,
    /// Column within the line, from 1; 1 where it is not known.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Part::Entity(at) => write!(f, "entity {at}")?,
            Part::Filter => f.write_str("where")?,
            Part::Feature(name) => write!(f, "feature {name}")?,
            Part::Exclude(at) => write!(f, "exclude {at}")?,
            Part::Requires(at) => write!(f, "requires {at}")?,
            Part::Sql => f.write_str("sql")?,
        }
        write!(f, ":{}:{}: {}", self.line, self.column, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for QueryError {}
