//! Randomness with a name: every stream depends on the seed and on what it is for, so that one
//! log or one link can be made without the others and still come out the same.

use margay_core::digest;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};

/// Share of a slow disturbance that survives to the next step.
const MEMORY: f64 = 0.7;

/// Random numbers for one purpose.
pub(crate) fn stream(seed: u64, purpose: &[&str]) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let name = digest(purpose);
    random.set_stream(u64::from_str_radix(&name, 16).expect("a digest is 16 hexadecimal digits"));
    random
}

/// A factor around 1: log-normal with `sigma` in natural logarithms.
pub(crate) fn log_normal(random: &mut ChaCha8Rng, sigma: f64) -> f64 {
    let normal: f64 = StandardNormal.sample(random);
    (sigma * normal).exp()
}

/// A count with mean `mean` and variance `mean + mean² / shape`: over-dispersed, as real traffic is.
pub(crate) fn count(random: &mut ChaCha8Rng, mean: f64, shape: f64) -> f64 {
    let spread = Gamma::new(shape, 1.0 / shape).map_or(1.0, |gamma| gamma.sample(random));
    Poisson::new(mean * spread).map_or(0.0, |poisson| poisson.sample(random))
}

/// `part` of `whole` events, each chosen with the same chance.
pub(crate) fn share(random: &mut ChaCha8Rng, whole: f64, chance: f64) -> f64 {
    Poisson::new(whole * chance).map_or(0.0, |poisson| poisson.sample(random)).min(whole)
}

/// Lower-case letters and digits as Kubernetes draws them for names.
pub(crate) fn suffix(random: &mut ChaCha8Rng, length: usize) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}

/// A slowly wandering factor around 1.
pub(crate) struct Drift {
    random: ChaCha8Rng,
    sigma: f64,
    log: f64,
}

impl Drift {
    /// A drift whose logarithm has the standard deviation `sigma`.
    pub(crate) fn new(random: ChaCha8Rng, sigma: f64) -> Self {
        Self { random, sigma, log: 0.0 }
    }

    /// The factor of the next step.
    pub(crate) fn step(&mut self) -> f64 {
        let normal: f64 = StandardNormal.sample(&mut self.random);
        self.log = MEMORY * self.log + (1.0 - MEMORY * MEMORY).sqrt() * self.sigma * normal;
        self.log.exp()
    }

    /// The numbers behind the drift, for what happens within a step.
    pub(crate) fn random(&mut self) -> &mut ChaCha8Rng {
        &mut self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_names_its_numbers() {
        let draw = |seed, purpose: &[&str]| stream(seed, purpose).random::<u64>();
        assert_eq!(draw(1, &["flows", "a"]), draw(1, &["flows", "a"]));
        assert_ne!(draw(1, &["flows", "a"]), draw(1, &["flows", "b"]));
        assert_ne!(draw(1, &["flows", "a"]), draw(2, &["flows", "a"]));
    }

    #[test]
    fn counts_vary_more_than_poisson() {
        let mut random = stream(7, &["test"]);
        let draws: Vec<f64> = (0..4000).map(|_| count(&mut random, 100.0, 10.0)).collect();
        let mean = draws.iter().sum::<f64>() / 4000.0;
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / 4000.0;
        assert!((95.0..105.0).contains(&mean), "{mean}");
        assert!((800.0..1500.0).contains(&variance), "{variance}");
    }

    #[test]
    fn no_mean_gives_no_count() {
        assert_eq!(count(&mut stream(1, &[]), 0.0, 5.0), 0.0);
    }
}
