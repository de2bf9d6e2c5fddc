//! `count(DISTINCT x)` of groups: one set for all groups, 16 bytes a value.

use std::collections::HashSet;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::not_impl_err;
use datafusion::error::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::totals::each_row;

/// Distinct values by group.
///
/// Values are told apart by 64 bits: integers by themselves, all others by `SipHash`. Two of n values of
/// one group are mistaken for each other with a probability of about n²/2^65 (10^-8 for a million).
#[derive(Debug)]
pub(crate) struct Distinct {
    seen: HashSet<Key, Spread>,
    counts: Vec<i64>,
    rows: Option<RowConverter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    value: u64,
    group: u64,
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.value);
        state.write_u64(self.group);
    }
}

impl Distinct {
    /// No groups yet.
    ///
    /// # Errors
    /// Values of this type cannot be compared.
    pub(crate) fn new(input: &DataType) -> Result<Self> {
        let rows = if is_plain(input) { None } else { Some(RowConverter::new(vec![SortField::new(input.clone())])?) };
        Ok(Self { seen: HashSet::with_hasher(Spread::new()), counts: Vec::new(), rows })
    }

    /// 64 bits that stand for each value.
    fn prints(&self, values: &ArrayRef) -> Result<Vec<u64>> {
        if let Some(rows) = &self.rows {
            let rows = rows.convert_columns(std::slice::from_ref(values))?;
            return Ok(rows.iter().map(|row| print(row.as_ref())).collect());
        }
        Ok(match values.data_type() {
            DataType::Utf8View => {
                let texts = values.as_string_view();
                (0..texts.len()).map(|row| print(texts.value(row).as_bytes())).collect()
            }
            DataType::Utf8 => {
                let texts = values.as_string::<i32>();
                (0..texts.len()).map(|row| print(texts.value(row).as_bytes())).collect()
            }
            DataType::Float64 => {
                values.as_primitive::<Float64Type>().values().iter().map(|number| float_print(*number)).collect()
            }
            _ => {
                let ints = cast(values, &DataType::Int64)?;
                ints.as_primitive::<Int64Type>().values().iter().map(|number| *number as u64).collect()
            }
        })
    }
}

fn is_plain(input: &DataType) -> bool {
    matches!(
        input,
        DataType::Utf8View
            | DataType::Utf8
            | DataType::Float64
            | DataType::Int64
            | DataType::Boolean
            | DataType::Timestamp(..)
    )
}

fn print(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn float_print(number: f64) -> u64 {
    if number.is_nan() { f64::NAN.to_bits() } else { (number + 0.0).to_bits() }
}

impl GroupsAccumulator for Distinct {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) -> Result<()> {
        self.counts.resize(group_count, 0);
        let prints = self.prints(&values[0])?;
        let (seen, counts) = (&mut self.seen, &mut self.counts);
        each_row(&values[0], groups, filter, |row, group| {
            counts[group] += i64::from(seen.insert(Key { value: prints[row], group: group as u64 }));
        });
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let counts = emit.take_needed(&mut self.counts);
        let gone = counts.len() as u64;
        match emit {
            EmitTo::All => self.seen = HashSet::with_hasher(Spread::new()),
            EmitTo::First(_) => {
                let kept = self.seen.iter().filter(|key| key.group >= gone);
                let kept: Vec<Key> = kept.map(|key| Key { group: key.group - gone, ..*key }).collect();
                self.seen.clear();
                self.seen.extend(kept);
            }
        }
        Ok(Arc::new(Int64Array::from(counts)))
    }

    one_stage!("distinct values are counted in one stage");

    fn size(&self) -> usize {
        // The table has a control byte a slot, and keeps an eighth of its slots free.
        self.seen.capacity() * (size_of::<Key>() + 1) * 8 / 7 + self.counts.capacity() * size_of::<i64>()
    }
}

/// Places keys in the set. Seeded anew in every process, so that nobody can choose values that collide;
/// what is counted does not depend on the seed.
#[derive(Clone, Debug)]
struct Spread {
    seed: u64,
}

impl Spread {
    fn new() -> Self {
        Self { seed: RandomState::new().hash_one(0u8) }
    }
}

impl BuildHasher for Spread {
    type Hasher = Spreading;

    fn build_hasher(&self) -> Spreading {
        Spreading(self.seed)
    }
}

/// Multiplies to 128 bits and folds the halves.
struct Spreading(u64);

impl Hasher for Spreading {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(self.0 ^ number).wrapping_mul(u128::from(ODD));
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}
