//! When the agent of a node writes what it saw.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::random;

/// Nominal length of a flush interval in seconds (Felix' `flowLogsFlushInterval`).
const FLUSH_S: i64 = 300;
/// A flush comes up to this many seconds late.
const LATE_S: i64 = 8;

/// The flush intervals of one node: about five minutes each, not aligned to anything.
pub(crate) struct FlushClock {
    random: ChaCha8Rng,
    start: i64,
    end: i64,
}

impl FlushClock {
    /// A clock whose first, shorter interval starts at `start` (seconds since the epoch).
    pub(crate) fn new(seed: u64, log: &str, node: &str, start: i64) -> Self {
        let mut random = random::stream(seed, &["clock", log, node]);
        let end = start + random.random_range(60..=FLUSH_S);
        Self { random, start, end }
    }

    /// One clock for each node.
    pub(crate) fn all(seed: u64, log: &str, nodes: &[String], start: i64) -> Vec<Self> {
        nodes.iter().map(|node| Self::new(seed, log, node, start)).collect()
    }

    /// The interval that ends within the minute before `now`, if one does.
    pub(crate) fn due(&self, now: i64) -> Option<Interval> {
        (self.end <= now).then_some(Interval { start: self.start, end: self.end })
    }

    /// Begins the next interval if the present one was due.
    pub(crate) fn advance(&mut self, now: i64) {
        if self.end <= now {
            self.start = self.end;
            self.end += FLUSH_S + self.random.random_range(0..=LATE_S);
        }
    }
}

/// A stretch of time in seconds since the epoch, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl Interval {
    /// Length in minutes.
    pub(crate) fn minutes(self) -> f64 {
        (self.end - self.start) as f64 / 60.0
    }

    /// The middle, in seconds since the epoch.
    pub(crate) fn middle(self) -> i64 {
        self.start + (self.end - self.start) / 2
    }

    /// Seconds shared with `other`.
    pub(crate) fn overlap_s(self, other: Self) -> i64 {
        (self.end.min(other.end) - self.start.max(other.start)).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_follow_each_other_without_gap_and_off_the_grid() {
        let mut clock = FlushClock::new(1, "flows", "node-1", 0);
        let mut last = None;
        let mut aligned = 0;
        for now in (60..86_400).step_by(60) {
            if let Some(interval) = clock.due(now) {
                assert_eq!(interval.start, last.unwrap_or(0));
                assert!(now - interval.end < 60);
                aligned += i32::from(interval.end % 300 == 0);
                last = Some(interval.end);
            }
            clock.advance(now);
        }
        assert!(last.is_some() && aligned < 10);
    }
}
