//! Where the rows of a log go in.

use arrow::array::RecordBatch;

/// Takes batches of a log (see [`margay_core::log`]), from any thread and in any order.
pub struct Feed<'a> {
    take: &'a (dyn Fn(RecordBatch) -> bool + Sync),
}

impl<'a> Feed<'a> {
    pub(crate) fn new(take: &'a (dyn Fn(RecordBatch) -> bool + Sync)) -> Self {
        Self { take }
    }

    /// Hands a batch in, and waits while those before it are worked on.
    /// False where nobody listens any more, so that reading may end.
    pub fn push(&self, batch: RecordBatch) -> bool {
        batch.num_rows() == 0 || (self.take)(batch)
    }
}
