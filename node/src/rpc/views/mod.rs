//! What travels as JSON: the state's records as programs and people read them.
//!
//! The server builds them, the client parses them back. Ids and hashes are hex,
//! amounts are decimal strings of AIC, codes have names; nothing is left out.

mod chain;
mod job;
mod tee;

pub use chain::{
    AccountView, BlockView, CertificateView, CoordinatorView, GenesisView, RegistrationView,
    SupplyView, TxView, ValidatorView, WorkerView,
};
pub use job::{
    AssignmentView, ChallengeView, EvidenceView, JobView, ModelView, OutcomeView, VcrView,
    run_status_name,
};
pub(crate) use job::{JOB_STATUSES, status_name};
pub use tee::{TeeView, TeeVotesView, WaitingRulesView};

use aether_mesh::{Account, BlobId, BlobRef, BlockId, ChainId, Slot, TxId};
use serde::{Deserialize, Serialize};

/// The node itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The program's version.
    pub version: String,
    /// The network's name.
    pub network: String,
    /// Hash of its genesis.
    pub chain_id: ChainId,
    /// What this node does: `validator`, `coordinator`, `worker`,
    /// `challenger`, `full`.
    pub roles: Vec<String>,
    /// The account its roles sign with, if it has one.
    pub account: Option<Account>,
    /// libp2p peer id.
    pub peer_id: String,
    /// Addresses it listens on, as multiaddresses.
    pub listen: Vec<String>,
    /// Height of the last committed block.
    pub height: Slot,
    /// That block's id.
    pub block_id: BlockId,
    /// Its state root, hex.
    pub state_root: String,
    /// Its time, Unix milliseconds; 0 at height 0.
    pub block_time_ms: u64,
    /// The node's clock, Unix milliseconds.
    pub time_ms: u64,
    /// Whether it is still fetching blocks that others have.
    pub syncing: bool,
    /// Connected peers.
    pub peers: u32,
    /// Transactions waiting.
    pub mempool_txs: u32,
    /// Their bytes.
    pub mempool_bytes: u64,
    /// Validators of the current set.
    pub validators: u32,
    /// Resident memory, bytes; 0 where the system does not say.
    pub rss_bytes: u64,
    /// Since the start, seconds.
    pub uptime_s: u64,
}

/// Somebody the node is connected to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerView {
    /// libp2p peer id.
    pub peer_id: String,
    /// The address of the connection.
    pub address: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// What it says it runs.
    pub agent: Option<String>,
    /// Its height, where known.
    pub height: Option<Slot>,
    /// Round trip, milliseconds, where measured.
    pub rtt_ms: Option<u64>,
    /// Gossip score, where kept.
    pub score: Option<f64>,
}

/// A blob's name and length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobView {
    /// Content address.
    pub id: BlobId,
    /// Length of the whole, bytes.
    pub bytes_len: u64,
}

impl From<BlobRef> for BlobView {
    fn from(b: BlobRef) -> Self {
        Self {
            id: b.id,
            bytes_len: b.bytes_len,
        }
    }
}

impl From<BlobView> for BlobRef {
    fn from(b: BlobView) -> Self {
        BlobRef::new(b.id, b.bytes_len)
    }
}

/// A transaction that was taken; not yet in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Its id.
    pub id: TxId,
}

/// A list out of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing<T> {
    /// The height it was read at.
    pub height: Slot,
    /// What was found.
    pub items: Vec<T>,
    /// Whether there is more than `limit` allowed.
    pub truncated: bool,
}

/// One thing out of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct At<T> {
    /// The height it was read at.
    pub height: Slot,
    /// The thing.
    #[serde(flatten)]
    pub value: T,
}

/// A line of `/v1/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EventLine {
    /// A block and what it did.
    Block {
        /// Its height.
        slot: Slot,
        /// Its id.
        block_id: BlockId,
        /// Its header's time, Unix milliseconds.
        time_ms: u64,
        /// Each with its name under `event`.
        events: Vec<serde_json::Value>,
    },
    /// So many blocks were not delivered; read them with `/v1/block`.
    Missed {
        /// How many.
        missed: u64,
    },
}

/// One reason why a node is, or is not, ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyReason {
    /// Stable name: `state`, `synced`, `recent_block`, `peers`.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// In words.
    pub detail: String,
}

/// The answer of `/readyz?verbose=1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// All reasons hold.
    pub ready: bool,
    /// Each of them.
    pub reasons: Vec<ReadyReason>,
}
