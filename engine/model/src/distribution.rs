//! Tail probabilities of the predictive distributions, as standard normal scores.
//!
//! A score `z` is positive above the centre and negative below it; discrete distributions share the
//! probability of the value itself between both sides by `tie` in (0, 1), so that `z` is standard
//! normal where the distribution is right.

use statrs::function::beta::checked_beta_reg;
use statrs::function::erf::erfc_inv;
use statrs::function::gamma::ln_gamma;

/// The largest score that is told apart from certainty.
pub(crate) const Z_MAX: f64 = 38.0;
/// From this mean on a count is judged by its variance-stabilised normal form.
const LARGE_MEAN: f64 = 1e4;
/// From this many trials on a share is judged by a beta distribution.
const LARGE_TRIALS: f64 = 400.0;

/// The standard normal score that is exceeded with probability `p`.
pub(crate) fn score_of_tail(p: f64) -> f64 {
    if p.is_nan() {
        return 0.0;
    }
    let p = p.clamp(1e-300, 1.0 - 1e-16);
    (std::f64::consts::SQRT_2 * erfc_inv(2.0 * p)).clamp(-Z_MAX, Z_MAX)
}

/// Score of the two tails: `above` = P(X ≥ x), `below` = P(X ≤ x), both with the shared value.
/// The smaller of them keeps its precision.
fn score_of_tails(above: f64, below: f64) -> f64 {
    if above < below { score_of_tail(above) } else { -score_of_tail(below) }
}

/// Score of `count` under a negative binomial distribution with this mean and relative
/// extra variance: variance = mean + `dispersion` · mean².
pub(crate) fn count_score(count: f64, mean: f64, dispersion: f64, tie: f64) -> f64 {
    let count = count.max(0.0).round();
    let mean = mean.max(1e-9);
    let size = 1.0 / dispersion.clamp(1e-6, 1e6);
    if mean.max(count) > LARGE_MEAN {
        let stable = |value: f64| (value / size).sqrt().asinh();
        let z = 2.0 * size.sqrt() * (stable(count + 0.375) - stable(mean));
        return z.clamp(-Z_MAX, Z_MAX);
    }
    let success = size / (size + mean);
    let at_most = |k: f64| if k < 0.0 { 0.0 } else { regularised(size, k + 1.0, success) };
    let over = |k: f64| if k < 0.0 { 1.0 } else { regularised(k + 1.0, size, 1.0 - success) };
    let ln_mass = ln_gamma(count + size) - ln_gamma(size) - ln_gamma(count + 1.0)
        + size * success.ln()
        + count * (1.0 - success).max(1e-300).ln();
    let mass = ln_mass.exp().min(1.0);
    score_of_tails(over(count) + tie * mass, at_most(count - 1.0) + (1.0 - tie) * mass)
}

/// Score of `hits` of `total` under a beta-binomial distribution with mean `share` and
/// correlation `spread` within the bucket (0: binomial).
pub(crate) fn ratio_score(hits: f64, total: f64, share: f64, spread: f64, tie: f64) -> f64 {
    let total = total.round().max(1.0);
    let hits = hits.round().clamp(0.0, total);
    let share = share.clamp(1e-9, 1.0 - 1e-9);
    let spread = spread.clamp(1e-7, 0.5);
    if total > LARGE_TRIALS {
        let relative = (1.0 + (total - 1.0) * spread) / total;
        let weight = (1.0 / relative - 1.0).max(1e-3);
        let (alpha, beta) = (share * weight, (1.0 - share) * weight);
        let lower = ((hits + 0.5 - tie) / total).clamp(0.0, 1.0);
        let above = regularised(beta, alpha, 1.0 - lower);
        let below = regularised(alpha, beta, lower);
        return score_of_tails(above, below);
    }
    let weight = 1.0 / spread - 1.0;
    let (alpha, beta) = (share * weight, (1.0 - share) * weight);
    let (mut below, mut above, mut at) = (0.0, 0.0, 0.0);
    let base = ln_gamma(alpha + beta) - ln_gamma(alpha) - ln_gamma(beta) - ln_gamma(total + alpha + beta);
    let mut ln_mass = base + ln_gamma(alpha) + ln_gamma(total + beta);
    for k in 0..=total as usize {
        let k = k as f64;
        let mass = ln_mass.exp();
        if k < hits {
            below += mass;
        } else if k > hits {
            above += mass;
        } else {
            at = mass;
        }
        ln_mass += ((total - k) * (k + alpha) / ((k + 1.0) * (total - k - 1.0 + beta).max(1e-300))).max(1e-300).ln();
    }
    score_of_tails(above + tie * at, below + (1.0 - tie) * at)
}

/// Regularised incomplete beta function; out of its domain it is 0.
fn regularised(a: f64, b: f64, x: f64) -> f64 {
    checked_beta_reg(a, b, x.clamp(0.0, 1.0)).unwrap_or(0.0).clamp(0.0, 1.0)
}

/// A number in (0, 1) that depends only on its inputs: the random part of a discrete score.
pub(crate) fn tie(seed: u64, entity: u64, bucket_ms: i64) -> f64 {
    let mut state = seed ^ entity.rotate_left(21) ^ (bucket_ms as u64).rotate_left(42);
    for _ in 0..2 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Standard normal probability of a value of at least `z`.
    fn upper_tail(z: f64) -> f64 {
        0.5 * statrs::function::erf::erfc(z / std::f64::consts::SQRT_2)
    }

    #[test]
    fn normal_scores_and_tails_are_inverse() {
        for z in [-6.0, -1.0, 0.0, 2.5, 8.0] {
            assert!((score_of_tail(upper_tail(z)) - z).abs() < 1e-6, "{z}");
        }
    }

    #[test]
    fn a_poisson_count_has_its_known_tail() {
        // P(X >= 10 | mean 3) = 0.001102
        let at_least_ten = upper_tail(count_score(10.0, 3.0, 1e-6, 1.0 - 1e-12));
        assert!((at_least_ten - 0.001_102).abs() < 2e-5, "{at_least_ten}");
    }

    #[test]
    fn few_errors_of_few_requests_are_no_surprise() {
        // Beta(2, 98), 3 of 10: p = 2e-3; 12 of 200: 3.7e-2 (methods.md section 3).
        let p = |hits, total| upper_tail(ratio_score(hits, total, 0.02, 1.0 / 101.0, 1.0 - 1e-12));
        assert!((p(3.0, 10.0) / 2e-3 - 1.0).abs() < 0.2, "{}", p(3.0, 10.0));
        assert!((p(12.0, 200.0) / 3.7e-2 - 1.0).abs() < 0.2, "{}", p(12.0, 200.0));
    }

    #[test]
    fn small_and_large_forms_agree_where_they_meet() {
        let exact = ratio_score(30.0, 400.0, 0.05, 1e-3, 0.5);
        let smooth = ratio_score(30.0, 401.0, 0.05, 1e-3, 0.5);
        assert!((exact - smooth).abs() < 0.1, "{exact} {smooth}");
        let exact = count_score(9999.0, 9000.0, 0.01, 0.5);
        let smooth = count_score(10_001.0, 9000.0, 0.01, 0.5);
        assert!((exact - smooth).abs() < 0.1, "{exact} {smooth}");
    }

    #[test]
    fn extreme_input_stays_finite() {
        for value in [0.0, 1.0, 1e6, 1e300, -5.0] {
            for mean in [0.0, 1e-9, 1.0, 1e12, 1e300] {
                assert!(count_score(value, mean, 0.5, 0.5).is_finite(), "{value} {mean}");
            }
            assert!(ratio_score(value, value, 0.5, 0.1, 0.5).is_finite());
            assert!(ratio_score(value, 1e300, 0.0, 0.0, 0.5).is_finite());
        }
    }
}
