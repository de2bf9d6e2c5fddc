//! Shapes of a series that are known, as prototypes that a new one matches or does not.
//!
//! Fuzzy adaptive resonance (Carpenter, Grossberg and Rosen, Neural Networks 1991) on the last eight steps of a series, raw
//! and as Haar coefficients of their shape, which leads Numenta's benchmark as ARTime (Hoeltgebaum et al. describe its
//! ideas). What differs here: the range of values is frozen once learnt and padded, so that nothing looks ahead, and no
//! vigilance is adapted, because calibrated tails decide what a match is worth.

use serde::{Deserialize, Serialize};

use crate::robust;

/// Steps that are matched together.
const STEPS: usize = 8;
/// Numbers of a pattern: shape and raw values, and what each lacks to 1.
const WIDTH: usize = 4 * STEPS;
/// Steps that the probation is divided into.
const PROBATION_STEPS: usize = 104;
/// Fewest patterns to begin with.
const PATTERNS_LEAST: usize = 24;
/// Levels that raw values are rounded to.
const LEVELS: f64 = 160.0;
/// Widths of the usual range that it is padded by on both sides.
const PADDING: f64 = 1.5;
/// Vigilance with which the right one is found.
const SCRATCH_VIGILANCE: f64 = 0.8;
/// Prototypes at most; the one that was matched least recently goes.
const PROTOTYPES_MOST: usize = 256;

/// Eight steps as the network sees them, 0 to 1.
type Pattern = [f32; WIDTH];

/// What is known of one series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prototypes {
    low: f64,
    width: f64,
    /// Buckets in a step; 0 before anything was learnt.
    step: usize,
    vigilance: f64,
    known: Vec<Prototype>,
    /// The last buckets, as shares of the range.
    recent: Vec<f32>,
    learnt: u64,
}

/// A pattern in bytes, and when it was last matched, in lessons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Prototype {
    cells: Vec<u8>,
    matched: u64,
}

impl Prototype {
    fn of(pattern: &Pattern, matched: u64) -> Self {
        Self { cells: pattern.iter().map(|cell| (cell * 255.0).round() as u8).collect(), matched }
    }

    /// How well a pattern fits in, with weight on its newest value: 0 to 1.
    fn fit(&self, pattern: &Pattern) -> f64 {
        let (mut shared, mut own) = (0.0, 0.0);
        let pairs = pattern.iter().zip(&self.cells).map(|(cell, own)| (*cell, f32::from(*own) / 255.0));
        pairs.for_each(|(cell, prototype)| {
            shared += f64::from(cell.min(prototype));
            own += f64::from(prototype);
        });
        let newest = [WIDTH / 2 - 1, WIDTH - 1];
        let at = |at: usize| (pattern[at], f32::from(self.cells[at]) / 255.0);
        let (both, here): (f64, f64) = newest.map(at).into_iter().fold((0.0, 0.0), |sum, (cell, prototype)| {
            (sum.0 + f64::from(cell.min(prototype)), sum.1 + f64::from(prototype))
        });
        (shared / own.max(1e-9)).powi(3) * (both / here.max(1e-9)).powi(2)
    }

    fn narrow(&mut self, pattern: &Pattern) {
        for (own, cell) in self.cells.iter_mut().zip(pattern) {
            *own = (*own).min((cell * 255.0).round() as u8);
        }
    }
}

impl Prototypes {
    /// Learns the range, the steps and the first patterns from the known buckets of a probation; knows nothing where they
    /// are few or never vary.
    pub(crate) fn begin(values: &[f64]) -> Self {
        let mut known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let (low, high) = (robust::quantile(&mut known, 0.0), robust::quantile(&mut known, 1.0));
        let range = high - low;
        let step = (known.len() / PROBATION_STEPS).max(1);
        if !range.is_finite() || range <= 0.0 || known.len() / step < PATTERNS_LEAST + STEPS {
            return Self::default();
        }
        let width = range * (1.0 + 2.0 * PADDING);
        let mut begun = Self { low: low - PADDING * range, width, step, ..Self::default() };
        let mut patterns = Vec::new();
        for (at, &value) in values.iter().filter(|value| value.is_finite()).enumerate() {
            if at % step == 0 {
                patterns.extend(begun.pattern(value));
            }
            begun.pass(value);
        }
        begun.vigilance = SCRATCH_VIGILANCE;
        begun.vigilance = begun.clone().right_vigilance(&patterns);
        patterns.iter().for_each(|pattern| begun.take(pattern));
        begun
    }

    /// The mean match of the later half of the patterns, when the oddest come first.
    fn right_vigilance(mut self, patterns: &[Pattern]) -> f64 {
        let size = |pattern: &Pattern| pattern.iter().map(|cell| f64::from(cell * cell)).sum::<f64>().sqrt().max(1e-9);
        let alike = |one: &Pattern, other: &Pattern| {
            let product: f64 = one.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum();
            product / (size(one) * size(other))
        };
        let mut ranked: Vec<(f64, &Pattern)> =
            patterns.iter().map(|one| (patterns.iter().map(|other| alike(one, other)).sum(), one)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut fits = Vec::new();
        for (_, pattern) in ranked {
            fits.push(self.best(pattern));
            self.take(pattern);
        }
        let later = &fits[fits.len() / 2..];
        later.iter().sum::<f64>() / later.len().max(1) as f64
    }

    /// How little the series matches anything known once it went on with `value`, 0 to 1; `None` while it is not known.
    pub(crate) fn novelty(&self, value: f64) -> Option<f64> {
        (self.step > 0).then(|| self.pattern(value))?.map(|pattern| 1.0 - self.best(&pattern))
    }

    /// Whether a value lies outside the range that was learnt.
    pub(crate) fn is_outside(&self, value: f64) -> bool {
        self.step > 0 && !(self.low..=self.low + self.width).contains(&value)
    }

    /// Takes in a bucket; once a step, its pattern.
    pub(crate) fn learn(&mut self, value: f64) {
        if self.step == 0 {
            return;
        }
        self.learnt += 1;
        let completes = self.learnt.is_multiple_of(self.step as u64);
        if let Some(pattern) = self.pattern(value).filter(|_| completes) {
            self.take(&pattern);
        }
        self.pass(value);
    }

    /// Takes in a bucket from which nothing is learnt.
    pub(crate) fn pass(&mut self, value: f64) {
        self.recent.push(self.share(value));
        let most = STEPS * self.step.max(1);
        if self.recent.len() > most {
            self.recent.remove(0);
        }
    }

    fn share(&self, value: f64) -> f32 {
        (((value - self.low) / self.width).clamp(0.0, 1.0) * LEVELS).round() as f32 / LEVELS as f32
    }

    fn best(&self, pattern: &Pattern) -> f64 {
        self.known.iter().map(|one| one.fit(pattern)).fold(0.0, f64::max)
    }

    /// Narrows what matches to what both have; without a match, remembers the pattern.
    fn take(&mut self, pattern: &Pattern) {
        let mut matched = false;
        for one in &mut self.known {
            if one.fit(pattern) >= self.vigilance {
                one.narrow(pattern);
                one.matched = self.learnt;
                matched = true;
            }
        }
        if matched {
            return;
        }
        if self.known.len() >= PROTOTYPES_MOST {
            let oldest = self.known.iter().enumerate().min_by_key(|(_, one)| one.matched).map_or(0, |(at, _)| at);
            self.known.remove(oldest);
        }
        self.known.push(Prototype::of(pattern, self.learnt));
    }

    /// The last steps, the newest ending with `value`; `None` until there are enough.
    fn pattern(&self, value: f64) -> Option<Pattern> {
        let wanted = STEPS * self.step - 1;
        let before = self.recent.len().checked_sub(wanted).map(|from| &self.recent[from..])?;
        let mut buckets = before.to_vec();
        buckets.push(self.share(value));
        let mut raw = [0.0f32; STEPS];
        for (mean, step) in raw.iter_mut().zip(buckets.chunks(self.step)) {
            *mean = step.iter().sum::<f32>() / step.len() as f32;
        }
        let shape = spread_out(haar(spread_out(raw)));
        let mut pattern = [0.0; WIDTH];
        for (at, half) in shape.iter().chain(&raw).enumerate() {
            (pattern[at], pattern[WIDTH / 2 + at]) = (*half, 1.0 - half);
        }
        Some(pattern)
    }
}

/// Stretched to 0 to 1; all 0 where nothing varies.
fn spread_out(values: [f32; STEPS]) -> [f32; STEPS] {
    let (low, high) = values.iter().fold((f32::MAX, f32::MIN), |(low, high), &value| (low.min(value), high.max(value)));
    if high - low < 1e-6 { [0.0; STEPS] } else { values.map(|value| (value - low) / (high - low)) }
}

/// Orthonormal Haar transform.
fn haar(mut values: [f32; STEPS]) -> [f32; STEPS] {
    let mut length = STEPS;
    while length > 1 {
        let before = values;
        length /= 2;
        for at in 0..length {
            let (first, second) = (before[2 * at], before[2 * at + 1]);
            values[at] = (first + second) * std::f32::consts::FRAC_1_SQRT_2;
            values[length + at] = (second - first) * std::f32::consts::FRAC_1_SQRT_2;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(at: usize) -> f64 {
        (at as f64 / 96.0 * std::f64::consts::TAU).sin() * 10.0 + 50.0
    }

    #[test]
    fn a_known_shape_matches_and_one_inside_the_usual_range_that_never_was_does_not() {
        let values: Vec<f64> = (0..96 * 3).map(wave).collect();
        let mut known = Prototypes::begin(&values);
        let mut usual = 0.0f64;
        for at in 96 * 3..96 * 5 {
            usual = usual.max(known.novelty(wave(at)).unwrap_or(1.0));
            known.learn(wave(at));
        }
        let mut odd = 0.0f64;
        for at in 96 * 5..96 * 5 + 12 {
            let value = if at % 2 == 0 { 42.0 } else { 58.0 };
            odd = odd.max(known.novelty(value).unwrap_or(0.0));
            known.pass(value);
        }
        assert!(odd > usual + 0.1, "{odd} {usual}");
    }

    #[test]
    fn constant_short_and_missing_series_are_not_known() {
        for values in [vec![], vec![3.0; 400], vec![f64::NAN; 400], (0..20).map(wave).collect()] {
            assert_eq!(Prototypes::begin(&values).novelty(1.0), None);
        }
    }

    #[test]
    fn the_transform_keeps_the_length() {
        let values = [0.1, 0.9, 0.4, 0.4, 0.0, 1.0, 0.7, 0.2];
        let size = |values: [f32; STEPS]| values.iter().map(|value| value * value).sum::<f32>();
        assert!((size(haar(values)) - size(values)).abs() < 1e-5);
    }
}
