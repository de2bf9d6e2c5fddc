//! Features → model → decide for one detector in one cycle, apart from all others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use margay_core::{FeatureTable, Period, Time, TimeRange};
use margay_features::StoreError;
use margay_model::Summary;

use crate::detect::{Outcome, Wish};
use crate::ingest::Ready;
use crate::memory::{Judgement, Memory};
use crate::records::{DetectorRecord, Dirty};
use crate::state::{State, StateError};

/// Why a detector could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// What it remembers cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its stored features cannot be read.
    #[error("stored features cannot be read")]
    Features(#[from] StoreError),
}

/// What a detector should do in a cycle.
#[derive(Clone)]
pub struct Task {
    /// The detector.
    pub ready: Arc<Ready>,
    /// Buckets that end by this time are complete.
    pub until: Time,
    /// Train at the end, besides the schedule.
    pub train: bool,
    /// Keep every score.
    pub keep_scores: bool,
    /// The process is at its limit of memory: nobody new is remembered.
    pub is_memory_full: bool,
    /// All features, where this was their first pass.
    pub fresh: Option<Arc<FeatureTable>>,
}

impl Task {
    /// Judge what is stored up to `until`, and train only when it is due.
    #[must_use]
    pub fn up_to(until: Time, ready: &Arc<Ready>) -> Self {
        Self { ready: ready.clone(), until, train: false, keep_scores: false, is_memory_full: false, fresh: None }
    }
}

/// One detector after it ran.
pub struct Ran {
    /// What it remembers now.
    pub memory: Memory,
    /// What it came to.
    pub outcome: Outcome,
    /// Events up to this time were told before.
    pub told_until: Time,
    /// Buckets that had been judged were judged again: late rows changed them, an exclusion did, or the memory was
    /// unreadable.
    pub anew: bool,
    /// What a training besides the schedule learnt.
    pub trained: Option<Trained>,
    /// The mark of changed features that this run has dealt with.
    pub dirty: Option<Dirty>,
    /// Nobody new was remembered, because the process is at its limit of memory.
    pub is_memory_full: bool,
}

/// A training, and how long it took.
#[derive(Clone, Debug)]
pub struct Trained {
    /// What it learnt.
    pub summary: Summary,
    /// From buckets before this time.
    pub until: Time,
    /// How long it took.
    pub took: Duration,
}

/// Judges every complete bucket from the first one not yet judged; from the start where rows came late.
///
/// # Errors
/// The state or the stored features cannot be read.
pub fn judge(task: &Task, state: &State) -> Result<Ran, JudgeError> {
    let definition = &task.ready.definition;
    let dirty = state.dirty(&task.ready.key())?;
    let record = state.detector(&definition.name)?;
    let old = record.as_ref().and_then(|record| postcard::from_bytes::<Memory>(&record.memory).ok());
    let cursor = old.as_ref().and_then(Memory::next).unwrap_or(Time::MIN);
    let same = record.as_ref().is_some_and(|record| record.model_digest == definition.model_digest)
        && !old.as_ref().is_some_and(|memory| memory.is_budgeted_otherwise(&definition.judgement));
    let late = same && dirty.as_ref().is_some_and(|dirty| dirty.range.start < cursor);
    let exempted = old.as_ref().is_some_and(|memory| memory.is_exempted_otherwise(&definition.judgement));
    let forgotten = record.as_ref().is_some_and(DetectorRecord::has_memory) && old.is_none();
    let mut memory = match old {
        Some(memory) if same && !late && !exempted => memory,
        _ => Memory::new(&definition.judgement),
    };
    let wish = Wish { scores_from: task.keep_scores.then_some(Time::MIN), explain: None };
    let table = table(task, &memory)?;
    let judgement =
        if task.is_memory_full { closed(&definition.judgement, &memory) } else { definition.judgement.clone() };
    let mut outcome = memory.advance(&judgement, &table, task.until, &wish);
    let trained = if task.train { train(&mut memory, &judgement, &table, &mut outcome) } else { None };
    let told_until = if same { Time::MIN } else { cursor };
    let anew = late || exempted || forgotten;
    Ok(Ran { memory, outcome, told_until, anew, trained, dirty, is_memory_full: task.is_memory_full })
}

/// Trains on everything judged so far; nothing where that is nothing.
fn train(memory: &mut Memory, judgement: &Judgement, table: &FeatureTable, outcome: &mut Outcome) -> Option<Trained> {
    let started = Instant::now();
    let snapshot = memory.train_now(judgement, table)?;
    let trained =
        Trained { summary: snapshot.summary().clone(), until: snapshot.trained_until(), took: started.elapsed() };
    outcome.snapshots.push(snapshot);
    Some(trained)
}

/// The same with room for nobody new. A detector that knows nobody yet may remember some all the same.
fn closed(judgement: &Judgement, memory: &Memory) -> Judgement {
    let known = memory.entities().len();
    let most = if known == 0 { judgement.entities_most } else { known.min(judgement.entities_most) };
    Judgement { entities_most: most, ..judgement.clone() }
}

/// Runs a detector over everything stored, apart from its live memory.
///
/// # Errors
/// The stored features cannot be read.
pub fn rerun(task: &Task, wish: &Wish) -> Result<(Memory, Outcome), JudgeError> {
    let mut memory = Memory::new(&task.ready.definition.judgement);
    let table = table(task, &memory)?;
    let outcome = memory.advance(&task.ready.definition.judgement, &table, task.until, wish);
    Ok((memory, outcome))
}

/// Features that are not yet judged, and, where a training is due, as far back as it may look.
fn table(task: &Task, memory: &Memory) -> Result<Arc<FeatureTable>, StoreError> {
    let next = memory.next();
    if let (Some(table), None) = (&task.fresh, next) {
        return Ok(table.clone());
    }
    let trains = task.train || memory.trains_before(task.until);
    let history = task.ready.definition.judgement.history;
    let back = |next: Time| if trains { next.minus(history).minus(Period::DAY) } else { next };
    let start = next.map_or(Time::MIN, back);
    Ok(Arc::new(task.ready.store.read(TimeRange { start, end: task.until })?))
}
