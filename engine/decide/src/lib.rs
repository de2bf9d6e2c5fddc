//! Scores to findings to alerts.
//!
//! A bucket of an entity passes a row of gates ([`Rule`], [`core::GateName`](margay_core::GateName)) and becomes a
//! finding; adjacent findings are one [`Episode`], which is what people are told about; alerts of one entity at
//! overlapping times are one incident. Pure: no I/O, no clock.

pub mod budget;
pub mod episode;
#[cfg(test)]
mod fixture;
mod gate;
pub mod incident;
pub mod measure;
mod number;
pub mod rule;
pub mod selector;
pub mod silence;
pub mod tracker;
pub mod trial;

pub use budget::{History, budget_score};
pub use episode::{Episode, Event, Peak};
pub use incident::{Incidents, incidents};
pub use measure::{alert_id, expected_false_per_week, severity};
pub use rule::{Judged, Rule};
pub use selector::{Origin, Selector};
pub use silence::{Silence, silenced};
pub use tracker::{Tracker, Verdict, expire, explain, judge};
