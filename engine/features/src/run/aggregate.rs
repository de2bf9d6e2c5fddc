//! Several plans over one pass of a log.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use margay_core::{FeatureTable, Period, TimeRange};
use tracing::warn;

use super::collect::{Collector, Finish};
use super::door::Doorkeeper;
use super::error::RunError;
use super::feed::Feed;
use super::lane::Lane;
use super::pool::Share;
use super::queue::Queue;
use crate::plan::{Plan, STACK_BYTES, panic_message};
use crate::sql::session;
use crate::sql::table::Fed;

/// Bounds of one plan's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time that the plan may work, not counting that it waits for rows.
    pub timeout: Period,
    /// Memory for groups, distinct values and quantiles, in bytes.
    pub memory_bytes: u64,
    /// Memory of all plans of a pass together, in bytes.
    pub total_bytes: u64,
    /// Rows of (entity, bucket) in the result at most.
    pub groups: u64,
    /// Entities at most, with those that were known before; see [`Plan::with_known`]. Of newcomers that are too many a
    /// sample is kept.
    pub entities: u64,
}

/// How often the watch looks at the clock.
const WATCH_EVERY: Duration = Duration::from_millis(20);

/// Runs plans over the rows that `produce` feeds, all in one pass. Returns one result for each plan, in order;
/// a plan that fails, needs too much or takes too long does not stop the others.
///
/// Of the buckets, those that start within `range` are kept. Results do not depend on the order of the rows.
pub fn aggregate(
    plans: &[&Plan],
    range: TimeRange,
    limits: &Limits,
    produce: &(dyn Fn(&Feed) + Sync),
) -> Vec<Result<FeatureTable, RunError>> {
    if plans.is_empty() {
        return Vec::new();
    }
    let run = Run::start(plans, range, limits);
    let failure: Mutex<Option<String>> = Mutex::default();
    let take = |batch: RecordBatch| run.take(&batch, &failure);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| run.watch());
        {
            let _end = Finishing(&run);
            produce(&Feed::new(&take));
        }
        let results = watch.join().unwrap_or_default();
        run.warn();
        let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        let results = results.into_iter().enumerate().map(|(at, result)| {
            if let Some(message) = &failure {
                return Err(RunError::Rows(message.clone()));
            }
            run.finish(at, result)
        });
        results.collect()
    })
}

/// Plans at work.
struct Run<'a> {
    plans: &'a [&'a Plan],
    limits: Limits,
    lanes: Vec<Lane>,
    /// Lane and outlet of each plan.
    places: Vec<(usize, usize)>,
    queues: Vec<Arc<Queue>>,
    ended: Mutex<mpsc::Receiver<(usize, Collected)>>,
}

type Collected = Result<Grouped, RunError>;

/// What a query yields.
struct Grouped {
    collector: Collector,
    /// Entities, about, that were too many to be grouped.
    left_out: u64,
}

impl<'a> Run<'a> {
    fn start(plans: &'a [&'a Plan], range: TimeRange, limits: &Limits) -> Self {
        let mut by_width: BTreeMap<Period, usize> = BTreeMap::new();
        let (mut lanes, mut places, mut queues) = (Vec::new(), Vec::new(), Vec::new());
        let (sender, ended) = mpsc::channel();
        let all_bytes = bytes(limits.total_bytes);
        let all = Arc::new(GreedyMemoryPool::new(all_bytes));
        for (at, plan) in plans.iter().enumerate() {
            let width = plan.inner.bucket;
            let lane = *by_width.entry(width).or_insert_with(|| {
                lanes.push(Lane::new(width, range));
                lanes.len() - 1
            });
            let queue = Arc::new(Queue::new());
            places.push((lane, lanes[lane].add(&plan.inner, queue.clone())));
            queues.push(queue.clone());
            let (plan, sender, limits) = (Plan::clone(plan), sender.clone(), *limits);
            let detector = plan.inner.detector.clone();
            let share = Arc::new(Share::new(bytes(limits.memory_bytes), all.clone(), all_bytes));
            let work = move || {
                let result = work(&plan, &queue, &limits, share);
                queue.close();
                // Nobody listens where the plan was abandoned.
                let _ = sender.send((at, result));
            };
            let builder = std::thread::Builder::new().name(format!("sql {detector}"));
            if let Err(error) = builder.stack_size(STACK_BYTES).spawn(work) {
                queues[at].close();
                warn!(detector, %error, "no thread to run the query on");
            }
        }
        Self { plans, limits: *limits, lanes, places, queues, ended: Mutex::new(ended) }
    }

    fn take(&self, batch: &RecordBatch, failure: &Mutex<Option<String>>) -> bool {
        let mut listening = false;
        for lane in &self.lanes {
            match lane.push(batch) {
                Ok(more) => listening |= more,
                Err(error) => {
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
                    self.lanes.iter().for_each(Lane::close);
                    return false;
                }
            }
        }
        listening
    }

    /// Waits for all plans, and abandons those that work for too long.
    fn watch(&self) -> Vec<Collected> {
        let limit = Duration::from_millis(u64::try_from(self.limits.timeout.0).unwrap_or(0));
        let mut results: Vec<Option<Collected>> = self.plans.iter().map(|_| None).collect();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        while results.iter().any(Option::is_none) {
            match ended.recv_timeout(WATCH_EVERY) {
                Ok((at, result)) => {
                    results[at].get_or_insert(result);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for (queue, result) in self.queues.iter().zip(&mut results) {
                if result.is_none() && queue.worked() > limit {
                    queue.close();
                    *result = Some(Err(RunError::Timeout(self.limits.timeout)));
                }
            }
        }
        let lost = || Err(RunError::Panic("the query's thread ended without a result".to_owned()));
        results.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
    }

    fn finish(&self, at: usize, result: Collected) -> Result<FeatureTable, RunError> {
        let plan = &self.plans[at].inner;
        let (lane, outlet) = self.places[at];
        let lane = &self.lanes[lane];
        let Grouped { collector, left_out } = result?;
        collector.finish(Finish { plan, covered: lane.covered(), detailed: lane.detailed(outlet), left_out })
    }

    fn warn(&self) {
        for lane in &self.lanes {
            if lane.too_long() > 0 {
                let (records, bucket) = (lane.too_long(), lane.width.to_string());
                warn!(records, bucket, "records span too many buckets and were counted in their first one");
            }
        }
    }
}

/// Ends the input when feeding ends, in whatever way.
struct Finishing<'a>(&'a Run<'a>);

impl Drop for Finishing<'_> {
    fn drop(&mut self) {
        self.0.lanes.iter().for_each(Lane::finish);
    }
}

/// Runs one plan on this thread.
fn work(plan: &Plan, queue: &Arc<Queue>, limits: &Limits, share: Arc<Share>) -> Collected {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| RunError::Panic(error.to_string()))?;
        runtime.block_on(execute(plan, queue, limits, share))
    }));
    ran.unwrap_or_else(|panic| Err(RunError::Panic(panic_message(&*panic).to_owned())))
}

async fn execute(plan: &Plan, queue: &Arc<Queue>, limits: &Limits, share: Arc<Share>) -> Collected {
    let failed = |error| RunError::of_query(&error, limits.memory_bytes);
    let doorkeeper = Arc::new(Doorkeeper::new(plan, limits.entities, share.clone()));
    let fed = Fed { queue: queue.clone(), doorkeeper: doorkeeper.clone() };
    let state = session::state_to_run(fed, share).map_err(failed)?;
    let physical = state.query_planner().create_physical_plan(&plan.inner.logical, &state).await.map_err(failed)?;
    let mut batches = execute_stream(physical, Arc::new(TaskContext::from(&state))).map_err(failed)?;
    let mut collector = Collector::new(plan, limits);
    while let Some(batch) = batches.next().await {
        collector.add(&batch.map_err(failed)?)?;
    }
    collector.check()?;
    Ok(Grouped { collector, left_out: doorkeeper.left_out() })
}

fn bytes(most: u64) -> usize {
    usize::try_from(most).unwrap_or(usize::MAX)
}
