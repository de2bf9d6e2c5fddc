//! DataFusion's `min`, `max`, `median` and `percentile_cont` without what makes them depend on the order of rows:
//! not-a-numbers, which compare with nothing, and negative zeros, which are equal to others.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
};

/// A function that sees null in place of not-a-number, and one zero.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Clean(pub(super) Arc<AggregateUDF>);

impl AggregateUDFImpl for Clean {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.0.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(CleanRows(self.0.accumulator(args)?)))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.0.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(CleanGroups(self.0.create_groups_accumulator(args)?)))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn supports_within_group_clause(&self) -> bool {
        self.0.supports_within_group_clause()
    }
}

#[derive(Debug)]
struct CleanRows(Box<dyn Accumulator>);

impl Accumulator for CleanRows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&clean(values))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }
}

struct CleanGroups(Box<dyn GroupsAccumulator>);

impl Debug for CleanGroups {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("CleanGroups")
    }
}

impl GroupsAccumulator for CleanGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) -> Result<()> {
        self.0.update_batch(&clean(values), groups, filter, group_count)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        self.0.evaluate(emit)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.0.merge_batch(values, groups, group_count)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(&clean(values), filter)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

fn clean(values: &[ArrayRef]) -> Vec<ArrayRef> {
    values.iter().map(clean_one).collect()
}

fn clean_one(values: &ArrayRef) -> ArrayRef {
    let Some(numbers) = values.as_primitive_opt::<Float64Type>() else { return values.clone() };
    let is_odd = |number: &f64| number.is_nan() || (*number == 0.0 && number.is_sign_negative());
    if !numbers.values().iter().any(is_odd) {
        return values.clone();
    }
    let plain = numbers.iter().map(|number| number.filter(|number| !number.is_nan()).map(|number| number + 0.0));
    Arc::new(plain.collect::<Float64Array>())
}
