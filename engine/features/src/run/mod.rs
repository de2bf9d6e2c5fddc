//! Plans at work on the rows of a log.

mod aggregate;
mod collect;
mod error;
mod feed;
mod lane;
mod queue;
mod split;

pub use aggregate::{Limits, aggregate};
pub use error::RunError;
pub use feed::Feed;
pub(crate) use lane::shaped;
pub(crate) use queue::{Queue, Taken};
pub(crate) use split::{bucket_field, spans};
