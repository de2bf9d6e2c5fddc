//! A bounded queue of batches from the threads that read to the one that runs a plan.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;

/// Batches that wait at most.
const WAITING_MOST: usize = 4;

/// The queue. It also measures how long its reader worked, that is, did not wait for a batch.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// A batch came, or no more will.
    filled: Condvar,
    /// A batch was taken, or none will be any more.
    emptied: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<RecordBatch>,
    phase: Phase,
    worked: Duration,
    /// Since when the reader has been at work.
    at_work: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// No more batches will come.
    Finished,
    /// No more batches will be taken.
    Closed,
}

/// What the reader gets.
pub(crate) enum Taken {
    /// The next batch.
    Batch(RecordBatch),
    /// There are no more.
    End,
    /// Nobody waits for the result.
    Abandoned,
}

impl Queue {
    /// Empty and open; the reader's work counts from now.
    pub(crate) fn new() -> Self {
        let state = State {
            waiting: VecDeque::new(),
            phase: Phase::Open,
            worked: Duration::ZERO,
            at_work: Some(Instant::now()),
        };
        Self { state: Mutex::new(state), filled: Condvar::new(), emptied: Condvar::new() }
    }

    /// Waits for room and adds a batch; false where nobody will take it.
    pub(crate) fn push(&self, batch: RecordBatch) -> bool {
        let mut state = self.lock();
        while state.phase == Phase::Open && state.waiting.len() >= WAITING_MOST {
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.phase != Phase::Open {
            return false;
        }
        state.waiting.push_back(batch);
        self.filled.notify_one();
        true
    }

    /// Waits for the next batch.
    pub(crate) fn take(&self) -> Taken {
        let mut state = self.lock();
        state.rest();
        while state.phase == Phase::Open && state.waiting.is_empty() {
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.at_work = Some(Instant::now());
        if state.phase == Phase::Closed {
            return Taken::Abandoned;
        }
        self.emptied.notify_one();
        state.waiting.pop_front().map_or(Taken::End, Taken::Batch)
    }

    /// Says that no more batches will come.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Finished;
        }
        self.filled.notify_all();
    }

    /// Says that no more batches will be taken, and drops those that wait.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        state.waiting.clear();
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// True where batches are still taken.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().phase == Phase::Open
    }

    /// How long the reader has worked so far.
    pub(crate) fn worked(&self) -> Duration {
        let state = self.lock();
        state.worked + state.at_work.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rest(&mut self) {
        if let Some(since) = self.at_work.take() {
            self.worked += since.elapsed();
        }
    }
}
