//! Bounds of the batches that go through a query.

/// Rows of a batch at most.
pub(crate) const ROWS_MOST: usize = 4096;
