//! Features of every (entity, bucket).

use crate::entity::Entity;
use crate::members::Members;
use crate::time::{Period, Time};

/// What a bucket without a row of the entity means for a feature, while its log had other rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Fill {
    /// Nothing happened: sums and counts are zero.
    Zero,
    /// Nothing is known: means, extremes, ratios and quantiles are missing.
    Missing,
}

/// Features of one detector, one row for each (entity, bucket) that had log rows, in columns.
///
/// All columns are equally long. Rows are ordered by bucket, then entity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureTable {
    /// Length of the buckets.
    pub bucket: Period,
    /// Names of the features, in the order of `values`.
    pub features: Vec<String>,
    /// Distinct entities, ordered; rows refer to them by index.
    pub entities: Vec<Entity>,
    /// Entity of each row: an index into `entities`.
    pub entity: Vec<u32>,
    /// Start of each row's bucket.
    pub bucket_start: Vec<Time>,
    /// One column for each feature; `NaN` is SQL's null. Of a list it is the number of its distinct members, all of them.
    pub values: Vec<Vec<f64>>,
    /// The members of each feature that is a list; `None`, or nothing at all, for features that are numbers.
    pub members: Vec<Option<Members>>,
    /// True where every field that the detector requires had a value in the bucket.
    pub detailed: Vec<bool>,
    /// True where all rows of the bucket matched an exclusion, so that no feature is known.
    pub excluded: Vec<bool>,
    /// Buckets in which the log had any row at all, whoever it was about; ordered, without repeats.
    pub covered: Vec<Time>,
    /// About how many entities the pass that made the table left out, because they were too many; 0 in what was stored.
    pub left_out: u64,
}

impl FeatureTable {
    /// The members of a feature, if it is a list.
    #[must_use]
    pub fn members(&self, feature: usize) -> Option<&Members> {
        self.members.get(feature)?.as_ref()
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entity.len()
    }

    /// True where there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entity.is_empty()
    }
}
