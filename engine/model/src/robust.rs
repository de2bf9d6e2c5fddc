//! Medians and spreads that a few wild values cannot move.

/// Makes a median absolute deviation comparable with a standard deviation.
pub(crate) const MAD_TO_SIGMA: f64 = 1.4826;

/// Value at `share` (0 to 1) of the sorted finite values; `NaN` where there is none. Reorders `values`.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let at = ((values.len() - 1) as f64 * share.clamp(0.0, 1.0)).round() as usize;
    *values.select_nth_unstable_by(at, f64::total_cmp).1
}

/// Median; the mean of the middle two where their number is even. Reorders `values`.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    0.5 * lower + 0.5 * upper
}

/// Standard deviation that the median absolute deviation around `centre` stands for. Reorders `values`.
pub(crate) fn sigma(values: &mut [f64], centre: f64) -> f64 {
    for value in values.iter_mut() {
        *value = (*value - centre).abs();
    }
    MAD_TO_SIGMA * median(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
        assert_eq!(quantile(&mut [5.0, 1.0, 9.0], 1.0), 9.0);
    }
}
