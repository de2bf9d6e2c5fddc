//! Other thresholds tried on scores that are kept: how often each would have alerted, and what it would have missed.
//!
//! Nothing is scored again. Thresholds have a small say in scores, too: a bucket of an open episode is not learnt. So
//! what is recommended here is exact but for that, and `diff` replays it to the bit.

mod candidate;
mod change;
mod grid;
mod labels;
mod past;

pub use candidate::{Budget, Candidate, Tuned, tune};
pub use change::{edits, unified};
pub use labels::{Label, read as read_labels};
pub use past::{Collector, Past};
