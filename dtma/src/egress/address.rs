//! Which addresses are out in the world. Looked at when the connection is made, after the name was resolved, so that no name can
//! lead back into this machine or its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => public_v4(v4),
        IpAddr::V6(v6) => public_v6(v6),
    }
}

fn public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(a == 0
        || v4.is_loopback()
        || v4.is_private()
        // The clouds' metadata services are here.
        || v4.is_link_local()
        || v4.is_multicast()
        || a >= 240
        // Shared with the provider: 100.64.0.0/10.
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments, and benchmarking.
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19)))
}

fn public_v6(v6: Ipv6Addr) -> bool {
    let s = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(((high as u32) << 16) | low as u32);
    if let Some(mapped) = v6.to_ipv4_mapped() {
        return public_v4(mapped);
    }
    match s[0] {
        // 6to4 carries an address in it.
        0x2002 => public_v4(v4(s[1], s[2])),
        // NAT64 too.
        0x0064 if s[1] == 0xff9b => s[2..6] == [0; 4] && public_v4(v4(s[6], s[7])),
        // Teredo, and the rest of the special assignments.
        0x2001 if s[1] < 0x0200 => false,
        first => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_is_public() {
        for good in
            ["93.184.216.34", "1.1.1.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::1"]
        {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
    }

    #[test]
    fn this_machine_and_its_networks_are_not() {
        for bad in [
            "0.0.0.0",
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.192",
            "198.18.0.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "2001:0:1::1",
            "2001:10::1",
        ] {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
    }
}
