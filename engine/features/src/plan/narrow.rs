//! The columns that a query needs, and the query over these alone.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use margay_core::log::BUCKET_START;

use crate::sql::complaint::Complaint;
use crate::sql::{nodes, table};

/// A query over no more columns than it needs.
pub(crate) struct Narrow {
    /// The columns of the log.
    pub(crate) columns: Vec<String>,
    /// These and the start of the bucket.
    pub(crate) table: SchemaRef,
    /// Optimised.
    pub(crate) logical: LogicalPlan,
}

/// Plans a query twice: over all columns, to see which are needed, and over these.
///
/// # Errors
/// The query cannot be planned.
pub(crate) fn plan(
    state: &SessionState,
    all: &Schema,
    build: &dyn Fn(Arc<StreamingTable>) -> Result<LogicalPlan, Complaint>,
) -> Result<Narrow, Complaint> {
    let wide = build(table::table(&Arc::new(all.clone()))?)?;
    nodes::check_plan(&wide)?;
    let mut columns = scanned(&state.optimize(&wide)?)?;
    columns.push(BUCKET_START.to_owned());
    let table = table::narrow(all, &columns);
    columns.retain(|name| name != BUCKET_START);
    let logical = state.optimize(&build(table::table(&table)?)?)?;
    runtime()?.block_on(state.query_planner().create_physical_plan(&logical, state))?;
    Ok(Narrow { columns, table, logical })
}

/// A runtime for this thread alone.
///
/// # Errors
/// The system has no resources for it.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Complaint> {
    let built = tokio::runtime::Builder::new_current_thread().build();
    built.map_err(|error| Complaint::new(format!("no runtime: {error}")))
}

fn scanned(plan: &LogicalPlan) -> Result<Vec<String>, Complaint> {
    let mut names = Vec::new();
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            names.extend(scan.projected_schema.fields().iter().map(|field| field.name().clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(names)
}
