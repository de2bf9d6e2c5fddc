//! What a bucket without rows means for a feature.

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use margay_core::Fill;

use super::functions::MEMBERS;

/// Aggregates that are zero, or empty, where nothing happened.
const ADDED: [&str; 4] = ["count", "sum", "approx_distinct", MEMBERS];

/// Zero where the expression is zero once all its sums and counts are; `resolve` finds what a column stands for.
pub(crate) fn of_expression(expression: &Expr, resolve: &dyn Fn(&Column) -> Option<Expr>) -> Fill {
    if is_zero(expression, resolve) { Fill::Zero } else { Fill::Missing }
}

/// The same for a column of a query.
pub(crate) fn of_column(plan: &LogicalPlan, name: &str) -> Fill {
    match plan {
        LogicalPlan::Sort(sort) => of_column(&sort.input, name),
        LogicalPlan::SubqueryAlias(alias) => of_column(&alias.input, name),
        LogicalPlan::Projection(projection) => {
            let at = plan.schema().fields().iter().position(|field| field.name() == name);
            let Some(expression) = at.and_then(|at| projection.expr.get(at)) else { return Fill::Missing };
            of_expression(expression, &|column| aggregate(&projection.input, column))
        }
        _ => Fill::Missing,
    }
}

fn aggregate(plan: &LogicalPlan, column: &Column) -> Option<Expr> {
    let LogicalPlan::Aggregate(aggregate) = plan else { return None };
    let at = plan.schema().index_of_column(column).ok()?;
    let groups = plan.schema().fields().len() - aggregate.aggr_expr.len();
    aggregate.aggr_expr.get(at.checked_sub(groups)?).cloned()
}

fn is_zero(expression: &Expr, resolve: &dyn Fn(&Column) -> Option<Expr>) -> bool {
    let zero = |expression: &Expr| is_zero(expression, resolve);
    match expression {
        Expr::AggregateFunction(call) => ADDED.contains(&call.func.name()),
        Expr::Column(column) => resolve(column).is_some_and(|expression| zero(&expression)),
        Expr::Alias(alias) => zero(&alias.expr),
        Expr::Cast(cast) => zero(&cast.expr),
        Expr::TryCast(cast) => zero(&cast.expr),
        Expr::Negative(negated) => zero(negated),
        Expr::BinaryExpr(binary) => match binary.op {
            Operator::Plus | Operator::Minus => zero(&binary.left) && zero(&binary.right),
            Operator::Multiply => {
                (zero(&binary.left) && is_constant(&binary.right)) || (is_constant(&binary.left) && zero(&binary.right))
            }
            Operator::Divide => zero(&binary.left) && is_constant(&binary.right) && !is_nought(&binary.right),
            _ => false,
        },
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
            call.args.first().is_some_and(zero) && call.args[1..].iter().all(|other| zero(other) || is_nought(other))
        }
        _ => false,
    }
}

fn is_constant(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(value, _) => !value.is_null(),
        Expr::Cast(cast) => is_constant(&cast.expr),
        _ => false,
    }
}

fn is_nought(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(value, _) => ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value),
        Expr::Cast(cast) => is_nought(&cast.expr),
        _ => false,
    }
}
