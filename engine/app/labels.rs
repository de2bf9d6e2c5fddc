//! What people said of alerts, and what follows from it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use margay_core::{Entity, Period, Time, TimeRange};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

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

/// Where in the state's folder labels are left for the process that writes the state.
const LEFT: &str = "labels";
/// Longest file that is taken for a label that was left, in bytes.
const LEFT_BYTES_MOST: u64 = 64 << 10;

/// What is to become of a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// It is given, instead of any that the alert has.
    Give(Label),
    /// The alert with this id loses its label.
    Remove(String),
}

impl Order {
    fn alert(&self) -> &str {
        match self {
            Self::Give(label) => &label.alert,
            Self::Remove(alert) => alert,
        }
    }

    /// Carries it out.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn carry_out(&self, state: &State) -> Result<(), StateError> {
        let change = state.write()?;
        match self {
            Self::Give(label) => change.put_label(label)?,
            Self::Remove(alert) => change.remove_label(alert)?,
        }
        change.commit()
    }

    /// Leaves it for the process that writes the state; a later one about the same alert replaces it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn leave(&self, state_dir: &Path) -> anyhow::Result<PathBuf> {
        let dir = state_dir.join(LEFT);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let file = format!("{}.json", self.alert());
        let bytes = serde_json::to_vec(self).context("a label is JSON")?;
        margay_deliver::write_file(&dir, &file, &bytes)?;
        Ok(dir.join(file))
    }
}

/// Labels that were left and not taken, by name.
#[must_use]
pub fn left(state_dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state_dir.join(LEFT)).into_iter().flatten().flatten();
    let is_whole = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_whole).collect();
    files.sort();
    files
}

/// Takes labels that were left. One that cannot be read is put aside.
///
/// # Errors
/// The state cannot be written.
pub fn take_left(state_dir: &Path, state: &State) -> Result<(), StateError> {
    for path in left(state_dir) {
        let done = match read_left(&path) {
            Ok(order) => {
                order.carry_out(state)?;
                info!(alert = order.alert(), "a label was taken over");
                fs::remove_file(&path)
            }
            Err(error) => {
                warn!(path = %path.display(), %error, "no label can be read here; the file is put aside");
                fs::rename(&path, path.with_extension("refused"))
            }
        };
        if let Err(error) = done {
            warn!(path = %path.display(), %error, "a label that was left stays and is taken again");
        }
    }
    Ok(())
}

fn read_left(path: &Path) -> io::Result<Order> {
    let most = fs::metadata(path)?.len();
    if most > LEFT_BYTES_MOST {
        return Err(io::Error::other(format!("{most} bytes are more than {LEFT_BYTES_MOST}")));
    }
    serde_json::from_slice(&fs::read(path)?).map_err(io::Error::from)
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
