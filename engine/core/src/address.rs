//! Addresses of the network, as far as it matters who may be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where cloud machines ask for their own credentials, besides the link-local 169.254.169.254.
const METADATA: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];

/// Loopback, link-local, unspecified, multicast, and where clouds hand out credentials; IPv4 in the forms of IPv6 too.
#[must_use]
pub fn is_local(address: IpAddr) -> bool {
    let local_v4 = |ip: Ipv4Addr| {
        ip.octets()[0] == 0 || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast()
    };
    METADATA.contains(&address.to_canonical())
        || match address {
            IpAddr::V4(ip) => local_v4(ip),
            IpAddr::V6(ip) => {
                ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_unicast_link_local()
                    || ip.is_multicast()
                    || embedded(ip).is_some_and(local_v4)
            }
        }
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, of NAT64 and of 6to4.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}
