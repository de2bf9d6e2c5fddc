//! Dense layers with leaky rectifiers between them, and the gradients of their weights.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Slope of a rectifier below 0: a unit that is off can still learn.
const LEAK: f32 = 0.01;
/// Products that are summed beside each other: a fixed order that processors do at once.
const LANES: usize = 8;

/// Dense layers; the last one is linear.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Numbers between the layers, from the input to the output.
    widths: Vec<usize>,
    /// By layer: for each output its weights, then the biases of all outputs.
    pub(crate) weights: Vec<f32>,
}

/// What every layer gave for one input, kept for [`Network::back`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// The input, then the output of each layer.
    layers: Vec<Vec<f32>>,
}

impl Trace {
    /// The output of the network.
    pub(crate) fn output(&self) -> &[f32] {
        self.layers.last().map_or(&[], Vec::as_slice)
    }
}

impl Network {
    /// An untrained network: uniform weights whose variance keeps signals from growing (He et al., ICCV 2015).
    #[must_use]
    pub fn new(widths: &[usize], seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = Vec::new();
        for pair in widths.windows(2) {
            let reach = (6.0 / pair[0].max(1) as f32).sqrt();
            weights.extend((0..pair[0] * pair[1]).map(|_| rng.random_range(-reach..=reach)));
            weights.extend(std::iter::repeat_n(0.0, pair[1]));
        }
        Self { widths: widths.to_vec(), weights }
    }

    /// Numbers that it takes.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.widths.first().copied().unwrap_or(0)
    }

    /// Numbers that it gives.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.widths.last().copied().unwrap_or(0)
    }

    /// What it makes of an input of [`Network::inputs`] numbers.
    #[must_use]
    pub fn predict(&self, input: &[f32]) -> Vec<f32> {
        let mut trace = Trace::default();
        self.trace(input, &mut trace);
        trace.layers.pop().unwrap_or_default()
    }

    /// Runs an input through all layers.
    pub(crate) fn trace(&self, input: &[f32], trace: &mut Trace) {
        debug_assert_eq!(input.len(), self.inputs(), "an input of the network's width");
        trace.layers.resize_with(self.widths.len(), Vec::new);
        if let Some(first) = trace.layers.first_mut() {
            first.clear();
            first.extend_from_slice(input);
        }
        let mut at = 0;
        for layer in 1..self.widths.len() {
            let (from, to) = (self.widths[layer - 1], self.widths[layer]);
            let (matrix, biases) = self.weights[at..at + (from + 1) * to].split_at(from * to);
            let (before, after) = trace.layers.split_at_mut(layer);
            let (before, after) = (&before[layer - 1], &mut after[0]);
            let is_last = layer + 1 == self.widths.len();
            after.clear();
            after.extend(matrix.chunks_exact(from.max(1)).zip(biases).map(|(row, bias)| {
                let sum = dot(row, before) + bias;
                if is_last || sum > 0.0 { sum } else { LEAK * sum }
            }));
            at += (from + 1) * to;
        }
    }

    /// Adds the gradient of a loss to `gradient`, given how the loss depends on the output of `trace`.
    pub(crate) fn back(&self, trace: &Trace, by_output: &[f32], gradient: &mut [f32]) {
        let mut end = self.weights.len();
        let mut by_after = by_output.to_vec();
        for layer in (1..self.widths.len()).rev() {
            let (from, to) = (self.widths[layer - 1], self.widths[layer]);
            let start = end - (from + 1) * to;
            let (before, after) = (&trace.layers[layer - 1], &trace.layers[layer]);
            if layer + 1 < self.widths.len() {
                by_after.iter_mut().zip(after).for_each(|(by, &value)| *by *= if value > 0.0 { 1.0 } else { LEAK });
            }
            let (matrix, biases) = gradient[start..end].split_at_mut(from * to);
            let mut by_before = vec![0.0; from];
            for (output, &by) in by_after.iter().enumerate() {
                biases[output] += by;
                let weights = &self.weights[start + output * from..start + (output + 1) * from];
                let row = &mut matrix[output * from..(output + 1) * from];
                for (place, (slope, &value)) in row.iter_mut().zip(before).enumerate() {
                    *slope += by * value;
                    by_before[place] += by * weights[place];
                }
            }
            (by_after, end) = (by_before, start);
        }
    }
}

/// Sum of products in the order of [`LANES`].
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (left, right) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let rest: f32 = left.remainder().iter().zip(right.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in left.zip(right) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half the squared error, whose gradient by the output is the error.
    fn loss(network: &Network, input: &[f32], wanted: &[f32]) -> f64 {
        let error = |(got, want): (&f32, &f32)| 0.5 * f64::from(got - want).powi(2);
        network.predict(input).iter().zip(wanted).map(error).sum()
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut network = Network::new(&[5, 9, 7, 3], 4);
        let (input, wanted) = ([0.3, -1.2, 0.8, 2.0, -0.1], [1.0, -0.5, 0.25]);
        let mut trace = Trace::default();
        network.trace(&input, &mut trace);
        let by_output: Vec<f32> = trace.output().iter().zip(&wanted).map(|(got, want)| got - want).collect();
        let mut gradient = vec![0.0; network.weights.len()];
        network.back(&trace, &by_output, &mut gradient);
        for (place, &given) in gradient.iter().enumerate() {
            let (step, kept) = (1e-3, network.weights[place]);
            network.weights[place] = kept + step;
            let above = loss(&network, &input, &wanted);
            network.weights[place] = kept - step;
            let below = loss(&network, &input, &wanted);
            network.weights[place] = kept;
            let slope = (above - below) / (2.0 * f64::from(step));
            let off = (slope - f64::from(given)).abs();
            assert!(off <= 2e-3 * slope.abs().max(1.0), "{place}: {slope} {given}");
        }
    }

    #[test]
    fn a_network_without_layers_gives_nothing() {
        assert!(Network::default().predict(&[]).is_empty());
        assert_eq!((Network::default().inputs(), Network::default().outputs()), (0, 0));
    }
}
