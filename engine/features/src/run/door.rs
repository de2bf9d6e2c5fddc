//! Who may take memory where too many come: entities that were known before, and of the newcomers a fair sample.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use datafusion::error::Result;
use margay_core::{Entity, fnv1a};

use super::pool::Share;
use crate::plan::Plan;

/// Entities that a detector knew before, asked for only where too many come.
pub(crate) type Known = Arc<dyn Fn() -> Vec<Entity> + Send + Sync>;

/// Lets in who was known before, and `most` of the others: those with the smallest prints, which are the same in whatever
/// order they come. What the sample leaves out is estimated from it (k minimum values: Bar-Yossef et al., Counting distinct
/// elements in a data stream, RANDOM 2002).
pub(crate) struct Door {
    known: HashSet<u64>,
    most: usize,
    newcomers: BTreeSet<u64>,
    is_full: bool,
}

impl Door {
    /// A door with room for `entities_most`, of which the known ones take their part; a tenth is for newcomers at least.
    pub(crate) fn new(known: &Known, entities_most: u64) -> Self {
        let known: HashSet<u64> =
            known().iter().map(|entity| print(entity.values().iter().map(Option::as_deref))).collect();
        let most = entities_most.saturating_sub(known.len() as u64).max(entities_most.div_ceil(10)).max(1);
        Self { known, most: most as usize, newcomers: BTreeSet::new(), is_full: false }
    }

    /// Whether the entity may enter, as far as is known by now. Who is in the sample at the end was let in every time.
    pub(crate) fn admits(&mut self, print: u64) -> bool {
        if self.known.contains(&print) || self.newcomers.contains(&print) {
            return true;
        }
        if self.newcomers.len() < self.most {
            return self.newcomers.insert(print);
        }
        self.is_full = true;
        if self.newcomers.last().is_some_and(|largest| print > *largest) {
            return false;
        }
        self.newcomers.pop_last();
        self.newcomers.insert(print)
    }

    /// Whether the entity is in, now that all have come.
    pub(crate) fn holds(&self, print: u64) -> bool {
        self.known.contains(&print) || self.newcomers.contains(&print)
    }

    /// About how many had to stay outside.
    pub(crate) fn left_out(&self) -> u64 {
        let (true, Some(largest)) = (self.is_full, self.newcomers.last()) else { return 0 };
        let share = (*largest as f64 + 1.0) / 2f64.powi(64);
        let came = (self.most as f64 - 1.0).max(1.0) / share;
        (came.round() as u64).saturating_sub(self.most as u64).max(1)
    }
}

/// 64 bits that stand for an entity, evenly spread.
pub(crate) fn print<'a>(values: impl Iterator<Item = Option<&'a str>>) -> u64 {
    let fold = |hash: u64, value: Option<&str>| {
        let own = value.map_or(1, fnv1a);
        mix(hash.rotate_left(5) ^ own)
    };
    values.fold(0x9e37_79b9_7f4a_7c15, fold)
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Stands before a query: once the query holds much, rows of those who may not enter are dropped before they are grouped.
pub(crate) struct Doorkeeper {
    plan: Plan,
    entities_most: u64,
    share: Arc<Share>,
    door: Mutex<Option<Door>>,
}

impl Doorkeeper {
    pub(crate) fn new(plan: &Plan, entities_most: u64, share: Arc<Share>) -> Self {
        Self { plan: plan.clone(), entities_most, share, door: Mutex::default() }
    }

    /// The rows of those who may enter; all where there is room, or where rows cannot be told apart before they are
    /// grouped.
    ///
    /// # Errors
    /// An expression of the query fails on a value.
    pub(crate) fn pass(&self, rows: RecordBatch) -> Result<RecordBatch> {
        let Some(guests) = &self.plan.inner.guests else { return Ok(rows) };
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        if door.is_none() && !self.share.is_half_full() {
            return Ok(rows);
        }
        let door = door.get_or_insert_with(|| Door::new(&self.plan.known, self.entities_most));
        let counts = guests.counts(&rows)?;
        let keys: Vec<StringArray> = guests.keys(&rows)?.into_iter().flatten().collect();
        let admitted = (0..rows.num_rows()).map(|row| {
            let values = keys.iter().map(|key| key.is_valid(row).then(|| key.value(row)));
            Some(counts.value(row) && door.admits(print(values)))
        });
        Ok(filter_record_batch(&rows, &admitted.collect::<BooleanArray>())?)
    }

    /// About how many had to stay outside.
    pub(crate) fn left_out(&self) -> u64 {
        self.door.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Door::left_out)
    }
}

impl fmt::Debug for Doorkeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorkeeper").field("entities_most", &self.entities_most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn entity(number: u64) -> Entity {
        Entity::new(Arc::from(["app".to_owned()]), vec![Some(format!("pod-{number}"))])
    }

    fn prints(numbers: impl Iterator<Item = u64>) -> Vec<u64> {
        numbers.map(|number| print(entity(number).values().iter().map(Option::as_deref))).collect()
    }

    #[test]
    fn the_known_stay_and_of_the_others_the_same_ones_in_any_order() {
        let known: Known = Arc::new(|| (0..200).map(entity).collect());
        let mut all = prints(0..100_000);
        let held = |all: &[u64]| {
            let mut door = Door::new(&known, 1200);
            for print in all {
                let _ = door.admits(*print);
            }
            let held: Vec<u64> = prints(0..100_000).into_iter().filter(|print| door.holds(*print)).collect();
            (held, door.left_out())
        };
        let (straight, left_out) = held(&all);
        all.reverse();
        assert_eq!(held(&all), (straight.clone(), left_out));
        assert_eq!(straight.len(), 1200);
        assert!(prints(0..200).iter().all(|print| straight.contains(print)));
        assert!((90_000..110_000).contains(&left_out), "{left_out} of 98,800");
    }

    #[test]
    fn a_door_with_room_leaves_nobody_out() {
        let known: Known = Arc::new(Vec::new);
        let mut door = Door::new(&known, 1000);
        assert!(prints(0..1000).into_iter().all(|print| door.admits(print)));
        assert!(prints(0..1000).into_iter().all(|print| door.admits(print)));
        assert_eq!(door.left_out(), 0);
        assert!(prints(1000..1001).into_iter().all(|print| !door.admits(print) || door.left_out() >= 1));
    }
}
