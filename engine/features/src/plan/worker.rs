//! Planning on a thread of its own: with room for deep recursion, and abandoned when it takes too long.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use crate::query::{Part, QueryError};
use crate::sql::complaint::Complaint;

/// Stack of a thread that plans or runs SQL, in bytes; only what is used of it takes memory.
pub(crate) const STACK_BYTES: usize = 64 << 20;
/// Time for planning one query at most.
const PLANNING_TIME_MOST: Duration = Duration::from_secs(10);

/// Runs `plan`.
///
/// # Errors
/// Its own, or that it panicked or took too long.
pub(crate) fn run<T, F>(plan: F) -> Result<T, Vec<QueryError>>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Vec<QueryError>> + Send + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    let spawned = std::thread::Builder::new().name("plan".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        let planned = catch_unwind(AssertUnwindSafe(plan));
        // Nobody listens where planning took too long.
        let _ = sender.send(planned);
    });
    let fail = |message: String| Err(vec![Complaint::new(message).of(Part::Sql)]);
    if let Err(error) = spawned {
        return fail(format!("no thread to plan the query on: {error}"));
    }
    match receiver.recv_timeout(PLANNING_TIME_MOST) {
        Ok(Ok(planned)) => planned,
        Ok(Err(panic)) => fail(format!("the planner failed: {}", panic_message(&*panic))),
        Err(_) => fail(format!("planning took more than {} seconds", PLANNING_TIME_MOST.as_secs())),
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}
