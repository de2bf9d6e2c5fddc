//! Sums by group that do not depend on the order of what is added.

use std::collections::BTreeMap;

use super::expansion::{Expansion, two_sum};

/// Numbers from this size on are added apart, scaled down, so that no sum of the others overflows: 2^960.
const HUGE: f64 = f64::from_bits((960 + 1023) << 52);
/// What huge numbers are multiplied by: 2^-200.
const SCALE: f64 = f64::from_bits((1023 - 200) << 52);

/// Exact sums of floating point numbers, one for each group.
///
/// Two numbers hold 106 bits of a sum, enough for nearly all groups; what does not fit spills into an
/// [`Expansion`].
#[derive(Debug, Default)]
pub(crate) struct FloatSums {
    high: Vec<f64>,
    low: Vec<f64>,
    spilt: BTreeMap<usize, Spill>,
    spilt_bytes: usize,
}

/// What a sum holds beyond its two numbers.
#[derive(Clone, Debug, Default)]
struct Spill {
    digits: Expansion,
    huge: Expansion,
    /// Sum of infinities and `NaN`s.
    endless: f64,
}

impl FloatSums {
    /// Makes room for `groups` groups.
    pub(crate) fn resize(&mut self, groups: usize) {
        self.high.resize(groups, 0.0);
        self.low.resize(groups, 0.0);
    }

    /// Adds a number to a group.
    #[inline]
    pub(crate) fn add(&mut self, group: usize, number: f64) {
        if number.abs() < HUGE {
            let (sum, dropped) = two_sum(self.high[group], number);
            self.high[group] = sum;
            if dropped != 0.0 {
                let (sum, dropped) = two_sum(self.low[group], dropped);
                self.low[group] = sum;
                if dropped != 0.0 {
                    self.spill(group, |spill| spill.digits.add(dropped));
                }
            }
        } else {
            self.spill(group, |spill| {
                if number.is_finite() { spill.huge.add(number * SCALE) } else { spill.endless += number }
            });
        }
    }

    #[cold]
    fn spill(&mut self, group: usize, change: impl FnOnce(&mut Spill)) {
        let spill = self.spilt.entry(group).or_default();
        let before = spill.heap_bytes();
        change(spill);
        self.spilt_bytes += spill.heap_bytes() - before;
    }

    /// The sum of a group without huge and endless numbers, exactly.
    pub(crate) fn exact(&self, group: usize) -> Expansion {
        let mut sum = self.spilt.get(&group).map(|spill| spill.digits.clone()).unwrap_or_default();
        sum.add(self.low[group]);
        sum.add(self.high[group]);
        sum
    }

    /// True where a group holds huge or endless numbers.
    pub(crate) fn is_odd(&self, group: usize) -> bool {
        self.spilt.get(&group).is_some_and(Spill::is_odd)
    }

    /// The sum of a group, correctly rounded; where it holds huge numbers, correctly rounded but for the others.
    pub(crate) fn value(&self, group: usize) -> f64 {
        let sum = self.exact(group).round();
        match self.spilt.get(&group) {
            Some(spill) if spill.endless != 0.0 => spill.endless,
            Some(spill) if spill.is_odd() => spill.huge.round() / SCALE + sum,
            _ => sum,
        }
    }

    /// Drops the first `groups` groups.
    pub(crate) fn drop_first(&mut self, groups: usize) {
        self.high.drain(..groups);
        self.low.drain(..groups);
        let kept = self.spilt.split_off(&groups);
        self.spilt = kept.into_iter().map(|(group, spill)| (group - groups, spill)).collect();
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        const NODE_BYTES: usize = 2 * size_of::<(usize, Spill)>();
        (self.high.capacity() + self.low.capacity()) * size_of::<f64>()
            + self.spilt.len() * NODE_BYTES
            + self.spilt_bytes
    }
}

impl Spill {
    fn is_odd(&self) -> bool {
        self.huge != Expansion::default() || self.endless != 0.0
    }

    fn heap_bytes(&self) -> usize {
        self.digits.heap_bytes() + self.huge.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(numbers: &[f64]) -> f64 {
        let mut sums = FloatSums::default();
        sums.resize(1);
        numbers.iter().for_each(|number| sums.add(0, *number));
        sums.value(0)
    }

    #[test]
    fn what_rounding_drops_is_kept() {
        assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[1e16, 1.0, 1e-16]), 1e16 + 2.0);
        assert_eq!(sum(&[1e200, 1e100, 1.0, 1e-100, -1e200, -1e100, -1.0]), 1e-100);
    }

    #[test]
    fn sums_that_overflow_on_the_way_come_back() {
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]), f64::MAX);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, 1.0, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn groups_keep_their_sums_when_the_first_ones_leave() {
        let mut sums = FloatSums::default();
        sums.resize(3);
        for group in 0..3 {
            for number in [1e200, 1e100, 1.0 + group as f64, 1e-100, -1e200, -1e100] {
                sums.add(group, number);
            }
        }
        sums.drop_first(2);
        assert_eq!(sums.value(0), 3.0);
    }

    proptest! {
        #[test]
        fn the_order_of_addition_does_not_matter(
            numbers in prop::collection::vec(any::<f64>().prop_filter("finite", |x| x.is_finite()), 0..60),
            turn in 0usize..60,
        ) {
            let mut turned = numbers.clone();
            turned.rotate_left(turn.min(numbers.len()));
            let mut backwards = numbers.clone();
            backwards.reverse();
            let one = sum(&numbers).to_bits();
            prop_assert_eq!(one, sum(&turned).to_bits());
            prop_assert_eq!(one, sum(&backwards).to_bits());
        }
    }
}
