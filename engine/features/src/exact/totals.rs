//! `sum`, `avg`, `var` and `stddev` of groups, to the bit whatever the order of the rows.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::not_impl_err;
use datafusion::error::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use std::sync::Arc;

use super::expansion::{Expansion, two_product};
use super::ints::IntSums;
use super::sums::FloatSums;

/// What is made of the totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Statistic {
    Sum,
    Mean,
    VariancePopulation,
    VarianceSample,
    DeviationPopulation,
    DeviationSample,
}

impl Statistic {
    /// True where integers are taken as real numbers, since their squares are summed too.
    pub(super) fn needs_squares(self) -> bool {
        !matches!(self, Self::Sum | Self::Mean)
    }
}

/// Exact totals by group.
#[derive(Debug)]
pub(crate) struct Totals {
    statistic: Statistic,
    counts: Vec<u64>,
    sums: Sums,
    /// Sums of squares; empty where they are not needed.
    squares: FloatSums,
}

#[derive(Debug)]
enum Sums {
    Ints(IntSums),
    Floats(FloatSums),
}

impl Totals {
    /// No groups yet; values come as `Int64` or as `Float64`.
    pub(crate) fn new(statistic: Statistic, input: &DataType) -> Self {
        let ints = *input == DataType::Int64 && !statistic.needs_squares();
        let sums = if ints { Sums::Ints(IntSums::default()) } else { Sums::Floats(FloatSums::default()) };
        Self { statistic, counts: Vec::new(), sums, squares: FloatSums::default() }
    }

    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        match &mut self.sums {
            Sums::Ints(sums) => sums.resize(groups),
            Sums::Floats(sums) => sums.resize(groups),
        }
        if self.statistic.needs_squares() {
            self.squares.resize(groups);
        }
    }

    fn value(&self, group: usize) -> Option<f64> {
        let count = self.counts[group];
        if count == 0 {
            return None;
        }
        let sum = || match &self.sums {
            Sums::Ints(sums) => sums.value(group),
            Sums::Floats(sums) => sums.value(group),
        };
        match self.statistic {
            Statistic::Sum => Some(sum()),
            Statistic::Mean => Some(sum() / count as f64),
            Statistic::VariancePopulation => self.variance(group, count),
            Statistic::VarianceSample => self.variance(group, count - 1),
            Statistic::DeviationPopulation => self.variance(group, count).map(f64::sqrt),
            Statistic::DeviationSample => self.variance(group, count - 1).map(f64::sqrt),
        }
    }

    /// `(n·Σx² - (Σx)²) / (n·divisor)`, the numerator exactly.
    fn variance(&self, group: usize, divisor: u64) -> Option<f64> {
        let Sums::Floats(sums) = &self.sums else { return None };
        if divisor == 0 {
            return None;
        }
        if sums.is_odd(group) || self.squares.is_odd(group) {
            return Some(f64::NAN);
        }
        let count = self.counts[group] as f64;
        let mut numerator = Expansion::default();
        for square in self.squares.exact(group).terms() {
            numerator.add_product(count, square);
        }
        let terms = sums.exact(group).terms();
        for a in &terms {
            for b in &terms {
                numerator.add_product(-a, *b);
            }
        }
        Some(numerator.round() / (count * divisor as f64))
    }

    fn drop_first(&mut self, groups: usize) {
        self.counts.drain(..groups);
        match &mut self.sums {
            Sums::Ints(sums) => sums.drop_first(groups),
            Sums::Floats(sums) => sums.drop_first(groups),
        }
        if self.statistic.needs_squares() {
            self.squares.drop_first(groups);
        }
    }
}

/// Calls `add` with the row and the group of every row that passes the filter and is not null.
pub(super) fn each_row(
    values: &dyn Array,
    groups: &[usize],
    filter: Option<&BooleanArray>,
    mut add: impl FnMut(usize, usize),
) {
    if values.null_count() == 0 && filter.is_none() {
        groups.iter().enumerate().for_each(|(row, group)| add(row, *group));
        return;
    }
    let passes = |row| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
    for (row, group) in groups.iter().enumerate() {
        if values.is_valid(row) && passes(row) {
            add(row, *group);
        }
    }
}

impl GroupsAccumulator for Totals {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) -> Result<()> {
        self.resize(group_count);
        let counts = &mut self.counts;
        match &mut self.sums {
            Sums::Ints(sums) => {
                let numbers = values[0].as_primitive::<Int64Type>();
                each_row(numbers, groups, filter, |row, group| {
                    counts[group] += 1;
                    sums.add(group, numbers.value(row));
                });
            }
            Sums::Floats(sums) => {
                let numbers = values[0].as_primitive::<Float64Type>();
                let squares = self.statistic.needs_squares().then_some(&mut self.squares);
                each_row(numbers, groups, filter, |row, group| {
                    counts[group] += 1;
                    sums.add(group, numbers.value(row));
                });
                if let Some(squares) = squares {
                    each_row(numbers, groups, filter, |row, group| add_square(squares, group, numbers.value(row)));
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let groups = match emit {
            EmitTo::All => self.counts.len(),
            EmitTo::First(groups) => groups,
        };
        let values: Float64Array = (0..groups).map(|group| self.value(group)).collect();
        self.drop_first(groups);
        Ok(Arc::new(values))
    }

    one_stage!("exact totals are made in one stage");

    fn size(&self) -> usize {
        let sums = match &self.sums {
            Sums::Ints(sums) => sums.bytes(),
            Sums::Floats(sums) => sums.bytes(),
        };
        self.counts.capacity() * size_of::<u64>() + sums + self.squares.bytes()
    }
}

/// Squares of larger numbers are infinite, or their halves' products are: 2^500.
const SQUARABLE: f64 = f64::from_bits((500 + 1023) << 52);

#[inline]
fn add_square(squares: &mut FloatSums, group: usize, number: f64) {
    if number.abs() < SQUARABLE {
        let (square, dropped) = two_product(number, number);
        squares.add(group, square);
        if dropped != 0.0 {
            squares.add(group, dropped);
        }
    } else {
        squares.add(group, f64::INFINITY);
    }
}
