//! Rows to series by SQL, and the feature store.
//!
//! [`Plan::compile`] checks a detector's query, [`aggregate`] runs plans over one pass of a log, [`sample`] finds
//! the rows behind an alert, [`Store`] keeps the features. The only crate that knows DataFusion.

mod exact;
mod plan;
mod query;
mod rows;
mod run;
mod sample;
mod sql;
mod store;

pub use plan::{Gathered, Plan};
pub use query::{Body, Exclude, Part, Query, QueryError};
pub use run::{Feed, Limits, RunError, aggregate};
pub use sample::{Want, sample, sample_columns};
pub use store::{DEFINITIONS_MOST, Layout, Store, StoreError};

#[cfg(test)]
mod tests;
