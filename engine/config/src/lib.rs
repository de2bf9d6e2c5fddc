//! margay.yaml and detectors.d: types, defaults, schema, checks with positions.
