//! When each detector is due.

use std::collections::{BTreeMap, BTreeSet};

use margay_core::{Period, Time};

/// How a detector is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Length of its buckets.
    pub bucket: Period,
    /// How long its log waits for late rows: a bucket is complete so long after its end.
    pub delay: Period,
}

impl Pace {
    /// Up to when the log is complete.
    #[must_use]
    pub fn watermark(self, now: Time) -> Time {
        now.minus(self.delay)
    }

    /// When the next bucket after `now` will be complete.
    fn next(self, now: Time) -> Time {
        self.watermark(now).floor(self.bucket).plus(self.bucket).plus(self.delay)
    }
}

/// When each detector is due next.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    paces: BTreeMap<String, Pace>,
    due: BTreeMap<String, Time>,
}

impl Schedule {
    /// Detectors that are all due at once.
    #[must_use]
    pub fn new(paces: BTreeMap<String, Pace>) -> Self {
        let due = paces.keys().map(|name| (name.clone(), Time::MIN)).collect();
        Self { paces, due }
    }

    /// The time at which the next detector is due; `None` where there is none.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.due.values().min().copied()
    }

    /// Takes the detectors that are due, and says when each is due again. A clock that was set back makes none wait
    /// longer than a bucket and its delay.
    pub fn take(&mut self, now: Time) -> BTreeSet<String> {
        let mut taken = BTreeSet::new();
        for (name, due) in &mut self.due {
            let next = self.paces[name].next(now);
            if *due <= now {
                taken.insert(name.clone());
                *due = next;
            } else {
                *due = next.min(*due);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn schedule() -> Schedule {
        let quick = Pace { bucket: Period::MINUTE.times(5), delay: Period::MINUTE.times(2) };
        let slow = Pace { bucket: Period::HOUR, delay: Period(0) };
        Schedule::new(BTreeMap::from([("quick".to_owned(), quick), ("slow".to_owned(), slow)]))
    }

    fn taken(schedule: &mut Schedule, now: &str) -> Vec<String> {
        schedule.take(at(now)).into_iter().collect()
    }

    #[test]
    fn a_detector_is_due_when_its_bucket_is_complete() {
        let mut schedule = schedule();
        assert_eq!(taken(&mut schedule, "2026-11-24T10:03:00Z"), ["quick", "slow"]);
        assert_eq!(schedule.next(), Some(at("2026-11-24T10:07:00Z")));
        assert!(taken(&mut schedule, "2026-11-24T10:06:59Z").is_empty());
        assert_eq!(taken(&mut schedule, "2026-11-24T10:07:00Z"), ["quick"]);
        assert_eq!(taken(&mut schedule, "2026-11-24T11:00:00Z"), ["quick", "slow"]);
    }

    #[test]
    fn a_stop_makes_everything_due_once() {
        let mut schedule = schedule();
        schedule.take(at("2026-11-24T10:00:00Z"));
        assert_eq!(taken(&mut schedule, "2026-11-27T09:31:00Z"), ["quick", "slow"]);
        assert_eq!(schedule.next(), Some(at("2026-11-27T09:32:00Z")));
    }

    #[test]
    fn a_clock_that_is_set_back_delays_no_detector_by_more_than_its_bucket() {
        let mut schedule = schedule();
        schedule.take(at("2026-11-24T12:00:00Z"));
        assert!(taken(&mut schedule, "2026-11-24T11:00:00Z").is_empty());
        assert_eq!(taken(&mut schedule, "2026-11-24T11:02:00Z"), ["quick"]);
        assert_eq!(taken(&mut schedule, "2026-11-24T12:00:00Z"), ["quick", "slow"]);
    }
}
