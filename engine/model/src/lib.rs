//! Series to forecast and score.
