//! Parts of a query, parsed, checked and placed each on its own.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::utils::find_aggregate_exprs;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::ExprWithAlias;
use margay_core::log::BUCKET_START;

use super::outline::{as_members, check_aggregate, name_aggregates, over_aggregates, scan};
use super::parts::{Understood, Written};
use crate::query::{Exclude, Part, Query, QueryError};
use crate::sql::complaint::Complaint;
use crate::sql::syntax::Scope;
use crate::sql::{nodes, parse, session, syntax, table};

/// Reads parts against the columns of a log.
pub(super) struct Reader<'a> {
    state: &'static SessionState,
    scope: Scope<'a>,
    scan: LogicalPlan,
}

impl<'a> Reader<'a> {
    pub(super) fn new(query: &'a Query, all: &'a Arc<Schema>) -> Result<Self, Complaint> {
        let columns = all.fields().iter().map(|field| &field.name()[..]).collect();
        let scan = scan(TableReference::bare(&query.log[..]), table::table(all)?)?;
        Ok(Self { state: session::state(), scope: Scope { log: &query.log, columns }, scan })
    }

    /// Reads all parts.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(super) fn understand(&self, query: &Query, written: &Written<'_>) -> Result<Understood, Vec<QueryError>> {
        let mut errors = Vec::new();
        let mut keep = |part: Part, read: Result<Expr, Vec<Complaint>>| {
            read.map_err(|all| errors.extend(all.into_iter().map(|complaint| complaint.of(part.clone())))).ok()
        };
        let filter = written.filter.and_then(|text| keep(Part::Filter, self.condition(text)));
        let entity = query.entity.iter().enumerate();
        let entity = entity.filter_map(|(at, (_, text))| keep(Part::Entity(at), self.key(text))).collect();
        let features = written.features.iter();
        let features =
            features.filter_map(|(name, text)| keep(Part::Feature(name.clone()), self.feature(text))).collect();
        let exclude = written.exclude.iter().enumerate();
        let kept = exclude.filter_map(|(at, exclude)| keep(Part::Exclude(at), self.spared(exclude))).reduce(Expr::and);
        if !errors.is_empty() {
            return Err(errors);
        }
        let log = TableReference::bare(self.scope.log);
        Ok(Understood { log, filter, entity, features, kept, required: Vec::new() })
    }

    fn read(&self, text: &str) -> Result<Expr, Vec<Complaint>> {
        let one = |complaint: Complaint| vec![complaint];
        let mut tree = parse::expression(text).map_err(one)?;
        syntax::expression(&mut tree, &self.scope)?;
        let tree = ExprWithAlias { expr: tree, alias: None };
        let planned = self.state.create_logical_expr_from_sql_expr(tree, self.schema());
        let expression = planned.map_err(|error| one(error.into()))?;
        nodes::check_expression(&expression).map_err(one)?;
        Ok(expression)
    }

    fn schema(&self) -> &DFSchema {
        self.scan.schema()
    }

    /// An expression of single rows.
    fn row_expression(&self, text: &str) -> Result<Expr, Vec<Complaint>> {
        let expression = self.read(text)?;
        if let Some(aggregate) = find_aggregate_exprs([&expression]).first() {
            let name = aggregate.schema_name().to_string();
            return Err(vec![Complaint::new(format!("`{name}` is an aggregate: here each row is judged by itself"))]);
        }
        Ok(expression)
    }

    fn condition(&self, text: &str) -> Result<Expr, Vec<Complaint>> {
        let one = |complaint: Complaint| vec![complaint];
        let expression = self.row_expression(text)?;
        let plan = self.try_out(|scan| scan.project([expression.clone()])).map_err(one)?;
        match plan.schema().field(0).data_type() {
            DataType::Boolean | DataType::Null => Ok(expression),
            other => Err(one(Complaint::new(format!("a condition is true or false, not {other}")))),
        }
    }

    fn key(&self, text: &str) -> Result<Expr, Vec<Complaint>> {
        let one = |complaint: Complaint| vec![complaint];
        let expression = self.row_expression(text)?;
        let plan = self.try_out(|scan| scan.project([expression.clone()])).map_err(one)?;
        let data_type = plan.schema().field(0).data_type();
        if table::is_scalar(data_type) {
            return Ok(expression);
        }
        Err(one(Complaint::new(format!("an entity is made of single values, not of {data_type}"))))
    }

    fn feature(&self, text: &str) -> Result<Expr, Vec<Complaint>> {
        let one = |complaint: Complaint| vec![complaint];
        let expression = self.read(text)?;
        check_aggregate(&expression).map_err(one)?;
        let aggregates = find_aggregate_exprs([&expression]);
        let outer = over_aggregates(&expression, &aggregates).map_err(one)?;
        let aliased = name_aggregates(&aggregates);
        let bucket = Column::new(Some(TableReference::bare(self.scope.log)), BUCKET_START);
        let plan =
            self.try_out(|scan| scan.aggregate([Expr::Column(bucket)], aliased)?.project([outer])).map_err(one)?;
        let data_type = plan.schema().field(0).data_type();
        if data_type.is_numeric() || matches!(data_type, DataType::Boolean | DataType::Null) {
            return Ok(expression);
        }
        if as_members(&expression).is_some() {
            return Ok(expression);
        }
        let complaint = Complaint::new(format!("a feature is a number, not {data_type}"));
        Err(one(complaint.hint("only array_agg(DISTINCT …) on its own makes a list, for models that look at members")))
    }

    /// True for rows that an exclusion does not take.
    fn spared(&self, exclude: &Exclude) -> Result<Expr, Vec<Complaint>> {
        let mut taken = self.condition(&exclude.filter)?;
        if let Some(until) = exclude.until {
            let bucket = Column::new(Some(TableReference::bare(self.scope.log)), BUCKET_START);
            let until = ScalarValue::TimestampMillisecond(Some(until.0), Some("UTC".into()));
            taken = taken.and(Expr::Column(bucket).lt(lit(until)));
        }
        // Not `IS NOT TRUE`: the planner then takes the result to be never null, and the engine does not.
        Ok(binary_expr(taken, Operator::IsDistinctFrom, lit(true)))
    }

    /// Plans a query of one part, to see that its types fit and its texts stay short.
    fn try_out(
        &self,
        build: impl FnOnce(LogicalPlanBuilder) -> datafusion::error::Result<LogicalPlanBuilder>,
    ) -> Result<LogicalPlan, Complaint> {
        let plan = build(LogicalPlanBuilder::from(self.scan.clone()))?.build()?;
        nodes::check_plan(&plan)?;
        Ok(self.state.optimize(&plan)?)
    }
}
