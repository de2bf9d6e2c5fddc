//! Rows of a log as Arrow batches: from files (NDJSON, CSV and Parquet, plain or compressed), or from Elasticsearch.
//!
//! [`Log::open`] finds the files and the columns, [`Log::connect`] does so for an index; [`Log::list`] says what there
//! is; [`Log::scan`] reads a time range on several threads, decoding only the columns that are asked for. Batches
//! follow the convention of [`margay_core::log`]. Nothing that a file holds ends a scan: a bad row is counted and
//! sampled, a bad file is named. An index is read whole or not at all.

mod arrays;
mod batch;
mod column;
mod csv;
mod error;
mod files;
mod index;
mod infer;
mod input;
mod json;
mod lines;
mod log;
mod ndjson;
mod normal;
mod parquet;
mod presets;
mod raw;
mod report;
mod scan;
mod spec;
mod time;

pub use column::Kind;
pub use error::SourceError;
pub use files::FileInfo;
pub use index::{Examination, IndexSpec, PullLimits};
pub use log::Log;
pub use presets::{PresetColumn, preset_columns};
pub use report::{BAD_SAMPLES_MOST, BadRow, FileReport, ScanReport};
pub use scan::{Flow, Scan};
pub use spec::{LogSpec, Preset, Shape, TimeFormat, UnknownName};

#[cfg(test)]
mod tests;
