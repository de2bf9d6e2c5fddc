//! Plans at work on the rows of a log.

mod aggregate;
mod collect;
mod door;
mod error;
mod feed;
mod lane;
mod pool;
mod queue;
mod split;

pub use aggregate::{Limits, aggregate};
pub(crate) use door::{Doorkeeper, Known};
pub use error::RunError;
pub use feed::Feed;
pub(crate) use lane::shaped;
pub(crate) use queue::{Queue, Taken};
pub(crate) use split::{bucket_field, spans};
