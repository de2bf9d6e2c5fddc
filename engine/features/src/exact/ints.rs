//! Sums of integers by group that never overflow.

use std::collections::BTreeMap;

/// Exact sums of integers, one for each group. Nearly all fit 64 bits; what does not spills over.
#[derive(Debug, Default)]
pub(crate) struct IntSums {
    sums: Vec<i64>,
    spilt: BTreeMap<usize, i128>,
}

impl IntSums {
    /// Makes room for `groups` groups.
    pub(crate) fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, 0);
    }

    /// Adds a number to a group.
    #[inline]
    pub(crate) fn add(&mut self, group: usize, number: i64) {
        match self.sums[group].checked_add(number) {
            Some(sum) => self.sums[group] = sum,
            None => self.spill(group, number),
        }
    }

    #[cold]
    fn spill(&mut self, group: usize, number: i64) {
        let sum = std::mem::take(&mut self.sums[group]);
        *self.spilt.entry(group).or_default() += i128::from(sum) + i128::from(number);
    }

    /// The sum of a group, correctly rounded.
    pub(crate) fn value(&self, group: usize) -> f64 {
        match self.spilt.get(&group) {
            Some(spilt) => (spilt + i128::from(self.sums[group])) as f64,
            None => self.sums[group] as f64,
        }
    }

    /// Drops the first `groups` groups.
    pub(crate) fn drop_first(&mut self, groups: usize) {
        self.sums.drain(..groups);
        let kept = self.spilt.split_off(&groups);
        self.spilt = kept.into_iter().map(|(group, sum)| (group - groups, sum)).collect();
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        const NODE_BYTES: usize = 2 * size_of::<(usize, i128)>();
        self.sums.capacity() * size_of::<i64>() + self.spilt.len() * NODE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_beyond_64_bits_are_exact_in_any_order() {
        let numbers = [i64::MAX, 5, i64::MAX, -7, i64::MIN, i64::MIN, i64::MAX, 4];
        let exact: i128 = numbers.iter().copied().map(i128::from).sum();
        for turn in 0..numbers.len() {
            let mut sums = IntSums::default();
            sums.resize(2);
            numbers.iter().cycle().skip(turn).take(numbers.len()).for_each(|number| sums.add(1, *number));
            assert_eq!(sums.value(1), exact as f64, "turned by {turn}");
            assert_eq!(sums.value(0), 0.0);
            sums.drop_first(1);
            assert_eq!(sums.value(0), exact as f64, "turned by {turn}");
        }
    }
}
