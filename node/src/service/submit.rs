//! This node's way in for transactions, whether gossiped or its own.
//!
//! verify (no state) → check (the next block's eyes) → mempool → verdict.
//! What is not allowed *yet* waits in the mempool; what is wrong whatever the
//! state is, is refused.

use super::peer::account_of_peer;
use crate::chain::{Mempool, MempoolError, NodeLibrary};
use crate::net::{NetHandle, PeerId, Protocol, Topic, VCR_SHARDS};
use aether_mesh::{
    Action, Blame, BlobRef, JobId, Refusal, Rules, SignedTx, Slot, TxError, TxId, VerifiedTx,
    wire::pb,
};
use aether_storage::ChainReads;
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// The next block may take it.
    Ready(TxId),
    /// It waits here for a later state.
    Waiting(TxId, Refusal),
    /// We lack bytes to decide; it waits here.
    Lacking(TxId, BlobRef),
}

/// Why a transaction is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Wrong whatever the state is: the sender's fault.
    #[error("{0}")]
    Invalid(#[from] TxError),
    /// Refused by the state, for good.
    #[error("{0}")]
    Refused(Refusal),
    /// It is here already.
    #[error("the transaction is known already")]
    Known,
    /// No room; nobody's fault.
    #[error("the mempool is full, try again later")]
    Full,
    /// Our own trouble.
    #[error("this node cannot judge it: {0}")]
    Ours(String),
}

impl SubmitError {
    /// Whether whoever sent it should be scored down.
    pub fn is_senders_fault(&self) -> bool {
        match self {
            SubmitError::Invalid(_) => true,
            SubmitError::Refused(refusal) => refusal.blame() == Blame::Sender,
            _ => false,
        }
    }
}

/// Admits transactions.
#[derive(Clone)]
pub struct Submitter {
    pub(super) rules: Arc<Rules>,
    pub(super) reads: ChainReads,
    pub(super) library: Arc<NodeLibrary>,
    pub(super) mempool: Arc<Mutex<Mempool>>,
    pub(super) net: NetHandle,
    /// This node's own transactions that wait for a block.
    pub(super) own: Arc<Mutex<BTreeMap<TxId, (Slot, SignedTx)>>>,
}

/// Own transactions watched over; more are left to gossip.
const OWN_MAX: usize = 4_096;
/// Slots after which an own transaction is offered to peers directly, again
/// and again: gossip carries the same content only once, and whoever ignored
/// it did not pass it on.
const OFFER_EVERY_SLOTS: u64 = 3;

/// Blobs looked for at once because a waiting transaction lacks them.
const LACKING_MAX: usize = 8;

/// Unix milliseconds.
pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Submitter {
    /// Verifies, checks and keeps a transaction. Takes milliseconds of CPU:
    /// call it where that may block.
    pub fn admit(&self, tx: SignedTx) -> Result<Admitted, SubmitError> {
        if self.knows(&tx.id()) {
            return Err(SubmitError::Known);
        }
        let tx = tx.verify(&self.rules.chain_id)?;
        self.admit_verified(tx)
    }

    fn admit_verified(&self, tx: VerifiedTx) -> Result<Admitted, SubmitError> {
        let id = tx.id();
        let view = self
            .reads
            .reader()
            .map_err(|e| SubmitError::Ours(e.to_string()))?;
        let checked = crate::chain::check_next(&view, &self.rules, &self.library, now_ms(), &tx);
        let admitted = match checked {
            Ok(()) => Admitted::Ready(id),
            Err(Refusal::BlobMissing(blob)) => Admitted::Lacking(id, blob),
            Err(refusal) => match refusal.blame() {
                Blame::NotYet => Admitted::Waiting(id, refusal),
                Blame::Sender | Blame::TooLate => return Err(SubmitError::Refused(refusal)),
                Blame::Ours => return Err(SubmitError::Ours(refusal.to_string())),
            },
        };
        let mut pool = self.mempool.lock().unwrap_or_else(PoisonError::into_inner);
        match pool.insert(tx) {
            Ok(()) => Ok(admitted),
            Err(MempoolError::Known) => Err(SubmitError::Known),
            Err(MempoolError::Full) => Err(SubmitError::Full),
        }
    }

    /// Checks again what waits here, for instance after a blob has come.
    pub fn recheck(&self, id: &TxId) -> Result<(), Refusal> {
        let tx = {
            let pool = self.mempool.lock().unwrap_or_else(PoisonError::into_inner);
            pool.get(id).cloned()
        };
        let Some(tx) = tx else { return Ok(()) };
        let view = self
            .reads
            .reader()
            .map_err(|e| Refusal::State(aether_mesh::StateError(e.to_string())))?;
        let checked = crate::chain::check_next(&view, &self.rules, &self.library, now_ms(), &tx);
        if let Err(refusal) = &checked
            && matches!(refusal.blame(), Blame::Sender | Blame::TooLate)
        {
            self.mempool
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(id);
        }
        checked
    }

    /// Whether it waits here.
    pub fn knows(&self, id: &TxId) -> bool {
        self.mempool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }

    /// Admits a transaction of this node's own and gossips it.
    pub async fn submit(&self, tx: SignedTx) -> Result<Admitted, SubmitError> {
        let this = self.clone();
        let bytes = tx.encode();
        let verified = tx.clone().verify(&self.rules.chain_id)?;
        let topic = topic_of(verified.action());
        let own = tx.clone();
        let admitted = tokio::task::spawn_blocking(move || this.admit(tx))
            .await
            .map_err(|e| SubmitError::Ours(e.to_string()))??;
        if let Ok(Some(head)) = self.reads.head() {
            let mut watched = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            if watched.len() < OWN_MAX {
                watched.insert(own.id(), (head.height, own));
            }
        }
        self.net
            .publish(topic, bytes)
            .await
            .map_err(|e| SubmitError::Ours(e.to_string()))?;
        Ok(admitted)
    }

    /// Looks after own transactions, once a block: those that gossip seems to
    /// have lost are handed to validators directly.
    pub(super) fn look_after_own(&self, head: Slot) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.retain(|id, _| self.knows(id));
        for (since, tx) in own.values() {
            let waited = head.since(*since);
            if waited > 0 && waited.is_multiple_of(OFFER_EVERY_SLOTS) {
                let (this, tx) = (self.clone(), tx.clone());
                tokio::spawn(async move { this.offer(tx).await });
            }
        }
    }

    /// Blobs that waiting transactions lack. Where there are many, each block
    /// another few: those that nobody has shall not keep out the others.
    pub(super) fn lacking(&self, head: Slot) -> Vec<BlobRef> {
        let pool = self.mempool.lock().unwrap_or_else(PoisonError::into_inner);
        let named: BTreeSet<BlobRef> = pool.blobs().collect();
        drop(pool);
        let lacking: Vec<BlobRef> = named
            .into_iter()
            .filter(|blob| !self.library.has(blob))
            .collect();
        let turns = lacking.len().div_ceil(LACKING_MAX).max(1);
        let turn = usize::try_from(head.0).unwrap_or(0) % turns;
        let from = turn * LACKING_MAX;
        lacking.into_iter().skip(from).take(LACKING_MAX).collect()
    }

    async fn offer(&self, tx: SignedTx) {
        const OFFERED_MAX: usize = 4;
        let ask = pb::sync_request::Ask::Offer(tx.to_pb());
        let request = pb::SyncRequest { ask: Some(ask) }.encode_to_vec();
        let validators = self.rules.validators.validators();
        let connected = self.net.peers().await;
        let connected = connected.iter().filter(|p| !p.bootnode).map(|p| p.peer_id);
        let (mut first, others): (Vec<PeerId>, Vec<PeerId>) = connected.partition(|peer| {
            account_of_peer(peer).is_some_and(|a| validators.iter().any(|v| v.account == a))
        });
        first.extend(others);
        for peer in first.into_iter().take(OFFERED_MAX) {
            // Whether it was taken shows in a block.
            let _ = self
                .net
                .request(peer, Protocol::Sync, request.clone())
                .await;
        }
    }
}

/// Where a transaction is gossiped.
pub(super) fn topic_of(action: &Action) -> Topic {
    match action {
        Action::PostJob(_) | Action::CancelJob { .. } => Topic::Jobs,
        Action::Assign { .. } => Topic::Assignments,
        Action::Attest { .. } | Action::Accept { .. } => Topic::Attestations,
        Action::SubmitVcr { vcr, .. } => vcr_topic(&vcr.job),
        Action::ChallengeCommit { .. } | Action::ChallengeReveal { .. } => Topic::Challenges,
        Action::Transfer { .. }
        | Action::RegisterModel { .. }
        | Action::Bond { .. }
        | Action::Govern { .. }
        | Action::DoubleVote { .. } => Topic::Transactions,
    }
}

/// The shard of a job's receipts.
pub(super) fn vcr_topic(job: &JobId) -> Topic {
    Topic::Vcrs(job.0[0] % VCR_SHARDS)
}
