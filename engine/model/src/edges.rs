//! Which members an entity has met lately.

use margay_core::{Period, Time, fnv1a};
use serde::{Deserialize, Serialize};

/// Members remembered of one entity at most; those met longest ago go first.
pub(crate) const EDGES_MOST: usize = 4096;

/// Members by print, with the hour in which they were last met.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Edges {
    /// Ordered by print.
    met: Vec<(u32, u32)>,
}

impl Edges {
    /// Whether a member was met within `memory` before `now`.
    pub(crate) fn knows(&self, member: &str, now: Time, memory: Period) -> bool {
        let found = self.met.binary_search_by_key(&print(member), |(print, _)| *print);
        found.is_ok_and(|at| hour(now) - i64::from(self.met[at].1) <= memory.per(Period::HOUR))
    }

    /// Notes that members were met at `now`, and forgets those not met within `memory`.
    pub(crate) fn meet<'a>(&mut self, members: impl Iterator<Item = &'a str>, now: Time, memory: Period) {
        let present = hour(now).max(0) as u32;
        let mut fresh: Vec<(u32, u32)> = Vec::new();
        for member in members {
            let print = print(member);
            match self.met.binary_search_by_key(&print, |(print, _)| *print) {
                Ok(at) => self.met[at].1 = self.met[at].1.max(present),
                Err(_) => fresh.push((print, present)),
            }
        }
        if !fresh.is_empty() {
            self.met.append(&mut fresh);
            self.met.sort_unstable();
            self.met.dedup_by_key(|(print, _)| *print);
        }
        let oldest = i64::from(present) - memory.per(Period::HOUR);
        self.met.retain(|(_, met)| i64::from(*met) >= oldest);
        if self.met.len() > EDGES_MOST {
            let mut by_age: Vec<(u32, u32)> = self.met.iter().map(|(print, met)| (*met, *print)).collect();
            by_age.sort_unstable_by(|a, b| b.cmp(a));
            by_age.truncate(EDGES_MOST);
            self.met = by_age.into_iter().map(|(met, print)| (print, met)).collect();
            self.met.sort_unstable();
        }
    }
}

/// The hour of a time, since the epoch.
pub(crate) fn hour(time: Time) -> i64 {
    time.0.div_euclid(Period::HOUR.0)
}

/// 32 bits that stand for a member: two of a thousand are mistaken for each other once in ten thousand entities.
pub(crate) fn print(text: &str) -> u32 {
    let folded = fnv1a(text);
    let mixed = (folded ^ (folded >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_known_for_as_long_as_the_memory_lasts() {
        let mut edges = Edges::default();
        let start = Time(1_700_000_000_000);
        edges.meet(["a"].into_iter(), start, Period::WEEK);
        assert!(edges.knows("a", start.plus(Period::DAY), Period::WEEK));
        assert!(!edges.knows("b", start, Period::WEEK));
        assert!(!edges.knows("a", start.plus(Period::DAY.times(8)), Period::WEEK));
    }

    #[test]
    fn of_too_many_members_the_newest_stay() {
        let mut edges = Edges::default();
        let start = Time(1_700_000_000_000);
        let names: Vec<String> = (0..EDGES_MOST + 100).map(|at| format!("10.{}.{}", at / 256, at % 256)).collect();
        edges.meet(names.iter().map(String::as_str), start, Period::WEEK);
        assert_eq!(edges.met.len(), EDGES_MOST);
        edges.meet(["new"].into_iter(), start.plus(Period::DAY), Period::WEEK);
        assert!(edges.knows("new", start.plus(Period::DAY), Period::WEEK));
        assert_eq!(edges.met.len(), EDGES_MOST);
    }
}
