//! A checksum of what a file of features says. Parquet's pages have none that its writer fills, and a flipped bit may
//! decompress well.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, TimestampMillisecondType};

/// Stands for a null.
const NULL: u64 = 0x6e75_6c6c_6e75_6c6c;
/// An odd number without a pattern: the golden ratio of 64 bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Of the covered buckets and of the values of each column in order, however they are cut into batches. It finds what chance
/// does, no forgery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checksum {
    covered: u64,
    columns: Vec<u64>,
    rows: u64,
}

impl Checksum {
    /// Of no rows yet, and the covered buckets as they are written down.
    pub(super) fn new(covered: &str) -> Self {
        let mut state = FACTOR;
        add_text(&mut state, covered);
        Self { covered: state, columns: Vec::new(), rows: 0 }
    }

    /// Goes on with further rows of the same columns.
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        self.columns.resize(batch.num_columns(), FACTOR);
        self.rows += batch.num_rows() as u64;
        for (state, column) in self.columns.iter_mut().zip(batch.columns()) {
            add_column(state, column);
        }
    }

    /// As it is written down.
    pub(super) fn text(&self) -> String {
        let mut whole = self.covered ^ self.rows;
        self.columns.iter().for_each(|state| step(&mut whole, *state));
        format!("{whole:016x}")
    }
}

fn step(state: &mut u64, word: u64) {
    *state = (state.rotate_left(23) ^ word).wrapping_mul(FACTOR);
}

fn add_text(state: &mut u64, text: &str) {
    step(state, text.len() as u64);
    for chunk in text.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        step(state, u64::from_le_bytes(word));
    }
}

fn add_column(state: &mut u64, column: &ArrayRef) {
    match column.data_type() {
        DataType::Timestamp(..) => {
            let values = column.as_primitive::<TimestampMillisecondType>().values();
            values.iter().for_each(|value| step(state, value.cast_unsigned()));
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            values.iter().for_each(|value| step(state, value.map_or(NULL, f64::to_bits)));
        }
        DataType::Boolean => column.as_boolean().iter().for_each(|value| step(state, value.map_or(NULL, u64::from))),
        DataType::Utf8 => column.as_string::<i32>().iter().for_each(|text| match text {
            Some(text) => add_text(state, text),
            None => step(state, NULL),
        }),
        _ => {
            for list in column.as_list::<i32>().iter() {
                let items = list.as_ref().map(|items| items.as_string::<i32>());
                step(state, items.map_or(NULL, |items| items.len() as u64));
                items.into_iter().flatten().flatten().for_each(|text| add_text(state, text));
            }
        }
    }
}
