//! Steps down a gradient whose length adapts to each weight.

/// Memory of the mean gradient.
const MEAN: f32 = 0.9;
/// Memory of the mean squared gradient.
const SQUARE: f32 = 0.999;
/// Keeps a step finite where a weight has no gradient.
const LEAST: f32 = 1e-8;

/// Adam (Kingma & Ba, ICLR 2015) with its usual constants.
#[derive(Clone, Debug)]
pub(crate) struct Adam {
    mean: Vec<f32>,
    square: Vec<f32>,
    mean_left: f32,
    square_left: f32,
}

impl Adam {
    pub(crate) fn new(weights: usize) -> Self {
        Self { mean: vec![0.0; weights], square: vec![0.0; weights], mean_left: 1.0, square_left: 1.0 }
    }

    /// Moves every weight against its gradient.
    pub(crate) fn step(&mut self, weights: &mut [f32], gradient: &[f32], rate: f32) {
        self.mean_left *= MEAN;
        self.square_left *= SQUARE;
        let (mean_scale, square_scale) = (1.0 / (1.0 - self.mean_left), 1.0 / (1.0 - self.square_left));
        let memories = self.mean.iter_mut().zip(&mut self.square);
        for ((weight, &slope), (mean, square)) in weights.iter_mut().zip(gradient).zip(memories) {
            *mean = MEAN * *mean + (1.0 - MEAN) * slope;
            *square = SQUARE * *square + (1.0 - SQUARE) * slope * slope;
            *weight -= rate * *mean * mean_scale / ((*square * square_scale).sqrt() + LEAST);
        }
    }
}
