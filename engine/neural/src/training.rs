//! Mini-batches of shuffled rows.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::adam::Adam;
use crate::network::{Network, Trace};

/// How long and how fast a network learns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Passes over the rows.
    pub epochs: usize,
    /// Rows behind each step.
    pub batch: usize,
    /// Length of a step at the beginning; it falls to a tenth towards the end.
    pub rate: f32,
    /// Decides the first weights and the order of rows.
    pub seed: u64,
}

impl Default for Training {
    fn default() -> Self {
        Self { epochs: 12, batch: 64, rate: 3e-3, seed: 1 }
    }
}

/// Trains on rows `0..rows`; the mean loss of the last pass, 0 where there are no rows.
///
/// `row` writes the input of a row; `loss` is given the row and the network's output, writes how the loss depends on the
/// output, and returns the loss.
pub fn train(
    network: &mut Network,
    rows: usize,
    training: &Training,
    row: impl Fn(usize, &mut Vec<f32>),
    loss: impl Fn(usize, &[f32], &mut Vec<f32>) -> f32,
) -> f64 {
    let mut order: Vec<usize> = (0..rows).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(training.seed);
    let mut adam = Adam::new(network.weights.len());
    let mut gradient = vec![0.0; network.weights.len()];
    let (mut trace, mut input, mut by_output) = (Trace::default(), Vec::new(), Vec::new());
    let mut mean = 0.0;
    for epoch in 0..training.epochs {
        order.shuffle(&mut rng);
        let rate = training.rate * (1.0 - 0.9 * epoch as f32 / training.epochs.max(2) as f32);
        let mut sum = 0.0;
        for batch in order.chunks(training.batch.max(1)) {
            gradient.fill(0.0);
            for &at in batch {
                input.clear();
                row(at, &mut input);
                network.trace(&input, &mut trace);
                by_output.clear();
                sum += f64::from(loss(at, trace.output(), &mut by_output));
                network.back(&trace, &by_output, &mut gradient);
            }
            let share = 1.0 / batch.len() as f32;
            gradient.iter_mut().for_each(|slope| *slope *= share);
            adam.step(&mut network.weights, &gradient, rate);
        }
        mean = sum / rows.max(1) as f64;
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    const XOR: [([f32; 2], f32); 4] = [([0.0, 0.0], 0.0), ([0.0, 1.0], 1.0), ([1.0, 0.0], 1.0), ([1.0, 1.0], 0.0)];

    fn learnt_xor(seed: u64) -> (Network, f64) {
        let mut network = Network::new(&[2, 8, 1], seed);
        let training = Training { epochs: 800, batch: 4, rate: 0.02, seed };
        let row = |at: usize, input: &mut Vec<f32>| input.extend(XOR[at].0);
        let loss = |at: usize, output: &[f32], by_output: &mut Vec<f32>| {
            let error = output[0] - XOR[at].1;
            by_output.push(error);
            0.5 * error * error
        };
        let loss = train(&mut network, XOR.len(), &training, row, loss);
        (network, loss)
    }

    #[test]
    fn what_no_line_divides_is_learnt() {
        let (network, loss) = learnt_xor(3);
        assert!(loss < 1e-3, "{loss}");
        for (input, wanted) in XOR {
            assert!((network.predict(&input)[0] - wanted).abs() < 0.1, "{input:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bits_and_another_does_not() {
        assert_eq!(learnt_xor(5), learnt_xor(5));
        assert_ne!(learnt_xor(5).0, learnt_xor(6).0);
    }

    #[test]
    fn without_rows_nothing_changes() {
        let mut network = Network::new(&[1, 2, 1], 1);
        let before = network.clone();
        let loss = train(&mut network, 0, &Training::default(), |_, _| (), |_, _, _| 0.0);
        assert_eq!((loss, network), (0.0, before));
    }
}
