//! Alerts and policies as text.
