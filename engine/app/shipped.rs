//! The detectors that come with margay, inside the binary: `demo` writes them out to be edited.

use std::path::Path;

/// File name and text of every shipped detector, and the schema that editors check them by.
pub const DETECTORS: &[(&str, &str)] = &[
    ("bytes-in.yaml", include_str!("../../detectors.d/bytes-in.yaml")),
    ("bytes-out.yaml", include_str!("../../detectors.d/bytes-out.yaml")),
    ("detector.schema.json", include_str!("../../detectors.d/detector.schema.json")),
    ("dns-latency.yaml", include_str!("../../detectors.d/dns-latency.yaml")),
    ("generic-dns.yaml", include_str!("../../detectors.d/generic-dns.yaml")),
    ("generic-flows.yaml", include_str!("../../detectors.d/generic-flows.yaml")),
    ("generic-l7.yaml", include_str!("../../detectors.d/generic-l7.yaml")),
    ("http-connection-spike.yaml", include_str!("../../detectors.d/http-connection-spike.yaml")),
    ("http-response-codes.yaml", include_str!("../../detectors.d/http-response-codes.yaml")),
    ("ip-sweep.yaml", include_str!("../../detectors.d/ip-sweep.yaml")),
    ("l7-bytes.yaml", include_str!("../../detectors.d/l7-bytes.yaml")),
    ("l7-latency.yaml", include_str!("../../detectors.d/l7-latency.yaml")),
    ("port-scan.yaml", include_str!("../../detectors.d/port-scan.yaml")),
    ("process-bytes.yaml", include_str!("../../detectors.d/process-bytes.yaml")),
    ("process-restarts.yaml", include_str!("../../detectors.d/process-restarts.yaml")),
];

/// Writes the shipped detectors into `dir`, leaving files alone that are there already.
///
/// # Errors
/// The folder cannot be written.
pub fn write(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for (name, text) in DETECTORS {
        let path = dir.join(name);
        if !path.exists() {
            std::fs::write(path, text)?;
        }
    }
    Ok(())
}

/// The file of [`DETECTORS`] that editors check the others by.
const SCHEMA: &str = "detector.schema.json";

/// Writes the schema into `dir`, unless there is one.
///
/// # Errors
/// The folder cannot be written.
pub fn write_schema(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join(SCHEMA);
    match DETECTORS.iter().find(|(name, _)| *name == SCHEMA) {
        Some((_, text)) if !path.exists() => std::fs::write(path, text),
        _ => Ok(()),
    }
}
