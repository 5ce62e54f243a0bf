//! Networks of real nodes on 127.0.0.1, over QUIC, in one process.
//!
//! Nothing here sleeps to let things happen: [`eventually`] asks again until it is true or a
//! generous deadline has passed.

mod dht;
mod gossip;
mod peers;
mod requests;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aether_bootnode::{Bootnode, BootnodeConfig};
use libp2p::multiaddr::Protocol as Part;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::*;

const GENESIS8: &str = "00c0ffee";
/// Far beyond what a loaded machine needs.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Waits until `condition` returns something, or fails with `what`.
async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(result) = condition().await {
            return result;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}

fn config(seed: u8) -> NetConfig {
    NetConfig {
        seed: [seed; 32],
        listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()],
        external: vec![],
        bootnodes: vec![],
        genesis8: GENESIS8.into(),
        dev: true,
        limits: NetLimits::default(),
    }
}

/// The whole address of a node that listens.
async fn address_of(handle: &NetHandle) -> Multiaddr {
    let addresses = handle.listen_addrs().await;
    addresses[0].clone().with(Part::P2p(handle.local_peer_id()))
}

/// Everything a node was told, in order.
#[derive(Default)]
struct Log {
    gossip: Vec<(Topic, Vec<u8>)>,
    news: Vec<String>,
    held: Vec<ReplyToken>,
}

/// A node that judges gossip by its first byte and answers requests by their text:
/// `!…` is rejected, `?…` ignored, the rest accepted; `silence` is never answered, `refuse` is
/// refused, `huge` is answered with 1 MiB, the rest is echoed.
struct Node {
    handle: NetHandle,
    log: Arc<Mutex<Log>>,
    task: JoinHandle<()>,
}

impl Node {
    fn start(config: NetConfig) -> Self {
        Self::start_with(config, |_, _| true)
    }

    fn start_with(
        config: NetConfig,
        validator: impl Fn(&[u8], &[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (handle, events) = start(config, Arc::new(validator)).unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let task = tokio::spawn(attend(handle.clone(), events, log.clone()));
        Self { handle, log, task }
    }

    async fn subscribed(config: NetConfig) -> Self {
        let node = Self::start(config);
        node.handle.subscribe(Topic::all()).await.unwrap();
        node
    }

    fn id(&self) -> PeerId {
        self.handle.local_peer_id()
    }

    fn received(&self, content: &[u8]) -> bool {
        self.log
            .lock()
            .unwrap()
            .gossip
            .iter()
            .any(|(_, bytes)| bytes == content)
    }

    fn was_told(&self, news: &str) -> bool {
        self.log.lock().unwrap().news.iter().any(|n| n == news)
    }

    async fn receives(&self, content: &[u8]) {
        let what = format!(
            "{} receives {:?}",
            self.id(),
            String::from_utf8_lossy(content)
        );
        eventually(&what, async || self.received(content).then_some(())).await;
    }

    async fn publish(&self, topic: Topic, content: &[u8]) {
        self.handle.publish(topic, content.to_vec()).await.unwrap();
    }

    /// Ids of the connected nodes, without bootnodes.
    async fn peers(&self) -> Vec<PeerId> {
        let peers = self.handle.peers().await;
        peers
            .into_iter()
            .filter(|p| !p.bootnode)
            .map(|p| p.peer_id)
            .collect()
    }

    async fn is_connected_to(&self, others: &[&Self]) {
        eventually("nodes find each other", async || {
            let peers = self.peers().await;
            others
                .iter()
                .all(|other| peers.contains(&other.id()))
                .then_some(())
        })
        .await;
    }

    /// Waits until the others' subscriptions to a topic are known.
    async fn knows_subscribers(&self, topic: Topic, others: &[&Self]) {
        eventually("subscriptions are known", async || {
            let peers = self.handle.peers().await;
            let listens = |other: &Node| {
                peers
                    .iter()
                    .any(|p| p.peer_id == other.id() && p.topics.contains(&topic))
            };
            others.iter().all(|other| listens(other)).then_some(())
        })
        .await;
    }
}

async fn attend(handle: NetHandle, mut events: mpsc::Receiver<NetEvent>, log: Arc<Mutex<Log>>) {
    while let Some(event) = events.recv().await {
        match event {
            NetEvent::Gossip {
                topic,
                from,
                id,
                bytes,
            } => {
                let verdict = match bytes.first() {
                    Some(b'!') => Verdict::Reject,
                    Some(b'?') => Verdict::Ignore,
                    _ => Verdict::Accept,
                };
                log.lock().unwrap().gossip.push((topic, bytes));
                let _ = handle.report(id, from, verdict).await;
            }
            NetEvent::Request { bytes, reply, .. } => match bytes.as_slice() {
                b"silence" => log.lock().unwrap().held.push(reply),
                b"refuse" => drop(reply),
                b"huge" => drop(handle.respond(reply, vec![0; 1 << 20]).await),
                _ => drop(handle.respond(reply, bytes).await),
            },
            NetEvent::PeerConnected(peer) => note(&log, format!("connected {peer}")),
            NetEvent::PeerDisconnected(peer) => note(&log, format!("disconnected {peer}")),
            NetEvent::PeerBanned(peer) => note(&log, format!("banned {peer}")),
            NetEvent::Listening(_) | NetEvent::ListenerClosed(_) => {}
        }
    }
}

fn note(log: &Mutex<Log>, news: String) {
    log.lock().unwrap().news.push(news);
}

/// A bootnode, and its full address.
async fn bootnode(seed: u8, listen: String) -> (JoinHandle<()>, Multiaddr) {
    let config = BootnodeConfig {
        seed: [seed; 32],
        listen: vec![listen.parse().unwrap()],
        network_id: GENESIS8.into(),
        allow_private: true,
        connections_max: 100,
    };
    let mut bootnode = Bootnode::bind(config).unwrap();
    let address = bootnode.addresses().await[0].clone();
    (tokio::spawn(bootnode.run(std::future::pending())), address)
}

const ANY_PORT: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// Three nodes in a row: the outer two have room for one connection only, to the middle.
async fn row() -> [Node; 3] {
    let middle = Node::subscribed(config(2)).await;
    let end = async |seed| {
        let mut config = config(seed);
        config.bootnodes = vec![address_of(&middle.handle).await];
        config.limits.connections_max = 1;
        config.limits.connections_inbound_max = 0;
        Node::subscribed(config).await
    };
    let (left, right) = (end(1).await, end(3).await);
    middle
        .knows_subscribers(Topic::Jobs, &[&left, &right])
        .await;
    [left, middle, right]
}
