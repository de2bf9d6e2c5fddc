//! Detectors whose query fails are tried again ever more rarely, so that they hold up the others ever less.

use std::collections::{BTreeMap, BTreeSet};

use margay_core::{Period, Time};

/// The longest time between two tries, and between the first two.
const LONGEST: Period = Period::HOUR;
const SHORTEST: Period = Period::MINUTE;

/// Who failed, how often in a row, and when it may try again.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failed: BTreeMap<String, (u32, Time)>,
}

impl Backoff {
    /// Those that must still wait. A clock that was set back makes nobody wait for longer than the longest time.
    #[must_use]
    pub fn waiting(&self, now: Time) -> BTreeSet<String> {
        let waits = |again: Time| now < again && again <= now.plus(LONGEST);
        self.failed.iter().filter(|(_, (_, again))| waits(*again)).map(|(name, _)| name.clone()).collect()
    }

    /// Those that failed and need wait no longer.
    #[must_use]
    pub fn again(&self, now: Time) -> BTreeSet<String> {
        let waiting = self.waiting(now);
        self.failed.keys().filter(|name| !waiting.contains(*name)).cloned().collect()
    }

    /// When the first of them may try again.
    #[must_use]
    pub fn next(&self) -> Time {
        self.failed.values().map(|(_, again)| *again).min().unwrap_or(Time::MAX)
    }

    /// Notes how a try ended.
    pub fn note(&mut self, name: &str, failed: bool, now: Time) {
        if !failed {
            self.failed.remove(name);
            return;
        }
        let (times, again) = self.failed.entry(name.to_owned()).or_insert((0, now));
        *again = now.plus(SHORTEST.times(1 << (*times).min(10)).min(LONGEST));
        *times += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_detector_waits_twice_as_long_each_time_but_never_more_than_an_hour() {
        let mut backoff = Backoff::default();
        let mut now = Time(0);
        let mut waits = Vec::new();
        for _ in 0..9 {
            backoff.note("a", true, now);
            let began = now;
            let next = backoff.next();
            while backoff.waiting(now).contains("a") {
                now = now.plus(Period::MINUTE);
            }
            assert_eq!((now, backoff.again(now).len()), (next, 1));
            waits.push(now.since(began).per(Period::MINUTE));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        backoff.note("a", false, now);
        assert!(backoff.waiting(now).is_empty());
        backoff.note("a", true, now);
        assert!(backoff.waiting(now.minus(Period::DAY)).is_empty(), "the clock was set back");
    }
}
