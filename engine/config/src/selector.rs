//! Which detectors and entities a file of exclusions.d, silences.d or a budget is about.

use std::collections::BTreeMap;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is meant: everything that is named here must match, and at least one thing must be named. In every text `*`
/// stands for any characters and `?` for one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// Names of detectors, one of which must match. `"*"` means all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[garde(inner(length(min = 1)))]
    pub detectors: Vec<String>,
    /// Tags, one of which a tag of the detector must match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[garde(inner(length(min = 1)))]
    pub tags: Vec<String>,
    /// Names of logs, one of which the detector must read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[garde(inner(length(min = 1)))]
    pub logs: Vec<String>,
    /// Columns of the entity and the values that they must match, all of them. A column may be named without its side:
    /// `namespace` means `source_namespace`, `dest_namespace` and `client_namespace`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[garde(skip)]
    pub entity: BTreeMap<String, String>,
}

impl Selector {
    /// Whether nothing is named, so that everything would be meant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.detectors.is_empty() && self.tags.is_empty() && self.logs.is_empty() && self.entity.is_empty()
    }
}
