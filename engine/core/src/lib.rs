//! The nouns of margay: time, entity, feature table, score, gate, alert. No I/O, no clock.

pub mod access;
pub mod address;
pub mod alert;
pub mod digest;
pub mod entity;
pub mod grouping;
pub mod log;
pub mod members;
pub mod nullable;
pub mod score;
pub mod table;
pub mod time;

pub use access::{Access, Login, Secret};
pub use address::is_local;
pub use alert::{
    Alert, AlertStatus, Gate, GateName, Incident, ModelInfo, Reading, Records, Silenced, SuspiciousRecords,
};
pub use digest::{digest, fnv1a};
pub use entity::Entity;
pub use grouping::{Grouping, Measure};
pub use members::Members;
pub use score::{Direction, JOINT, Score, ScoreState};
pub use table::{FeatureTable, Fill};
pub use time::{Bucket, Period, Time, TimeError, TimeRange};
