//! Finds the rows that a plan's entities are made of.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::{DFSchema, TableReference};
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{ColumnarValue, Expr};
use datafusion::physical_expr::PhysicalExpr;

/// What rows are looked for.
pub(crate) struct Conditions {
    /// Name of the table in the expressions.
    pub(crate) log: TableReference,
    /// True for rows that count; all where there is none.
    pub(crate) condition: Option<Expr>,
    /// Values of the entity; none where they cannot be told from a row.
    pub(crate) keys: Vec<Option<Expr>>,
}

/// Judges rows as they are in the log, with the start of their bucket.
pub(crate) struct Sampler {
    condition: Option<Arc<dyn PhysicalExpr>>,
    keys: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// Columns of the table, in the order of the expressions.
    pub(crate) table: Arc<Schema>,
}

impl Sampler {
    /// Compiles the conditions.
    ///
    /// # Errors
    /// They do not fit the columns.
    pub(crate) fn new(state: &SessionState, all: &Arc<Schema>, conditions: &Conditions) -> Result<Self> {
        let schema = DFSchema::try_from_qualified_schema(conditions.log.clone(), all)?;
        let compile = |expression: &Expr| state.create_physical_expr(expression.clone(), &schema);
        let keys = conditions.keys.iter().map(|key| key.as_ref().map(compile).transpose());
        Ok(Self {
            condition: conditions.condition.as_ref().map(compile).transpose()?,
            keys: keys.collect::<Result<_>>()?,
            table: all.clone(),
        })
    }

    /// Which values of the entity a row tells.
    pub(crate) fn told(&self) -> impl Iterator<Item = bool> + '_ {
        self.keys.iter().map(Option::is_some)
    }

    /// True for rows that count; nothing is null.
    ///
    /// # Errors
    /// The condition fails on a value.
    pub(crate) fn counts(&self, rows: &RecordBatch) -> Result<BooleanArray> {
        let Some(condition) = &self.condition else {
            return Ok(BooleanArray::from(vec![true; rows.num_rows()]));
        };
        let judged = array(condition.evaluate(rows)?, rows)?;
        let judged = cast(&judged, &DataType::Boolean)?;
        let judged = judged.as_boolean();
        Ok((0..judged.len()).map(|row| Some(judged.is_valid(row) && judged.value(row))).collect())
    }

    /// Values of the entity as texts; none where they cannot be told from a row.
    ///
    /// # Errors
    /// An expression fails on a value.
    pub(crate) fn keys(&self, rows: &RecordBatch) -> Result<Vec<Option<StringArray>>> {
        let text = |key: &Arc<dyn PhysicalExpr>| {
            let values = array(key.evaluate(rows)?, rows)?;
            Ok(cast(&values, &DataType::Utf8)?.as_string::<i32>().clone())
        };
        self.keys.iter().map(|key| key.as_ref().map(text).transpose()).collect()
    }
}

fn array(value: ColumnarValue, rows: &RecordBatch) -> Result<ArrayRef> {
    value.into_array(rows.num_rows())
}
