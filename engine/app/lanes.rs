//! Work that must not hold up other work: each piece on its own threads, waited for no longer than its time, and
//! with its panics caught.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rayon::ThreadPoolBuilder;

/// How often a wait without an end looks whether it should stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A piece of work by name.
pub struct Job<T> {
    /// At most one piece of work of a name runs at a time.
    pub name: String,
    /// The work.
    pub work: Box<dyn FnOnce() -> T + Send>,
}

/// Runs work on as many lanes as there are processors. A piece that takes longer than its time loses its lane and
/// goes on beside it; what it comes to is handed out later.
pub struct Lanes<T> {
    lanes: usize,
    stop: Arc<AtomicBool>,
    running: BTreeMap<String, Instant>,
    sender: Sender<(String, Result<T, String>)>,
    receiver: Receiver<(String, Result<T, String>)>,
}

impl<T: Send + 'static> Lanes<T> {
    /// Lanes without work. No work is begun or waited for once `stop` is set.
    #[must_use]
    pub fn new(lanes: usize, stop: Arc<AtomicBool>) -> Self {
        let (sender, receiver) = channel();
        Self { lanes: lanes.max(1), stop, running: BTreeMap::new(), sender, receiver }
    }

    /// Work that has not ended, and since when it runs.
    #[must_use]
    pub fn running(&self) -> &BTreeMap<String, Instant> {
        &self.running
    }

    /// Begins every job whose name is not running, and returns what has ended, of earlier calls as well: a result, or
    /// why it panicked. Waits for a job no longer than `most`; without it, until it ends.
    pub fn run(&mut self, jobs: Vec<Job<T>>, most: Option<Duration>) -> Vec<(String, Result<T, String>)> {
        let mut jobs = jobs.into_iter();
        let mut waited: BTreeMap<String, Option<Instant>> = BTreeMap::new();
        let mut ended = Vec::new();
        loop {
            while waited.len() < self.lanes && !self.stop.load(Ordering::Relaxed) {
                let Some(job) = jobs.next() else { break };
                if self.running.contains_key(&job.name) {
                    continue;
                }
                waited.insert(job.name.clone(), most.map(|most| Instant::now() + most));
                self.begin(job);
            }
            if waited.is_empty() || self.stop.load(Ordering::Relaxed) {
                break;
            }
            let now = Instant::now();
            let rest = waited.values().flatten().map(|end| end.saturating_duration_since(now)).min();
            match self.receiver.recv_timeout(rest.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)) {
                Ok((name, result)) => {
                    waited.remove(&name);
                    self.running.remove(&name);
                    ended.push((name, result));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let now = Instant::now();
                    waited.retain(|_, end| end.is_none_or(|end| end > now));
                }
                Err(RecvTimeoutError::Disconnected) => unreachable!("this side holds a sender"),
            }
        }
        for (name, result) in self.receiver.try_iter() {
            self.running.remove(&name);
            ended.push((name, result));
        }
        ended
    }

    /// Its own pool: work of one name never waits for threads that another one keeps busy.
    fn begin(&mut self, job: Job<T>) {
        self.running.insert(job.name.clone(), Instant::now());
        let sender = self.sender.clone();
        let Job { name, work } = job;
        let named = name.clone();
        let pool = ThreadPoolBuilder::new().num_threads(self.lanes).thread_name(move |_| named.clone()).build();
        match pool {
            Ok(pool) => pool.spawn(move || {
                let result = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| said(&*panic));
                // Whoever waited may be gone: the work is repeated by the next process.
                let _ = sender.send((name, result));
            }),
            Err(error) => drop(sender.send((name, Err(format!("no thread could be started: {error}"))))),
        }
    }
}

/// The message of a panic.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("it panicked, which is an error in margay: {}", text.unwrap_or_else(|| "without a message".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn job(name: &str, work: impl FnOnce() -> u32 + Send + 'static) -> Job<u32> {
        Job { name: name.to_owned(), work: Box::new(work) }
    }

    fn lanes() -> Lanes<u32> {
        Lanes::new(2, Arc::new(AtomicBool::new(false)))
    }

    fn names(ended: &[(String, Result<u32, String>)]) -> Vec<&str> {
        let mut names: Vec<&str> = ended.iter().map(|(name, _)| &name[..]).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_panic_is_told_and_the_others_end() {
        let ended = lanes().run(vec![job("bad", || panic!("boom")), job("a", || 1), job("b", || 2)], None);
        assert_eq!(names(&ended), ["a", "b", "bad"]);
        let bad = ended.iter().find(|(name, _)| name == "bad").unwrap();
        assert!(bad.1.as_ref().unwrap_err().contains("boom"), "{bad:?}");
    }

    #[test]
    fn slow_work_is_left_behind_is_not_begun_twice_and_its_result_comes_later() {
        let mut lanes = lanes();
        let (release, held) = channel::<()>();
        let slow = move || held.recv().map(|()| 7).unwrap();
        let began = Instant::now();
        let jobs = vec![job("slow", slow), job("a", || 1), job("b", || 2), job("c", || 3)];
        assert_eq!(names(&lanes.run(jobs, Some(Duration::from_millis(200)))), ["a", "b", "c"]);
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(lanes.running().len(), 1);
        let again = lanes.run(vec![job("slow", || 8), job("a", || 1)], Some(Duration::from_secs(60)));
        assert_eq!(names(&again), ["a"]);
        release.send(()).unwrap();
        let mut late = Vec::new();
        while late.is_empty() {
            late = lanes.run(Vec::new(), None);
            std::thread::yield_now();
        }
        assert_eq!(late, [("slow".to_owned(), Ok(7))]);
        assert!(lanes.running().is_empty());
    }

    #[test]
    fn many_slow_ones_do_not_take_the_lanes_of_the_others() {
        let mut lanes = lanes();
        let gates: Vec<(Sender<()>, Receiver<()>)> = (0..6).map(|_| channel()).collect();
        let (open, held): (Vec<_>, Vec<_>) = gates.into_iter().unzip();
        let mut jobs: Vec<Job<u32>> = held
            .into_iter()
            .enumerate()
            .map(|(at, gate)| job(&format!("slow{at}"), move || gate.recv().map_or(0, |()| 1)))
            .collect();
        jobs.push(job("quick", || 3));
        assert_eq!(names(&lanes.run(jobs, Some(Duration::from_millis(50)))), ["quick"]);
        drop(open);
    }

    #[test]
    fn nothing_is_begun_or_waited_for_after_a_stop() {
        let stop = Arc::new(AtomicBool::new(true));
        let mut lanes = Lanes::new(2, stop);
        assert!(lanes.run(vec![job("a", || 1)], None).is_empty());
        assert!(lanes.running().is_empty());
    }
}
