//! One file of exclusions.d: a time that is no part of normal.

use garde::Validate;
use margay_core::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::selector::Selector;

/// An incident or a maintenance: its buckets are not judged and not learnt, those of the past included. Adding or
/// changing one judges anew what it touches, and withdraws alerts that no longer hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(title = "margay exclusion")]
pub struct ExclusionFile {
    /// What is left out.
    #[garde(dive)]
    pub selector: Selector,
    /// Start of the time that is left out.
    #[garde(skip)]
    pub from: Time,
    /// End of it. Buckets that overlap the time at all are left out.
    #[garde(skip)]
    pub to: Time,
    /// What happened, for whoever reads this next year. Shown at the gate that it closes.
    #[garde(length(min = 1))]
    pub reason: String,
    /// Who knows more: a team or a person.
    #[garde(length(min = 1))]
    pub owner: String,
}
