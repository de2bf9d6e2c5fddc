//! Queries, compiled against the columns of their log.

mod full;
mod gather;
mod narrow;
mod outline;
mod parts;
mod reader;
mod sampler;
mod worker;

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use margay_core::{Entity, Fill, Grouping, Period};

use crate::query::{Body, Part, Query, QueryError};
use crate::run::Known;
use crate::sql::complaint::Complaint;
pub(crate) use sampler::Sampler;
pub(crate) use worker::{STACK_BYTES, panic_message};

/// A compiled query. Cheap to clone.
#[derive(Clone)]
pub struct Plan {
    pub(crate) inner: Arc<Compiled>,
    pub(crate) known: Known,
}

/// A query that comes to the same over gathered rows.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// How rows may be gathered for it.
    pub grouping: Grouping,
    /// The query of gathered rows. Rows that are not gathered may come between them.
    pub plan: Plan,
}

/// What a plan is made of.
pub(crate) struct Compiled {
    /// Name of the detector.
    pub(crate) detector: String,
    /// Length of the buckets.
    pub(crate) bucket: Period,
    /// Names of the entity's columns.
    pub(crate) entity: Arc<[String]>,
    /// Names of the features.
    pub(crate) features: Vec<String>,
    fill: Vec<Fill>,
    /// Which features are lists.
    pub(crate) lists: Vec<bool>,
    columns: Vec<String>,
    /// Columns of the log that the query reads, and the start of the bucket.
    pub(crate) table: SchemaRef,
    /// Yields [`Output`].
    pub(crate) logical: LogicalPlan,
    /// Which columns the result has.
    pub(crate) output: Output,
    /// Required columns whose values are looked for before SQL, since the query is one statement.
    pub(crate) required: Vec<String>,
    /// Finds the rows behind an alert.
    pub(crate) sampler: Sampler,
    /// Tells whom a row is about before rows are grouped; none where a statement does that in its own way.
    pub(crate) guests: Option<Sampler>,
}

/// Columns of a plan's result: the start of the bucket, the entity, the features, and those named here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// The number of distinct members of each list.
    pub(crate) counted: bool,
    /// The number of rows that no exclusion took.
    pub(crate) kept: bool,
    /// Whether every required column had a value.
    pub(crate) detailed: bool,
}

impl Plan {
    /// Compiles a query against the schema of its log's batches (see [`margay_core::log`]).
    ///
    /// # Errors
    /// Everything that is wrong with the query.
    pub fn compile(query: &Query, schema: SchemaRef) -> Result<Self, Vec<QueryError>> {
        let query = query.clone();
        let compiled = worker::run(move || compile(&query, &schema))?;
        Ok(Self { inner: Arc::new(compiled), known: Arc::new(Vec::new) })
    }

    /// The same plan for a detector that knows these entities: where more come than [`crate::Limits::entities`], they stay.
    /// They are asked for only then.
    #[must_use]
    pub fn with_known(&self, known: impl Fn() -> Vec<Entity> + Send + Sync + 'static) -> Self {
        Self { inner: self.inner.clone(), known: Arc::new(known) }
    }

    /// Compiles a query to be asked of rows that are gathered, as far as they can be, before they are read.
    ///
    /// # Errors
    /// Why it needs the rows themselves, in words.
    pub fn gathered(query: &Query, schema: SchemaRef) -> Result<Gathered, String> {
        let query = query.clone();
        let compiled = worker::run(move || gathered(&query, &schema));
        let (grouping, compiled) = compiled.map_err(|errors| errors[0].to_string())??;
        Ok(Gathered { grouping, plan: Self { inner: Arc::new(compiled), known: Arc::new(Vec::new) } })
    }

    /// Columns of the log that the scan must deliver besides those of the span.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.inner.columns
    }

    /// Names of the features, in the order of the table.
    #[must_use]
    pub fn features(&self) -> &[String] {
        &self.inner.features
    }

    /// What a bucket without a row means for each feature.
    #[must_use]
    pub fn fill(&self) -> &[Fill] {
        &self.inner.fill
    }

    /// Which features are lists of members, in the order of the table.
    #[must_use]
    pub fn lists(&self) -> &[bool] {
        &self.inner.lists
    }

    /// Length of the buckets.
    #[must_use]
    pub fn bucket(&self) -> Period {
        self.inner.bucket
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("detector", &self.inner.detector).field("columns", &self.inner.columns).finish()
    }
}

fn compile(query: &Query, schema: &Schema) -> Result<Compiled, Vec<QueryError>> {
    let (required, mut errors) = required(query, schema);
    if query.bucket.0 <= 0 {
        errors.push(Complaint::new("a bucket lasts a millisecond or longer").of(Part::Sql));
    }
    let compiled = match &query.body {
        Body::Parts { filter, features, exclude } => {
            let body = parts::Written { filter: filter.as_deref(), features, exclude };
            parts::compile(query, &body, &required, schema)
        }
        Body::Full { sql, features } => full::compile(query, sql, features, &required, schema),
    };
    match compiled {
        Ok(compiled) if errors.is_empty() => Ok(compiled),
        Ok(_) => Err(errors),
        Err(more) => {
            errors.extend(more);
            errors.sort();
            Err(errors)
        }
    }
}

fn gathered(query: &Query, schema: &Schema) -> Result<Result<(Grouping, Compiled), String>, Vec<QueryError>> {
    let (required, errors) = required(query, schema);
    match &query.body {
        _ if !errors.is_empty() => Err(errors),
        Body::Parts { filter, features, exclude } => {
            let body = parts::Written { filter: filter.as_deref(), features, exclude };
            parts::gathered(query, &body, &required, schema)
        }
        Body::Full { .. } => Ok(Err("it is one statement".to_owned())),
    }
}

/// Names of the required columns as they are in the log.
fn required(query: &Query, schema: &Schema) -> (Vec<String>, Vec<QueryError>) {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for (at, name) in query.requires.iter().enumerate() {
        if schema.field_with_name(name).is_ok() {
            found.push(name.clone());
        } else {
            let names = schema.fields().iter().map(|field| &field.name()[..]).filter(|name| !name.starts_with("__"));
            let complaint = Complaint::new(format!("log `{}` has no column `{name}`", query.log));
            errors.push(complaint.nearest(name, names).of(Part::Requires(at)));
        }
    }
    (found, errors)
}
