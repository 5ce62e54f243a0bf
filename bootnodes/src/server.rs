//! The server: a swarm with connection limits, Kademlia, identify and ping, and the loop that
//! owns it.

use std::{io, time::Duration};

use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, connection_limits,
    connection_limits::ConnectionLimits,
    core::transport::ListenerId,
    futures::StreamExt as _,
    identify, identity,
    kad::{self, store::MemoryStore},
    multiaddr::Protocol,
    noise, ping,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use thiserror::Error;

use crate::{
    address::{is_dialable, probe_port},
    names::{NetworkId, NetworkIdError},
};

/// Addresses we remember per peer. A node has a handful; a liar could name hundreds.
const ADDRESSES_PER_PEER: usize = 8;
/// Connections one peer may hold: one, plus room for both sides dialling at once and for a
/// restarted peer whose old connection has not timed out yet.
const CONNECTIONS_PER_PEER: u32 = 3;
/// Handshakes under way at once; stalled ones would pile up otherwise.
const PENDING_CONNECTIONS: u32 = 128;
/// A connection without open streams is closed after this long, so that newcomers find room.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Silence after which a QUIC peer counts as gone.
const QUIC_IDLE_TIMEOUT_MS: u32 = 10_000;

/// What a bootnode needs to know.
#[derive(Clone, Debug)]
pub struct BootnodeConfig {
    /// The ed25519 seed of its identity.
    pub seed: [u8; 32],
    /// Where to listen; QUIC v1 and TCP addresses.
    pub listen: Vec<Multiaddr>,
    /// First 8 hex digits of the genesis hash.
    pub network_id: String,
    /// Take and hand out loopback and private addresses (development networks).
    pub allow_private: bool,
    /// Established connections at most.
    pub connections_max: u32,
}

/// Why a bootnode cannot start.
#[derive(Debug, Error)]
pub enum BootnodeError {
    /// The network id is malformed; the operator's fault.
    #[error(transparent)]
    NetworkId(#[from] NetworkIdError),
    /// No listen address was given; the operator's fault.
    #[error("no listen address")]
    NoListenAddress,
    /// A listen address cannot be used: busy, or not of a supported kind.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What the system or the transport said.
        reason: String,
    },
    /// The transports cannot be set up; ours.
    #[error("cannot set up the transports: {0}")]
    Transport(String),
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    // First, so that a refused connection costs nothing in the others.
    limits: connection_limits::Behaviour,
    kad: kad::Behaviour<MemoryStore>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// A bootnode whose sockets are bound.
pub struct Bootnode {
    swarm: Swarm<Behaviour>,
    protocol_version: String,
    allow_private: bool,
    silent_listeners: Vec<ListenerId>,
}

impl Bootnode {
    /// Binds the sockets. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`BootnodeError`]; a busy port is reported here and not later.
    pub fn bind(config: BootnodeConfig) -> Result<Self, BootnodeError> {
        let network = NetworkId::parse(&config.network_id)?;
        if config.listen.is_empty() {
            return Err(BootnodeError::NoListenAddress);
        }
        let mut swarm = build(&config, &network)?;
        let mut silent_listeners = Vec::new();
        for address in config.listen {
            let refused = |reason: String| BootnodeError::Listen {
                address: address.clone(),
                reason,
            };
            probe_port(&address).map_err(|error| refused(error.to_string()))?;
            let listener = swarm
                .listen_on(address.clone())
                .map_err(|error| refused(describe(&error)))?;
            silent_listeners.push(listener);
        }
        Ok(Self {
            swarm,
            protocol_version: network.identify_protocol(),
            allow_private: config.allow_private,
            silent_listeners,
        })
    }

    /// Who we are.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    /// Serves until every listener has told its addresses, then returns them with `/p2p/…`,
    /// QUIC first. A wildcard listener has one address per interface; later ones are not waited
    /// for.
    pub async fn addresses(&mut self) -> Vec<Multiaddr> {
        while !self.silent_listeners.is_empty() {
            self.step().await;
        }
        let peer = self.peer_id();
        let mut addresses: Vec<_> = self
            .swarm
            .listeners()
            .map(|address| address.clone().with(Protocol::P2p(peer)))
            .collect();
        let is_quic = |address: &Multiaddr| address.iter().any(|p| p == Protocol::QuicV1);
        addresses.sort_by_key(|address| (!is_quic(address), address.to_string()));
        addresses
    }

    /// Serves until `shutdown` completes.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                () = self.step() => {}
            }
        }
    }

    async fn step(&mut self) {
        let event = self.swarm.select_next_some().await;
        match event {
            SwarmEvent::NewListenAddr {
                listener_id,
                address,
            } => {
                self.silent_listeners.retain(|id| *id != listener_id);
                tracing::info!(%address, "listening");
            }
            SwarmEvent::ListenerClosed {
                listener_id,
                reason,
                ..
            } => {
                self.silent_listeners.retain(|id| *id != listener_id);
                tracing::error!(?reason, "a listener closed");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) => self.on_identified(peer_id, info),
            // Records and provider records arrive here as events and are dropped: a bootnode
            // introduces peers, it stores nothing.
            _ => {}
        }
    }

    fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        if info.protocol_version != self.protocol_version {
            tracing::debug!(%peer, theirs = info.protocol_version, "peer of another network");
            self.swarm.behaviour_mut().kad.remove_peer(&peer);
            // An error only says that the peer has already gone.
            let _ = self.swarm.disconnect_peer_id(peer);
            return;
        }
        let serves_kad = info.protocols.iter().any(|p| p.as_ref().contains("/kad/"));
        if !serves_kad {
            return;
        }
        let kad = &mut self.swarm.behaviour_mut().kad;
        // A restarted node may have new ports; what it says now replaces what it said before.
        kad.remove_peer(&peer);
        info.listen_addrs
            .into_iter()
            .filter(|address| is_dialable(address, self.allow_private))
            .take(ADDRESSES_PER_PEER)
            .for_each(|address| {
                kad.add_address(&peer, address);
            });
    }
}

fn build(config: &BootnodeConfig, network: &NetworkId) -> Result<Swarm<Behaviour>, BootnodeError> {
    let transport = |reason: String| BootnodeError::Transport(reason);
    let keypair = identity::Keypair::ed25519_from_bytes(config.seed)
        .map_err(|error| transport(error.to_string()))?;
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_CONNECTIONS))
        .with_max_pending_outgoing(Some(PENDING_CONNECTIONS))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER))
        .with_max_established(Some(config.connections_max));
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )
        .map_err(|error| transport(error.to_string()))?
        .with_quic_config(|mut quic| {
            quic.max_idle_timeout = QUIC_IDLE_TIMEOUT_MS;
            quic
        })
        .with_behaviour(|keypair| {
            let local = keypair.public().to_peer_id();
            Behaviour {
                limits: connection_limits::Behaviour::new(limits),
                kad: kad_server(local, network),
                identify: identify::Behaviour::new(
                    identify::Config::new(network.identify_protocol(), keypair.public())
                        .with_agent_version(
                            concat!("aether-bootnode/", env!("CARGO_PKG_VERSION")).into(),
                        ),
                ),
                ping: ping::Behaviour::default(),
            }
        })
        .unwrap_or_else(|never| match never {})
        .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(IDLE_TIMEOUT))
        .build();
    Ok(swarm)
}

fn kad_server(local: PeerId, network: &NetworkId) -> kad::Behaviour<MemoryStore> {
    let mut config = kad::Config::new(network.kad_protocol());
    config
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .disjoint_query_paths(true);
    let mut kad = kad::Behaviour::with_config(local, MemoryStore::new(local), config);
    // Without a confirmed external address it would stay a client and serve nobody.
    kad.set_mode(Some(kad::Mode::Server));
    kad
}

fn describe(error: &libp2p::TransportError<io::Error>) -> String {
    match error {
        libp2p::TransportError::MultiaddrNotSupported(_) => {
            "only /ip4 and /ip6 with /udp/…/quic-v1 or /tcp are supported".into()
        }
        libp2p::TransportError::Other(error) => error.to_string(),
    }
}
