//! Why a plan has no result.

use datafusion::error::DataFusionError;
use margay_core::{Period, Time};

use crate::sql::complaint::plain_message;

/// Why a plan has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    /// The plan keeps more than its limit, such as too many entities or too many distinct values.
    #[error("the query needs more than its {limit_bytes} bytes of memory: {message}")]
    Memory {
        /// The limit.
        limit_bytes: u64,
        /// What did not fit.
        message: String,
    },
    /// There are more rows of entities and buckets than the limit.
    #[error("{groups} rows of (entity, bucket) are more than the limit of {limit}; {} were left out", groups - limit)]
    Groups {
        /// How many there are.
        groups: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// The plan worked for longer than its limit; waiting for rows does not count.
    #[error("the query was ended after {0} of work")]
    Timeout(Period),
    /// A value did not suit the query.
    #[error("the query failed: {0}")]
    Query(String),
    /// The engine has an error.
    #[error("the query engine failed: {0}")]
    Panic(String),
    /// The rows of the log do not follow the convention of [`margay_core::log`].
    #[error("the rows of the log cannot be used: {0}")]
    Rows(String),
    /// A statement yields times that are not the start of a bucket.
    #[error("the statement yields {0}, which is not the start of a bucket")]
    OffGrid(Time),
    /// A statement yields an entity twice in a bucket.
    #[error("the statement yields `{entity}` more than once in the bucket {bucket}")]
    Repeated {
        /// The entity, as JSON.
        entity: String,
        /// The bucket.
        bucket: Time,
    },
}

impl RunError {
    pub(crate) fn of_query(error: &DataFusionError, memory_bytes: u64) -> Self {
        let message = plain_message(error);
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Memory { limit_bytes: memory_bytes, message },
            _ => Self::Query(message),
        }
    }
}
