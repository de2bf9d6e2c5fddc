//! Which addresses a sink may send to. Names are resolved here, for the very connection that is made, so that no second
//! answer of a name server can lead elsewhere.

use std::net::IpAddr;

use margay_core::is_local;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names to addresses that a sink may send to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    /// Whether this machine and its link-local network may be called.
    pub(crate) allow_local: bool,
}

/// A name has no address that may be called.
#[derive(Debug, thiserror::Error)]
#[error("every address of {host} is local; `allow_local: true` in the sink permits that")]
struct OnlyLocal {
    host: String,
}

impl Guard {
    /// Whether an address may be called.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        self.allow_local || !is_local(address)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = *self;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((&host[..], 0)).await?;
            let allowed: Vec<_> = found.filter(|address| guard.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(OnlyLocal { host }.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn local_addresses_are_told_in_every_spelling() {
        for local in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.1.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "100.100.100.200",
            "fd00:ec2::254",
        ] {
            let address: IpAddr = local.parse().unwrap();
            assert!(!Guard { allow_local: false }.allows(address), "{local}");
            assert!(Guard { allow_local: true }.allows(address), "{local}");
        }
        for other in ["10.0.0.1", "192.168.1.1", "172.16.0.1", "8.8.8.8", "fd12::1", "2001:db8::1", "64:ff9b::808:808"]
        {
            assert!(Guard { allow_local: false }.allows(other.parse().unwrap()), "{other}");
        }
    }
}
