//! Series to forecast and score.

mod auto;
mod decompose;
mod distribution;
mod latency;
mod level;
mod limit;
mod model;
mod pool;
mod rate;
mod robust;
mod role;
mod season;
mod seasonal;
mod signal;
mod spec;
mod tail;
mod track;
mod verdict;

pub use limit::Limit;
pub use model::{Model, Snapshot};
pub use spec::{History, Kind, Observation, Past, Spec};
