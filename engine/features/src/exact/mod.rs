//! Aggregate functions whose results do not depend on the order of the rows, and that are cheap by group.

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
