//! One file of silences.d: alerts that nobody wants to be told of for a while.

use garde::Validate;
use margay_core::{Period, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::selector::Selector;

/// Alerts that are kept and counted, but not delivered. `check` fails once a silence has expired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(title = "margay silence")]
pub struct SilenceFile {
    /// Which alerts are kept back.
    #[garde(dive)]
    pub selector: Selector,
    /// From when on. The time of the alert counts (the end of the bucket that brought it), not the time on the wall.
    #[garde(skip)]
    pub from: Time,
    /// When it ends, at most 90 days after `from`. A longer peace belongs into the detector's thresholds.
    #[garde(skip)]
    pub until: Time,
    /// Why nobody wants to know.
    #[garde(length(min = 1))]
    pub reason: String,
    /// Who answers for it: a team or a person.
    #[garde(length(min = 1))]
    pub owner: String,
}

impl SilenceFile {
    /// The longest that a silence lasts.
    pub const LONGEST: Period = Period(90 * Period::DAY.0);

    /// The file's text, with a first line that tells editors its schema.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let body = serde_yaml::to_string(self).expect("texts, lists and maps with text keys are YAML");
        format!("# yaml-language-server: $schema=silence.schema.json\n{body}")
    }
}
