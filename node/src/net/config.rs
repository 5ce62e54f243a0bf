//! Configuration: what an operator or a test decides about the network, checked once.

use std::{io, time::Duration};

use libp2p::Multiaddr;
use thiserror::Error;

use aether_bootnode::{NetworkIdError, PeerAddressError};

/// Everything [`super::start`] needs.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// The ed25519 seed of this node's network identity.
    pub seed: [u8; 32],
    /// Where to listen: `/ip4|ip6/…/udp/…/quic-v1` and `/ip4|ip6/…/tcp/…`; port 0 lets the
    /// system choose.
    pub listen: Vec<Multiaddr>,
    /// Addresses under which strangers reach this node, if the operator knows them (behind a
    /// forwarded port). Listen addresses that are public count by themselves.
    pub external: Vec<Multiaddr>,
    /// The only peers known in advance, each with `/p2p/<peer id>`. Our own id is skipped.
    pub bootnodes: Vec<Multiaddr>,
    /// First 8 hex digits of the genesis hash; part of every topic and protocol name.
    pub genesis8: String,
    /// A development network: private addresses are dialled and announced, loopback is exempt
    /// from the colocation score, there are no IP-diversity limits, the DHT is served without a
    /// confirmed external address, and back-offs are short.
    pub dev: bool,
    /// Bounds.
    pub limits: NetLimits,
}

/// The bounds of everything a stranger can make this node hold or do.
#[derive(Clone, Debug)]
pub struct NetLimits {
    /// One gossip message, in bytes.
    pub gossip_bytes_max: usize,
    /// Gossip waiting for a verdict, in bytes; beyond it messages are ignored.
    pub unjudged_bytes_max: usize,
    /// One request, in bytes.
    pub request_bytes_max: usize,
    /// One response, in bytes.
    pub response_bytes_max: usize,
    /// How long a request may take, connecting included.
    pub request_timeout: Duration,
    /// Requests of one peer and protocol that may be in work at once; and ours to one peer.
    pub requests_in_flight_per_peer: usize,
    /// Our requests under way, to everybody.
    pub requests_in_flight: usize,
    /// Rate of requests of one peer and protocol, per second. A response costs one more for
    /// each 64 KiB.
    pub requests_per_second: u32,
    /// How many requests a peer may have saved up.
    pub requests_burst: u32,
    /// Established connections.
    pub connections_max: u32,
    /// Of these, at most so many that others opened; the rest (the outbound quota) is ours, so
    /// that nobody can fill all our places.
    pub connections_inbound_max: u32,
    /// Handshakes under way, in each direction.
    pub connections_pending_max: u32,
    /// Peers we try to stay connected to.
    pub peers_target: usize,
    /// Peers whose addresses we remember.
    pub peers_known_max: usize,
    /// Events that wait for the node.
    pub event_queue: usize,
    /// Commands that wait for the network task.
    pub command_queue: usize,
    /// DHT queries under way.
    pub queries_max: usize,
    /// Records we keep for others and ourselves.
    pub records_max: usize,
    /// One record's value, in bytes. A Kademlia packet holds 16 KiB.
    pub record_bytes_max: usize,
    /// Keys we keep providers for.
    pub provider_keys_max: usize,
    /// Lifetime of records and provider records that others ask us to keep.
    pub record_ttl: Duration,
    /// How often our own records and provider records are announced again.
    pub republish_interval: Duration,
    /// Gossip heartbeat; libp2p's scores decay once a second.
    pub heartbeat: Duration,
    /// How long a message's id is remembered. Must outlast the challenge window, or an old
    /// message could be replayed as new.
    pub duplicate_cache: Duration,
    /// How long a publication is retried while nobody listens to its topic.
    pub publish_retry: Duration,
    /// How long a banned peer stays banned.
    pub ban: Duration,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            gossip_bytes_max: 1 << 20,
            unjudged_bytes_max: 64 << 20,
            request_bytes_max: 16 << 10,
            response_bytes_max: (1 << 20) + (64 << 10),
            request_timeout: Duration::from_secs(10),
            requests_in_flight_per_peer: 16,
            requests_in_flight: 256,
            requests_per_second: 32,
            requests_burst: 128,
            connections_max: 120,
            connections_inbound_max: 84,
            connections_pending_max: 64,
            peers_target: 16,
            peers_known_max: 512,
            event_queue: 4_096,
            command_queue: 1_024,
            queries_max: 64,
            records_max: 4_096,
            record_bytes_max: 8 << 10,
            provider_keys_max: 4_096,
            record_ttl: Duration::from_secs(30 * 60),
            republish_interval: Duration::from_secs(10 * 60),
            heartbeat: Duration::from_millis(700),
            duplicate_cache: Duration::from_secs(120),
            publish_retry: Duration::from_secs(10),
            ban: Duration::from_secs(15 * 60),
        }
    }
}

/// Why the network does not start.
#[derive(Debug, Error)]
pub enum NetError {
    /// The network id is malformed; the operator's fault.
    #[error(transparent)]
    NetworkId(#[from] NetworkIdError),
    /// A bootnode address is malformed; the operator's fault.
    #[error("bootnode: {0}")]
    Bootnode(#[from] PeerAddressError),
    /// Another process uses the port; the operator's fault.
    #[error("{0} is in use by another process")]
    AddressInUse(Multiaddr),
    /// An address cannot be listened on; the operator's fault.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What the system or the transport said.
        reason: String,
    },
    /// Contradictory limits; the operator's fault.
    #[error("limits: {0}")]
    Limits(&'static str),
    /// The transports or behaviours cannot be set up; ours.
    #[error("cannot set up the network: {0}")]
    Setup(String),
}

impl NetError {
    pub(super) fn listen(address: &Multiaddr, error: &io::Error) -> Self {
        let address = address.clone();
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse(address),
            _ => Self::Listen {
                address,
                reason: error.to_string(),
            },
        }
    }
}

impl NetLimits {
    /// Refuses limits that contradict each other.
    ///
    /// # Errors
    /// [`NetError::Limits`], with the rule that is broken.
    pub fn check(&self) -> Result<(), NetError> {
        let rules = [
            (
                self.gossip_bytes_max >= 1_024,
                "gossip_bytes_max must be at least 1 KiB",
            ),
            (
                self.unjudged_bytes_max >= 2 * self.gossip_bytes_max,
                "unjudged_bytes_max must hold two messages",
            ),
            (
                self.connections_inbound_max < self.connections_max,
                "connections_inbound_max must leave room for outbound connections",
            ),
            (
                self.record_bytes_max <= 15 << 10,
                "record_bytes_max must fit into a 16 KiB Kademlia packet",
            ),
            (
                self.republish_interval * 2 <= self.record_ttl,
                "record_ttl must outlast two republish intervals",
            ),
            (
                self.duplicate_cache >= Duration::from_secs(60),
                "duplicate_cache must be at least 60 s",
            ),
            (
                self.heartbeat >= Duration::from_millis(100),
                "heartbeat must be at least 100 ms",
            ),
            (
                self.event_queue >= 16 && self.command_queue >= 1 && self.queries_max >= 1,
                "queues must have room",
            ),
            (
                self.request_bytes_max <= u32::MAX as usize
                    && self.response_bytes_max <= u32::MAX as usize,
                "request and response sizes must fit into 32 bits",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(NetError::Limits(rule)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_consistent() {
        NetLimits::default().check().unwrap();
    }

    #[test]
    fn contradictory_limits_are_refused() {
        let broken = |change: fn(&mut NetLimits)| {
            let mut limits = NetLimits::default();
            change(&mut limits);
            limits.check()
        };
        assert!(broken(|l| l.connections_inbound_max = l.connections_max).is_err());
        assert!(broken(|l| l.record_ttl = l.republish_interval).is_err());
        assert!(broken(|l| l.duplicate_cache = Duration::from_secs(59)).is_err());
        assert!(broken(|l| l.unjudged_bytes_max = l.gossip_bytes_max).is_err());
    }
}
