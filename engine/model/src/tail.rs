//! How often a standardised residual is exceeded: an empirical body with a fitted extreme-value tail.
//!
//! The idea is SPOT's (Siffer et al., KDD 2017): the excesses over a high quantile follow a
//! generalised Pareto distribution. Here the body is a histogram on a logarithmic grid that forgets
//! slowly, one for each entity, filled up with that of all entities of the detector and with a
//! heavy-tailed prior, so that a young entity borrows its peers' tail.

use serde::{Deserialize, Serialize};

/// Cells of one side of the histogram.
const CELLS: usize = 64;
/// Upper edge of the first cell.
const FIRST_EDGE: f64 = 0.5;
/// Cells in a doubling.
const CELLS_PER_OCTAVE: f64 = 8.0;
/// Share of the values that makes up the fitted tail.
const TAIL_SHARE: f64 = 0.02;
/// Fewest values in the fitted tail; below that the tail begins earlier.
const TAIL_COUNT: f64 = 25.0;
/// The tail never begins before this share.
const TAIL_SHARE_MAX: f64 = 0.1;
/// Range of the shape of the fitted tail.
const SHAPE: (f64, f64) = (-0.15, 0.5);
/// Below this probability a bounded tail goes on as an exponential one.
const BOUNDED_DOWN_TO: f64 = 1e-3;
/// Halvings that place a quantile within its cell.
const BISECTIONS: usize = 14;
/// Weight of the prior, in values.
const PRIOR_WEIGHT: f64 = 40.0;
/// Smallest probability that is reported.
pub(crate) const P_MIN: f64 = 1e-60;

/// Lower edge of a cell.
fn edge(cell: usize) -> f64 {
    if cell == 0 { 0.0 } else { FIRST_EDGE * ((cell - 1) as f64 / CELLS_PER_OCTAVE).exp2() }
}

fn cell_of(size: f64) -> usize {
    if size < FIRST_EDGE {
        return 0;
    }
    (1.0 + (size / FIRST_EDGE).log2() * CELLS_PER_OCTAVE).min((CELLS - 1) as f64) as usize
}

/// Share of a Student distribution with four degrees of freedom beyond `z`, on one side.
fn prior_survival(z: f64) -> f64 {
    let t = z / (4.0 + z * z).sqrt();
    0.5 - 0.5 * (1.5 * t - 0.5 * t * t * t)
}

/// Counts of standardised residuals by side and size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    below: Vec<f32>,
    above: Vec<f32>,
    total: f64,
}

impl Tally {
    /// A tally without counts.
    pub(crate) const NOTHING: Self = Self { below: Vec::new(), above: Vec::new(), total: 0.0 };

    /// Counts one residual.
    pub(crate) fn add(&mut self, z: f64) {
        let side = if z < 0.0 { &mut self.below } else { &mut self.above };
        let cell = cell_of(z.abs());
        if side.len() <= cell {
            side.resize(cell + 1, 0.0);
        }
        side[cell] += 1.0;
        self.total += 1.0;
    }

    /// Multiplies all counts by `keep`.
    pub(crate) fn forget(&mut self, keep: f64) {
        for count in self.below.iter_mut().chain(&mut self.above) {
            *count *= keep as f32;
        }
        self.total *= keep;
    }

    /// Takes in all that another one holds.
    pub(crate) fn join(&mut self, other: &Self) {
        for (own, more) in [(&mut self.below, &other.below), (&mut self.above, &other.above)] {
            own.resize(own.len().max(more.len()), 0.0);
            own.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
        self.total += other.total;
    }

    /// How many residuals are remembered.
    pub(crate) fn total(&self) -> f64 {
        self.total
    }
}

/// Days after which the residuals of an entity have been half forgotten.
const TALLY_HALF_LIFE_DAYS: f64 = 14.0;

/// Enters residuals into an entity's tails, which forget a little once in a `day` of buckets.
pub(crate) fn enter(tallies: &mut Vec<Tally>, residuals: &[f64], seen: f64, day: f64) {
    if tallies.len() < residuals.len() {
        tallies.resize(residuals.len(), Tally::default());
    }
    let forgets = seen.rem_euclid(day.round().max(1.0)) < 0.5;
    for (tally, &z) in tallies.iter_mut().zip(residuals) {
        if forgets {
            tally.forget((-std::f64::consts::LN_2 / TALLY_HALF_LIFE_DAYS).exp());
        }
        tally.add(z);
    }
}

/// Exceedance probabilities on one side.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// Share of values at least as large as each cell's lower edge.
    survival: [f64; CELLS],
    threshold: f64,
    share: f64,
    sigma: f64,
    shape: f64,
}

impl Side {
    /// The curve of one entity on one side or both: its own counts, filled up with `pool_weight`
    /// values of the pool.
    pub(crate) fn new(own: &Tally, pool: &Tally, pool_weight: f64, (below, above): (bool, bool)) -> Self {
        let scale = pool_weight / (pool.total + PRIOR_WEIGHT);
        let sides = f64::from(u8::from(below) + u8::from(above));
        let mut mass = PRIOR.map(|prior| sides * prior * PRIOR_WEIGHT * scale);
        let mut add = |counts: &[f32], weight: f64| {
            for (mass, &count) in mass.iter_mut().zip(counts) {
                *mass += weight * f64::from(count);
            }
        };
        for (wanted, own, pool) in [(below, &own.below, &pool.below), (above, &own.above, &pool.above)] {
            if wanted {
                add(own, 1.0);
                add(pool, scale);
            }
        }
        Self::fit(&mass, own.total + pool_weight)
    }

    fn fit(mass: &[f64; CELLS], total: f64) -> Self {
        let mut survival = [0.0; CELLS];
        let mut sum = 0.0;
        for cell in (0..CELLS).rev() {
            sum += mass[cell];
            survival[cell] = sum / total;
        }
        let wanted = (TAIL_COUNT / total).clamp(TAIL_SHARE, TAIL_SHARE_MAX);
        let start = (1..CELLS).find(|&cell| survival[cell] <= wanted).unwrap_or(CELLS - 1);
        let threshold = edge(start);
        let share = survival[start].max(1e-9);
        let (mut mean, mut weighted) = (0.0, 0.0);
        for cell in start..CELLS {
            let upper = if cell + 1 < CELLS { edge(cell + 1) } else { 2.0 * edge(cell) };
            let next = survival.get(cell + 1).copied().unwrap_or(0.0);
            let part = (survival[cell] - next) / share;
            let excess = excess_in(edge(cell), upper, survival[cell], next) - threshold;
            mean += part * excess;
            weighted += part * excess * 0.5 * (survival[cell] + next) / share;
        }
        let mean = mean.max(1e-3 * threshold.max(FIRST_EDGE));
        let spread = mean - 2.0 * weighted;
        let shape = if spread > 1e-9 * mean { 2.0 - mean / spread } else { 0.0 };
        let shape = shape.clamp(SHAPE.0, SHAPE.1);
        Self { survival, threshold, share, sigma: mean * (1.0 - shape), shape }
    }

    /// Probability of a residual of at least this size on this side.
    pub(crate) fn exceed(&self, size: f64) -> f64 {
        let p = if size > self.threshold { self.tail(size - self.threshold) } else { self.body(size.max(0.0)) };
        p.clamp(P_MIN, 1.0)
    }

    fn body(&self, size: f64) -> f64 {
        let cell = cell_of(size);
        let (low, high) = (edge(cell), edge(cell + 1));
        let from = self.survival[cell];
        let to = self.survival.get(cell + 1).copied().unwrap_or(0.0);
        let part = ((size - low) / (high - low)).clamp(0.0, 1.0);
        if from > 0.0 && to > 0.0 && cell > 0 { from * (to / from).powf(part) } else { from + (to - from) * part }
    }

    fn tail(&self, excess: f64) -> f64 {
        let scaled = excess / self.sigma;
        if self.shape.abs() < 1e-6 {
            return self.share * (-scaled).exp();
        }
        if self.shape < 0.0 {
            let depth = (BOUNDED_DOWN_TO / self.share).min(1.0).powf(-self.shape);
            let reach = (depth - 1.0) / self.shape;
            if scaled > reach {
                return BOUNDED_DOWN_TO.min(self.share) * (-(scaled - reach) / depth).exp();
            }
        }
        self.share * (1.0 + self.shape * scaled).max(0.0).powf(-1.0 / self.shape)
    }

    /// The size that is exceeded with probability `p`.
    pub(crate) fn quantile(&self, p: f64) -> f64 {
        if self.survival[0] <= p {
            return 0.0;
        }
        let cell = self.survival.iter().rposition(|&share| share > p).unwrap_or(0);
        let (mut low, mut high) = (edge(cell), edge(cell + 1));
        if low >= self.threshold {
            high = self.threshold + self.reach_of(p);
            low = self.threshold;
        }
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (low + high);
            if self.exceed(middle) > p { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }

    /// A size beyond the threshold that is exceeded with less than probability `p`.
    fn reach_of(&self, p: f64) -> f64 {
        let mut reach = self.sigma;
        while self.tail(reach) > p && reach < edge(CELLS) {
            reach *= 2.0;
        }
        reach
    }
}

/// Mean of a cell's values when they thin out exponentially between its edges.
fn excess_in(low: f64, high: f64, from: f64, to: f64) -> f64 {
    let width = high - low;
    let ratio = if from > 0.0 { (to / from).clamp(0.05, 0.999) } else { 0.5 };
    let rate = -ratio.ln();
    low + width * (1.0 / rate - ratio / (1.0 - ratio))
}

/// Share of the prior in each cell, on one side.
static PRIOR: std::sync::LazyLock<[f64; CELLS]> = std::sync::LazyLock::new(|| {
    std::array::from_fn(|cell| {
        let next = if cell + 1 < CELLS { prior_survival(edge(cell + 1)) } else { 0.0 };
        prior_survival(edge(cell)) - next
    })
});

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal, StudentT};

    fn tally(values: impl Iterator<Item = f64>) -> Tally {
        let mut tally = Tally::default();
        values.for_each(|z| tally.add(z));
        tally
    }

    #[test]
    fn tails_of_normal_and_heavy_values_come_out_within_a_factor_of_two() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let normal = tally((0..20_000).map(|_| StandardNormal.sample(&mut rng)));
        let side = Side::new(&normal, &Tally::default(), 50.0, (false, true));
        for (z, p) in [(1.0, 0.158_7), (2.326, 1e-2), (3.09, 1e-3), (3.719, 1e-4)] {
            assert!((side.exceed(z) / p).ln().abs() < 2f64.ln(), "{z} {}", side.exceed(z));
        }
        let student = StudentT::new(3.0).unwrap();
        let heavy = tally((0..20_000).map(|_| student.sample(&mut rng)));
        let side = Side::new(&heavy, &Tally::default(), 50.0, (false, true));
        for (z, p) in [(4.541, 1e-2), (10.21, 1e-3), (22.2, 1e-4)] {
            assert!((side.exceed(z) / p).ln().abs() < 2f64.ln(), "{z} {}", side.exceed(z));
        }
    }

    #[test]
    fn an_empty_tally_falls_back_to_the_prior_and_never_increases() {
        let side = Side::new(&Tally::default(), &Tally::default(), 100.0, (false, true));
        let p: Vec<f64> = (0..400).map(|k| side.exceed(f64::from(k) * 0.25)).collect();
        assert!((p[0] - 0.5).abs() < 1e-9);
        assert!(p.windows(2).all(|pair| pair[1] <= pair[0] + 1e-12));
        assert!((side.exceed(side.quantile(0.025)) - 0.025).abs() < 1e-5);
    }

    #[test]
    fn only_equal_values_still_leave_room_for_the_unseen() {
        let constant = tally(std::iter::repeat_n(0.0, 1000));
        let side = Side::new(&constant, &Tally::default(), 50.0, (false, true));
        assert!(side.exceed(3.0) > 1e-5 && side.exceed(3.0) < 0.01, "{}", side.exceed(3.0));
    }
}
