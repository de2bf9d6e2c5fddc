//! Squeezes a row through a narrow layer and spells it out again: what does not come back was never seen together.

use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::training::{Training, train};

/// A network that gives back what it is given, where it knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Autoencoder {
    network: Network,
}

impl Autoencoder {
    /// Learns from rows of `width` numbers, one after the other in `rows`, and says the mean loss of the last pass: half
    /// the squared error of a row.
    ///
    /// Layers of twice the width, half of it, and twice the width again.
    #[must_use]
    pub fn train(rows: &[f32], width: usize, training: &Training) -> (Self, f64) {
        let width = width.max(1);
        let narrow = (width / 2).max(1);
        let mut network = Network::new(&[width, 2 * width, narrow, 2 * width, width], training.seed);
        let one = |at: usize| &rows[at * width..(at + 1) * width];
        let row = |at: usize, input: &mut Vec<f32>| input.extend_from_slice(one(at));
        let loss = |at: usize, output: &[f32], by_output: &mut Vec<f32>| {
            by_output.extend(output.iter().zip(one(at)).map(|(got, want)| got - want));
            by_output.iter().map(|error| 0.5 * error * error).sum()
        };
        let loss = train(&mut network, rows.len() / width, training, row, loss);
        (Self { network }, loss)
    }

    /// Whether it was trained on rows of this width.
    #[must_use]
    pub fn takes(&self, width: usize) -> bool {
        width > 0 && self.network.inputs() == width
    }

    /// What is left of each number after what comes back is taken off.
    #[must_use]
    pub fn rest(&self, row: &[f32]) -> Vec<f32> {
        self.network.predict(row).iter().zip(row).map(|(got, want)| want - got).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on a curve in four dimensions: the first number decides the others.
    fn curve(at: usize) -> [f32; 4] {
        let first = (at % 97) as f32 / 48.0 - 1.0;
        [first, -first, first * first, first.max(0.0)]
    }

    #[test]
    fn a_row_off_the_curve_does_not_come_back() {
        let rows: Vec<f32> = (0..2000).flat_map(curve).collect();
        let training = Training { epochs: 30, ..Training::default() };
        let (encoder, loss) = Autoencoder::train(&rows, 4, &training);
        assert!(loss < 0.02, "{loss}");
        let size = |row: [f32; 4]| encoder.rest(&row).iter().map(|rest| rest * rest).sum::<f32>();
        assert!(size([0.8, 0.8, 0.64, 0.8]) > 10.0 * size(curve(87)), "{}", size(curve(87)));
    }

    #[test]
    fn the_same_rows_give_the_same_bits() {
        let rows: Vec<f32> = (0..200).flat_map(curve).collect();
        let learnt = || Autoencoder::train(&rows, 4, &Training::default());
        assert_eq!(learnt(), learnt());
        assert!(learnt().0.takes(4) && !learnt().0.takes(3) && !Autoencoder::default().takes(0));
    }
}
