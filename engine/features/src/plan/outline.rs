//! Features taken apart: what is computed of rows, and what is made of the results.

use std::sync::Arc;

use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::find_aggregate_exprs;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use crate::sql::complaint::Complaint;
use crate::sql::functions::MEMBERS;

/// The rows of the log.
pub(super) fn scan(log: TableReference, table: Arc<StreamingTable>) -> Result<LogicalPlan, Complaint> {
    Ok(LogicalPlanBuilder::scan(log, provider_as_source(table), None)?.build()?)
}

/// A feature is made of aggregates, and aggregates of rows.
pub(super) fn check_aggregate(expression: &Expr) -> Result<(), Complaint> {
    let aggregates = find_aggregate_exprs([expression]);
    if aggregates.is_empty() {
        let complaint = Complaint::new("a feature is an aggregate of the rows of a bucket");
        return Err(complaint.hint(format!("such as sum({0}), max({0}) or count(*)", first_column(expression))));
    }
    for aggregate in &aggregates {
        let Expr::AggregateFunction(call) = aggregate else { continue };
        let inside = call.params.args.iter().chain(call.params.filter.as_deref());
        if let Some(inner) = find_aggregate_exprs(inside).first() {
            return Err(Complaint::new(format!("`{}` stands within another aggregate", inner.schema_name())));
        }
    }
    Ok(())
}

fn first_column(expression: &Expr) -> String {
    expression.column_refs().into_iter().map(|column| column.name.clone()).min().unwrap_or_else(|| "x".to_owned())
}

/// The call that lists members, where the expression is one.
pub(super) fn as_members(expression: &Expr) -> Option<&AggregateFunction> {
    match expression {
        Expr::AggregateFunction(call) if call.func.name() == MEMBERS => Some(call),
        _ => None,
    }
}

/// Name of the column of a result.
pub(super) fn aggregate_name(at: usize) -> String {
    format!("__a{at}")
}

/// Aggregates as columns of results.
pub(super) fn name_aggregates(aggregates: &[Expr]) -> Vec<Expr> {
    aggregates.iter().enumerate().map(|(at, aggregate)| aggregate.clone().alias(aggregate_name(at))).collect()
}

/// The expression with columns of results in place of its aggregates.
pub(super) fn over_aggregates(expression: &Expr, aggregates: &[Expr]) -> Result<Expr, Complaint> {
    let mut stray = None;
    let outer = expression.clone().transform_down(|part| {
        if let Some(at) = aggregates.iter().position(|aggregate| *aggregate == part) {
            let result = Expr::Column(Column::from_name(aggregate_name(at)));
            return Ok(Transformed::new(result, true, TreeNodeRecursion::Jump));
        }
        if let Expr::Column(column) = &part {
            stray.get_or_insert_with(|| column.name.clone());
        }
        Ok(Transformed::no(part))
    })?;
    match stray {
        None => Ok(outer.data),
        Some(name) => {
            let complaint = Complaint::new(format!("column `{name}` stands outside of an aggregate"));
            Err(complaint.hint(format!("such as sum({name}), max({name}) or count(DISTINCT {name})")))
        }
    }
}
