//! Queries written as one statement.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{ExprWithAlias, Query as Tree, Statement as SqlStatement};
use margay_core::log::BUCKET_START;

use super::sampler::Conditions;
use super::{Compiled, Output, Sampler, narrow};
use crate::exact::list_type;
use crate::query::{Part, Query, QueryError};
use crate::run::bucket_field;
use crate::sql::complaint::Complaint;
use crate::sql::syntax::Scope;
use crate::sql::{fill, nodes, parse, session, syntax, table};

/// Compiles a statement.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn compile(
    query: &Query,
    sql: &str,
    features: &[String],
    required: &[String],
    log: &Schema,
) -> Result<Compiled, Vec<QueryError>> {
    let whole = |complaint: Complaint| vec![complaint.of(Part::Sql)];
    let all = table::table_schema(log);
    let scope = Scope { log: &query.log, columns: all.fields().iter().map(|field| &field.name()[..]).collect() };
    let mut tree = parse::query(sql).map_err(whole)?;
    syntax::query(&mut tree, &scope).map_err(|all| all.into_iter().map(|one| one.of(Part::Sql)).collect::<Vec<_>>())?;
    let statement = One { log: &query.log, tree };
    let wide = table::table(&all).map_err(|error| whole(error.into()))?;
    let planned = statement.plan(wide).map_err(whole)?;
    nodes::check_plan(&planned).map_err(whole)?;
    let result = Columns { entity: &query.entity, features };
    result.check(&planned).map_err(|all| all.into_iter().map(|one| one.of(Part::Sql)).collect::<Vec<_>>())?;
    let state = session::state();
    let build = |table| result.choose(statement.plan(table)?);
    let mut narrow = narrow::plan(state, &all, &build).map_err(whole)?;
    narrow.columns.extend(required.iter().filter(|name| !narrow.columns.contains(name)).cloned().collect::<Vec<_>>());
    let sampler = Sampler::new(state, &all, &conditions(query, &scope, &all)).map_err(|error| whole(error.into()))?;
    Ok(Compiled {
        detector: query.detector.clone(),
        bucket: query.bucket,
        entity: query.entity.iter().map(|(name, _)| name.clone()).collect(),
        features: features.to_vec(),
        fill: features.iter().map(|name| fill::of_column(&planned, name)).collect(),
        lists: features.iter().map(|name| is_list(&planned, name)).collect(),
        columns: narrow.columns,
        table: narrow.table,
        logical: narrow.logical,
        output: Output::default(),
        required: required.to_vec(),
        sampler,
        guests: None,
    })
}

/// The statement.
struct One<'a> {
    log: &'a str,
    tree: Box<Tree>,
}

impl One<'_> {
    /// Plans the statement with `table` as its log, and no other table.
    fn plan(&self, table: Arc<StreamingTable>) -> Result<LogicalPlan, Complaint> {
        let state = session::state_to_plan(self.log, table)?;
        let statement = Statement::Statement(Box::new(SqlStatement::Query(self.tree.clone())));
        Ok(narrow::runtime()?.block_on(state.statement_to_plan(statement))?)
    }
}

/// The columns that a statement must yield.
struct Columns<'a> {
    entity: &'a [(String, String)],
    features: &'a [String],
}

impl Columns<'_> {
    fn check(&self, plan: &LogicalPlan) -> Result<(), Vec<Complaint>> {
        let fields = plan.schema().fields();
        let mut complaints = Vec::new();
        let mut check = |name: &str, what: &str, fits: &dyn Fn(&DataType) -> bool| {
            let found: Vec<_> = fields.iter().filter(|field| field.name() == name).collect();
            let complaint = match &found[..] {
                [field] if fits(field.data_type()) => return,
                [field] => Complaint::new(format!("column `{name}` is {what}, not {}", field.data_type())),
                [] => Complaint::new(format!("the statement yields no column `{name}`"))
                    .nearest(name, fields.iter().map(|field| &field.name()[..])),
                _ => Complaint::new(format!("the statement yields more than one column `{name}`")),
            };
            complaints.push(complaint);
        };
        check(BUCKET_START, "the start of a bucket", &|kind| matches!(kind, DataType::Timestamp(..)));
        for (name, _) in self.entity {
            check(name, "part of the entity: a single value", &table::is_scalar);
        }
        for name in self.features {
            check(name, "a feature: a number, or a list of texts", &|kind| {
                kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Null) || is_texts(kind)
            });
        }
        if complaints.is_empty() { Ok(()) } else { Err(complaints) }
    }

    /// Bucket, entity and features, in this order.
    fn choose(&self, plan: LogicalPlan) -> Result<LogicalPlan, Complaint> {
        let columns = plan.schema().columns();
        let column = |name: &str| {
            let found = columns.iter().find(|column| column.name == name).cloned();
            Expr::Column(found.unwrap_or_else(|| Column::from_name(name)))
        };
        let bucket = cast(column(BUCKET_START), bucket_field().data_type().clone()).alias("bucket");
        let keys = self.entity.iter().enumerate().map(|(at, (name, _))| column(name).alias(format!("e{at}")));
        let features = self.features.iter().enumerate();
        let features = features.map(|(at, name)| {
            let is_list = is_list(&plan, name);
            let shown = if is_list { cast(column(name), list_type()) } else { cast(column(name), DataType::Float64) };
            shown.alias(format!("f{at}"))
        });
        let shown: Vec<Expr> = [bucket].into_iter().chain(keys).chain(features).collect();
        Ok(LogicalPlanBuilder::from(plan.clone()).project(shown)?.build()?)
    }
}

fn is_list(plan: &LogicalPlan, name: &str) -> bool {
    plan.schema().fields().iter().any(|field| field.name() == name && is_texts(field.data_type()))
}

fn is_texts(kind: &DataType) -> bool {
    let DataType::List(item) = kind else { return false };
    matches!(item.data_type(), DataType::Utf8 | DataType::Utf8View)
}

/// Rows behind an alert: those whose columns are the entity, as far as its expressions are columns of the log.
fn conditions(query: &Query, scope: &Scope<'_>, all: &Schema) -> Conditions {
    let log = TableReference::bare(&query.log[..]);
    let key = |text: &str| {
        let mut tree = parse::expression(text).ok()?;
        syntax::expression(&mut tree, scope).ok()?;
        let schema = datafusion::common::DFSchema::try_from_qualified_schema(log.clone(), all).ok()?;
        let tree = ExprWithAlias { expr: tree, alias: None };
        let key = session::state().create_logical_expr_from_sql_expr(tree, &schema).ok()?;
        nodes::check_expression(&key).ok()?;
        Some(key)
    };
    let keys = query.entity.iter().map(|(name, text)| key(text).or_else(|| key(name))).collect();
    Conditions { log, condition: None, keys }
}
