//! A network of real nodes inside this process: own data directories, own
//! threads, QUIC on loopback; only the bootnode's address is given.

use aether::cli::load_key;
use aether::devnet::DevFolder;
use aether::network::Network;
use aether::roles::SimulatedTee;
use aether::rpc::{Backend, SubmitError};
use aether::service::{Node, NodeConfig, RoleKind, now_ms};
use aether_kzg::bls;
use aether_mesh::{
    Account, AccountRecord, Action, JobId, JobRecord, Params, Slot, StateReader, TxBody, TxId,
    audit, keys, load,
};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take on a loaded machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct Cluster {
    _dir: TempDir,
    pub folder: DevFolder,
    pub nodes: BTreeMap<String, Arc<Node>>,
    pub network: Network,
    _bootnode: tokio::task::JoinHandle<()>,
}

/// Half-second slots: tests wait for slots, not for seconds.
pub(super) fn params() -> Params {
    Params {
        slot_ms: 500,
        ..Params::default()
    }
}

impl Cluster {
    /// Keys, genesis and a running bootnode; no nodes yet.
    pub(super) async fn new(names: &[&str]) -> Self {
        // AETHER_LOG=debug shows what the nodes say.
        let filter = tracing_subscriber::EnvFilter::from_env("AETHER_LOG");
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .try_init();
        let dir = tempfile::tempdir().unwrap();
        let folder = DevFolder::create(dir.path(), names, params(), now_ms()).unwrap();
        let network = Network::load(&folder.network()).unwrap();
        let mut bootnode = aether_bootnode::Bootnode::bind(aether_bootnode::BootnodeConfig {
            seed: [42; 32],
            listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()],
            network_id: network.rules.genesis.genesis8(),
            allow_private: true,
            connections_max: 100,
        })
        .unwrap();
        let address = bootnode.addresses().await[0].to_string();
        folder.set_bootnode(&address).unwrap();
        let task = tokio::spawn(async move { bootnode.run(std::future::pending()).await });
        let network = Network::load(&folder.network()).unwrap();
        Self {
            _dir: dir,
            folder,
            nodes: BTreeMap::new(),
            network,
            _bootnode: task,
        }
    }

    /// A node's configuration by its name, to be changed by a test.
    pub(super) fn config(&self, name: &str, models: &[Vec<u8>]) -> NodeConfig {
        let member = self.folder.member(name).unwrap();
        let key = SigningKey::from_bytes(&load_key(&member.key()).unwrap());
        let role = match name.split('-').next().unwrap() {
            "validator" => RoleKind::Validator,
            "coordinator" => RoleKind::Coordinator,
            "worker" => RoleKind::Worker,
            "challenger" => RoleKind::Challenger,
            _ => RoleKind::Full,
        };
        let mut config = NodeConfig::new(self.network.clone(), member.data(), key);
        config.roles = vec![role];
        config.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
        if role == RoleKind::Validator {
            let seed = load_key(&member.vote_key()).unwrap();
            config.vote_key = Some(bls::SecretKey::from_key_material(&*seed).unwrap());
        }
        if role == RoleKind::Worker {
            let pem = std::fs::read_to_string(member.tee()).unwrap();
            config.attester = Some(Arc::new(SimulatedTee::from_pem(&pem).unwrap()));
            config.models = models.to_vec();
        }
        config
    }

    pub(super) async fn start(&mut self, name: &str, models: &[Vec<u8>]) {
        let config = self.config(name, models);
        self.start_with(name, config).await;
    }

    pub(super) async fn start_with(&mut self, name: &str, config: NodeConfig) {
        let node = Node::start(config)
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        self.nodes.insert(name.to_owned(), node);
    }

    pub(super) fn node(&self, name: &str) -> Arc<Node> {
        self.nodes[name].clone()
    }

    pub(super) fn key(&self, name: &str) -> SigningKey {
        SigningKey::from_bytes(&load_key(&self.folder.member(name).unwrap().key()).unwrap())
    }

    pub(super) fn height(&self, name: &str) -> u64 {
        self.nodes[name].status().height.0
    }

    /// Signs with a member's key and submits at a node, trying again while it
    /// says "not now".
    pub(super) async fn submit(&self, at: &str, who: &str, action: Action) -> TxId {
        let key = self.key(who);
        let account = Account(key.verifying_key().to_bytes());
        let started = Instant::now();
        loop {
            let node = self.node(at);
            let (mut nonce, mut height) = (0, Slot(0));
            node.read(&mut |slot, state| {
                let record: Option<AccountRecord> =
                    load(state, &keys::account(&account), "account").unwrap();
                nonce = record.unwrap_or_default().nonce;
                height = slot;
            });
            let body = TxBody {
                nonce: if action.is_spending() { nonce + 1 } else { 0 },
                expiry_slot: height.after(100),
                action: action.clone(),
            };
            let tx = body.sign(&key, &self.network.rules.chain_id);
            match tokio::task::spawn_blocking(move || node.submit(tx))
                .await
                .unwrap()
            {
                Ok(id) => return id,
                Err(SubmitError::Invalid(why)) => panic!("{} refused: {why}", action.name()),
                Err(e) if started.elapsed() > PATIENCE => panic!("{}: {e}", action.name()),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    pub(super) fn job(&self, at: &str, id: &JobId) -> Option<JobRecord> {
        let mut found = None;
        self.nodes[at].read(&mut |_, state| {
            found = load(state, &keys::job(id), "job").unwrap();
        });
        found
    }

    /// Reads a node's state.
    pub(super) fn with_state<T>(&self, at: &str, f: impl Fn(Slot, &dyn StateReader) -> T) -> T {
        let mut out = None;
        self.nodes[at].read(&mut |slot, state| out = Some(f(slot, state)));
        out.unwrap()
    }

    /// Equal state roots at a height that all have, and balanced books.
    pub(super) async fn check_equal_and_conserved(&self) {
        let height = self
            .nodes
            .values()
            .map(|n| n.status().height.0)
            .min()
            .unwrap();
        let roots: Vec<_> = self
            .nodes
            .values()
            .map(|n| n.block(Slot(height)).unwrap().0.header.state_root)
            .collect();
        assert!(
            roots.windows(2).all(|w| w[0] == w[1]),
            "state roots differ at {height}"
        );
        for name in self.nodes.keys() {
            self.with_state(name, |_, state| {
                assert!(audit(state).unwrap().holds(), "{name}")
            });
        }
    }

    pub(super) async fn stop(self) {
        for node in self.nodes.values() {
            node.shutdown().await;
        }
    }
}

/// Looks until it is so.
pub(super) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
