//! Start and stop.
//!
//! Order of starting: a look whether the RPC port is free, data directory (and
//! its lock), stores, chain, network, consensus thread, loops, roles, RPC. A step that fails says what to do
//! and leaves nothing running.

use super::engine::{self, EngineHandle};
use super::fetch::Fetcher;
use super::intake::Intake;
use super::proposals::Proposals;
use super::rpc::{block_events, slot_line};
use super::serve::Server as PeerServer;
use super::submit::{Submitter, now_ms};
use super::sync::Sync;
use crate::chain::{Chain, ChainError, Committed, Mempool, NodeLibrary};
use crate::devnet::RPC_FILE;
use crate::net::{Multiaddr, NetConfig, NetError, NetHandle, NetLimits, Topic};
use crate::network::Network;
use crate::roles::{Attester, Driver, DriverParts, HonestRunner, Runner};
use crate::rpc::views::PeerView;
use crate::rpc::{BlockEvents, MetricsText, Server, ServerConfig, ServerError};
use aether_behaviours::challenger::Challenger;
use aether_behaviours::coordinator::Coordinator;
use aether_behaviours::validator::Validator;
use aether_behaviours::worker::{Worker, WorkerConfig};
use aether_behaviours::{Event, Role};
use aether_kzg::bls;
use aether_mesh::{Account, Amount, Capability, ModelId, NetworkKind, Rules, Slot, runs};
use aether_storage::{BlobStore, ChainReads, ChainStore, DataDir, StoreError, StoreOptions};
use ed25519_dalek::SigningKey;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, watch};

/// What a node does besides keeping the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoleKind {
    /// Votes.
    Validator,
    /// Assigns jobs.
    Coordinator,
    /// Runs jobs.
    Worker,
    /// Re-executes receipts.
    Challenger,
    /// Only follows.
    Full,
}

impl fmt::Display for RoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RoleKind::Validator => "validator",
            RoleKind::Coordinator => "coordinator",
            RoleKind::Worker => "worker",
            RoleKind::Challenger => "challenger",
            RoleKind::Full => "full",
        })
    }
}

/// Everything a node is started with.
pub struct NodeConfig {
    /// The network.
    pub network: Network,
    /// Where it keeps its data.
    pub data: PathBuf,
    /// What it does.
    pub roles: Vec<RoleKind>,
    /// Account and network identity.
    pub key: SigningKey,
    /// A validator's vote key.
    pub vote_key: Option<bls::SecretKey>,
    /// Where to listen for peers.
    pub listen: Vec<Multiaddr>,
    /// Where to begin, besides the network's own list.
    pub bootnodes: Vec<Multiaddr>,
    /// Where the RPC listens.
    pub rpc: SocketAddr,
    /// Models a worker holds: ONNX bytes.
    pub models: Vec<Vec<u8>>,
    /// Stake a worker bonds.
    pub stake: Amount,
    /// Attests a worker's sessions.
    pub attester: Option<Arc<dyn Attester>>,
    /// Computes a worker's jobs.
    pub runner: Arc<dyn Runner>,
    /// Renders the metrics.
    pub metrics: Option<MetricsText>,
    /// Whether a worker announces itself in the DHT.
    pub advertise: bool,
}

impl NodeConfig {
    /// A follower with the defaults.
    pub fn new(network: Network, data: PathBuf, key: SigningKey) -> Self {
        Self {
            network,
            data,
            roles: vec![RoleKind::Full],
            key,
            vote_key: None,
            listen: Vec::new(),
            bootnodes: Vec::new(),
            rpc: SocketAddr::from(([127, 0, 0, 1], 0)),
            models: Vec::new(),
            stake: Amount::ZERO,
            attester: None,
            runner: Arc::new(HonestRunner),
            metrics: None,
            advertise: true,
        }
    }
}

/// Why a node does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Data directory or stores.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain on disk.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The RPC.
    #[error(transparent)]
    Rpc(#[from] ServerError),
    /// Consensus could not start, or had to stop.
    #[error("consensus: {0}")]
    Consensus(String),
    /// Settings that contradict each other. The operator's to mend.
    #[error("{0}")]
    Config(String),
}

/// A running node.
pub struct Node {
    pub(super) rules: Arc<Rules>,
    pub(super) account: Account,
    pub(super) roles: Vec<RoleKind>,
    pub(super) reads: ChainReads,
    pub(super) submitter: Submitter,
    pub(super) started: Instant,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) block_events: broadcast::Sender<Arc<BlockEvents>>,
    snapshot: Mutex<(Vec<PeerView>, Vec<String>)>,
    net: NetHandle,
    fetcher: Fetcher,
    engine: EngineHandle,
    rpc: SocketAddr,
    stop: watch::Sender<bool>,
    failed: watch::Receiver<Option<String>>,
}

/// How long one look for bytes that a waiting transaction lacks may take.
const LACKING_PATIENCE: Duration = Duration::from_secs(8);

/// Committed blocks that a slow listener may lag behind.
const COMMITTED_QUEUE: usize = 256;

impl Node {
    /// Starts everything.
    pub async fn start(config: NodeConfig) -> Result<Arc<Self>, NodeError> {
        let rules = config.network.rules.clone();
        check_config(&config)?;
        probe_rpc(config.rpc)?;
        let account = Account(config.key.verifying_key().to_bytes());
        let dir = DataDir::open(&config.data)?;
        let store = ChainStore::open(&dir, &StoreOptions::default())?;
        let blobs = BlobStore::open(&dir, BLOB_STORE_BYTES)?;
        let library = Arc::new(NodeLibrary::new(blobs, rules.model_limits()));
        let mempool = Arc::new(Mutex::new(Mempool::default()));
        let (committed, _) = broadcast::channel(COMMITTED_QUEUE);
        let chain = Chain::open(
            rules.clone(),
            store,
            library.clone(),
            mempool.clone(),
            account,
            committed.clone(),
        )?;
        let reads = chain.reads();

        let (net, net_events) = start_network(&config, &rules)?;
        let submitter = Submitter {
            rules: rules.clone(),
            reads: reads.clone(),
            library: library.clone(),
            mempool,
            net: net.clone(),
            own: Arc::default(),
        };
        let limits = rules.params().limits.clone();
        let fetcher = Fetcher::new(net.clone(), library.clone(), limits.blob_bytes_max);
        let proposals = Proposals::default();
        let (wakes, wake_inbox) = mpsc::channel(64);
        let (double_votes, double_vote_inbox) = mpsc::channel(64);
        let (engine, failed) = engine::spawn(engine::Parts {
            chain,
            vote_key: config.vote_key,
            key: config.key.clone(),
            wal: config.data.join("consensus.wal"),
            net: net.clone(),
            fetcher: fetcher.clone(),
            proposals: proposals.clone(),
            wakes: wakes.clone(),
            double_votes,
        })
        .map_err(NodeError::Consensus)?;

        let (block_events, _) = broadcast::channel(COMMITTED_QUEUE);
        let (stop, stopping) = watch::channel(false);
        let node = Arc::new(Self {
            rules: rules.clone(),
            account,
            roles: config.roles.clone(),
            reads: reads.clone(),
            submitter: submitter.clone(),
            started: Instant::now(),
            runtime: tokio::runtime::Handle::current(),
            block_events,
            snapshot: Mutex::default(),
            net: net.clone(),
            fetcher: fetcher.clone(),
            engine: engine.clone(),
            rpc: config.rpc,
            stop,
            failed,
        });

        net.subscribe(topics(engine.votes()))
            .await
            .map_err(|e| NodeError::Consensus(e.to_string()))?;
        let server = PeerServer {
            net: net.clone(),
            reads: reads.clone(),
            library: library.clone(),
            engine: engine.clone(),
            proposals: proposals.clone(),
            submitter: submitter.clone(),
        };
        let intake = Intake {
            net: net.clone(),
            engine: engine.clone(),
            submitter: submitter.clone(),
            fetcher: fetcher.clone(),
            server,
            proposals: proposals.clone(),
            wakes,
        };
        let fetcher_of_roles = fetcher.clone();
        tokio::spawn(intake.run(net_events));
        let sync = Sync {
            net: net.clone(),
            reads: reads.clone(),
            engine,
            fetcher,
            rules: rules.clone(),
        };
        tokio::spawn(sync.run(wake_inbox));
        tokio::spawn(node.clone().tell(committed.subscribe(), proposals));

        let parts = DriverParts {
            rules,
            reads,
            library,
            net,
            submitter,
            fetcher: fetcher_of_roles,
            key: config.key,
            attester: config.attester,
            runner: config.runner,
            advertise: config.advertise,
        };
        start_roles(
            &config.roles,
            account,
            &config.models,
            config.stake,
            parts,
            &committed,
            double_vote_inbox,
        )?;
        node.clone()
            .serve_rpc(config.metrics, &config.data, stopping)
            .await?;
        Ok(node)
    }

    async fn serve_rpc(
        self: Arc<Self>,
        metrics: Option<MetricsText>,
        data: &std::path::Path,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), NodeError> {
        let config = ServerConfig {
            metrics,
            ..ServerConfig::new(self.rpc)
        };
        let server = Server::bind(config, self.clone()).await?;
        let address = server.local_addr();
        tracing::info!(%address, "rpc listening");
        let path = data.join(RPC_FILE);
        std::fs::write(&path, format!("{address}\n"))
            .map_err(|e| NodeError::Config(format!("{}: {e}", path.display())))?;
        tokio::spawn(async move {
            let stopped = async move {
                let _ = stopping.wait_for(|stop| *stop).await;
            };
            if let Err(error) = server.run(stopped).await {
                tracing::error!(%error, "the rpc ended");
            }
        });
        Ok(())
    }

    /// Tells subscribers of each block, and keeps what status needs at hand.
    async fn tell(
        self: Arc<Self>,
        mut committed: broadcast::Receiver<Arc<Committed>>,
        proposals: Proposals,
    ) {
        loop {
            match committed.recv().await {
                Ok(block) => {
                    tracing::info!("{}", slot_line(&block));
                    proposals.forget_up_to(block.head.height);
                    self.submitter.look_after_own(block.head.height);
                    self.look_for_bytes(block.head.height);
                    let _ = self.block_events.send(Arc::new(block_events(&block)));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
            self.refresh().await;
        }
    }

    /// Looks for what waiting transactions lack: whoever brought them, or the
    /// fetch at their arrival, may have had nothing.
    fn look_for_bytes(&self, head: Slot) {
        for blob in self.submitter.lacking(head) {
            let fetcher = self.fetcher.clone();
            tokio::spawn(async move {
                if let Err(error) = fetcher.fetch(blob, None, LACKING_PATIENCE).await {
                    tracing::debug!(blob = %blob.id.short(), %error, "a waiting transaction lacks bytes");
                }
            });
        }
    }

    async fn refresh(&self) {
        let peers = self.net.peers().await.into_iter().map(|p| PeerView {
            peer_id: p.peer_id.to_string(),
            address: p
                .addresses
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            direction: if p.outbound { "outbound" } else { "inbound" }.to_owned(),
            agent: Some(p.agent).filter(|a| !a.is_empty()),
            height: None,
            rtt_ms: p.round_trip.map(|d| d.as_millis() as u64),
            score: Some(p.score),
        });
        let peers: Vec<PeerView> = peers.collect();
        let listen = self
            .net
            .listen_addrs()
            .await
            .iter()
            .map(ToString::to_string)
            .collect();
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = (peers, listen);
    }

    pub(super) fn net_snapshot(&self) -> (Vec<PeerView>, Vec<String>) {
        self.snapshot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until consensus had to stop; says why.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "the consensus thread ended".to_owned(),
        }
    }

    /// Stops everything, in order.
    pub async fn shutdown(&self) {
        let _ = self.stop.send(true);
        self.engine.shutdown();
        self.net.shutdown().await;
    }
}

/// Bytes that the blob store may take.
const BLOB_STORE_BYTES: u64 = 8 << 30;

/// A busy port is said before anything is opened or sent.
fn probe_rpc(address: SocketAddr) -> Result<(), NodeError> {
    match std::net::TcpListener::bind(address) {
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
            Err(ServerError::PortInUse(address).into())
        }
        _ => Ok(()),
    }
}

fn check_config(config: &NodeConfig) -> Result<(), NodeError> {
    let bad = |why: &str| Err(NodeError::Config(why.to_owned()));
    let has = |role| config.roles.contains(&role);
    let account = Account(config.key.verifying_key().to_bytes());
    if has(RoleKind::Validator) {
        let set = &config.network.rules.validators;
        let Some(validator) = set.get(&account) else {
            return bad("this account is no validator of the network; use its key with --key");
        };
        match &config.vote_key {
            None => return bad("a validator needs its vote key: --vote-key FILE"),
            Some(key) if key.public_key() != validator.vote_key => {
                return bad("the vote key is not the one the genesis lists for this account");
            }
            Some(_) => {}
        }
    } else if config.vote_key.is_some() {
        return bad("a vote key is for validators only: add --role validator");
    }
    if has(RoleKind::Worker) {
        if config.attester.is_none() {
            return bad(
                "a worker needs a TEE: --tee auto inside one; on a dev network --tee-platform FILE",
            );
        }
        if config.models.is_empty() {
            return bad("a worker needs at least one model: --model FILE");
        }
    }
    Ok(())
}

/// Followers learn decisions by certificate: votes would only cost them.
fn topics(votes: bool) -> Vec<Topic> {
    Topic::all()
        .into_iter()
        .filter(|t| votes || *t != Topic::Consensus)
        .collect()
}

fn start_network(
    config: &NodeConfig,
    rules: &Arc<Rules>,
) -> Result<(NetHandle, mpsc::Receiver<crate::net::NetEvent>), NodeError> {
    let limits = &rules.params().limits;
    let mut bootnodes = config.network.bootnodes.clone();
    bootnodes.extend(config.bootnodes.iter().cloned());
    let net = NetConfig {
        seed: config.key.to_bytes(),
        listen: config.listen.clone(),
        external: Vec::new(),
        bootnodes,
        genesis8: rules.genesis.genesis8(),
        dev: rules.genesis.kind == NetworkKind::Dev,
        limits: NetLimits {
            gossip_bytes_max: limits.message_bytes_max as usize + 1024,
            request_bytes_max: limits.message_bytes_max as usize + 1024,
            response_bytes_max: limits.block_bytes_max as usize + (64 << 10),
            ..NetLimits::default()
        },
    };
    let chain = rules.chain_id;
    let validator = Arc::new(move |key: &[u8], value: &[u8]| {
        Capability::verify(value, &chain, Some(key), now_ms() / 1_000).is_ok()
    });
    Ok(crate::net::start(net, validator)?)
}

fn start_roles(
    roles: &[RoleKind],
    account: Account,
    models: &[Vec<u8>],
    stake: Amount,
    parts: DriverParts,
    committed: &broadcast::Sender<Arc<Committed>>,
    mut double_votes: mpsc::Receiver<Event>,
) -> Result<(), NodeError> {
    for kind in roles {
        let role: Box<dyn Role> = match kind {
            RoleKind::Validator => Box::new(Validator::new(account)),
            RoleKind::Coordinator => Box::new(Coordinator::new(account)),
            RoleKind::Challenger => {
                // The first opening builds a table; have it before it is needed.
                tokio::task::spawn_blocking(|| aether_kzg::Setup::ethereum().warm_up(4_096));
                // Only who holds the key can tell what a commit hides.
                let secret =
                    aether_mesh::hash_parts("aether/challenger/v1", &[parts.key.as_bytes()]);
                Box::new(Challenger::new(account, secret))
            }
            RoleKind::Worker => {
                tokio::task::spawn_blocking(|| aether_kzg::Setup::ethereum().warm_up(256));
                let models = hold_models(models, &parts)?;
                let config = WorkerConfig {
                    stake,
                    price_min: parts.rules.params().payment_min,
                    models,
                    jobs_max: parts.rules.params().worker_jobs_max,
                };
                Box::new(Worker::new(account, config))
            }
            RoleKind::Full => continue,
        };
        let (driver, outside) = Driver::new(parts.clone(), role);
        if *kind == RoleKind::Coordinator {
            tokio::spawn(driver.directory().keep_fresh(parts.reads.clone()));
        }
        tokio::spawn(driver.run(committed.subscribe()));
        if *kind == RoleKind::Validator {
            let mut inbox = std::mem::replace(&mut double_votes, mpsc::channel(1).1);
            tokio::spawn(async move {
                while let Some(event) = inbox.recv().await {
                    if outside.send(event).await.is_err() {
                        return;
                    }
                }
            });
        }
    }
    Ok(())
}

/// Puts a worker's models into its store and names them.
fn hold_models(models: &[Vec<u8>], parts: &DriverParts) -> Result<Vec<ModelId>, NodeError> {
    let mut ids = Vec::with_capacity(models.len());
    for bytes in models {
        let blob = parts.library.store().put(bytes)?;
        let program = aether_mesh::Library::program(&*parts.library, &blob)
            .ok_or_else(|| NodeError::Config("a model could not be read back".to_owned()))?
            .map_err(|e| NodeError::Config(format!("a model is not supported: {e}")))?;
        ids.push(runs::model_id(&program));
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}
