//! Who enters the routing table: at most 2 peers per bucket and 10 in total of one /24 (IPv4) or
//! /48 (IPv6), go-libp2p's figures made a little wider, so that one landlord cannot own it.

use std::{collections::HashSet, net::IpAddr};

use aether_bootnode::address::ip_of;
use libp2p::{Multiaddr, PeerId, kad};

use super::behaviour::Kad;

/// Peers of one address group in the whole table.
const GROUP_IN_TABLE: usize = 10;
/// Peers of one address group in one bucket.
const GROUP_IN_BUCKET: usize = 2;

/// Whether the table has room for another peer of this address's group.
pub(super) fn admits(kad: &mut Kad, local: PeerId, peer: PeerId, address: &Multiaddr) -> bool {
    let Some(group) = ip_of(address).map(group_of) else {
        return false;
    };
    let distance = kad::KBucketKey::from(local).distance(&kad::KBucketKey::from(peer));
    let mut in_table = HashSet::new();
    let mut in_bucket = HashSet::new();
    for bucket in kad.kbuckets() {
        let same_bucket = bucket.contains(&distance);
        for entry in bucket.iter() {
            let member = *entry.node.key.preimage();
            let mut groups = entry.node.value.iter().filter_map(ip_of).map(group_of);
            if member != peer && groups.any(|g| g == group) {
                in_table.insert(member);
                if same_bucket {
                    in_bucket.insert(member);
                }
            }
        }
    }
    in_table.len() < GROUP_IN_TABLE && in_bucket.len() < GROUP_IN_BUCKET
}

/// The network an address belongs to: a /24 of IPv4, a /48 of IPv6.
fn group_of(ip: IpAddr) -> [u8; 6] {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            // No IPv6 prefix of global unicast starts with ffff.
            [0xff, 0xff, a, b, c, 0]
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, ..] = ip.octets();
            [a, b, c, d, e, f]
        }
    }
}

#[cfg(test)]
mod tests {
    use aether_bootnode::NetworkId;

    use super::*;
    use crate::net::{NetLimits, behaviour::kademlia};

    fn address(text: &str) -> Multiaddr {
        format!("{text}/tcp/1").parse().unwrap()
    }

    #[test]
    fn one_landlord_cannot_own_the_table() {
        let (local, network) = (PeerId::random(), NetworkId::parse("00000000").unwrap());
        let mut kad = kademlia(local, &network, false, &NetLimits::default());
        let mut taken = 0;
        for n in 0..200 {
            let (peer, address) = (PeerId::random(), address(&format!("/ip4/8.8.8.{n}")));
            if admits(&mut kad, local, peer, &address) {
                kad.add_address(&peer, address);
                taken += 1;
            }
        }
        // Half of all ids fall into the farthest bucket, a quarter into the next, and so on.
        assert!((3..=GROUP_IN_TABLE).contains(&taken), "{taken}");
        let crowded = kad
            .kbuckets()
            .any(|bucket| bucket.num_entries() > GROUP_IN_BUCKET);
        assert!(!crowded);
        assert!(admits(
            &mut kad,
            local,
            PeerId::random(),
            &address("/ip4/8.8.9.1")
        ));
    }

    #[test]
    fn a_known_peer_may_change_its_address() {
        let (local, network) = (PeerId::random(), NetworkId::parse("00000000").unwrap());
        let mut kad = kademlia(local, &network, false, &NetLimits::default());
        let peer = PeerId::random();
        for n in 0..20 {
            let address = address(&format!("/ip4/8.8.8.{n}"));
            assert!(admits(&mut kad, local, peer, &address));
            kad.add_address(&peer, address);
        }
    }

    #[test]
    fn groups_are_networks() {
        let group = |text: &str| group_of(text.parse().unwrap());
        assert_eq!(group("8.8.8.1"), group("8.8.8.254"));
        assert_eq!(group("8.8.8.1"), group("::ffff:8.8.8.9"));
        assert_ne!(group("8.8.8.1"), group("8.8.9.1"));
        assert_eq!(group("2001:4860:1::1"), group("2001:4860:1:ffff::1"));
        assert_ne!(group("2001:4860:1::1"), group("2001:4860:2::1"));
    }
}
