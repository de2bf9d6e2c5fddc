//! Scores to findings to alerts.
