//! Amounts with a daily and weekly rhythm, such as bytes or connections.

use crate::signal::Shape;

/// Logarithmic above a tenth of the typical amount, linear below, so that an empty bucket is no
/// infinite drop.
pub(crate) const SHAPE: Shape = Shape { unit_ratio: 0.1, half_life_days: 3.0, views: false };
