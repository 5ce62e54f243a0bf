//! What the RPC needs of a running node. The node implements it; tests have
//! one over a map.
//!
//! Methods may block on a disk or on a verification; the server calls them off
//! its own threads.

use super::views::{NodeStatus, PeerView};
use aether_mesh::{
    Blame, BlobRef, Block, BlockId, Certificate, JobId, Receipt, Refusal, Rules, SignedTx, Slot,
    StateEvent, StateReader, TxError, TxId,
};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::broadcast;

/// A running node, as the RPC sees it.
pub trait Backend: Send + Sync + 'static {
    /// The network's rules.
    fn rules(&self) -> &Rules;

    /// The node itself, now.
    fn status(&self) -> NodeStatus;

    /// Who it is connected to.
    fn peers(&self) -> Vec<PeerView>;

    /// Calls back once, with a snapshot of the last committed state and its
    /// height; not at all while there is no state to read.
    fn read(&self, f: &mut dyn FnMut(Slot, &dyn StateReader));

    /// Verifies a transaction, checks it against the state, and puts it into
    /// the mempool and on its way to others.
    ///
    /// # Errors
    /// Why it was not taken, and whether trying again may help.
    fn submit(&self, tx: SignedTx) -> Result<TxId, SubmitError>;

    /// Keeps bytes and serves them to peers.
    ///
    /// # Errors
    /// When the store is full or fails.
    fn put_blob(&self, bytes: &[u8]) -> Result<BlobRef, String>;

    /// Bytes, if held here.
    fn blob(&self, blob: &BlobRef) -> Option<Arc<[u8]>>;

    /// A committed block with its finality, if kept.
    fn block(&self, slot: Slot) -> Option<(Block, Certificate)>;

    /// The receipt of a settled job.
    ///
    /// # Errors
    /// A sentence for people: not settled yet, pruned, …
    fn receipt(&self, job: &JobId) -> Result<Receipt, String>;

    /// Every block from now on, once it is committed.
    fn events(&self) -> broadcast::Receiver<Arc<BlockEvents>>;
}

/// What one committed block did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockEvents {
    /// Its height.
    pub slot: Slot,
    /// Its id.
    pub block_id: BlockId,
    /// Its header's time, Unix milliseconds.
    pub time_ms: u64,
    /// In the order they happened.
    pub events: Vec<StateEvent>,
}

/// Why a transaction was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Wrong whatever the state is: the sender's fault; do not try again.
    #[error("{0}")]
    Invalid(String),
    /// Not allowed by this state; a later one may differ.
    #[error("{0}")]
    NotNow(String),
    /// Another transaction of the account was faster: sign again with `next`.
    #[error("the nonce was used; the next one is {next}")]
    NonceUsed {
        /// The account's next nonce.
        next: u64,
    },
    /// The mempool is full, or the node is not ready: try again soon.
    #[error("the node takes no transactions right now")]
    Busy,
}

impl From<TxError> for SubmitError {
    fn from(e: TxError) -> Self {
        SubmitError::Invalid(e.to_string())
    }
}

impl From<Refusal> for SubmitError {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::NonceUsed { next, .. } = refusal {
            return SubmitError::NonceUsed { next };
        }
        match refusal.blame() {
            Blame::Sender | Blame::TooLate => SubmitError::Invalid(refusal.to_string()),
            Blame::NotYet => SubmitError::NotNow(refusal.to_string()),
            Blame::Ours => SubmitError::Busy,
        }
    }
}
