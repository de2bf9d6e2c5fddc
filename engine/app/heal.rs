//! Damaged features: the file is set aside, and what it was about is read from the logs again.

use margay_features::StoreError;
use tracing::warn;

use crate::ingest::{Ready, chain};
use crate::judge::{JudgeError, Ran, Task, judge};
use crate::records::Ingested;
use crate::state::{State, StateError};

/// Judges; a detector whose features are damaged fails this time, and is healed for the next.
///
/// # Errors
/// As [`judge`].
pub fn judge_or_heal(task: &Task, state: &State) -> Result<Ran, JudgeError> {
    judge(task, state).inspect_err(|error| {
        if let JudgeError::Features(error) = error {
            heal(&task.ready, state, error);
        }
    })
}

/// Sees to it that the next cycle reads the logs of the damaged file's time again. Until then its previous generation stands
/// in; where the logs are gone, it stays.
pub fn heal(ready: &Ready, state: &State, error: &StoreError) {
    let (detector, damage) = (&ready.definition.name, chain(error));
    match ready.store.set_aside(error) {
        Ok(None) => {}
        Ok(Some(range)) => match forget(ready, state, range) {
            Ok(files) => warn!(detector, damage, files, "damaged features are set aside; their logs are read again"),
            Err(error) => warn!(detector, error = chain(&error), "logs of damaged features cannot be read again"),
        },
        Err(error) => warn!(detector, error = chain(&error), "damaged features cannot be set aside"),
    }
}

/// Forgets that files were read which have rows of a time; how many.
fn forget(ready: &Ready, state: &State, range: margay_core::TimeRange) -> Result<usize, StateError> {
    let known = state.ingested(&ready.key())?;
    let files = known.files.iter().filter(|(_, span)| !span.overlaps(&range));
    let kept = Ingested { files: files.map(|(name, span)| (name.clone(), *span)).collect(), ..known.clone() };
    let change = state.write()?;
    change.put_ingested(&ready.key(), &kept)?;
    change.commit()?;
    Ok(known.files.len() - kept.files.len())
}
