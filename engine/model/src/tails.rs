//! How often a statistic of an entity is exceeded: its own past, filled up with that of all entities.

use margay_core::Direction;
use serde::{Deserialize, Serialize};

use crate::distribution::score_of_tail;
use crate::panel::slot;
use crate::pool::Pool;
use crate::tail::{self, Tally};
use crate::verdict::Test;

/// Values of all entities that are remembered at most; beyond, half of them are forgotten.
const POOL_MOST: f64 = 200_000.0;
/// Values of the normal distribution that stand in for the past of a statistic whose distribution is known.
const KNOWN_VALUES: usize = 500;

/// Calibrated tails of one statistic, given as a standard normal score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tails {
    own: Vec<Own>,
    pool: Pool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Own {
    tallies: Vec<Tally>,
    seen: f64,
}

impl Tails {
    /// For a statistic that is standard normal by construction: believed until the data say otherwise.
    pub(crate) fn known() -> Self {
        let mut tally = Tally::default();
        for at in 0..KNOWN_VALUES {
            tally.add(score_of_tail((at as f64 + 0.5) / KNOWN_VALUES as f64));
        }
        Self { own: Vec::new(), pool: Pool { tallies: vec![tally], ..Pool::default() } }
    }

    /// Probability of a value at least as high.
    pub(crate) fn exceed(&self, entity: usize, z: f64) -> f64 {
        let own = self.own.get(entity).map_or(&[][..], |own| &own.tallies[..]);
        Test::new(0, own, &self.pool).probability(z, Direction::Above)
    }

    /// Ends of the interval that holds 95 % of the values.
    pub(crate) fn interval(&self, entity: usize) -> (f64, f64) {
        let own = self.own.get(entity).map_or(&[][..], |own| &own.tallies[..]);
        let (below, above) = Test::new(0, own, &self.pool).sides();
        (-below.quantile(0.025), above.quantile(0.025))
    }

    /// Counts what all entities have shown as half: a training changed the scale.
    pub(crate) fn age(&mut self) {
        self.own.iter_mut().flat_map(|own| &mut own.tallies).for_each(|tally| tally.forget(0.5));
        self.pool.tallies.iter_mut().for_each(|tally| tally.forget(0.5));
    }

    /// Adds the values of a training.
    pub(crate) fn renew(&mut self, entity: usize, tally: &Tally) {
        let own = slot(&mut self.own, entity);
        own.tallies.resize(1, Tally::default());
        own.tallies[0].join(tally);
    }

    /// Takes in a value of a normal bucket; `day` is the number of buckets in one.
    pub(crate) fn learn(&mut self, entity: usize, z: f64, day: f64) {
        let own = slot(&mut self.own, entity);
        let z = Test::new(0, &own.tallies, &self.pool).winsorised(z);
        tail::enter(&mut own.tallies, &[z], own.seen, day);
        own.seen += 1.0;
        if self.pool.tallies.is_empty() {
            self.pool.tallies.push(Tally::default());
        }
        let pool = &mut self.pool.tallies[0];
        pool.add(z);
        if pool.total() > POOL_MOST {
            pool.forget(0.5);
        }
    }

    /// Normal buckets of the entity that were learnt.
    pub(crate) fn seen(&self, entity: usize) -> f64 {
        self.own.get(entity).map_or(0.0, |own| own.seen)
    }
}
