//! What can be planted.

use std::fmt;
use std::str::FromStr;

/// A kind of incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IncidentKind {
    /// A pod tries many ports of another.
    PortScan,
    /// A pod tries one port of many addresses.
    IpSweep,
    /// A workload sends much data to an address outside that it never spoke to.
    Exfiltration,
    /// A service answers slowly.
    Latency,
    /// A service answers many requests with 5xx.
    Http5xx,
    /// A service is asked far more often than ever.
    ConnectionFlood,
    /// A process dies and is started again all the time.
    RestartLoop,
    /// The DNS queries of a workload are answered slowly.
    DnsLatency,
}

/// The text names no kind of incident.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of incident; kinds are {kinds}", kinds = IncidentKind::ALL.map(|kind| kind.to_string()).join(", "))]
pub struct UnknownKind(pub String);

impl IncidentKind {
    /// Every kind, in the order in which they are planted.
    pub const ALL: [Self; 8] = [
        Self::PortScan,
        Self::DnsLatency,
        Self::Exfiltration,
        Self::Http5xx,
        Self::IpSweep,
        Self::ConnectionFlood,
        Self::RestartLoop,
        Self::Latency,
    ];

    /// Name of the shipped detector that should find it.
    #[must_use]
    pub fn detector(self) -> &'static str {
        match self {
            Self::PortScan => "port-scan",
            Self::IpSweep => "ip-sweep",
            Self::Exfiltration => "bytes-out",
            Self::Latency => "l7-latency",
            Self::Http5xx => "http-response-codes",
            Self::ConnectionFlood => "http-connection-spike",
            Self::RestartLoop => "process-restarts",
            Self::DnsLatency => "dns-latency",
        }
    }
}

impl fmt::Display for IncidentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PortScan => "port_scan",
            Self::IpSweep => "ip_sweep",
            Self::Exfiltration => "exfiltration",
            Self::Latency => "latency",
            Self::Http5xx => "http_5xx",
            Self::ConnectionFlood => "connection_flood",
            Self::RestartLoop => "restart_loop",
            Self::DnsLatency => "dns_latency",
        })
    }
}

impl FromStr for IncidentKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.to_string() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn kinds_read_what_they_write_and_the_error_lists_them() {
        for kind in IncidentKind::ALL {
            assert_eq!(kind.to_string().parse::<IncidentKind>().unwrap(), kind);
        }
        let error = "tsunami".parse::<IncidentKind>().unwrap_err().to_string();
        assert!(error.starts_with("`tsunami` is no kind of incident; kinds are port_scan, dns_latency"), "{error}");
    }
}
