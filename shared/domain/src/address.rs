//! Which addresses are out in the world. Whoever makes a call that somebody else chose looks at the address that is dialled,
//! after the name was resolved, so that no name can lead back into a machine or its network.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// True for an address out in the world: not loopback, private, link-local (where clouds keep their metadata),
/// shared, reserved or multicast, in IPv4 or in any IPv6 form that carries an IPv4 address (mapped, 6to4, Teredo, NAT64).
/// The IPv4 ranges of documentation (RFC 5737) are nobody's network, and closed networks have their mirrors there.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_broadcast()
        || a == 0
        || a >= 240
        // Shared with the provider.
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments, 6to4's relays, benchmarking.
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let s = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    if let Some(mapped) = v6.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    match s {
        // NAT64, both prefixes (RFC 6052, RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(v4(high, low)),
        [0x64, 0xff9b, ..] => false,
        // 6to4 carries its IPv4 address in the second and third segment.
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Teredo, ORCHID, benchmarking and the rest of the IETF's protocol assignments; documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        // Only global unicast is public.
        [first, ..] => first & 0xe000 == 0x2000 && first != 0x3fff,
    }
}
