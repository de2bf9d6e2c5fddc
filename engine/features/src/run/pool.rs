//! Memory of a query, which is also memory of all queries that run at the same time.

use std::fmt;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation};

/// A query's own bound within the bound of all.
#[derive(Debug)]
pub(crate) struct Share {
    own: GreedyMemoryPool,
    own_bytes: usize,
    all: Arc<GreedyMemoryPool>,
    all_bytes: usize,
}

impl Share {
    /// A query that may take `own_bytes` of the `all_bytes` that `all` has.
    pub(crate) fn new(own_bytes: usize, all: Arc<GreedyMemoryPool>, all_bytes: usize) -> Self {
        Self { own: GreedyMemoryPool::new(own_bytes), own_bytes, all, all_bytes }
    }

    /// Whether half of either bound is taken.
    pub(crate) fn is_half_full(&self) -> bool {
        self.own.reserved() > self.own_bytes / 2 || self.all.reserved() > self.all_bytes / 2
    }
}

impl MemoryPool for Share {
    fn name(&self) -> &str {
        "share"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.all.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.all.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional)?;
        self.all.try_grow(reservation, additional).inspect_err(|_| self.own.shrink(reservation, additional))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.own_bytes)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} within {}", self.own, self.all)
    }
}
