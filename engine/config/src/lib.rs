//! margay.yaml and detectors.d: types, defaults, schema, checks with positions.
//!
//! [`load`] reads everything and tells **all** problems of all files. A file goes through these steps: guards on
//! its bytes, YAML into a tree with places, the tree against the schema of the types, the typed value, and the rules
//! across keys.

pub mod beside;
pub mod calendar;
pub mod daemon;
pub mod days;
pub mod detector;
pub mod engine;
pub mod exclusion;
pub mod features;
pub mod log;
pub mod model;
pub mod quantity;
pub mod recurrence;
pub mod selector;
pub mod silence;
pub mod sink;
pub mod sustained;
pub mod web;

mod digest;
mod document;
mod exchange;
mod expression;
mod files;
mod forms;
mod hint;
mod ical;
mod load;
mod node;
mod patch;
mod problem;
mod rules;
mod schema;
mod shape;
mod source;
mod typed;
mod within;
mod yaml;

pub use beside::{Beside, LoadedCalendar, LoadedFile};
pub use calendar::{CalendarFile, Date, SpecialDay, Zone};
pub use daemon::Daemon;
pub use days::Day;
pub use detector::{
    AlertText, Budget, DEFAULT_EXCEEDANCES_A_DAY, DEFAULT_SUMMARY, Detector, Exclusion, Mode, PolicyKind, Quarantine,
    Respond, SpecialDays, Threshold, TreatAs,
};
pub use engine::{Engine, Limits, QuarantineMode, QuarantineSettings, Response, State, TeamBudget};
pub use exchange::{ForeignDocument, Item, Tree, read_foreign, read_foreign_bytes, text_problems};
pub use exclusion::ExclusionFile;
pub use features::Features;
pub use load::{Loaded, LoadedDetector, load, load_detectors};
pub use log::{Elasticsearch, Log, Preset, TimeField, TimeFormat};
pub use model::{Beacon, Changepoint, Cohort, Dga, History, Limit, Model, Network, Novelty, Rare, Scan, Tunnel};
pub use patch::{Edit, PatchError, patch_detector};
pub use problem::{Problem, Severity, shown};
pub use quantity::{Quantity, QuantityError};
pub use recurrence::{Recurrence, RecurrenceError};
pub use schema::{SchemaKind, schema, schema_of};
pub use selector::Selector;
pub use silence::SilenceFile;
pub use sink::{
    AlertmanagerSink, Delivery, ElasticsearchSink, FileSink, Format, IndexKind, Sink, SlackSink, StdoutSink,
    WebhookSink, sink_names,
};
pub use source::Place;
pub use sustained::{Sustained, SustainedError};
pub use typed::{Typed, read_typed, yaml_files};
pub use web::Web;

#[cfg(test)]
mod tests;
