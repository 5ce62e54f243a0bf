//! Building, judging and committing blocks.
//!
//! - A block is judged only on its parent's state; its transactions are
//!   verified, executed and the root compared before anybody votes for it.
//! - Time is strictly increasing. Whether a proposal is too far ahead of this
//!   node's clock is asked where there is a clock (`service/engine.rs`).
//! - Bytes that a block needs (models, inputs, witnesses) must be here first;
//!   until then the verdict is "not yet", with what to fetch.
//! - Commit is one durable storage transaction; only then is anybody told.

use super::library::NodeLibrary;
use super::mempool::Mempool;
use aether_mesh::{
    Account, Action, Applied, ApplyError, BlobRef, Block, BlockContext, BlockId, Certificate,
    Header, Payload, Rules, Slot, StateEvent, StateReader, TxId, VerifiedTx, apply, build,
    genesis_state,
};
use aether_storage::{ChainReads, ChainStore, Head, PendingRoot, StateView, StoreError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// A committed block, as told to roles and subscribers.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The new head.
    pub head: Head,
    /// The block.
    pub block: Arc<Block>,
    /// What it changed.
    pub events: Vec<StateEvent>,
}

/// A block's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Vote for it.
    Valid,
    /// Its proposer's fault.
    Invalid(String),
    /// We lack these bytes.
    Missing(Vec<BlobRef>),
}

/// Ours: the node must stop rather than go on with a doubtful state.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The disk, or what is on it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The transition itself failed on our side.
    #[error("state transition: {0}")]
    Apply(#[from] ApplyError),
    /// A decided block does not apply here: this node diverged.
    #[error("decided block {height} does not apply: {why}")]
    Diverged {
        /// Its height.
        height: Slot,
        /// Why not.
        why: String,
    },
}

struct Executed {
    id: BlockId,
    applied: Applied,
    root: PendingRoot,
}

/// The chain's writer.
pub struct Chain {
    rules: Arc<Rules>,
    store: ChainStore,
    reads: ChainReads,
    library: Arc<NodeLibrary>,
    mempool: Arc<Mutex<Mempool>>,
    account: Account,
    /// Executions on the current head, so that nothing is executed twice.
    executed: Vec<Executed>,
    committed: broadcast::Sender<Arc<Committed>>,
}

/// Locks the mempool; every critical section leaves it whole.
pub fn lock_pool(pool: &Mutex<Mempool>) -> MutexGuard<'_, Mempool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chain {
    /// Opens the chain, writing the genesis into a new store.
    pub fn open(
        rules: Arc<Rules>,
        mut store: ChainStore,
        library: Arc<NodeLibrary>,
        mempool: Arc<Mutex<Mempool>>,
        account: Account,
        committed: broadcast::Sender<Arc<Committed>>,
    ) -> Result<Self, ChainError> {
        let genesis = genesis_state(&rules).map_err(ApplyError::Begin)?;
        store.init_or_check(rules.chain_id, rules.genesis.time_ms, &genesis)?;
        let reads = store.reads();
        Ok(Self {
            rules,
            store,
            reads,
            library,
            mempool,
            account,
            executed: Vec::new(),
            committed,
        })
    }

    /// Concurrent reads.
    pub fn reads(&self) -> ChainReads {
        self.reads.clone()
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// The last committed block.
    pub fn head(&self) -> Result<Head, ChainError> {
        Ok(self.reads.head()?.ok_or(StoreError::NotInitialised)?)
    }

    /// A committed block with its certificate.
    pub fn block(&self, height: Slot) -> Result<Option<(Block, Certificate)>, ChainError> {
        Ok(self.reads.block(height)?)
    }

    /// Makes a block on the head. The header's time is `now_ms`, or just after
    /// the parent's where clocks are behind.
    pub fn build(&mut self, now_ms: u64) -> Result<Block, ChainError> {
        let head = self.head()?;
        let parent_certificate = match head.height.0 {
            0 => None,
            _ => self
                .reads
                .block(head.height)?
                .map(|(_, certificate)| certificate),
        };
        let time_ms = now_ms.max(head.time_ms + 1);
        let ctx = BlockContext {
            slot: head.height.after(1),
            time_ms,
            parent_id: head.block_id,
            proposer: self.account,
        };
        let candidates = lock_pool(&self.mempool).candidates();
        let view = self.reads.reader()?;
        let built = build(&view, &self.rules, &*self.library, ctx, candidates)?;
        {
            let mut pool = lock_pool(&self.mempool);
            for (id, refusal) in &built.left_out {
                use aether_mesh::Blame;
                if matches!(refusal.blame(), Blame::Sender | Blame::TooLate) {
                    tracing::debug!(tx = %id, %refusal, "dropped from the mempool");
                    pool.remove(id);
                }
            }
        }
        let root = self.reads.root_after(&built.applied.writes)?;
        let txs: Vec<_> = built
            .included
            .iter()
            .map(|tx| tx.signed().clone())
            .collect();
        let set = self.rules.validators.hash();
        let header = Header {
            chain_id: self.rules.chain_id,
            height: ctx.slot,
            time_ms,
            parent_id: head.block_id,
            parent_certificate_hash: parent_certificate
                .as_ref()
                .map(Certificate::hash)
                .unwrap_or_default(),
            txs_root: Block::txs_root(&txs),
            state_root: root.root(),
            validators_hash: set,
            next_validators_hash: set,
            proposer: self.account,
        };
        let block = Block {
            header,
            parent_certificate,
            txs,
        };
        self.remember(block.id(), built.applied, root);
        Ok(block)
    }

    /// Judges a block on top of the head. Clocks are the caller's business:
    /// here a block's time only has to be after its parent's.
    pub fn judge(&mut self, block: &Block) -> Result<Judged, ChainError> {
        let id = block.id();
        if self.executed.iter().any(|e| e.id == id) {
            return Ok(Judged::Valid);
        }
        let head = self.head()?;
        if let Err(why) = self.check_header(block, &head) {
            return Ok(Judged::Invalid(why));
        }
        let txs = match self.verify_txs(block) {
            Ok(txs) => txs,
            Err(why) => return Ok(Judged::Invalid(why)),
        };
        self.keep_inline(&txs)?;
        let missing: Vec<BlobRef> = txs
            .iter()
            .flat_map(|tx| tx.action().blobs())
            .filter(|blob| !self.library.has(blob))
            .collect();
        if !missing.is_empty() {
            return Ok(Judged::Missing(missing));
        }
        let ctx = BlockContext {
            slot: block.header.height,
            time_ms: block.header.time_ms,
            parent_id: block.header.parent_id,
            proposer: block.header.proposer,
        };
        let view = self.reads.reader()?;
        let applied = match apply(&view, &self.rules, &*self.library, ctx, &txs) {
            Ok(applied) => applied,
            Err(error) => {
                return match error.missing_blob() {
                    Some(blob) => Ok(Judged::Missing(vec![blob])),
                    None if error.is_ours() => Err(error.into()),
                    None => Ok(Judged::Invalid(error.to_string())),
                };
            }
        };
        let root = self.reads.root_after(&applied.writes)?;
        if root.root() != block.header.state_root {
            return Ok(Judged::Invalid(
                "the header names another state root".to_owned(),
            ));
        }
        self.remember(id, applied, root);
        Ok(Judged::Valid)
    }

    fn check_header(&self, block: &Block, head: &Head) -> Result<(), String> {
        let header = &block.header;
        let rules = &self.rules;
        block
            .check_shape(&rules.chain_id)
            .map_err(|e| e.to_string())?;
        if header.height != head.height.after(1) || header.parent_id != head.block_id {
            return Err("it does not follow the last committed block".to_owned());
        }
        let set = rules.validators.hash();
        if header.validators_hash != set || header.next_validators_hash != set {
            return Err("it names another validator set".to_owned());
        }
        if rules.validators.index_of(&header.proposer).is_none() {
            return Err("its proposer is no validator".to_owned());
        }
        if header.time_ms <= head.time_ms {
            return Err("its time is not after its parent's".to_owned());
        }
        if let Some(certificate) = &block.parent_certificate {
            certificate
                .verify(&rules.chain_id, &rules.validators)
                .map_err(|e| format!("the parent's certificate: {e}"))?;
        }
        if block.encode().len() as u64 > rules.params().limits.block_bytes_max {
            return Err("it is larger than the network allows".to_owned());
        }
        Ok(())
    }

    /// Verifies signatures; what waits in the mempool was verified on arrival.
    fn verify_txs(&self, block: &Block) -> Result<Vec<VerifiedTx>, String> {
        let pool = lock_pool(&self.mempool);
        let known: Vec<Option<VerifiedTx>> = block
            .txs
            .iter()
            .map(|tx| {
                pool.get(&tx.id())
                    .filter(|known| known.signed() == tx)
                    .cloned()
            })
            .collect();
        drop(pool);
        known
            .into_iter()
            .zip(&block.txs)
            .map(|(known, tx)| match known {
                Some(tx) => Ok(tx),
                None => tx
                    .clone()
                    .verify(&self.rules.chain_id)
                    .map_err(|e| format!("transaction {}: {e}", tx.id())),
            })
            .collect()
    }

    /// Inline inputs and outputs are served to others like blobs.
    fn keep_inline(&self, txs: &[VerifiedTx]) -> Result<(), ChainError> {
        for tx in txs {
            let inline = match tx.action() {
                Action::PostJob(job) => Some(&job.input),
                Action::SubmitVcr { vcr, .. } => Some(&vcr.output),
                _ => None,
            };
            if let Some(Payload::Inline(bytes)) = inline {
                self.library.store().put(bytes)?;
            }
        }
        Ok(())
    }

    fn remember(&mut self, id: BlockId, applied: Applied, root: PendingRoot) {
        const EXECUTED_MAX: usize = 8;
        if self.executed.len() >= EXECUTED_MAX {
            self.executed.remove(0);
        }
        self.executed.push(Executed { id, applied, root });
    }

    /// Commits a decided block, durably, and tells everybody.
    pub fn commit(&mut self, block: Block, certificate: Certificate) -> Result<Head, ChainError> {
        let id = block.id();
        if !self.executed.iter().any(|e| e.id == id) {
            let height = block.header.height;
            let why = match self.judge(&block)? {
                Judged::Valid => None,
                Judged::Invalid(why) => Some(why),
                Judged::Missing(blobs) => Some(format!("{} blobs are missing", blobs.len())),
            };
            if let Some(why) = why {
                return Err(ChainError::Diverged { height, why });
            }
        }
        let at = self.executed.iter().position(|e| e.id == id);
        let Some(executed) = at.map(|at| self.executed.swap_remove(at)) else {
            let why = "its execution was forgotten".to_owned();
            return Err(ChainError::Diverged {
                height: block.header.height,
                why,
            });
        };
        // A block of our own making was not judged.
        let txs = block
            .txs
            .iter()
            .filter_map(|tx| lock_pool(&self.mempool).get(&tx.id()).cloned());
        self.keep_inline(&txs.collect::<Vec<_>>())?;
        let events = serde_json::to_vec(&executed.applied.events).unwrap_or_default();
        let started = std::time::Instant::now();
        let head = self
            .store
            .commit(&block, &certificate, executed.root, &events)?;
        metrics::histogram!("aether_block_commit_seconds").record(started.elapsed().as_secs_f64());
        metrics::gauge!("aether_height").set(head.height.0 as f64);
        self.executed.clear();
        {
            let mut pool = lock_pool(&self.mempool);
            let included: Vec<TxId> = block.txs.iter().map(|tx| tx.id()).collect();
            for id in &included {
                pool.remove(id);
            }
            pool.expire(head.height);
        }
        let committed = Committed {
            head,
            block: Arc::new(block),
            events: executed.applied.events,
        };
        // Nobody listening is fine.
        let _ = self.committed.send(Arc::new(committed));
        Ok(head)
    }

    /// Replaces a stored block's certificate by one with more signers.
    pub fn upgrade_certificate(&mut self, certificate: &Certificate) -> Result<(), ChainError> {
        Ok(self.store.upgrade_certificate(certificate)?)
    }
}

/// Tries a transaction against the head's state, as the next block would.
pub fn check_next(
    view: &StateView,
    rules: &Rules,
    library: &NodeLibrary,
    now_ms: u64,
    tx: &VerifiedTx,
) -> Result<(), aether_mesh::Refusal> {
    let head = view.head();
    let ctx = BlockContext {
        slot: head.height.after(1),
        time_ms: now_ms.max(head.time_ms + 1),
        parent_id: head.block_id,
        proposer: Account::default(),
    };
    let state: &dyn StateReader = view;
    aether_mesh::check(state, rules, library, ctx, tx)
}
