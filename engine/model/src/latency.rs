//! Durations: logarithmic, wider where few requests were measured.

use crate::signal::Shape;

/// Logarithmic over the whole range that durations have.
pub(crate) const SHAPE: Shape = Shape { unit_ratio: 0.01, half_life_days: 3.0, views: false };
