//! Queries written in parts, as one plan.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::find_aggregate_exprs;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use margay_core::Grouping;
use margay_core::log::BUCKET_START;

use super::gather::gather;
use super::outline::{aggregate_name, as_members, name_aggregates, over_aggregates, scan};
use super::reader::Reader;
use super::sampler::Conditions;
use super::{Compiled, Output, Sampler, narrow};
use crate::query::{Exclude, Part, Query, QueryError};
use crate::sql::complaint::Complaint;
use crate::sql::{fill, session, table};

/// The parts as they were written.
pub(crate) struct Written<'a> {
    pub(crate) filter: Option<&'a str>,
    pub(crate) features: &'a [(String, String)],
    pub(crate) exclude: &'a [Exclude],
}

/// The parts as they were understood.
#[derive(Clone)]
pub(super) struct Understood {
    pub(super) log: TableReference,
    pub(super) filter: Option<Expr>,
    pub(super) entity: Vec<Expr>,
    pub(super) features: Vec<Expr>,
    /// True for rows that no exclusion takes; none where there are no exclusions.
    pub(super) kept: Option<Expr>,
    pub(super) required: Vec<String>,
}

/// Name of the column that is true for rows that no exclusion takes.
const KEPT: &str = "__kept";

/// Compiles a query in parts.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn compile(
    query: &Query,
    written: &Written<'_>,
    required: &[String],
    log: &Schema,
) -> Result<Compiled, Vec<QueryError>> {
    let all = table::table_schema(log);
    finish(query, written, &understand(query, written, required, &all)?, &all)
}

/// Compiles a query in parts to be asked of gathered rows.
///
/// # Errors
/// Everything that is wrong with it; or why it needs the rows themselves.
pub(crate) fn gathered(
    query: &Query,
    written: &Written<'_>,
    required: &[String],
    log: &Schema,
) -> Result<Result<(Grouping, Compiled), String>, Vec<QueryError>> {
    let all = table::table_schema(log);
    let understood = understand(query, written, required, &all)?;
    match gather(&understood, &all, query.bucket) {
        Ok(gathering) => Ok(Ok((gathering.grouping, finish(query, written, &gathering.query, &gathering.table)?))),
        Err(reason) => Ok(Err(reason)),
    }
}

fn understand(
    query: &Query,
    written: &Written<'_>,
    required: &[String],
    all: &SchemaRef,
) -> Result<Understood, Vec<QueryError>> {
    let reader = Reader::new(query, all).map_err(|complaint| vec![complaint.of(Part::Sql)])?;
    let understood = reader.understand(query, written)?;
    Ok(Understood { required: required.to_vec(), ..understood })
}

fn finish(
    query: &Query,
    written: &Written<'_>,
    understood: &Understood,
    all: &SchemaRef,
) -> Result<Compiled, Vec<QueryError>> {
    let whole = |complaint: Complaint| vec![complaint.of(Part::Sql)];
    let state = session::state();
    let required = &understood.required;
    let narrow = narrow::plan(state, all, &|table| understood.plan(table)).map_err(whole)?;
    let lists: Vec<bool> = understood.features.iter().map(|feature| as_members(feature).is_some()).collect();
    let output =
        Output { counted: lists.contains(&true), kept: understood.kept.is_some(), detailed: !required.is_empty() };
    let sampler = Sampler::new(state, all, &understood.sampled()).map_err(|error| whole(error.into()))?;
    // A column that the optimiser did away with is not there to tell guests by.
    let guests = Sampler::new(state, &narrow.table, &understood.guests()).ok();
    Ok(Compiled {
        detector: query.detector.clone(),
        bucket: query.bucket,
        entity: query.entity.iter().map(|(name, _)| name.clone()).collect(),
        features: written.features.iter().map(|(name, _)| name.clone()).collect(),
        fill: understood.features.iter().map(|feature| fill::of_expression(feature, &|_| None)).collect(),
        lists,
        columns: narrow.columns,
        table: narrow.table,
        logical: narrow.logical,
        output,
        required: Vec::new(),
        sampler,
        guests,
    })
}

impl Understood {
    fn plan(&self, table: Arc<StreamingTable>) -> Result<LogicalPlan, Complaint> {
        let mut rows = LogicalPlanBuilder::from(scan(self.log.clone(), table)?);
        if let Some(filter) = &self.filter {
            rows = rows.filter(filter.clone())?;
        }
        if let Some(kept) = &self.kept {
            let columns = rows.schema().columns().into_iter().map(Expr::Column);
            rows = rows.project(columns.chain([kept.clone().alias(KEPT)]).collect::<Vec<_>>())?;
        }
        let bucket = self.column(BUCKET_START).alias("bucket");
        let entity = self.entity.iter().enumerate().map(|(at, key)| key.clone().alias(format!("e{at}")));
        let groups: Vec<Expr> = [bucket].into_iter().chain(entity).collect();

        let features: Vec<Expr> = self.features.iter().map(|feature| self.only_kept(feature)).collect();
        let mut aggregates = find_aggregate_exprs(&features);
        let mut results = Vec::new();
        for (at, feature) in features.iter().enumerate() {
            let outer = over_aggregates(feature, &aggregates)?;
            let shown = if as_members(feature).is_some() { outer } else { cast(outer, DataType::Float64) };
            results.push(shown.alias(format!("f{at}")));
        }
        for (at, call) in features.iter().map(as_members).enumerate() {
            let Some(call) = call else { continue };
            let all = Counted { args: &call.params.args, distinct: true, filter: call.params.filter.clone() };
            results.push(all.column(&mut aggregates)?.alias(format!("n{at}")));
        }
        if self.kept.is_some() {
            results.push(self.counted(&[lit(1i64)]).column(&mut aggregates)?.alias("kept"));
        }
        let counts: Result<Vec<Expr>, Complaint> = self
            .required
            .iter()
            .map(|name| Ok(self.counted(&[self.column(name)]).column(&mut aggregates)?.gt(lit(0i64))))
            .collect();
        results.extend(counts?.into_iter().reduce(Expr::and).map(|detailed| detailed.alias("detailed")));

        let names = (0..self.entity.len()).map(|at| format!("e{at}"));
        let keys = ["bucket".to_owned()].into_iter().chain(names).map(|name| Expr::Column(Column::from_name(name)));
        let shown: Vec<Expr> = keys.chain(results).collect();
        Ok(rows.aggregate(groups, name_aggregates(&aggregates))?.project(shown)?.build()?)
    }

    fn column(&self, name: &str) -> Expr {
        Expr::Column(Column::new(Some(self.log.clone()), name))
    }

    fn kept_column(&self) -> Option<Expr> {
        self.kept.as_ref().map(|_| Expr::Column(Column::from_name(KEPT)))
    }

    /// The expression with aggregates that leave out excluded rows.
    fn only_kept(&self, expression: &Expr) -> Expr {
        let Some(kept) = self.kept_column() else { return expression.clone() };
        let changed = expression.clone().transform_down(|part| match part {
            Expr::AggregateFunction(mut call) => {
                let filter = match call.params.filter.take() {
                    Some(filter) => filter.and(kept.clone()),
                    None => kept.clone(),
                };
                call.params.filter = Some(Box::new(filter));
                Ok(Transformed::new(Expr::AggregateFunction(call), true, TreeNodeRecursion::Jump))
            }
            other => Ok(Transformed::no(other)),
        });
        changed.map_or_else(|_| expression.clone(), |changed| changed.data)
    }

    /// The values of an expression in kept rows.
    fn counted<'a>(&self, args: &'a [Expr]) -> Counted<'a> {
        Counted { args, distinct: false, filter: self.kept_column().map(Box::new) }
    }

    fn sampled(&self) -> Conditions {
        Conditions { condition: self.filter.iter().chain(&self.kept).cloned().reduce(Expr::and), ..self.guests() }
    }

    /// Rows that make groups, excluded ones among them.
    fn guests(&self) -> Conditions {
        let keys = self.entity.iter().cloned().map(Some).collect();
        Conditions { log: self.log.clone(), condition: self.filter.clone(), keys }
    }
}

/// Values to be counted.
struct Counted<'a> {
    args: &'a [Expr],
    distinct: bool,
    filter: Option<Box<Expr>>,
}

impl Counted<'_> {
    /// Their number, as a column of results.
    fn column(self, aggregates: &mut Vec<Expr>) -> Result<Expr, Complaint> {
        let count = session::aggregate("count")?;
        let call = AggregateFunction::new_udf(count, self.args.to_vec(), self.distinct, self.filter, Vec::new(), None);
        let call = Expr::AggregateFunction(call);
        let at = aggregates.iter().position(|aggregate| *aggregate == call).unwrap_or_else(|| {
            aggregates.push(call);
            aggregates.len() - 1
        });
        Ok(Expr::Column(Column::from_name(aggregate_name(at))))
    }
}
