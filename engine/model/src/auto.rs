//! A value of which nothing is said: judged in several views at once (`views`).

use crate::signal::Shape;

/// Nearly linear: what counts is the size of a deviation beside the usual ones, not its ratio to a
/// value that may be close to zero.
pub(crate) const SHAPE: Shape = Shape { unit_ratio: 20.0, half_life_days: 14.0, views: true };
