//! A value of which nothing is said: judged in several ways at once.

use crate::signal::Shape;

/// Nearly linear, so that a doubling counts for more than a halving.
pub(crate) const SHAPE: Shape = Shape { unit_ratio: 2.0, half_life_days: 14.0, views: true };
