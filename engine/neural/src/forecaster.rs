//! Quantiles of the next value, from what is known before it.

use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::training::{Training, train};

/// The quantiles that are learnt: the ends of a 95 % interval, those of a 68 % one, and the median.
pub const QUANTILES: [f32; 5] = [0.025, 0.16, 0.5, 0.84, 0.975];

/// Numbers between the layers.
const HIDDEN: [usize; 2] = [32, 24];

/// One network for quantiles of the next value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Forecaster {
    network: Network,
}

/// What may come, in the order of [`QUANTILES`]; never crossing.
pub type Quantiles = [f32; QUANTILES.len()];

impl Forecaster {
    /// Learns from `rows` of `width` known numbers and the value that came then, and says the mean loss of the last pass.
    ///
    /// The loss is the pinball loss (Koenker & Bassett, Econometrica 1978), summed over [`QUANTILES`]: too low costs the
    /// quantile, too high what it lacks to 1.
    #[must_use]
    pub fn train(rows: &[f32], came: &[f32], width: usize, training: &Training) -> (Self, f64) {
        let widths = [width, HIDDEN[0], HIDDEN[1], QUANTILES.len()];
        Self { network: Network::new(&widths, training.seed) }.refine(rows, came, training)
    }

    /// Learns on from where it is; otherwise like [`Forecaster::train`].
    #[must_use]
    pub fn refine(mut self, rows: &[f32], came: &[f32], training: &Training) -> (Self, f64) {
        let width = self.network.inputs();
        let row = |at: usize, input: &mut Vec<f32>| input.extend_from_slice(&rows[at * width..(at + 1) * width]);
        let loss = |at: usize, output: &[f32], by_output: &mut Vec<f32>| pinball(output, came[at], by_output);
        let loss = train(&mut self.network, came.len(), training, row, loss);
        (self, loss)
    }

    /// Whether it was trained on rows of this width.
    #[must_use]
    pub fn takes(&self, width: usize) -> bool {
        width > 0 && self.network.inputs() == width
    }

    /// Quantiles of the value that follows on a row.
    #[must_use]
    pub fn quantiles(&self, row: &[f32]) -> Quantiles {
        let output = self.network.predict(row);
        let mut quantiles: Quantiles = std::array::from_fn(|at| output.get(at).copied().unwrap_or(0.0));
        quantiles.sort_unstable_by(f32::total_cmp);
        quantiles
    }
}

fn pinball(output: &[f32], came: f32, by_output: &mut Vec<f32>) -> f32 {
    let mut sum = 0.0;
    for (&got, &share) in output.iter().zip(&QUANTILES) {
        let slope = if came > got { -share } else { 1.0 - share };
        by_output.push(slope);
        sum += slope * (got - came);
    }
    sum
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A sine with uniform noise that is wider where it is high, told from its phase.
    fn sine(count: usize) -> (Vec<f32>, Vec<f32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (mut rows, mut came) = (Vec::new(), Vec::new());
        for at in 0..count {
            let phase = at as f32 * 0.37;
            rows.extend([phase.sin(), phase.cos()]);
            came.push(phase.sin() * 2.0 + (1.5 + phase.sin()) * rng.random_range(-1.0f32..1.0));
        }
        (rows, came)
    }

    #[test]
    fn intervals_of_a_noisy_sine_hold_what_they_promise() {
        let (rows, came) = sine(6000);
        let (forecaster, loss) = Forecaster::train(&rows, &came, 2, &Training { epochs: 20, ..Training::default() });
        assert!(loss.is_finite() && loss < 0.9, "{loss}");
        let inside = |low: usize, high: usize| {
            let held = rows.chunks(2).zip(&came).filter(|(row, came)| {
                let quantiles = forecaster.quantiles(row);
                quantiles[low] <= **came && **came <= quantiles[high]
            });
            held.count() as f64 / came.len() as f64
        };
        assert!((inside(0, 4) - 0.95).abs() < 0.02, "{}", inside(0, 4));
        assert!((inside(1, 3) - 0.68).abs() < 0.04, "{}", inside(1, 3));
        let [low, .., high] = forecaster.quantiles(&[1.0, 0.0]);
        let [narrow_low, .., narrow_high] = forecaster.quantiles(&[-1.0, 0.0]);
        assert!(high - low > 2.0 * (narrow_high - narrow_low), "{low} {high} {narrow_low} {narrow_high}");
    }

    #[test]
    fn learning_on_costs_less_and_forgets_nothing() {
        let (rows, came) = sine(3000);
        let (first, loss) = Forecaster::train(&rows, &came, 2, &Training { epochs: 10, ..Training::default() });
        let (_, again) = first.refine(&rows, &came, &Training { epochs: 1, rate: 1e-3, ..Training::default() });
        assert!(again < 1.02 * loss, "{again} {loss}");
    }

    #[test]
    fn the_same_rows_give_the_same_bits_and_quantiles_never_cross() {
        let (rows, came) = sine(300);
        let learnt = || Forecaster::train(&rows, &came, 2, &Training::default());
        assert_eq!(learnt(), learnt());
        let quantiles = learnt().0.quantiles(&[50.0, -80.0]);
        assert!(quantiles.windows(2).all(|pair| pair[0] <= pair[1]), "{quantiles:?}");
    }
}
