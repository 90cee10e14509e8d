//! The addresses that stand for names on one server's network. A server asks for a name, gets an address, connects to it, and
//! so says which name it means, whatever protocol it speaks.

use crate::docker::Subnet;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

/// An address is given to another name only when nobody asked for it or used it for so long: many times what a DNS answer
/// lives.
const FORGOTTEN: Duration = Duration::from_secs(600);

struct Held {
    name: String,
    /// Absent for a name that stands in the rules as it is: that is never forgotten.
    used: Option<Instant>,
}

pub(super) struct Names {
    first: u32,
    /// By their place in the upper half.
    places: Vec<Option<Held>>,
    known: HashMap<String, usize>,
}

impl Names {
    /// `listed` get their places at once, in the order given, so that a new daemon gives the same addresses to a container
    /// that remembers them.
    pub(super) fn new<'a>(subnet: Subnet, listed: impl Iterator<Item = &'a str>) -> Self {
        let (first, count) = subnet.handed_out();
        let places = (0..count).map(|_| None).collect();
        let mut names = Self { first, places, known: HashMap::new() };
        for name in listed {
            names.place(name, None);
        }
        names
    }

    /// The address of a name that is allowed; `None` when all are in use.
    pub(super) fn give(&mut self, name: &str, now: Instant) -> Option<Ipv4Addr> {
        let place = match self.known.get(name) {
            Some(place) => *place,
            None => self.place(name, Some(now))?,
        };
        self.touch(place, now);
        Some(Ipv4Addr::from(self.first + place as u32))
    }

    /// The name that an address stands for.
    pub(super) fn name(&mut self, address: Ipv4Addr, now: Instant) -> Option<String> {
        let place = u32::from(address).checked_sub(self.first)? as usize;
        let name = self.places.get(place)?.as_ref()?.name.clone();
        self.touch(place, now);
        Some(name)
    }

    fn touch(&mut self, place: usize, now: Instant) {
        if let Some(Some(Held { used: Some(used), .. })) = self.places.get_mut(place) {
            *used = now;
        }
    }

    fn place(&mut self, name: &str, used: Option<Instant>) -> Option<usize> {
        let count = self.places.len();
        let digest = Sha256::digest(name);
        let start = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) as usize;
        let free = (0..count).map(|n| (start.wrapping_add(n)) % count).find(|place| self.places[*place].is_none());
        let place = free.or_else(|| self.oldest(used?))?;
        let before = self.places[place].replace(Held { name: name.to_owned(), used });
        if let Some(before) = before {
            self.known.remove(&before.name);
        }
        self.known.insert(name.to_owned(), place);
        Some(place)
    }

    fn oldest(&self, now: Instant) -> Option<usize> {
        let used = |place: usize| self.places[place].as_ref().and_then(|held| held.used).map(|used| (used, place));
        let (used, place) = (0..self.places.len()).filter_map(used).min()?;
        (now.saturating_duration_since(used) >= FORGOTTEN).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listed: &[&str]) -> Names {
        Names::new(Subnet::of(Ipv4Addr::new(198, 18, 4, 1)).unwrap(), listed.iter().copied())
    }

    #[test]
    fn a_name_has_one_address_and_an_address_one_name() {
        let (mut names, now) = (names(&["a.example"]), Instant::now());
        let a = names.give("a.example", now).unwrap();
        let b = names.give("b.example", now).unwrap();
        assert_ne!(a, b);
        assert_eq!(names.give("b.example", now), Some(b));
        assert_eq!(names.name(a, now).as_deref(), Some("a.example"));
        assert_eq!(names.name(b, now).as_deref(), Some("b.example"));
        for other in ["198.18.4.1", "198.18.5.255", "198.18.7.255", "0.0.0.0", "255.255.255.255"] {
            assert_eq!(names.name(other.parse().unwrap(), now), None, "{other}");
        }
    }

    #[test]
    fn a_new_daemon_gives_the_same_addresses() {
        let now = Instant::now();
        let listed = ["a.example", "b.example", "c.example"];
        let give = || listed.map(|name| names(&listed).give(name, now).unwrap());
        assert_eq!(give(), give());
    }

    #[test]
    fn no_address_changes_its_name_while_it_may_be_in_use() {
        let (mut names, now) = (names(&["kept.example"]), Instant::now());
        let given: Vec<_> = (0..510).map(|n| names.give(&format!("n{n}.example"), now).unwrap()).collect();
        assert_eq!(names.give("more.example", now), None);
        let later = now + FORGOTTEN;
        // A connection counts as a use.
        assert!(names.name(given[0], later).is_some());
        let fresh = names.give("more.example", later).unwrap();
        assert!(given[1..].contains(&fresh));
        assert_eq!(names.name(fresh, later).as_deref(), Some("more.example"));
        assert_eq!(names.give("n0.example", later), Some(given[0]));
        assert!(names.give("kept.example", later).is_some());
        assert_eq!(names.known.len(), 511);
    }
}
