//! Aggregate functions whose results do not depend on the order of the rows, and that are cheap by group.

/// What a `GroupsAccumulator` needs only where groups are formed in several stages, which ours never are.
macro_rules! one_stage {
    ($why:literal) => {
        fn state(&mut self, _: EmitTo) -> Result<Vec<ArrayRef>> {
            not_impl_err!($why)
        }

        fn merge_batch(&mut self, _: &[ArrayRef], _: &[usize], _: usize) -> Result<()> {
            not_impl_err!($why)
        }

        fn convert_to_state(&self, _: &[ArrayRef], _: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
            not_impl_err!($why)
        }
    };
}

mod clean;
mod distinct;
mod expansion;
mod functions;
mod ints;
mod members;
mod single;
mod sums;
mod totals;

pub(crate) use functions::aggregates;
pub(crate) use members::list_type;
