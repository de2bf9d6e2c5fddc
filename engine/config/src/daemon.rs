//! What `margay run` does between two cycles.

use garde::Validate;
use margay_core::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How `margay run` goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Daemon {
    /// How often the content of the configuration is compared with the one in use. A change is taken over once it has
    /// no error; until then the last good configuration stays in use.
    #[garde(skip)]
    pub reload: Period,
    /// How long a cycle waits for one detector. A detector that takes longer has the state `running` and goes on beside
    /// the others; its result is kept as soon as it is there.
    #[garde(skip)]
    pub detector_timeout: Period,
    /// Alerts about a time longer ago than this are kept and listed, but not delivered: after a long stop, or when the
    /// first run learns from history.
    #[garde(skip)]
    pub alert_age: Period,
}

impl Daemon {
    /// Least of each of its periods.
    pub const LEAST: Period = Period::SECOND;
}

impl Default for Daemon {
    fn default() -> Self {
        Self { reload: Period::SECOND.times(10), detector_timeout: Period::SECOND.times(30), alert_age: Period::DAY }
    }
}
