//! Principal components of rows that a few wild ones cannot turn.
//!
//! Hotelling's T² on the components that carry most of the variance, and the squared prediction error Q of what they leave
//! (Jackson and Mudholkar, Technometrics 1979). The covariance is estimated again without the tenth of the rows that lie
//! farthest out, twice over: a light form of the minimum covariance determinant (Rousseeuw and Van Driessen,
//! Technometrics 1999).

use serde::{Deserialize, Serialize};

/// Share of the variance that the kept components carry at least.
const CARRIED: f64 = 0.9;
/// Added to every variance, as a share of the mean variance: directions in which almost nothing happens are no more
/// telling than others.
const RIDGE: f64 = 0.5;
/// Rounds of leaving out what lies farthest.
const ROUNDS: usize = 2;
/// Share of the rows that is kept in each round.
const KEPT: f64 = 0.9;
/// Sweeps of Jacobi's method at most; a dozen is plenty for a hundred features.
const SWEEPS_MOST: usize = 30;

/// What is usual in rows, as directions and variances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Components {
    mean: Vec<f32>,
    /// Directions of length 1, one after the other.
    axes: Vec<f32>,
    /// Variance along each of them, the ridge included.
    variances: Vec<f32>,
}

/// How far a row is off, and by which of its numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Distance {
    /// The statistic.
    pub(crate) size: f64,
    /// What each number adds to it; parts that lower it count as none.
    pub(crate) parts: Vec<f64>,
}

impl Distance {
    pub(crate) fn of(parts: Vec<f64>) -> Self {
        Self { size: parts.iter().sum(), parts }
    }
}

impl Components {
    /// Learns from rows of `width` numbers, one after the other in `rows`.
    pub(crate) fn fit(rows: &[f32], width: usize) -> Self {
        let mut kept: Vec<&[f32]> = rows.chunks_exact(width.max(1)).collect();
        let count = kept.len();
        let mut found = Self::of(&kept, width, 1.0);
        for _ in 0..ROUNDS {
            let mut all: Vec<(f64, &[f32])> =
                rows.chunks_exact(width.max(1)).map(|row| (found.distances(row).0.size, row)).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            all.truncate((KEPT * count as f64).ceil() as usize);
            kept = all.into_iter().map(|(_, row)| row).collect();
            found = Self::of(&kept, width, 1.0);
        }
        Self::of(&kept, width, CARRIED)
    }

    fn of(rows: &[&[f32]], width: usize, carried: f64) -> Self {
        let count = rows.len().max(1) as f64;
        let mean: Vec<f64> =
            (0..width).map(|at| rows.iter().map(|row| f64::from(row[at])).sum::<f64>() / count).collect();
        let mut covariance = vec![0.0; width * width];
        for row in rows {
            let rest: Vec<f64> = row.iter().zip(&mean).map(|(value, mean)| f64::from(*value) - mean).collect();
            for (one, left) in rest.iter().enumerate() {
                rest.iter()
                    .enumerate()
                    .for_each(|(other, right)| covariance[one * width + other] += left * right / count);
            }
        }
        let pairs = eigen(covariance, width);
        let total: f64 = pairs.iter().map(|(variance, _)| variance.max(0.0)).sum();
        let ridge = (RIDGE * total / width.max(1) as f64).max(1e-6);
        let mut found = Self { mean: mean.iter().map(|&mean| mean as f32).collect(), ..Self::default() };
        let mut sum = 0.0;
        for (variance, axis) in pairs {
            if !found.variances.is_empty() && sum >= carried * total {
                break;
            }
            sum += variance.max(0.0);
            found.variances.push((variance.max(0.0) + ridge) as f32);
            found.axes.extend(axis.iter().map(|&part| part as f32));
        }
        found
    }

    /// Whether it learnt from rows of this width.
    pub(crate) fn takes(&self, width: usize) -> bool {
        self.mean.len() == width
    }

    /// T² on the kept components, and Q of what they leave.
    pub(crate) fn distances(&self, row: &[f32]) -> (Distance, Distance) {
        let width = self.mean.len();
        let centred: Vec<f64> = row.iter().zip(&self.mean).map(|(value, mean)| f64::from(value - mean)).collect();
        let (mut weighted, mut left) = (vec![0.0; width], centred.clone());
        let mut hotelling = 0.0;
        for (axis, &variance) in self.axes.chunks_exact(width.max(1)).zip(&self.variances) {
            let along: f64 = axis.iter().zip(&centred).map(|(part, value)| f64::from(*part) * value).sum();
            hotelling += along * along / f64::from(variance);
            for (at, &part) in axis.iter().enumerate() {
                weighted[at] += f64::from(part) * along / f64::from(variance);
                left[at] -= f64::from(part) * along;
            }
        }
        let parts = weighted.iter().zip(&centred).map(|(weighted, value)| (weighted * value).max(0.0)).collect();
        (Distance { size: hotelling, parts }, Distance::of(left.iter().map(|rest| rest * rest).collect()))
    }
}

/// Variances and directions of a symmetric matrix, the largest variance first, by Jacobi's rotations (Golub and Van Loan,
/// Matrix Computations, section 8.5).
fn eigen(mut matrix: Vec<f64>, width: usize) -> Vec<(f64, Vec<f64>)> {
    let mut axes = vec![0.0; width * width];
    (0..width).for_each(|at| axes[at * width + at] = 1.0);
    let scale: f64 = matrix.iter().map(|cell| cell * cell).sum();
    for _ in 0..SWEEPS_MOST {
        let mut off = 0.0;
        for one in 0..width {
            for other in one + 1..width {
                off += matrix[one * width + other].powi(2);
                rotate(&mut matrix, &mut axes, width, (one, other));
            }
        }
        if off <= 1e-20 * scale {
            break;
        }
    }
    let mut pairs: Vec<(f64, Vec<f64>)> =
        (0..width).map(|at| (matrix[at * width + at], axes[at * width..(at + 1) * width].to_vec())).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    pairs
}

/// Turns two directions so that they no longer go together.
fn rotate(matrix: &mut [f64], axes: &mut [f64], width: usize, (one, other): (usize, usize)) {
    let shared = matrix[one * width + other];
    if shared == 0.0 {
        return;
    }
    let half = (matrix[other * width + other] - matrix[one * width + one]) / (2.0 * shared);
    let tangent = half.signum() / (half.abs() + (half * half + 1.0).sqrt());
    let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
    let sine = tangent * cosine;
    let turn = |cells: &mut [f64], left: usize, right: usize| {
        let (a, b) = (cells[left], cells[right]);
        cells[left] = cosine * a - sine * b;
        cells[right] = sine * a + cosine * b;
    };
    for at in 0..width {
        turn(matrix, at * width + one, at * width + other);
    }
    for at in 0..width {
        turn(matrix, one * width + at, other * width + at);
        turn(axes, one * width + at, other * width + at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Numbers;

    /// Rows whose second number follows the first, and whose third is on its own.
    fn rows(count: usize) -> Vec<f32> {
        let mut random = Numbers::new(4);
        let row = |_| {
            let (first, own) = (random.normal(), random.normal());
            [first as f32, (first + 0.2 * random.normal()) as f32, own as f32]
        };
        (0..count).flat_map(row).collect()
    }

    #[test]
    fn variances_and_directions_of_a_known_matrix_come_out() {
        let pairs = eigen(vec![2.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 5.0], 3);
        let variances: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
        assert!(variances.iter().zip([5.0, 3.0, 1.0]).all(|(got, want)| (got - want).abs() < 1e-9), "{variances:?}");
        assert!((pairs[1].1[0].abs() - 0.5f64.sqrt()).abs() < 1e-9 && pairs[1].1[2].abs() < 1e-9, "{pairs:?}");
    }

    #[test]
    fn a_row_that_breaks_what_goes_together_is_far_although_each_number_is_usual() {
        let usual = Components::fit(&rows(2000), 3);
        let far = |row: [f32; 3]| {
            let (along, left) = usual.distances(&row);
            along.size + left.size
        };
        assert!(
            far([1.5, -1.5, 0.0]) > 1.5 * far([1.5, 1.5, 0.0]),
            "{} {}",
            far([1.5, -1.5, 0.0]),
            far([1.5, 1.5, 0.0])
        );
    }

    #[test]
    fn a_twentieth_of_wild_rows_does_not_move_what_is_usual() {
        let mut wild = rows(2000);
        wild.chunks_exact_mut(3).step_by(20).for_each(|row| row.copy_from_slice(&[8.0, -8.0, 8.0]));
        let (clean, wild) = (Components::fit(&rows(2000), 3), Components::fit(&wild, 3));
        let far = |usual: &Components| usual.distances(&[3.0, -3.0, 3.0]).0.size;
        assert!((far(&wild) / far(&clean) - 1.0).abs() < 0.2, "{} {}", far(&wild), far(&clean));
    }

    #[test]
    fn rows_that_never_vary_and_no_rows_at_all_give_finite_distances() {
        for rows in [vec![], vec![0.0; 300]] {
            let (along, left) = Components::fit(&rows, 3).distances(&[1.0, 2.0, 3.0]);
            assert!(along.size.is_finite() && left.size.is_finite());
        }
    }
}
