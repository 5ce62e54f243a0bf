//! Peers: connections, identification, dialling. Whom we part with is decided in `conduct.rs`.
//!
//! - **Finding.** Bootnodes are dialled until they answer. Whoever we meet tells where it
//!   listens (identify); that enters the peer book and the DHT's table. Walks through the DHT
//!   find the others, at first every quarter of a second, then ever less often; every change of
//!   peers starts that anew.
//! - **Keeping.** While fewer than `peers_target` peers are connected, known ones are dialled.
//!   A lost peer is dialled at once and then ever less often (`book.rs`).
//! - **Restarts.** A killed peer that comes back opens a new connection while we still believe in
//!   the old one. Gossipsub greets a peer on its first connection only, so the newcomer would
//!   never learn our subscriptions. A second connection long after the first therefore means:
//!   close everything and dial anew.
//! - **Other networks.** Whoever identifies itself with another protocol version is disconnected
//!   and forgotten.

use std::collections::BTreeMap;

use aether_bootnode::is_dialable;
use libp2p::{
    Multiaddr, PeerId,
    core::ConnectedPoint,
    identify, ping,
    swarm::{ConnectionId, DialError, dial_opts::DialOpts},
};
use tokio::time::{Duration, Instant};

use super::{
    book::{ADDRESSES_PER_PEER, BackOff, PeerBook},
    conduct::Conduct,
    config::NetConfig,
    event::{NetEvent, PeerInfo},
    service::Service,
};

/// A second connection this long after the first is a restart, not two dials that crossed.
const CROSSED_DIALS: Duration = Duration::from_secs(2);
/// Dials under way at once.
const DIALS_MAX: usize = 16;
/// Time between walks, at first; doubles up to [`walk_longest`].
const WALK_FIRST: Duration = Duration::from_millis(250);
/// Time between walks when there are enough peers, to keep the table fresh.
const WALK_REFRESH: Duration = Duration::from_secs(300);
/// How long a peer that we parted with is not dialled.
pub(super) const REST: Duration = Duration::from_secs(60);

/// State of the peer desk.
pub(super) struct Peers {
    pub(super) book: PeerBook,
    pub(super) target: usize,
    pub(super) connected: BTreeMap<PeerId, Connected>,
    dialling: BTreeMap<PeerId, Instant>,
    pub(super) conduct: Conduct,
    walk_at: Instant,
    walk_pause: Duration,
    walk_longest: Duration,
}

pub(super) struct Connected {
    connections: Vec<(ConnectionId, Instant)>,
    remote: Multiaddr,
    outbound: bool,
    since: Instant,
    identity: Option<Identity>,
    /// The node has been told.
    announced: bool,
    round_trip: Option<Duration>,
    /// Messages lost to its full queue lately.
    pub(super) losses: f64,
}

struct Identity {
    agent: String,
    protocols: Vec<String>,
    addresses: Vec<Multiaddr>,
}

impl Peers {
    pub(super) fn new(
        config: &NetConfig,
        local: PeerId,
        bootnodes: Vec<(PeerId, Multiaddr)>,
        now: Instant,
    ) -> Self {
        let back_off = BackOff {
            first: Duration::from_millis(if config.dev { 250 } else { 1_000 }),
            longest: Duration::from_secs(if config.dev { 2 } else { 60 }),
        };
        let mut book = PeerBook::new(config.limits.peers_known_max, back_off);
        for (peer, address) in bootnodes {
            if peer != local {
                book.add_bootnode(peer, address, now);
            }
        }
        Self {
            book,
            target: config.limits.peers_target,
            connected: BTreeMap::new(),
            dialling: BTreeMap::new(),
            conduct: Conduct::new(now),
            walk_at: now,
            walk_pause: WALK_FIRST,
            walk_longest: Duration::from_secs(if config.dev { 5 } else { 60 }),
        }
    }

    pub(super) fn connected_count(&self) -> usize {
        self.connected.len()
    }

    /// Peers of the network proper, without bootnodes.
    fn nodes_connected(&self) -> usize {
        self.connected
            .keys()
            .filter(|peer| !self.book.is_bootnode(peer))
            .count()
    }

    /// Something changed: look around soon, unless there are enough.
    fn walk_soon(&mut self, now: Instant) {
        if self.nodes_connected() < self.target {
            self.walk_pause = WALK_FIRST;
            self.walk_at = self.walk_at.min(now + WALK_FIRST);
        }
    }

    fn schedule_walk(&mut self, now: Instant) {
        if self.nodes_connected() < self.target {
            self.walk_at = now + self.walk_pause;
            self.walk_pause = (self.walk_pause * 2).min(self.walk_longest);
        } else {
            self.walk_at = now + WALK_REFRESH;
        }
    }
}

impl Service {
    pub(super) fn on_connected(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        endpoint: &ConnectedPoint,
    ) {
        let now = Instant::now();
        self.peers.dialling.remove(&peer);
        self.peers.book.connected(&peer, now);
        let state = self
            .peers
            .connected
            .entry(peer)
            .or_insert_with(|| Connected {
                connections: Vec::new(),
                remote: endpoint.get_remote_address().clone(),
                outbound: endpoint.is_dialer(),
                since: now,
                identity: None,
                announced: false,
                round_trip: None,
                losses: 0.0,
            });
        let believed_in_another = state
            .connections
            .iter()
            .any(|(_, since)| now.saturating_duration_since(*since) > CROSSED_DIALS);
        state.connections.push((connection, now));
        if believed_in_another {
            tracing::debug!(%peer, "peer came back on a new connection; starting over");
            self.disconnect(peer);
        }
        self.peers.walk_soon(now);
    }

    pub(super) fn on_closed(&mut self, peer: PeerId, connection: ConnectionId) {
        let now = Instant::now();
        let Some(state) = self.peers.connected.get_mut(&peer) else {
            return;
        };
        state.connections.retain(|(id, _)| *id != connection);
        if !state.connections.is_empty() {
            return;
        }
        let announced = state.announced;
        self.peers.connected.remove(&peer);
        self.peers.book.disconnected(&peer, now);
        self.peers.walk_soon(now);
        if announced {
            // If there is no room for it, the node finds out by asking.
            self.announce(NetEvent::PeerDisconnected(peer));
        }
        self.dial_due(now);
    }

    pub(super) fn on_dial_failed(&mut self, peer: PeerId, error: &DialError) {
        if matches!(error, DialError::DialPeerConditionFalse(_)) {
            return; // connected already, or being dialled
        }
        tracing::debug!(%peer, %error, "cannot connect");
        self.peers.dialling.remove(&peer);
        self.peers.book.failed(&peer, Instant::now());
    }

    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received {
            peer_id: peer,
            info,
            ..
        } = event
        else {
            return;
        };
        if info.protocol_version != self.network.identify_protocol() {
            tracing::debug!(%peer, theirs = info.protocol_version, "peer of another network");
            self.forget(peer);
            return;
        }
        let dev = self.config.dev;
        let addresses: Vec<_> = info
            .listen_addrs
            .into_iter()
            .filter(|address| is_dialable(address, dev))
            .take(ADDRESSES_PER_PEER)
            .collect();
        self.peers
            .book
            .told_by_itself(peer, addresses.clone(), Instant::now());
        let kad_name = self.network.kad_protocol();
        if info.protocols.contains(&kad_name) {
            // What the operator configured counts more than what a bootnode thinks of itself.
            let configured = self.peers.book.is_bootnode(&peer);
            let known = configured.then(|| self.peers.book.addresses(&peer));
            self.route(peer, known.as_ref().unwrap_or(&addresses));
        }
        if let Some(state) = self.peers.connected.get_mut(&peer) {
            state.identity = Some(Identity {
                agent: info.agent_version.chars().take(64).collect(),
                protocols: info.protocols.iter().map(ToString::to_string).collect(),
                addresses,
            });
        }
        self.announce_peers();
    }

    pub(super) fn on_ping(&mut self, event: ping::Event) {
        match (event.result, self.peers.connected.get_mut(&event.peer)) {
            (Ok(round_trip), Some(state)) => state.round_trip = Some(round_trip),
            (Err(error), _) => tracing::debug!(peer = %event.peer, %error, "ping failed"),
            (Ok(_), None) => {}
        }
    }

    /// Tells the node about peers it does not know of yet; repeated until there is room.
    fn announce_peers(&mut self) {
        for (peer, state) in &mut self.peers.connected {
            let is_new = !state.announced && state.identity.is_some();
            if is_new && !self.peers.book.is_bootnode(peer) {
                state.announced = self.events.try_send(NetEvent::PeerConnected(*peer)).is_ok();
            }
        }
    }

    /// Takes what others say about a peer.
    pub(super) fn heard_of(&mut self, peer: PeerId, mut addresses: Vec<Multiaddr>) {
        if peer == self.local() || self.peers.conduct.is_banned(&peer) {
            return;
        }
        let dev = self.config.dev;
        for address in &mut addresses {
            if let Some(libp2p::multiaddr::Protocol::P2p(_)) = address.iter().last() {
                address.pop();
            }
        }
        addresses.retain(|address| is_dialable(address, dev));
        self.peers
            .book
            .told_by_others(peer, addresses, Instant::now());
    }

    pub(super) fn add_peer(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        self.heard_of(peer, addresses);
        self.dial_due(Instant::now());
    }

    pub(super) fn tend_peers(&mut self, now: Instant) {
        self.announce_peers();
        self.tend_conduct(now);
        self.dial_due(now);
        if now >= self.peers.walk_at {
            self.walk();
            self.peers.schedule_walk(now);
        }
    }

    fn dial_due(&mut self, now: Instant) {
        let timeout = self.config.limits.request_timeout;
        self.peers
            .dialling
            .retain(|_, since| now.saturating_duration_since(*since) < timeout);
        let free = DIALS_MAX.saturating_sub(self.peers.dialling.len());
        let wanted = self
            .peers
            .target
            .saturating_sub(self.peers.nodes_connected() + self.peers.dialling.len());
        let Peers {
            book,
            connected,
            dialling,
            conduct,
            ..
        } = &mut self.peers;
        let busy = |peer: &PeerId| {
            connected.contains_key(peer) || dialling.contains_key(peer) || conduct.is_banned(peer)
        };
        let mut due = book.due(free, true, now, busy);
        due.extend(book.due(wanted.min(free.saturating_sub(due.len())), false, now, busy));
        for (peer, addresses) in due {
            self.dial(peer, addresses, now);
        }
    }

    fn dial(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        match self
            .swarm
            .dial(DialOpts::peer_id(peer).addresses(addresses).build())
        {
            Ok(()) => drop(self.peers.dialling.insert(peer, now)),
            Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(error) => {
                tracing::debug!(%peer, %error, "cannot dial");
                self.peers.book.failed(&peer, now);
            }
        }
    }

    pub(super) fn disconnect(&mut self, peer: PeerId) {
        // An error only says that the peer has already gone.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    /// A peer we want nothing to do with, through no fault of its own.
    fn forget(&mut self, peer: PeerId) {
        self.peers.book.postpone(&peer, Instant::now() + REST);
        self.peers.book.forget(&peer);
        self.swarm.behaviour_mut().kad.remove_peer(&peer);
        self.disconnect(peer);
    }

    pub(super) fn peer_infos(&mut self) -> Vec<PeerInfo> {
        let now = Instant::now();
        let gossip = &self.swarm.behaviour().gossip;
        let topics: BTreeMap<_, _> = gossip.all_peers().collect();
        self.peers
            .connected
            .iter()
            .map(|(peer, state)| {
                let identity = state.identity.as_ref();
                let listens = identity.map(|i| i.addresses.clone()).unwrap_or_default();
                PeerInfo {
                    peer_id: *peer,
                    addresses: if listens.is_empty() {
                        vec![state.remote.clone()]
                    } else {
                        listens
                    },
                    agent: identity.map(|i| i.agent.clone()).unwrap_or_default(),
                    protocols: identity.map(|i| i.protocols.clone()).unwrap_or_default(),
                    topics: topics
                        .get(peer)
                        .map(|t| self.topics_of(t))
                        .unwrap_or_default(),
                    connected_for: now.saturating_duration_since(state.since),
                    outbound: state.outbound,
                    bootnode: self.peers.book.is_bootnode(peer),
                    round_trip: state.round_trip,
                    score: gossip.peer_score(peer).unwrap_or(0.0),
                }
            })
            .collect()
    }
}
