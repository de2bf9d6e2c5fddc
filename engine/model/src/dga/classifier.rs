//! Was a name generated? Logistic regression on hashed letters in a row and figures of the whole label.
//!
//! Character n-grams with a linear model are the baseline that networks are measured against (Woodbridge et al., arXiv
//! 1611.00791: AUC .99 on random splits); what they lack on unseen families networks lack too. Trained here and now, in
//! about a second, on names that people look up and on names made by `families.rs`, with a fixed seed: the same
//! weights everywhere. Every tenth benign name is kept out and calibrates: see [`Classifier::surprise`].

use std::sync::LazyLock;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::families;
use super::looks::{SLOTS, slots};
use super::words::benign;
use crate::distribution::score_of_tail;
use crate::names::plain;

/// Decides the generated names and the order of training.
const SEED: u64 = 20_261_124;
/// Generated names trained on.
const GENERATED: usize = 100_000;
/// Passes over all names.
const PASSES: usize = 3;
/// Step of AdaGrad, and what keeps its first steps small.
const STEP: (f32, f32) = (0.12, 0.05);
/// Pull of the weights towards zero.
const DECAY: f32 = 2e-6;
/// One benign name of so many calibrates.
const HELD_OUT: usize = 10;
/// Scores are cut here: one name alone proves little.
const SURPRISE_MOST: f64 = 3.2;

/// The one trained classifier.
pub(super) static CLASSIFIER: LazyLock<Classifier> = LazyLock::new(Classifier::train);

/// Trained weights.
pub(super) struct Classifier {
    weights: Vec<f32>,
    bias: f32,
    /// Logits of benign names that were not trained on, in rising order.
    benign: Vec<f32>,
}

impl Classifier {
    fn train() -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let (mut known, mut held): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for (at, name) in benign().into_iter().enumerate() {
            if at % HELD_OUT == 0 { held.push(name) } else { known.push(name) }
        }
        let generated = families::names(GENERATED, &mut random);
        let mut rows = Rows::default();
        known.iter().for_each(|name| rows.add(name, false));
        generated.iter().for_each(|name| rows.add(name, true));
        let mut model = Self { weights: vec![0.0; SLOTS], bias: 0.0, benign: Vec::new() };
        let mut squares = vec![STEP.1; SLOTS];
        let mut order: Vec<u32> = (0..rows.labels.len() as u32).collect();
        for _ in 0..PASSES {
            order.shuffle(&mut random);
            order.iter().for_each(|row| model.learn(rows.row(*row), &mut squares));
        }
        model.benign = held.iter().filter_map(|name| model.logit(name)).collect();
        model.benign.sort_unstable_by(f32::total_cmp);
        model
    }

    fn learn(&mut self, (slots, generated): (&[u32], bool), squares: &mut [f32]) {
        let error = 1.0 / (1.0 + (-self.sum(slots)).exp()) - f32::from(u8::from(generated));
        self.bias -= 0.001 * error;
        for slot in slots {
            let at = *slot as usize;
            let slope = error + DECAY * self.weights[at];
            squares[at] += slope * slope;
            self.weights[at] -= STEP.0 * slope / squares[at].sqrt() / 8.0;
        }
    }

    fn sum(&self, slots: &[u32]) -> f32 {
        self.bias + slots.iter().map(|slot| self.weights[*slot as usize]).sum::<f32>()
    }

    /// Evidence that a plain name was generated, as a logit; `None` where there is no label to look at.
    pub(super) fn logit(&self, name: &str) -> Option<f32> {
        let mut found = Vec::with_capacity(160);
        slots(name, &mut found).then(|| self.sum(&found))
    }

    /// The same as a standard normal score among benign names, cut at both ends.
    pub(super) fn surprise(&self, name: &str) -> Option<f64> {
        let logit = self.logit(name)?;
        let below = self.benign.partition_point(|benign| *benign < logit);
        let above = (self.benign.len() - below) as f64 + 0.5;
        let z = score_of_tail(above / (self.benign.len() as f64 + 1.0));
        Some(z.clamp(-SURPRISE_MOST, SURPRISE_MOST))
    }
}

/// Probability that each name was generated, had half of all names been; `None` for what is no name.
#[must_use]
pub fn classify(name: &str) -> Option<f64> {
    CLASSIFIER.logit(&plain(name)).map(|logit| 1.0 / (1.0 + (-f64::from(logit)).exp()))
}

/// Slots of all names, one after the other.
#[derive(Default)]
struct Rows {
    slots: Vec<u32>,
    ends: Vec<usize>,
    labels: Vec<bool>,
}

impl Rows {
    fn add(&mut self, name: &str, generated: bool) {
        let mut found = Vec::with_capacity(160);
        if slots(name, &mut found) {
            self.slots.extend(found);
            self.ends.push(self.slots.len());
            self.labels.push(generated);
        }
    }

    fn row(&self, row: u32) -> (&[u32], bool) {
        let row = row as usize;
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        (&self.slots[start..self.ends[row]], self.labels[row])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(name: &str) -> bool {
        classify(name).is_some_and(|probability| probability > 0.9)
    }

    #[test]
    fn names_that_people_look_up_are_not_generated_and_random_ones_are() {
        let known = ["google.com", "wikipedia.org", "www.bbc.co.uk", "kubernetes.io", "stackoverflow.com", "heise.de"];
        let random = ["xjwqkzvbpltr.com", "qhzzkfgsvmye.ru", "7g3k1zq9x0vb5n2m8w4p.net", "ikmoqaceguwyoiea.org"];
        for name in known {
            assert!(!generated(name), "{name} {:?}", classify(name));
        }
        for name in random {
            assert!(generated(name), "{name} {:?}", classify(name));
        }
        assert_eq!(classify(""), None);
        assert_eq!(classify("XJWQKZVBPLTR.com."), classify("xjwqkzvbpltr.com"));
    }

    #[test]
    fn a_hundredth_of_names_kept_out_is_above_the_hundredth_of_the_scale() {
        let model = &*CLASSIFIER;
        let names: Vec<String> = benign().into_iter().step_by(HELD_OUT).collect();
        let above = names.iter().filter(|name| model.surprise(name).is_some_and(|z| z > 2.326)).count();
        let share = above as f64 / names.len() as f64;
        assert!((0.008..0.012).contains(&share), "{share}");
    }

    #[test]
    fn most_generated_names_of_another_seed_stand_out_at_one_false_name_in_a_hundred() {
        let model = &*CLASSIFIER;
        let names = families::names(4000, &mut ChaCha8Rng::seed_from_u64(1));
        let found = names.iter().filter(|name| model.surprise(name).is_some_and(|z| z > 2.326)).count();
        assert!(found > 2800, "{found} of 4000");
    }
}
