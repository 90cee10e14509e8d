//! The addresses of a server's own network: 1024 of them. The lower half is Docker's: this machine's address, then the
//! container's. The upper half is handed out by dtma, one address for each name that the server asks for.

use std::net::Ipv4Addr;

const SIZE: u32 = 1024;

/// Where networks are taken from, in this order: the range for benchmarks, which no real network has, so that servers that
/// refuse private addresses take it; then a corner of a private one, for machines where something else had the same idea.
const POOLS: [(Ipv4Addr, u32); 2] = [(Ipv4Addr::new(198, 18, 0, 0), 1 << 17), (Ipv4Addr::new(10, 231, 0, 0), 1 << 16)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet(u32);

impl Subnet {
    /// The bit that is set in every address of an upper half, as iptables matches it: the same for all networks.
    pub const UPPER: &str = "0.0.2.0/0.0.2.0";

    /// The one that an address is in, when it is one of ours.
    pub fn of(gateway: Ipv4Addr) -> Option<Self> {
        let subnet = Self(u32::from(gateway) & !(SIZE - 1));
        let ours = POOLS.iter().any(|(from, size)| (0..*size).contains(&subnet.0.wrapping_sub(u32::from(*from))));
        (ours && subnet.gateway() == gateway).then_some(subnet)
    }

    /// The order in which a network tries them: from a place of its own on, so that two that are made at once seldom meet.
    pub(super) fn candidates(seed: u32, taken: &[Taken]) -> impl Iterator<Item = Self> {
        let in_pool = move |(from, size): (Ipv4Addr, u32)| {
            let count = size / SIZE;
            (0..count).map(move |n| Self(u32::from(from) + (seed.wrapping_add(n) % count) * SIZE))
        };
        POOLS.into_iter().flat_map(in_pool).filter(|subnet| !taken.iter().any(|taken| taken.meets(*subnet)))
    }

    /// This machine's address on it.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(self.0 + 1)
    }

    /// All of it, as Docker writes it.
    pub fn cidr(self) -> String {
        format!("{}/22", Ipv4Addr::from(self.0))
    }

    /// What Docker may give to a container.
    pub(super) fn lower(self) -> String {
        format!("{}/23", Ipv4Addr::from(self.0))
    }

    /// What dtma hands out, as `ip` writes it.
    pub fn upper(self) -> String {
        format!("{}/23", Ipv4Addr::from(self.0 + SIZE / 2))
    }

    /// The first address of the upper half and how many there are; the very last one is for broadcasts.
    pub fn handed_out(self) -> (u32, u32) {
        (self.0 + SIZE / 2, SIZE / 2 - 1)
    }

    pub fn is_container(self, address: Ipv4Addr) -> bool {
        (2..SIZE / 2).contains(&u32::from(address).wrapping_sub(self.0))
    }
}

/// A network that the machine has a route to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    network: u32,
    mask: u32,
}

impl Taken {
    /// From Linux's `/proc/net/route`: addresses are hexadecimal, in the order of the bytes in memory. The default route is
    /// a way out and takes nothing.
    pub(super) fn read(table: &str) -> Vec<Self> {
        let number = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::from_be);
        let route = |line: &str| {
            let mut fields = line.split_whitespace().skip(1);
            let network = number(fields.next()?)?;
            let mask = number(fields.nth(5)?)?;
            (mask != 0).then_some(Self { network, mask })
        };
        table.lines().skip(1).filter_map(route).collect()
    }

    fn meets(self, subnet: Subnet) -> bool {
        let mask = self.mask & !(SIZE - 1);
        self.network & mask == subnet.0 & mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        agt1\t000012C6\t00000000\t0001\t0\t0\t0\t00FCFFFF\t0\t0\t0\n";

    #[test]
    fn halves_lie_where_the_firewall_thinks() {
        let subnet = Subnet::candidates(0, &[]).next().unwrap();
        assert_eq!(subnet.gateway(), Ipv4Addr::new(198, 18, 0, 1));
        let shown = (subnet.cidr(), subnet.lower(), subnet.upper());
        assert_eq!(shown, ("198.18.0.0/22".into(), "198.18.0.0/23".into(), "198.18.2.0/23".into()));
        let (first, count) = subnet.handed_out();
        assert!((first..first + count).all(|address| address & 0x200 != 0 && !subnet.is_container(address.into())));
        assert!(subnet.is_container(Ipv4Addr::new(198, 18, 0, 2)));
        assert!(!subnet.is_container(subnet.gateway()) && !subnet.is_container(Ipv4Addr::new(198, 18, 4, 2)));
    }

    #[test]
    fn a_network_that_is_there_is_not_taken_again() {
        if cfg!(target_endian = "big") {
            return;
        }
        let taken = Taken::read(ROUTES);
        assert_eq!(taken.len(), 1);
        assert_eq!(Subnet::candidates(0, &taken).next().unwrap().cidr(), "198.18.4.0/22");
        // A wide one takes all that is in it.
        let wide = Taken { network: Ipv4Addr::new(198, 18, 0, 0).into(), mask: 0xfffe_0000 };
        assert_eq!(Subnet::candidates(7, &[wide]).next().unwrap().cidr(), "10.231.28.0/22");
        let all = Taken { network: 0, mask: 0x8000_0000 };
        let other = Taken { network: 0x8000_0000, mask: 0x8000_0000 };
        assert_eq!(Subnet::candidates(7, &[all, other]).next(), None);
        assert_eq!(Subnet::candidates(u32::MAX, &[]).count(), 128 + 64);
    }

    #[test]
    fn only_our_own_networks_are_known() {
        assert!(Subnet::of(Ipv4Addr::new(198, 19, 252, 1)).is_some());
        for other in ["172.18.0.1", "198.18.0.2", "198.20.0.1", "10.232.0.1", "0.0.0.1"] {
            assert_eq!(Subnet::of(other.parse().unwrap()), None, "{other}");
        }
    }
}
