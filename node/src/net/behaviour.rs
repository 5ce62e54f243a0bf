//! The swarm: transports, behaviours and every setting that differs from libp2p's defaults, with
//! the reason.

use std::{error::Error, time::Duration};

use aether_bootnode::NetworkId;
use libp2p::{
    PeerId, Swarm, SwarmBuilder,
    allow_block_list::{self, BlockedPeers},
    connection_limits::{self, ConnectionLimits},
    gossipsub::{
        self, MaxCountSubscriptionFilter, MessageAuthenticity, ValidationMode,
        WhitelistSubscriptionFilter,
    },
    identify,
    identity::Keypair,
    kad, noise, ping,
    request_response::{self, ProtocolSupport},
    swarm::NetworkBehaviour,
    tcp, yamux,
};

use super::{
    config::{NetConfig, NetError, NetLimits},
    event::MessageId,
    protocol::{FrameCodec, Protocol},
    scoring,
    store::{BoundedStore, StoreBounds},
    topic::Topics,
};

/// Connections per peer: one, plus room for both sides dialling at once and for a restarted peer
/// whose old connection has not timed out yet. With a limit of one, two nodes that dial each
/// other at once would both refuse.
const CONNECTIONS_PER_PEER: u32 = 3;
/// A connection without open streams is kept for so long; gossip meshes keep theirs anyway.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Heartbeats a message waits for its verdict; later it cannot be forwarded any more.
const HEARTBEATS_IN_CACHE: usize = 10;
/// Of these, heartbeats during which others are told about it.
const HEARTBEATS_OF_GOSSIP: usize = 3;
/// Messages queued for one peer before it counts as slow.
const SEND_QUEUE: usize = 1_024;
/// What protobuf and the topic's name add to a message.
const GOSSIP_OVERHEAD: usize = 512;
/// Message ids in one control message. 2,000 ids of 32 bytes fit into
/// [`CONTROL_BYTES_MAX`]; with libp2p's defaults (5,000 ids, 16 KiB) busy nodes would refuse
/// each other's control messages.
const CONTROL_IDS_MAX: usize = 2_000;
const CONTROL_BYTES_MAX: usize = 256 << 10;

pub(super) type Kad = kad::Behaviour<BoundedStore>;
pub(super) type Gossipsub = gossipsub::Behaviour<
    gossipsub::IdentityTransform,
    MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>,
>;
pub(super) type Requests = request_response::Behaviour<FrameCodec>;

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    // First, so that a refused connection costs nothing in the others.
    pub(super) limits: connection_limits::Behaviour,
    pub(super) bans: allow_block_list::Behaviour<BlockedPeers>,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) kad: Kad,
    pub(super) gossip: Gossipsub,
    // One behaviour per protocol: a request cannot choose among the protocols of one.
    pub(super) sync: Requests,
    pub(super) blob: Requests,
    pub(super) status: Requests,
}

impl Behaviour {
    pub(super) fn requests(&mut self, protocol: Protocol) -> &mut Requests {
        match protocol {
            Protocol::Sync => &mut self.sync,
            Protocol::Blob => &mut self.blob,
            Protocol::Status => &mut self.status,
        }
    }
}

pub(super) fn build_swarm(
    config: &NetConfig,
    network: &NetworkId,
    topics: &Topics,
) -> Result<Swarm<Behaviour>, NetError> {
    let setup = |reason: String| NetError::Setup(reason);
    let keypair =
        Keypair::ed25519_from_bytes(config.seed).map_err(|error| setup(error.to_string()))?;
    let dev = config.dev;
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )
        .map_err(|error| setup(error.to_string()))?
        .with_quic_config(|mut quic| {
            // Both sides' settings count, the shorter wins. A killed peer is noticed by its
            // silence, unless it restarts and resets the connection.
            quic.max_idle_timeout = if dev { 6_000 } else { 15_000 };
            quic.keep_alive_interval = Duration::from_secs(if dev { 2 } else { 5 });
            quic
        })
        .with_behaviour(|keypair| behaviour(keypair, config, network, topics))
        .map_err(|error| setup(error.to_string()))?
        .with_swarm_config(|swarm| {
            // Happy eyeballs: QUIC first, TCP when QUIC is slow.
            swarm
                .with_idle_connection_timeout(IDLE_TIMEOUT)
                .with_smart_dial()
        })
        .build();
    Ok(swarm)
}

fn behaviour(
    keypair: &Keypair,
    config: &NetConfig,
    network: &NetworkId,
    topics: &Topics,
) -> Result<Behaviour, Box<dyn Error + Send + Sync>> {
    let local = keypair.public().to_peer_id();
    let limits = &config.limits;
    let requests = |protocol: Protocol| {
        let codec = FrameCodec {
            request_bytes_max: limits.request_bytes_max,
            response_bytes_max: limits.response_bytes_max,
        };
        let config = request_response::Config::default()
            .with_request_timeout(limits.request_timeout)
            // Inbound and outbound share it, and beyond it streams are dropped without a word;
            // our own in-flight limits are reached first.
            .with_max_concurrent_streams(2 * limits.requests_in_flight_per_peer);
        let names = [(protocol.id(network), ProtocolSupport::Full)];
        Requests::with_codec(codec, names, config)
    };
    Ok(Behaviour {
        limits: connection_limits::Behaviour::new(
            ConnectionLimits::default()
                .with_max_pending_incoming(Some(limits.connections_pending_max))
                .with_max_pending_outgoing(Some(limits.connections_pending_max))
                .with_max_established_incoming(Some(limits.connections_inbound_max))
                .with_max_established(Some(limits.connections_max))
                .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER)),
        ),
        bans: allow_block_list::Behaviour::default(),
        identify: identify::Behaviour::new(
            identify::Config::new(network.identify_protocol(), keypair.public())
                .with_agent_version(concat!("aether/", env!("CARGO_PKG_VERSION")).to_owned())
                .with_push_listen_addr_updates(true)
                // The peer book remembers addresses; a second memory would only disagree.
                .with_cache_size(0),
        ),
        ping: ping::Behaviour::default(),
        kad: kademlia(local, network, config.dev, limits),
        gossip: gossip(topics, config.dev, limits)?,
        sync: requests(Protocol::Sync),
        blob: requests(Protocol::Blob),
        status: requests(Protocol::Status),
    })
}

pub(super) fn kademlia(local: PeerId, network: &NetworkId, dev: bool, limits: &NetLimits) -> Kad {
    let store = BoundedStore::new(
        local,
        StoreBounds {
            records: limits.records_max,
            record_bytes: limits.record_bytes_max,
            provider_keys: limits.provider_keys_max,
        },
    );
    let mut config = kad::Config::new(network.kad_protocol());
    config
        // Who enters the table is decided in `dht.rs`, by IP diversity.
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        // Nothing is stored before the validator has seen it.
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_record_ttl(Some(limits.record_ttl))
        .set_replication_interval(Some(limits.republish_interval))
        .set_publication_interval(Some(limits.republish_interval))
        .set_provider_record_ttl(Some(limits.record_ttl))
        .set_provider_publication_interval(Some(limits.republish_interval))
        .set_query_timeout(limits.request_timeout)
        // A lookup that meets liars on one path still has others.
        .disjoint_query_paths(true)
        .set_caching(kad::Caching::Disabled)
        // `peers.rs` decides when to walk.
        .set_periodic_bootstrap_interval(None);
    let mut kad = Kad::with_config(local, store, config);
    if dev {
        // Otherwise it stays a client until an external address is confirmed.
        kad.set_mode(Some(kad::Mode::Server));
    }
    kad
}

fn gossip(
    topics: &Topics,
    dev: bool,
    limits: &NetLimits,
) -> Result<Gossipsub, Box<dyn Error + Send + Sync>> {
    let config = gossipsub::ConfigBuilder::default()
        // Messages carry the application's signatures, which the verdict checks once; libp2p's
        // own would be checked for every duplicate.
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| {
            message_id(message.topic.as_str(), &message.data)
                .0
                .to_vec()
                .into()
        })
        .max_transmit_size(limits.gossip_bytes_max + GOSSIP_OVERHEAD)
        .max_control_messages_sent(CONTROL_IDS_MAX)
        .max_control_message_size(CONTROL_BYTES_MAX)
        .heartbeat_interval(limits.heartbeat)
        .heartbeat_initial_delay(limits.heartbeat.min(Duration::from_millis(200)))
        .history_length(HEARTBEATS_IN_CACHE)
        .history_gossip(HEARTBEATS_OF_GOSSIP)
        .duplicate_cache_time(limits.duplicate_cache)
        // Sending to every subscriber instead of the mesh costs the publisher's uplink N copies.
        .flood_publish(false)
        .mesh_outbound_min(2)
        .mesh_n_low(6)
        .mesh_n(8)
        .mesh_n_high(12)
        .connection_handler_queue_len(SEND_QUEUE)
        // A machine under load forwards late rather than never.
        .forward_queue_duration(Duration::from_secs(3))
        .build()?;
    let count = topics.hashes().count();
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(topics.hashes().cloned().collect()),
        max_subscribed_topics: count,
        // A peer may leave and join all of them in one message.
        max_subscriptions_per_request: 2 * count,
    };
    let mut gossip =
        Gossipsub::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)?;
    gossip.with_peer_score(scoring::parameters(topics, dev), scoring::thresholds())?;
    Ok(gossip)
}

/// The identity of a message: BLAKE3 over its topic and content. The key-derivation mode keeps
/// it apart from every other hash, the length keeps topic and content apart.
pub(super) fn message_id(topic: &str, content: &[u8]) -> MessageId {
    let mut hasher = blake3::Hasher::new_derive_key("aether 2026 gossip message id v1");
    hasher.update(&(topic.len() as u64).to_le_bytes());
    hasher.update(topic.as_bytes());
    hasher.update(content);
    MessageId(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_its_topic_and_content() {
        let id = message_id("/a", b"content");
        assert_eq!(id, message_id("/a", b"content"));
        assert_ne!(id, message_id("/b", b"content"));
        assert_ne!(message_id("/a", b"bc"), message_id("/ab", b"c"));
    }
}
