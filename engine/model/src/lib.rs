//! Series to forecast and score.

mod auto;
mod beacon;
#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod calibration;
mod carry;
mod changepoint;
mod cohort;
mod decompose;
mod dga;
mod distribution;
mod edges;
mod entropy;
mod habit;
mod latency;
mod level;
mod limit;
mod model;
mod multivariate;
mod names;
mod neural;
mod novelty;
mod panel;
mod pca;
mod pool;
mod prototypes;
mod rare;
mod rate;
mod robust;
mod role;
mod scan;
mod season;
mod seasonal;
mod shapes;
mod signal;
mod snapshot;
mod spec;
mod tail;
mod tails;
mod track;
#[cfg(test)]
mod trial;
mod tunnel;
mod unrest;
mod verdict;
mod views;

pub use beacon::Beacon;
pub use changepoint::Changepoint;
pub use cohort::Cohort;
pub use dga::{Dga, classify};
pub use limit::Limit;
pub use model::{EVIDENCE_MOST, Model};
pub use rare::Rare;
pub use scan::Scan;
pub use shapes::Shapes;
pub use snapshot::{Snapshot, Summary};
pub use spec::{History, Kind, Observation, Past, Spec};
pub use tunnel::Tunnel;
