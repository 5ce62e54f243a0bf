//! The node as the RPC sees it.

use super::node::Node;
use super::submit::{Admitted, SubmitError as Refused, now_ms};
use crate::chain::Committed;
use crate::rpc::views::{NodeStatus, PeerView};
use crate::rpc::{Backend, BlockEvents, SubmitError};
use aether_mesh::{
    Action, BlobRef, Block, Certificate, JobId, JobRecord, JobStatus, Library, Receipt, Refusal,
    Rules, SignedTx, Slot, StateReader, TxId, keys, load,
};
use std::sync::Arc;
use tokio::sync::broadcast;

impl Backend for Node {
    fn rules(&self) -> &Rules {
        &self.rules
    }

    fn status(&self) -> NodeStatus {
        let head = self.reads.head().ok().flatten();
        let pool = crate::chain::lock_pool(&self.submitter.mempool);
        let (peers, listen) = self.net_snapshot();
        NodeStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            network: self.rules.genesis.name.clone(),
            chain_id: self.rules.chain_id,
            roles: self.roles.iter().map(ToString::to_string).collect(),
            account: Some(self.account),
            peer_id: self.submitter.net.local_peer_id().to_string(),
            listen,
            height: head.map(|h| h.height).unwrap_or_default(),
            block_id: head.map(|h| h.block_id).unwrap_or_default(),
            state_root: head.map(|h| hex::encode(h.state_root)).unwrap_or_default(),
            block_time_ms: head.map(|h| h.time_ms).unwrap_or_default(),
            time_ms: now_ms(),
            syncing: head.is_none_or(|h| {
                now_ms().saturating_sub(h.time_ms) > 10 * self.rules.params().slot_ms
            }),
            peers: peers.len() as u32,
            mempool_txs: pool.len() as u32,
            mempool_bytes: pool.bytes() as u64,
            validators: self.rules.validators.len() as u32,
            rss_bytes: crate::devnet::resident_bytes(std::process::id()).unwrap_or_default(),
            uptime_s: self.started.elapsed().as_secs(),
        }
    }

    fn peers(&self) -> Vec<PeerView> {
        self.net_snapshot().0
    }

    fn read(&self, f: &mut dyn FnMut(Slot, &dyn StateReader)) {
        match self.reads.reader() {
            Ok(view) => f(view.head().height, &view),
            Err(error) => tracing::error!(%error, "the state cannot be read"),
        }
    }

    fn submit(&self, tx: SignedTx) -> Result<TxId, SubmitError> {
        let submitted = self.runtime.block_on(self.submitter.submit(tx));
        match submitted {
            Ok(Admitted::Ready(id) | Admitted::Lacking(id, _)) => Ok(id),
            // A gap closes by itself: the transactions before it are on their way.
            Ok(Admitted::Waiting(id, Refusal::NonceGap { .. })) => Ok(id),
            Ok(Admitted::Waiting(id, refusal)) => {
                // Somebody is waiting for an answer: better a clear no now
                // than a transaction that never enters a block.
                crate::chain::lock_pool(&self.submitter.mempool).remove(&id);
                Err(refusal.into())
            }
            Err(Refused::Invalid(error)) => Err(error.into()),
            Err(Refused::Refused(refusal)) => Err(refusal.into()),
            Err(Refused::Known) => Err(SubmitError::Invalid(Refused::Known.to_string())),
            Err(Refused::Full | Refused::Ours(_)) => Err(SubmitError::Busy),
        }
    }

    fn put_blob(&self, bytes: &[u8]) -> Result<BlobRef, String> {
        self.submitter
            .library
            .store()
            .put(bytes)
            .map_err(|e| e.to_string())
    }

    fn blob(&self, blob: &BlobRef) -> Option<Arc<[u8]>> {
        self.submitter.library.blob(blob)
    }

    fn block(&self, slot: Slot) -> Option<(Block, Certificate)> {
        self.reads.block(slot).ok().flatten()
    }

    fn receipt(&self, job: &JobId) -> Result<Receipt, String> {
        self.make_receipt(job)
    }

    fn events(&self) -> broadcast::Receiver<Arc<BlockEvents>> {
        self.block_events.subscribe()
    }
}

impl Node {
    fn make_receipt(&self, id: &JobId) -> Result<Receipt, String> {
        let view = self.reads.reader().map_err(|e| e.to_string())?;
        let job: JobRecord = load(&view, &keys::job(id), "job")
            .map_err(|e| e.to_string())?
            .ok_or("the job is not known")?;
        let (JobStatus::Settled, Some(vcr)) = (job.status, &job.vcr) else {
            return Err(format!("the job is {:?}, not settled", job.status).to_lowercase());
        };
        let block_at = |slot: Slot| {
            self.reads
                .block(slot)
                .map_err(|e| e.to_string())?
                .ok_or_else(|| format!("block {slot} is not kept here"))
        };
        let (posted, _) = block_at(job.posted)?;
        let (submitted, _) = block_at(vcr.slot)?;
        let job_tx = posted.txs.into_iter().find(|tx| tx.id().0 == id.0);
        let vcr_tx = submitted.txs.into_iter().find(|tx| tx.id() == vcr.tx);
        // The head's root holds the record as well as any later one.
        let head = view.head();
        let (block, certificate) = block_at(head.height)?;
        let proven = self
            .reads
            .prove(&keys::job(id), head.height)
            .map_err(|e| e.to_string())?
            .ok_or("the job is not in the state")?;
        let tee_rules = match vcr.evidence.rules {
            0 => None,
            sequence => Some(
                self.reads
                    .prove(&keys::tee_rules(sequence), head.height)
                    .map_err(|e| e.to_string())?
                    .ok_or("the rules of evidence are not in the state")?,
            ),
        };
        let vcr_tx = vcr_tx.ok_or("the VCR is not in its block")?;
        let endorsements = match self.endorsements_of(&vcr_tx)? {
            None => Vec::new(),
            Some(bundle) => self
                .blob(&bundle)
                .ok_or("the endorsements are not kept here")?
                .to_vec(),
        };
        let (tee_rules, tee_rules_proof) =
            tee_rules.map_or_else(Default::default, |p| (p.value, p.proof));
        Ok(Receipt {
            job: job_tx.ok_or("the posting is not in its block")?,
            vcr: vcr_tx,
            record: proven.value,
            proof: proven.proof,
            header: block.header,
            certificate,
            endorsements,
            tee_rules,
            tee_rules_proof,
        })
    }

    /// The bundle that a VCR's evidence names.
    fn endorsements_of(&self, vcr: &SignedTx) -> Result<Option<BlobRef>, String> {
        let tx = vcr
            .clone()
            .verify(&self.rules.chain_id)
            .map_err(|e| e.to_string())?;
        Ok(tx.action().evidence().and_then(|e| e.endorsements))
    }
}

/// What subscribers are told of a committed block.
pub(super) fn block_events(committed: &Committed) -> BlockEvents {
    BlockEvents {
        slot: committed.head.height,
        block_id: committed.head.block_id,
        time_ms: committed.head.time_ms,
        events: committed.events.clone(),
    }
}

/// One line a slot, in plain words.
pub(super) fn slot_line(committed: &Committed) -> String {
    let block = &committed.block;
    let mut words: Vec<String> = Vec::new();
    for tx in &block.txs {
        // Bodies were verified; decoding again only names them.
        let name = aether_mesh::wire::decode::<aether_mesh::pb::TxBody>(&tx.body, usize::MAX)
            .ok()
            .and_then(|body| body.action)
            .and_then(|action| Action::from_pb(&action).ok())
            .map_or("unknown", |action| action.name());
        match words.iter().position(|w| w == name) {
            Some(_) => {}
            None => words.push(name.to_owned()),
        }
    }
    let what = if words.is_empty() {
        "empty".to_owned()
    } else {
        words.join(", ")
    };
    format!(
        "slot {} by {}: {} transactions ({what})",
        committed.head.height,
        block.header.proposer.short(),
        block.txs.len()
    )
}
