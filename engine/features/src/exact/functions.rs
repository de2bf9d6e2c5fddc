//! The aggregate functions that replace DataFusion's.

use std::hash::Hash;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::count::Count;
use datafusion::functions_aggregate::median::median_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::percentile_cont::percentile_cont_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use super::clean::Clean;
use super::distinct::Distinct;
use super::members::Listing;
use super::single::Single;
use super::totals::{Statistic, Totals};

/// Functions that take the place of DataFusion's of the same name.
pub(crate) fn aggregates() -> Vec<Arc<AggregateUDF>> {
    let exact = [
        ("sum", &[][..], Statistic::Sum),
        ("avg", &["mean"][..], Statistic::Mean),
        ("var", &["var_sample", "var_samp"][..], Statistic::VarianceSample),
        ("var_pop", &["var_population"][..], Statistic::VariancePopulation),
        ("stddev", &["stddev_samp"][..], Statistic::DeviationSample),
        ("stddev_pop", &[][..], Statistic::DeviationPopulation),
    ];
    let exact = exact.map(|(name, aliases, statistic)| AggregateUDF::from(Exact::new(name, aliases, statistic)));
    let clean =
        [max_udaf(), min_udaf(), median_udaf(), percentile_cont_udaf()].map(|plain| AggregateUDF::from(Clean(plain)));
    exact
        .into_iter()
        .chain(clean)
        .chain([AggregateUDF::from(Counting::default()), AggregateUDF::from(Listing::default())])
        .map(Arc::new)
        .collect()
}

/// A statistic of numbers that does not depend on their order. Its result is `Float64`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Exact {
    name: &'static str,
    aliases: Vec<String>,
    statistic: Statistic,
    signature: Signature,
}

impl Exact {
    fn new(name: &'static str, aliases: &[&str], statistic: Statistic) -> Self {
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        Self { name, aliases, statistic, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Exact {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [input] = types else {
            return plan_err!("{} takes one number, not {} values", self.name, types.len());
        };
        let ints_stay = !self.statistic.needs_squares();
        match input {
            other if other.is_integer() && !ints_stay => Ok(vec![DataType::Float64]),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Ok(vec![DataType::Int64]),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Ok(vec![DataType::Int64]),
            DataType::Null => Ok(vec![DataType::Float64]),
            other if other.is_numeric() => Ok(vec![DataType::Float64]),
            other => plan_err!("{} takes a number, not {other}", self.name),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[state]", args.name), DataType::Float64, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single(Totals::new(self.statistic, args.expr_fields[0].data_type()))))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Totals::new(self.statistic, args.expr_fields[0].data_type())))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// DataFusion's `count`, but for `DISTINCT`, which there costs some 40 KB a group.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Counting {
    plain: Count,
}

impl AggregateUDFImpl for Counting {
    fn name(&self) -> &str {
        self.plain.name()
    }

    fn signature(&self) -> &Signature {
        self.plain.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.plain.return_type(types)
    }

    fn is_nullable(&self) -> bool {
        self.plain.is_nullable()
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.plain.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match args.expr_fields {
            [field] if args.is_distinct => Ok(Box::new(Single(Distinct::new(field.data_type())?))),
            _ => self.plain.accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        args.exprs.len() == 1
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match args.expr_fields {
            [field] if args.is_distinct => Ok(Box::new(Distinct::new(field.data_type())?)),
            _ => self.plain.create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }
}
