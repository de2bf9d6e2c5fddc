//! The detectors that come with margay, inside the binary: `demo` writes them out to be edited.

use std::path::Path;

/// File name and text of every shipped detector, and the schema that editors check them by.
pub const DETECTORS: &[(&str, &str)] = &[
    ("beacon.yaml", include_str!("../../detectors.d/beacon.yaml")),
    ("bytes-in.yaml", include_str!("../../detectors.d/bytes-in.yaml")),
    ("bytes-out.yaml", include_str!("../../detectors.d/bytes-out.yaml")),
    ("denied-flows.yaml", include_str!("../../detectors.d/denied-flows.yaml")),
    ("detector.schema.json", include_str!("../../detectors.d/detector.schema.json")),
    ("dga.yaml", include_str!("../../detectors.d/dga.yaml")),
    ("dns-latency.yaml", include_str!("../../detectors.d/dns-latency.yaml")),
    ("dns-tunnel.yaml", include_str!("../../detectors.d/dns-tunnel.yaml")),
    ("generic-dns.yaml", include_str!("../../detectors.d/generic-dns.yaml")),
    ("generic-flows.yaml", include_str!("../../detectors.d/generic-flows.yaml")),
    ("generic-l7.yaml", include_str!("../../detectors.d/generic-l7.yaml")),
    ("http-connection-spike.yaml", include_str!("../../detectors.d/http-connection-spike.yaml")),
    ("http-response-codes.yaml", include_str!("../../detectors.d/http-response-codes.yaml")),
    ("http-verbs.yaml", include_str!("../../detectors.d/http-verbs.yaml")),
    ("http-requests-drop.yaml", include_str!("../../detectors.d/http-requests-drop.yaml")),
    ("inbound-connection-spike.yaml", include_str!("../../detectors.d/inbound-connection-spike.yaml")),
    ("ip-sweep-external.yaml", include_str!("../../detectors.d/ip-sweep-external.yaml")),
    ("ip-sweep-pods.yaml", include_str!("../../detectors.d/ip-sweep-pods.yaml")),
    ("ip-sweep.yaml", include_str!("../../detectors.d/ip-sweep.yaml")),
    ("l7-bytes.yaml", include_str!("../../detectors.d/l7-bytes.yaml")),
    ("l7-latency.yaml", include_str!("../../detectors.d/l7-latency.yaml")),
    ("new-external-destinations.yaml", include_str!("../../detectors.d/new-external-destinations.yaml")),
    ("pod-outlier-ip-activity.yaml", include_str!("../../detectors.d/pod-outlier-ip-activity.yaml")),
    ("policy-hits.yaml", include_str!("../../detectors.d/policy-hits.yaml")),
    ("port-scan-external.yaml", include_str!("../../detectors.d/port-scan-external.yaml")),
    ("port-scan-pods.yaml", include_str!("../../detectors.d/port-scan-pods.yaml")),
    ("port-scan.yaml", include_str!("../../detectors.d/port-scan.yaml")),
    ("process-bytes.yaml", include_str!("../../detectors.d/process-bytes.yaml")),
    ("process-restarts.yaml", include_str!("../../detectors.d/process-restarts.yaml")),
    ("replica-bytes-out.yaml", include_str!("../../detectors.d/replica-bytes-out.yaml")),
    ("service-bytes-anomaly.yaml", include_str!("../../detectors.d/service-bytes-anomaly.yaml")),
    ("tcp-retransmissions.yaml", include_str!("../../detectors.d/tcp-retransmissions.yaml")),
    ("tcp-rtt.yaml", include_str!("../../detectors.d/tcp-rtt.yaml")),
    ("time-series-dns.yaml", include_str!("../../detectors.d/time-series-dns.yaml")),
    ("time-series-flows.yaml", include_str!("../../detectors.d/time-series-flows.yaml")),
    ("time-series-l7.yaml", include_str!("../../detectors.d/time-series-l7.yaml")),
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
