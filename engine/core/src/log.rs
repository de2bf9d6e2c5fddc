//! What rows of a log look like between the source and the features: Arrow batches by convention.
//!
//! Every batch has two `Int64` columns, [`START`] and [`END`]: the milliseconds that the record
//! spans. Equal values mean an instant. Fields whose metadata hold [`ADDITIVE`] are amounts
//! accumulated over that span, so they may be apportioned; all others are copied.

/// Column with the first millisecond of the record's span.
pub const START: &str = "__start_ms";
/// Column with the end of the record's span in milliseconds, exclusive; equal to the start for an instant.
pub const END: &str = "__end_ms";
/// Key in a field's metadata: the values add up over time.
pub const ADDITIVE: &str = "margay.additive";
/// Column that the features stage adds: start of the bucket, `Timestamp(Millisecond, UTC)`.
pub const BUCKET_START: &str = "bucket_start";
/// Column of gathered rows (see [`crate::Grouping`]): how many rows each stands for. Other rows have none.
pub const ROWS: &str = "__rows";

/// Column of gathered rows: how many values of `column` each stands for.
#[must_use]
pub fn count_of(column: &str) -> String {
    format!("__count_{column}")
}

/// Column of gathered rows: the least of the values of `column`.
#[must_use]
pub fn least_of(column: &str) -> String {
    format!("__least_{column}")
}

/// Column of gathered rows: the greatest of the values of `column`.
#[must_use]
pub fn most_of(column: &str) -> String {
    format!("__most_{column}")
}
