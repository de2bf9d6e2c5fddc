//! Alerts and policies as text. Nothing that comes from a log changes the structure of what is
//! rendered: values are escaped by the format they go to, documents are parsed before their leaf
//! strings are rendered, and policies are parsed back and compared with what was meant.

mod alertmanager;
mod context;
mod document;
mod error;
mod event;
mod event_mapping;
mod guard;
mod helpers;
#[cfg(test)]
mod hostile;
mod html;
mod json;
mod lint;
mod markdown;
mod plain;
mod policy;
mod sample;
mod slack;
mod templates;
mod units;

pub use alertmanager::{Firing, alertmanager_alert, is_over};
pub use error::{RenderError, TemplateError};
pub use event::calico_event;
pub use event_mapping::calico_event_mapping;
pub use html::html;
pub use json::{alert_json, alert_schema, json_line};
pub use markdown::markdown;
pub use plain::{VALUE_CHARS_MOST, plain};
pub use policy::{PolicyError, PolicyFiles, PolicyKind, Quarantine, quarantine};
pub use slack::slack_message;
pub use templates::Templates;
