//! What is known of a log in Elasticsearch before it is asked.

use std::time::Duration;

use margay_core::Access;

use crate::spec::Shape;

/// A log in Elasticsearch or OpenSearch.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexSpec {
    /// Name in the configuration; only used in messages.
    pub name: String,
    /// Where it is.
    pub cluster: Access,
    /// Names of indices, aliases or data streams, with `*` and commas.
    pub index: String,
    /// How its records are to be understood.
    pub shape: Shape,
    /// Bounds of one pull.
    pub limits: PullLimits,
}

/// Bounds of one pull. Where one is exceeded the pull fails and says so: nothing is read short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullLimits {
    /// Rows at most.
    pub rows: u64,
    /// Bytes of answers at most.
    pub bytes: u64,
    /// Time at most.
    pub time: Duration,
}
