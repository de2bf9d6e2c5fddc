//! The long-series half of training: augurs' MSTL and ETS behind guards.
//!
//! MSTL does not take gaps and computes in single precision, ETS burns minutes on non-finite input
//! (`NaN` anywhere) and both may panic; so the input is filled, scaled and long enough, and a
//! failure only means that the caller goes on without.

use std::panic::{AssertUnwindSafe, catch_unwind};

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::{Fit, Predict};

use crate::robust;

/// Fewest points from which ETS is asked for the next level.
const ETS_POINTS: usize = 10;
/// More points than this are not given to ETS: its cost grows faster than its use.
const ETS_POINTS_MAX: usize = 120;
/// Share of the points that must not be gaps.
const FILLED: f64 = 0.5;

/// Last cycle of the seasonal component of each period, in the order of `periods`, each starting at
/// index 0 modulo its period. `None` where the series is too short, too sparse or constant.
pub(crate) fn seasons(values: &[f64], periods: &[usize]) -> Option<Vec<Vec<f64>>> {
    let longest = *periods.last()?;
    if periods.iter().any(|&period| period < 2) || values.len() < 2 * longest {
        return None;
    }
    let (filled, centre, scale) = fill_and_scale(values)?;
    let fit = catch_unwind(AssertUnwindSafe(|| MSTLModel::naive(periods.to_vec()).fit(&filled).ok())).ok()??;
    let start = values.len() - longest;
    let cycles: Vec<Vec<f64>> = fit
        .fit()
        .seasonal()
        .iter()
        .zip(periods)
        .map(|(component, &period)| {
            let mut cycle = vec![0.0; period];
            for at in (values.len() - period)..values.len() {
                cycle[at % period] = f64::from(component[at]) * scale;
            }
            cycle
        })
        .collect();
    let sane = start < values.len() && centre.is_finite() && cycles.iter().flatten().all(|value| value.is_finite());
    (sane && cycles.len() == periods.len()).then_some(cycles)
}

/// The next value of a short trend by exponential smoothing; `None` where it cannot be told.
pub(crate) fn next_level(values: &[f64]) -> Option<f64> {
    let recent = &values[values.len().saturating_sub(ETS_POINTS_MAX)..];
    if recent.len() < ETS_POINTS {
        return None;
    }
    let (filled, centre, scale) = fill_and_scale(recent)?;
    let next = catch_unwind(AssertUnwindSafe(|| {
        let model = AutoETS::new(1, "ZZN").ok()?.fit(&filled).ok()?;
        model.predict(1, None).ok()?.point.first().copied()
    }))
    .ok()??;
    let highest = filled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lowest = filled.iter().copied().fold(f64::INFINITY, f64::min);
    next.is_finite().then(|| centre + scale * next.clamp(lowest, highest))
}

/// Gaps bridged by straight lines, centred by the median and divided by a robust spread.
fn fill_and_scale(values: &[f64]) -> Option<(Vec<f64>, f64, f64)> {
    let mut known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    if (known.len() as f64) < FILLED * values.len() as f64 || known.is_empty() {
        return None;
    }
    let centre = robust::median(&mut known);
    let spread = known.iter().map(|value| (value - centre).abs()).sum::<f64>() / known.len() as f64;
    if !(spread.is_finite() && centre.is_finite()) || spread <= 1e-9 * centre.abs().max(1e-9) {
        return None;
    }
    let mut filled: Vec<f64> = Vec::with_capacity(values.len());
    let mut at = 0;
    while at < values.len() {
        if values[at].is_finite() {
            filled.push((values[at] - centre) / spread);
            at += 1;
            continue;
        }
        let end = (at..values.len()).find(|&next| values[next].is_finite());
        let before = filled.last().copied();
        let after = end.map(|end| (values[end] - centre) / spread);
        let (from, to) = match (before, after) {
            (Some(from), Some(to)) => (from, to),
            (Some(one), None) | (None, Some(one)) => (one, one),
            (None, None) => (0.0, 0.0),
        };
        let stop = end.unwrap_or(values.len());
        let steps = (stop - at + 1) as f64;
        for step in 1..=(stop - at) {
            filled.push(from + (to - from) * step as f64 / steps);
        }
        at = stop;
    }
    Some((filled, centre, spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize) -> Vec<f64> {
        (0..n).map(|k| 100.0 + 10.0 * (k as f64 * std::f64::consts::TAU / 24.0).sin()).collect()
    }

    #[test]
    fn a_daily_wave_with_gaps_is_found() {
        let mut values = wave(24 * 14);
        values[50..60].fill(f64::NAN);
        let cycles = seasons(&values, &[24]).unwrap();
        assert!((cycles[0][6] - 10.0).abs() < 1.0 && (cycles[0][18] + 10.0).abs() < 1.0, "{:?}", cycles[0]);
    }

    #[test]
    fn nothing_is_made_of_constant_short_or_empty_series() {
        assert_eq!(seasons(&[5.0; 100], &[24]), None);
        assert_eq!(seasons(&wave(40), &[24]), None);
        assert_eq!(seasons(&vec![f64::NAN; 100], &[24]), None);
        assert_eq!(seasons(&[], &[]), None);
        assert_eq!(next_level(&[1.0; 5]), None);
        assert_eq!(next_level(&[1.0; 50]), None);
    }

    #[test]
    fn the_next_level_of_a_drift_lies_at_its_end() {
        let values: Vec<f64> = (0..40).map(|k| f64::from(k) + f64::from(k % 3)).collect();
        let next = next_level(&values).unwrap();
        assert!((35.0..=41.0).contains(&next), "{next}");
    }
}
