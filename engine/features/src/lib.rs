//! Rows to series by SQL, and the feature store.
