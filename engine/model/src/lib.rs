//! Series to forecast and score.

mod auto;
#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod calibration;
mod carry;
mod decompose;
mod distribution;
mod habit;
mod latency;
mod level;
mod limit;
mod model;
mod novelty;
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
mod views;

pub use limit::Limit;
pub use model::{Model, Snapshot};
pub use spec::{History, Kind, Observation, Past, Spec};
