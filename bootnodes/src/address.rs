//! Which addresses we take from strangers, and how a peer's full address is read.
//!
//! We dial IPv4 and IPv6 over QUIC v1 or TCP, nothing else (no DNS names, no relays yet). An
//! address that only makes sense inside somebody's house (loopback, private, link-local) is
//! worthless to others and a way to make nodes probe a victim's network, so it is refused
//! unless the network is a development network.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket},
};

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use thiserror::Error;

/// Why a text or address does not name a peer. The fault is the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PeerAddressError {
    /// No `/p2p/<peer id>` at the end.
    #[error("{0} does not end in /p2p/<peer id>")]
    NoPeerId(Multiaddr),
    /// Not an address we can dial.
    #[error("{0} is not an IP address with a UDP/QUIC v1 or TCP port")]
    NotDialable(Multiaddr),
}

/// Splits `/ip4/…/udp/…/quic-v1/p2p/<id>` into the peer and the address without `/p2p`.
///
/// # Errors
/// If the peer id is missing or the rest is not an address we can dial.
pub fn split_peer_address(full: &Multiaddr) -> Result<(PeerId, Multiaddr), PeerAddressError> {
    let mut address = full.clone();
    match address.pop() {
        Some(Protocol::P2p(peer)) if is_dialable(&address, true) => Ok((peer, address)),
        Some(Protocol::P2p(_)) => Err(PeerAddressError::NotDialable(full.clone())),
        _ => Err(PeerAddressError::NoPeerId(full.clone())),
    }
}

/// Whether we are willing to dial `address` and to tell others about it. A trailing `/p2p` is
/// allowed. `allow_private` admits loopback, private and link-local addresses.
#[must_use]
pub fn is_dialable(address: &Multiaddr, allow_private: bool) -> bool {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
        _ => return false,
    };
    let port = match (parts.next(), parts.next()) {
        (Some(Protocol::Udp(port)), Some(Protocol::QuicV1)) => match parts.next() {
            None | Some(Protocol::P2p(_)) => port,
            Some(_) => return false,
        },
        (Some(Protocol::Tcp(port)), None | Some(Protocol::P2p(_))) => port,
        _ => return false,
    };
    port != 0 && parts.next().is_none() && is_unicast(ip) && (allow_private || is_public(ip))
}

/// The IP address an address starts with.
#[must_use]
pub fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip)),
        _ => None,
    }
}

/// Refuses a listen address that another process already serves, before libp2p tries it.
///
/// libp2p binds TCP listeners with `SO_REUSEPORT`, so the kernel would let two nodes of one user
/// share a port and hand each of them half of the connections; and what it reports for a busy
/// UDP port has lost the system's error kind. This probe binds plainly.
///
/// # Errors
/// What the system says when the port cannot be bound, `AddrInUse` above all.
pub fn probe_port(address: &Multiaddr) -> io::Result<()> {
    match (ip_of(address), address.iter().nth(1)) {
        (Some(ip), Some(Protocol::Tcp(port))) if port != 0 => {
            TcpListener::bind((ip, port)).map(drop)
        }
        (Some(ip), Some(Protocol::Udp(port))) if port != 0 => UdpSocket::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || broadcast)
}

/// Whether an address is reachable from anywhere: the complement of IANA's special-purpose
/// registries, as far as they concern unicast.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(ip),
        },
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared_by_carriers = a == 100 && (64..128).contains(&b);
    let protocol_assignments = a == 192 && b == 0 && c == 0;
    let benchmarking = a == 198 && (b == 18 || b == 19);
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || shared_by_carriers
        || protocol_assignments
        || benchmarking)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let head = ip.segments()[0];
    let documentation = head == 0x2001 && ip.segments()[1] == 0x0db8;
    // Global unicast is 2000::/3; everything that is special lies outside it, or is 2001:db8::/32.
    (0x2000..0x4000).contains(&head) && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_a_stranger_can_dial_are_taken() {
        // (address, on a public network, on a development network)
        let cases = [
            ("/ip4/8.8.8.8/udp/30770/quic-v1", true, true),
            ("/ip4/8.8.8.8/tcp/30770", true, true),
            ("/ip6/2606:4700::1/udp/1/quic-v1", true, true),
            ("/ip4/127.0.0.1/tcp/30770", false, true),
            ("/ip4/10.1.2.3/udp/30770/quic-v1", false, true),
            ("/ip4/169.254.1.1/tcp/1", false, true),
            ("/ip4/100.64.0.1/tcp/1", false, true),
            ("/ip6/::1/tcp/1", false, true),
            ("/ip6/fe80::1/tcp/1", false, true),
            ("/ip6/::ffff:10.0.0.1/tcp/1", false, true),
            ("/ip4/0.0.0.0/tcp/1", false, false),
            ("/ip4/224.0.0.1/udp/1/quic-v1", false, false),
            ("/ip4/255.255.255.255/tcp/1", false, false),
            ("/ip4/8.8.8.8/tcp/0", false, false),
            ("/ip4/8.8.8.8/udp/30770", false, false),
            ("/ip4/8.8.8.8/udp/1/quic", false, false),
            ("/ip4/8.8.8.8/tcp/1/ws", false, false),
            ("/dns4/example.org/tcp/1", false, false),
            ("/memory/1", false, false),
        ];
        for (text, public, development) in cases {
            let address: Multiaddr = text.parse().unwrap();
            assert_eq!(
                is_dialable(&address, false),
                public,
                "{text}, public network"
            );
            assert_eq!(
                is_dialable(&address, true),
                development,
                "{text}, development"
            );
        }
    }

    #[test]
    fn a_served_port_is_noticed() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp_port = tcp.local_addr().unwrap().port();
        let udp_port = udp.local_addr().unwrap().port();
        let addresses = [
            format!("/ip4/127.0.0.1/tcp/{tcp_port}"),
            format!("/ip4/127.0.0.1/udp/{udp_port}/quic-v1"),
        ];
        let probe = |text: &String| probe_port(&text.parse().unwrap());
        for text in &addresses {
            assert_eq!(
                probe(text).unwrap_err().kind(),
                io::ErrorKind::AddrInUse,
                "{text}"
            );
        }
        drop((tcp, udp));
        assert!(addresses.iter().all(|text| probe(text).is_ok()));
    }

    #[test]
    fn a_full_address_names_its_peer() {
        let peer = PeerId::random();
        let address: Multiaddr = "/ip4/127.0.0.1/udp/9/quic-v1".parse().unwrap();
        let full = address.clone().with(Protocol::P2p(peer));
        assert_eq!(split_peer_address(&full), Ok((peer, address.clone())));
        assert_eq!(
            split_peer_address(&address),
            Err(PeerAddressError::NoPeerId(address))
        );
    }
}
