//! How long texts may become: `replace` within `replace`, or a text joined to itself in query after query,
//! grows exponentially, and memory for texts is not limited elsewhere.

use std::collections::HashMap;

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};

use margay_core::members::{MEMBER_BYTES_MOST, MEMBERS_MOST};

use super::complaint::Complaint;
use super::functions::MEMBERS;

/// Length that a log's own texts and lists are taken to have, in bytes.
const LOG_TEXT_BYTES: u64 = 256;
/// Length that a text may grow to, in bytes.
const TEXT_BYTES_MOST: u64 = 256 << 10;

/// Checks every expression of a plan.
///
/// # Errors
/// A text may become too long.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<(), Complaint> {
    lengths(plan).map(drop)
}

/// The longest values that each column of a plan may have.
fn lengths(plan: &LogicalPlan) -> Result<Vec<u64>, Complaint> {
    let columns = plan.schema().fields().len();
    let inputs = plan.inputs();
    let Some(input) = inputs.first() else { return Ok(vec![LOG_TEXT_BYTES; columns]) };
    let within = lengths(input)?;
    let known: HashMap<Column, u64> = input.schema().columns().into_iter().zip(within.iter().copied()).collect();
    let made: Vec<u64> = plan.expressions().iter().map(|expression| length(expression, &known)).collect();
    if made.iter().any(|length| *length > TEXT_BYTES_MOST) {
        let message = format!("texts may grow beyond {TEXT_BYTES_MOST} bytes");
        return Err(Complaint::new(message).hint("use fewer of replace, concat and `||` within each other"));
    }
    let expressions = matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_));
    let mut lengths = if expressions { made } else { within };
    lengths.resize(columns, LOG_TEXT_BYTES);
    Ok(lengths)
}

fn length(expression: &Expr, known: &HashMap<Column, u64>) -> u64 {
    let of = |expression: &Expr| length(expression, known);
    let sum = |all: &[Expr]| all.iter().fold(0u64, |total, one| total.saturating_add(of(one)));
    match expression {
        Expr::Column(column) => known.get(column).copied().unwrap_or(LOG_TEXT_BYTES),
        Expr::Literal(value, _) => value.to_string().len() as u64,
        Expr::Alias(alias) => of(&alias.expr),
        Expr::Cast(cast) => of(&cast.expr).max(64),
        Expr::TryCast(cast) => of(&cast.expr).max(64),
        Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => {
            of(&binary.left).saturating_add(of(&binary.right))
        }
        Expr::BinaryExpr(binary) => of(&binary.left).max(of(&binary.right)),
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
            let conditions = case.when_then_expr.iter().map(|(when, _)| when).chain(&case.expr);
            branches.chain(conditions).map(|branch| of(branch)).max().unwrap_or(0)
        }
        Expr::ScalarFunction(call) => match (call.func.name(), &call.args[..]) {
            ("replace" | "regexp_replace", [text, _, with, ..]) => of(text).saturating_mul(of(with).max(1)),
            ("concat_ws", [between, all @ ..]) => sum(all).saturating_add(of(between).saturating_mul(all.len() as u64)),
            (_, args) => sum(args),
        },
        Expr::AggregateFunction(call) => {
            let filter = call.params.filter.as_deref().map_or(0, of);
            let list = if call.func.name() == MEMBERS { MEMBERS_MOST * MEMBER_BYTES_MOST } else { 0 };
            sum(&call.params.args).max(filter).max(list as u64)
        }
        other => {
            let mut most = 0;
            let _ = datafusion::common::tree_node::TreeNode::apply_children(other, |child| {
                most = most.max(of(child));
                Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
            });
            most
        }
    }
}
