//! Two configurations over the same logs and time: what changes for whoever reads the alerts.

mod compare;
mod revision;
mod side;
mod text;

pub use compare::compare;
pub use revision::resolve;
pub use side::Sides;
pub use text::{markdown, plain_text};
