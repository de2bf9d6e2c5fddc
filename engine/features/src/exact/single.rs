//! An accumulator of groups used for one group only.

use std::fmt::Debug;

use arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue, not_impl_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// Where a query has no `GROUP BY`, all rows are one group.
#[derive(Debug)]
pub(crate) struct Single<G>(pub(crate) G);

impl<G: GroupsAccumulator + Debug + Sync> Accumulator for Single<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; values[0].len()];
        self.0.update_batch(values, &groups, None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let values = self.0.evaluate(EmitTo::All)?;
        if values.is_empty() {
            ScalarValue::try_from(values.data_type())
        } else {
            ScalarValue::try_from_array(&values, 0)
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        not_impl_err!("exact statistics are made in one stage")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        not_impl_err!("exact statistics are made in one stage")
    }
}
