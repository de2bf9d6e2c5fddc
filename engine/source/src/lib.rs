//! Rows of a log from files: NDJSON, CSV, Parquet, plain or compressed.
