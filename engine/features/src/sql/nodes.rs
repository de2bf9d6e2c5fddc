//! What a planned query may consist of: a second check behind that of the syntax, on what the planner made of it.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use super::complaint::Complaint;
use super::{functions, growth};

/// Checks that a plan only reads, filters, groups, projects and sorts, with functions from the list.
///
/// # Errors
/// The first node or expression that is not allowed.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<(), Complaint> {
    let mut problem = None;
    let walked = plan.apply(|node| {
        problem = check_node(node).err();
        Ok(if problem.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked?;
    match problem {
        Some(problem) => Err(problem),
        None => growth::check_plan(plan),
    }
}

fn check_node(node: &LogicalPlan) -> Result<(), Complaint> {
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => {}
        other => {
            let name = other.display().to_string();
            let name = name.split([':', ' ']).next().unwrap_or_default().to_owned();
            return Err(Complaint::new(format!("{name} is not allowed: a query only filters and groups its log")));
        }
    }
    node.expressions().iter().try_for_each(check_expression)
}

/// Checks that an expression only consists of what is allowed.
///
/// # Errors
/// The first part that is not.
pub(crate) fn check_expression(expression: &Expr) -> Result<(), Complaint> {
    let mut problem = None;
    expression.apply(|part| {
        problem = check_part(part);
        Ok(if problem.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    problem.map_or(Ok(()), Err)
}

fn check_part(part: &Expr) -> Option<Complaint> {
    let name = match part {
        Expr::ScalarFunction(call) => call.func.name(),
        Expr::AggregateFunction(call) => call.func.name(),
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::Literal(..)
        | Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_) => return None,
        other => return Some(Complaint::new(format!("`{}` is not allowed", other.variant_name()))),
    };
    if functions::is_allowed(name) {
        return None;
    }
    let reason = functions::refusal(name).map_or("it is not on the list", functions::Refusal::reason);
    Some(Complaint::new(format!("function `{name}` is not allowed: {reason}")))
}
