//! The task that owns the swarm.
//!
//! ```text
//!   NetHandle ──Command──▶ ┌─────────┐ ──NetEvent──▶ node
//!   NetHandle ──Command──▶ │ Service │
//!   swarm ──SwarmEvent───▶ └─────────┘  one task, no locks
//! ```
//!
//! It never waits for anybody: events that find no room are dropped by the rules of their kind
//! (gossip counts as ignored, requests are answered with "busy", changes of connections are
//! announced at the next tick). What is decided where: `gossip.rs`, `requests.rs`, `dht.rs`,
//! `peers.rs`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aether_bootnode::{NetworkId, address::probe_port, is_dialable, split_peer_address};
use libp2p::{
    Multiaddr, PeerId, Swarm, TransportError, core::transport::ListenerId, futures::StreamExt as _,
    swarm::SwarmEvent,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};

use super::{
    behaviour::{Behaviour, BehaviourEvent, build_swarm},
    config::{NetConfig, NetError},
    dht::Dht,
    event::{NetEvent, NetStats},
    gossip::Gossip,
    handle::{Command, HandleLimits, NetHandle},
    peers::Peers,
    protocol::Protocol,
    requests::RequestDesk,
    topic::Topics,
};

/// How often retries, dials, bans and expiries are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How long a shutdown waits for connections to close politely.
const FAREWELL: Duration = Duration::from_millis(500);

/// Judges a DHT record by its key and value: signature, key derivation, size, expiry. It runs in
/// the network task, so it must be quick (one signature, no I/O).
pub type RecordValidator = Arc<dyn Fn(&[u8], &[u8]) -> bool + Send + Sync>;

pub(super) struct Service {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) config: NetConfig,
    pub(super) network: NetworkId,
    pub(super) events: mpsc::Sender<NetEvent>,
    pub(super) gossip: Gossip,
    pub(super) requests: RequestDesk,
    pub(super) dht: Dht,
    pub(super) peers: Peers,
    pub(super) stats: NetStats,
    commands: mpsc::Receiver<Command>,
    listeners: Listeners,
}

/// Listeners, and who waits for their addresses.
#[derive(Default)]
struct Listeners {
    addresses: HashMap<ListenerId, Vec<Multiaddr>>,
    waiting: Vec<oneshot::Sender<Vec<Multiaddr>>>,
}

/// Starts the network: binds the sockets and spawns the task. Must be called within a tokio
/// runtime. The receiver must be drained (see [`NetEvent`]).
///
/// # Errors
/// [`NetError`]; a busy port is reported here.
pub fn start(
    config: NetConfig,
    record_validator: RecordValidator,
) -> Result<(NetHandle, mpsc::Receiver<NetEvent>), NetError> {
    config.limits.check()?;
    let network = NetworkId::parse(&config.genesis8)?;
    let bootnodes = config
        .bootnodes
        .iter()
        .map(split_peer_address)
        .collect::<Result<Vec<_>, _>>()?;
    let topics = Topics::new(network.clone());
    let mut swarm = build_swarm(&config, &network, &topics)?;
    let listeners = listen(&mut swarm, &config.listen)?;
    for address in &config.external {
        swarm.add_external_address(address.clone());
    }

    let now = Instant::now();
    let local = *swarm.local_peer_id();
    let (command_sender, commands) = mpsc::channel(config.limits.command_queue);
    let (events, event_receiver) = mpsc::channel(config.limits.event_queue);
    let handle = NetHandle {
        local,
        limits: HandleLimits {
            gossip: config.limits.gossip_bytes_max,
            request: config.limits.request_bytes_max,
            response: config.limits.response_bytes_max,
            record: config.limits.record_bytes_max,
        },
        commands: command_sender,
    };
    let service = Service {
        swarm,
        network,
        events,
        gossip: Gossip::new(topics),
        requests: RequestDesk::new(&config.limits),
        dht: Dht::new(record_validator, &config.limits),
        peers: Peers::new(&config, local, bootnodes, now),
        stats: NetStats::default(),
        commands,
        listeners,
        config,
    };
    tokio::spawn(service.run());
    Ok((handle, event_receiver))
}

fn listen(swarm: &mut Swarm<Behaviour>, addresses: &[Multiaddr]) -> Result<Listeners, NetError> {
    let mut listeners = Listeners::default();
    for address in addresses {
        probe_port(address).map_err(|error| NetError::listen(address, &error))?;
        let id = swarm
            .listen_on(address.clone())
            .map_err(|error| match error {
                TransportError::Other(error) => NetError::listen(address, &error),
                TransportError::MultiaddrNotSupported(_) => NetError::Listen {
                    address: address.clone(),
                    reason: "only /ip4 and /ip6 with /udp/…/quic-v1 or /tcp are supported".into(),
                },
            })?;
        listeners.addresses.insert(id, Vec::new());
    }
    Ok(listeners)
}

impl Service {
    async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let farewell = loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                _ = tick.tick() => self.on_tick(),
            }
        };
        self.say_farewell().await;
        drop(self);
        if let Some(done) = farewell {
            // Nobody waits any more: fine.
            let _ = done.send(());
        }
    }

    /// Closes the connections, so that the others need not wait for our silence.
    async fn say_farewell(&mut self) {
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // An error only says that the peer has already gone.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        // Whoever does not answer is left to its time-out.
        let _ = tokio::time::timeout(FAREWELL, closed).await;
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        self.retry_publications(now);
        self.expire_unjudged(now);
        self.expire_requests(now);
        self.tend_dht(now);
        self.tend_peers(now);
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { topic, bytes } => self.publish(topic, bytes),
            Command::Report { id, from, verdict } => self.report(id, from, verdict),
            Command::Subscribe(topics) => self.subscribe(&topics),
            Command::Unsubscribe(topics) => self.unsubscribe(&topics),
            Command::Request {
                peer,
                protocol,
                bytes,
                answer,
            } => {
                self.request(peer, protocol, bytes, answer);
            }
            Command::Respond { reply, bytes } => self.respond(reply, bytes),
            Command::PutRecord {
                key,
                value,
                ttl,
                answer,
            } => {
                self.put_record(key, value, ttl, answer);
            }
            Command::GetRecord { key, answer } => self.get_record(key, answer),
            Command::Provide { key, answer } => self.provide(key, answer),
            Command::StopProviding { key } => self.stop_providing(key),
            Command::FindProviders { key, answer } => self.find_providers(key, answer),
            Command::AddPeer { peer, addresses } => self.add_peer(peer, addresses),
            Command::Penalize { peer, points } => self.penalize(peer, points),
            Command::Peers(answer) => drop(answer.send(self.peer_infos())),
            Command::Stats(answer) => drop(answer.send(self.stats_now())),
            Command::ListenAddrs(answer) => {
                self.listeners.waiting.push(answer);
                self.listeners.answer();
            }
            Command::Shutdown(_) => {} // taken out of the stream by `run`
        }
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                cause,
                ..
            } => {
                tracing::debug!(peer = %peer_id, ?cause, "connection closed");
                self.on_closed(peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                self.on_dial_failed(peer, &error);
            }
            SwarmEvent::IncomingConnectionError {
                send_back_addr,
                error,
                ..
            } => {
                tracing::debug!(from = %send_back_addr, %error, "inbound connection refused");
            }
            SwarmEvent::NewListenAddr {
                listener_id,
                address,
            } => {
                self.on_listening(listener_id, address);
            }
            SwarmEvent::ExpiredListenAddr {
                listener_id,
                address,
            } => {
                if let Some(addresses) = self.listeners.addresses.get_mut(&listener_id) {
                    addresses.retain(|known| *known != address);
                }
                self.swarm.remove_external_address(&address);
            }
            SwarmEvent::ListenerClosed {
                listener_id,
                reason,
                ..
            } => {
                self.listeners.addresses.remove(&listener_id);
                self.listeners.answer();
                let reason = match reason {
                    Ok(()) => "closed".to_owned(),
                    Err(error) => error.to_string(),
                };
                tracing::error!(reason, "a listener closed");
                self.announce(NetEvent::ListenerClosed(reason));
            }
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Kad(event) => self.on_kad(event),
            BehaviourEvent::Identify(event) => self.on_identify(event),
            BehaviourEvent::Ping(event) => self.on_ping(event),
            BehaviourEvent::Sync(event) => self.on_request_event(Protocol::Sync, event),
            BehaviourEvent::Blob(event) => self.on_request_event(Protocol::Blob, event),
            BehaviourEvent::Status(event) => self.on_request_event(Protocol::Status, event),
            BehaviourEvent::Limits(never) | BehaviourEvent::Bans(never) => match never {},
        }
    }

    fn on_listening(&mut self, listener: ListenerId, address: Multiaddr) {
        tracing::info!(%address, "listening");
        // What strangers can dial is worth announcing. There is no AutoNAT yet to ask others.
        if is_dialable(&address, self.config.dev) {
            self.swarm.add_external_address(address.clone());
        }
        self.listeners
            .addresses
            .entry(listener)
            .or_default()
            .push(address.clone());
        self.listeners.answer();
        self.announce(NetEvent::Listening(address));
    }

    /// Tells the node something it can also find out by asking; dropped when there is no room.
    pub(super) fn announce(&self, event: NetEvent) -> bool {
        self.events.try_send(event).is_ok()
    }

    pub(super) fn local(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    fn stats_now(&mut self) -> NetStats {
        NetStats {
            peers: self.peers.connected_count() as u64,
            banned: self.peers.conduct.banned_count() as u64,
            records_held: self.swarm.behaviour_mut().kad.store_mut().records_held() as u64,
            ..self.stats
        }
    }
}

impl Listeners {
    /// Answers those who wait once every listener has an address.
    fn answer(&mut self) {
        if self.addresses.values().any(Vec::is_empty) {
            return;
        }
        let mut all: Vec<_> = self.addresses.values().flatten().cloned().collect();
        all.sort_by_key(ToString::to_string);
        for waiting in self.waiting.drain(..) {
            // Whoever stopped waiting needs no answer.
            let _ = waiting.send(all.clone());
        }
    }
}
