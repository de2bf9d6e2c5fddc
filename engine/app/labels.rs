//! What people said of alerts, and what follows from it.

use margay_core::{Entity, Period, Time, TimeRange};
use serde::{Deserialize, Serialize};

use crate::exempt::{Effect, Exempt, Span, Target};
use crate::ingest::Ready;
use crate::state::{State, StateError};

/// What a person said of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Id of the alert.
    pub alert: String,
    /// Its detector.
    pub detector: String,
    /// What it was about.
    pub entity: Entity,
    /// Start of its first anomalous bucket.
    pub start: Time,
    /// End of its last anomalous bucket when the label was given.
    pub end: Time,
    /// Whether it told of something real.
    pub label: bool,
    /// What the person had to say.
    pub note: Option<String>,
    /// When the label was given.
    pub at: Time,
}

/// All labels, by start, detector and entity.
///
/// # Errors
/// The state cannot be read.
pub fn labels(state: &State) -> Result<Vec<Label>, StateError> {
    let mut labels = state.labels()?;
    labels.sort_by(|one, other| {
        (one.start, &one.detector, &one.entity).cmp(&(other.start, &other.detector, &other.entity))
    });
    Ok(labels)
}

/// Keeps what was real out of what is normal: the buckets of such alerts do not train.
pub fn keep_out_of_training(labels: &[Label], ready: &mut [Ready]) {
    for label in labels.iter().filter(|label| label.label) {
        let own = ready.iter_mut().find(|ready| ready.definition.name == label.detector);
        let Some(ready) = own else { continue };
        let range = TimeRange { start: label.start, end: label.end };
        ready.definition.judgement.exempts.push(Exempt {
            effect: Effect::Unlearnt,
            reason: label.note.clone().unwrap_or_default(),
            target: Target::One(label.entity.clone()),
            spans: vec![Span { range, shift: Period(0) }],
        });
    }
}
