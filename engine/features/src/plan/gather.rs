//! Whether a query comes to the same over gathered rows (see [`Grouping`]), and how it is asked of them.
//!
//! Conditions, entities and distinct values need every value, so their columns become keys; sums of whole numbers,
//! counts, means and extremes need totals. Sums of fractions are rounded anew with each addition, and no other statistic
//! can be made of totals: such a query needs the rows themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{AggregateFunction, Case};
use datafusion::logical_expr::utils::find_aggregate_exprs;
use datafusion::logical_expr::{Expr, cast, lit, when};
use datafusion::scalar::ScalarValue;
use margay_core::log::{BUCKET_START, ROWS, count_of, least_of, most_of};
use margay_core::{Grouping, Measure, Period};

use super::parts::Understood;
use crate::sql::functions::MEMBERS;
use crate::sql::session;

/// A query of gathered rows.
pub(super) struct Gathering {
    pub(super) grouping: Grouping,
    pub(super) query: Understood,
    /// Columns of the log and of gathered rows.
    pub(super) table: SchemaRef,
}

/// Says why not, in words.
type Reason = String;

/// Turns a query of rows into one of gathered rows; rows that are not gathered may come between them.
///
/// # Errors
/// The query needs the rows themselves.
pub(super) fn gather(query: &Understood, log: &Arc<Schema>, bucket: Period) -> Result<Gathering, Reason> {
    let mut roles = Roles { table: query.log.clone(), log, keys: BTreeSet::new(), measures: BTreeMap::new() };
    query.filter.iter().chain(&query.entity).chain(&query.kept).for_each(|part| roles.note_keys(part));
    for aggregate in find_aggregate_exprs(&query.features) {
        if let Expr::AggregateFunction(call) = &aggregate {
            roles.note_keys_of_call(call);
        }
    }
    let mut features = Vec::new();
    for feature in &query.features {
        features.push(roles.feature(feature)?);
    }
    for name in &query.required {
        roles.require(name)?;
    }
    roles.check_keys()?;
    let table = roles.table();
    let grouping =
        Grouping { bucket, keys: roles.keys.into_iter().collect(), measures: roles.measures.into_values().collect() };
    Ok(Gathering { grouping, query: Understood { features, ..query.clone() }, table })
}

/// What each column of the log is to the query.
struct Roles<'a> {
    table: TableReference,
    log: &'a Schema,
    keys: BTreeSet<String>,
    measures: BTreeMap<String, Measure>,
}

impl Roles<'_> {
    fn note_keys(&mut self, expression: &Expr) {
        let names = expression.column_refs().into_iter().map(|column| column.name.clone());
        self.keys.extend(names.filter(|name| name != BUCKET_START));
    }

    fn note_keys_of_call(&mut self, call: &AggregateFunction) {
        let params = &call.params;
        params.filter.iter().for_each(|filter| self.note_keys(filter));
        for arg in &params.args {
            match (arg, call.func.name()) {
                (Expr::Column(column), _) if !params.distinct && self.is_number(&column.name) => {}
                (_, "sum") if !params.distinct => self.note_conditions(arg),
                _ => self.note_keys(arg),
            }
        }
    }

    /// The columns that decide which amounts are added up.
    fn note_conditions(&mut self, amount: &Expr) {
        match amount {
            Expr::Column(_) => {}
            Expr::Case(case) => {
                case.expr.iter().for_each(|base| self.note_keys(base));
                for (condition, then) in &case.when_then_expr {
                    self.note_keys(condition);
                    self.note_conditions(then);
                }
                case.else_expr.iter().for_each(|other| self.note_conditions(other));
            }
            Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
                call.args.iter().for_each(|arg| self.note_conditions(arg));
            }
            other => self.note_keys(other),
        }
    }

    fn feature(&mut self, feature: &Expr) -> Result<Expr, Reason> {
        let mut reason = None;
        let changed = feature.clone().transform_down(|part| {
            let Expr::AggregateFunction(call) = &part else { return Ok(Transformed::no(part)) };
            let call = self.call(call).unwrap_or_else(|why| {
                reason.get_or_insert(why);
                part.clone()
            });
            Ok(Transformed::new(call, true, TreeNodeRecursion::Jump))
        });
        match reason {
            Some(reason) => Err(reason),
            None => changed.map(|changed| changed.data).map_err(|error| error.to_string()),
        }
    }

    fn call(&mut self, call: &AggregateFunction) -> Result<Expr, Reason> {
        let params = &call.params;
        let filter = params.filter.as_deref();
        match (call.func.name(), params.distinct, &params.args[..]) {
            ("count" | MEMBERS, true, _) => Ok(Expr::AggregateFunction(call.clone())),
            ("count", false, [arg]) => self.count(arg, filter),
            ("sum", false, [amount]) => sum(self.added(amount)?, filter),
            ("avg", false, [Expr::Column(column)]) => self.mean(column, filter),
            ("min" | "max", false, [arg]) => self.extreme(call, arg),
            (name, ..) => Err(format!("`{name}` cannot be made of totals")),
        }
    }

    fn count(&mut self, arg: &Expr, filter: Option<&Expr>) -> Result<Expr, Reason> {
        let counted = match arg {
            Expr::Column(column) if !self.is_key(column) => sum(self.values(column)?, filter)?,
            Expr::Literal(value, _) if !value.is_null() => sum(self.rows()?, filter)?,
            other => {
                let known = other.clone().is_not_null();
                let both = filter.map_or(known.clone(), |filter| filter.clone().and(known));
                sum(self.rows()?, Some(&both))?
            }
        };
        choose(counted.clone().is_not_null(), cast(counted, DataType::Int64), lit(0i64))
    }

    /// As margay's `avg` has it: the sum, rounded, by the number.
    fn mean(&mut self, column: &Column, filter: Option<&Expr>) -> Result<Expr, Reason> {
        let total = sum(self.added(&Expr::Column(column.clone()))?, filter)?;
        let count = sum(self.values(column)?, filter)?;
        let nothing = lit(ScalarValue::Float64(None));
        choose(count.clone().gt(lit(0.0)), total / count, nothing)
    }

    fn extreme(&mut self, call: &AggregateFunction, arg: &Expr) -> Result<Expr, Reason> {
        let Expr::Column(column) = arg else { return Ok(Expr::AggregateFunction(call.clone())) };
        if self.is_key(column) {
            return Ok(Expr::AggregateFunction(call.clone()));
        }
        self.measure(column).extremes = true;
        let name = if call.func.name() == "min" { least_of(&column.name) } else { most_of(&column.name) };
        let gathered = self.column(&name);
        let value = choose(gathered.clone().is_not_null(), gathered, arg.clone())?;
        let mut changed = call.clone();
        changed.params.args = vec![value];
        Ok(Expr::AggregateFunction(changed))
    }

    /// An amount of a row such that the sum over gathered rows is that over all rows.
    fn added(&mut self, amount: &Expr) -> Result<Expr, Reason> {
        match amount {
            Expr::Column(column) if self.is_key(column) => {
                Err(format!("`{}` is both added up and compared", column.name))
            }
            Expr::Column(column) if *self.kind(&column.name) == DataType::Int64 => {
                self.measure(column).sum = true;
                Ok(amount.clone())
            }
            Expr::Column(column) => {
                Err(format!("`{}` holds fractions, which are added exactly here only", column.name))
            }
            Expr::Literal(ScalarValue::Int64(Some(0) | None) | ScalarValue::Null, _) => Ok(amount.clone()),
            Expr::Literal(ScalarValue::Int64(Some(count)), _) if count.unsigned_abs() < FACTOR_END => {
                Ok(amount.clone() * self.rows()?)
            }
            Expr::Case(case) => self.added_case(case),
            Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
                let [first, Expr::Literal(ScalarValue::Int64(Some(0)), _)] = &call.args[..] else {
                    return Err(format!("`{amount}` cannot be added up by group"));
                };
                let mut changed = call.clone();
                changed.args[0] = self.added(first)?;
                Ok(Expr::ScalarFunction(changed))
            }
            other => Err(format!("`{other}` cannot be added up by group")),
        }
    }

    fn added_case(&mut self, case: &Case) -> Result<Expr, Reason> {
        let mut changed = case.clone();
        for (_, then) in &mut changed.when_then_expr {
            **then = self.added(then)?;
        }
        if let Some(other) = &mut changed.else_expr {
            **other = self.added(other)?;
        }
        Ok(Expr::Case(changed))
    }

    /// How many rows a row stands for.
    fn rows(&self) -> Result<Expr, Reason> {
        let rows = self.column(ROWS);
        choose(rows.clone().is_not_null(), rows, lit(1i64))
    }

    /// How many values of a column a row stands for.
    fn values(&mut self, column: &Column) -> Result<Expr, Reason> {
        self.measure(column);
        let gathered = self.column(&count_of(&column.name));
        let single = choose(Expr::Column(column.clone()).is_not_null(), lit(1i64), lit(0i64))?;
        choose(gathered.clone().is_not_null(), gathered, single)
    }

    /// Sees to it that a gathered row tells whether any of its rows has a value.
    fn require(&mut self, name: &str) -> Result<(), Reason> {
        match self.kind(name) {
            _ if self.keys.contains(name) => {}
            DataType::Int64 => self.measure(&Column::from_name(name)).sum = true,
            DataType::Float64 => drop(self.measure(&Column::from_name(name))),
            _ => drop(self.keys.insert(name.to_owned())),
        }
        Ok(())
    }

    fn check_keys(&self) -> Result<(), Reason> {
        let odd = self.keys.iter().find(|name| !matches!(self.kind(name), DataType::Utf8View | DataType::Int64));
        match odd {
            Some(name) => Err(format!("rows cannot be grouped by `{name}`, which is neither text nor a whole number")),
            None => Ok(()),
        }
    }

    fn measure(&mut self, column: &Column) -> &mut Measure {
        let fresh = || Measure { column: column.name.clone(), sum: false, extremes: false };
        self.measures.entry(column.name.clone()).or_insert_with(fresh)
    }

    fn is_key(&self, column: &Column) -> bool {
        self.keys.contains(&column.name)
    }

    fn is_number(&self, name: &str) -> bool {
        matches!(self.kind(name), DataType::Int64 | DataType::Float64)
    }

    fn kind(&self, name: &str) -> &DataType {
        self.log.field_with_name(name).map_or(&DataType::Null, |field| field.data_type())
    }

    fn column(&self, name: &str) -> Expr {
        Expr::Column(Column::new(Some(self.table.clone()), name))
    }

    fn table(&self) -> SchemaRef {
        let own = |name: String, kind: DataType| Arc::new(Field::new(name, kind, true));
        let mut fields: Vec<Arc<Field>> = self.log.fields().iter().cloned().collect();
        fields.push(own(ROWS.to_owned(), DataType::Int64));
        for (name, measure) in &self.measures {
            fields.push(own(count_of(name), DataType::Int64));
            if measure.extremes {
                fields.extend([least_of(name), most_of(name)].map(|extreme| own(extreme, self.kind(name).clone())));
            }
        }
        Arc::new(Schema::new(fields))
    }
}

/// The first constant that is too large to be multiplied by a number of rows.
const FACTOR_END: u64 = 1 << 20;

fn sum(amount: Expr, filter: Option<&Expr>) -> Result<Expr, Reason> {
    let function = session::aggregate("sum").map_err(|error| error.to_string())?;
    let filter = filter.cloned().map(Box::new);
    Ok(Expr::AggregateFunction(AggregateFunction::new_udf(function, vec![amount], false, filter, Vec::new(), None)))
}

fn choose(condition: Expr, then: Expr, otherwise: Expr) -> Result<Expr, Reason> {
    when(condition, then).otherwise(otherwise).map_err(|error: DataFusionError| error.to_string())
}
