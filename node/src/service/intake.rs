//! The network's events, one after another: gossip to its judges, requests to
//! the server, peers to the sync loop.
//!
//! - Votes and proposals go to the consensus thread, which returns the
//!   verdict.
//! - Proposed blocks are remembered and handed to the consensus thread;
//!   certificates of decided blocks let a follower commit at once.
//! - Transactions are verified and checked on the blocking pool, at most
//!   [`JUDGED_AT_ONCE`] at a time; beyond that gossip is ignored, not queued
//!   without bound.
//! - A transaction that needs bytes we lack is judged after the bytes have
//!   been fetched, first from whoever forwarded it.

use super::engine::{EngineHandle, is_from_proposer};
use super::fetch::Fetcher;
use super::proposals::Proposals;
use super::serve::Server;
use super::submit::{Admitted, SubmitError, Submitter};
use super::sync::{Wake, follow};
use crate::net::{MessageId, NetEvent, NetHandle, PeerId, Topic, Verdict};
use aether_mesh::{Blame, BlobRef, Block, Certificate, Refusal, SignedTx, TxId, wire, wire::pb};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Transactions being judged at once.
const JUDGED_AT_ONCE: usize = 64;
/// Requests being answered at once.
const ANSWERED_AT_ONCE: usize = 64;
/// How long a verdict may wait for bytes.
const BLOB_PATIENCE: Duration = Duration::from_secs(8);
/// Most blobs that a transaction names.
const BLOBS_MAX: usize = 2;

/// The loop over the network's events.
pub(super) struct Intake {
    pub(super) net: NetHandle,
    pub(super) engine: EngineHandle,
    pub(super) submitter: Submitter,
    pub(super) fetcher: Fetcher,
    pub(super) server: Server,
    pub(super) proposals: Proposals,
    pub(super) wakes: mpsc::Sender<Wake>,
}

impl Intake {
    pub(super) async fn run(self, mut events: mpsc::Receiver<NetEvent>) {
        let this = Arc::new(self);
        let judging = Arc::new(Semaphore::new(JUDGED_AT_ONCE));
        let answering = Arc::new(Semaphore::new(ANSWERED_AT_ONCE));
        while let Some(event) = events.recv().await {
            match event {
                NetEvent::Gossip {
                    topic,
                    from,
                    id,
                    bytes,
                } => {
                    // Without a permit the message is ignored: its verdict
                    // would come too late anyway.
                    let Ok(permit) = judging.clone().try_acquire_owned() else {
                        this.report(id, from, Verdict::Ignore).await;
                        continue;
                    };
                    let this = this.clone();
                    tokio::spawn(async move {
                        let verdict = this.judge(topic, from, bytes).await;
                        this.report(id, from, verdict).await;
                        drop(permit);
                    });
                }
                NetEvent::Request {
                    protocol,
                    bytes,
                    reply,
                    ..
                } => {
                    let Ok(permit) = answering.clone().try_acquire_owned() else {
                        continue;
                    };
                    let server = this.server.clone();
                    tokio::spawn(async move {
                        server.answer(protocol, bytes, reply).await;
                        drop(permit);
                    });
                }
                NetEvent::PeerConnected(peer) => {
                    tracing::debug!(%peer, "peer connected");
                    let _ = this.wakes.try_send(Wake::Peer(peer));
                }
                NetEvent::PeerDisconnected(peer) => tracing::debug!(%peer, "peer disconnected"),
                NetEvent::PeerBanned(peer) => tracing::warn!(%peer, "peer banned"),
                NetEvent::Listening(address) => tracing::info!(%address, "listening"),
                NetEvent::ListenerClosed(why) => tracing::error!(%why, "a listener closed"),
            }
        }
    }

    async fn report(&self, id: MessageId, from: PeerId, verdict: Verdict) {
        // Closed only while the node is stopping.
        let _ = self.net.report(id, from, verdict).await;
    }

    async fn judge(&self, topic: Topic, from: PeerId, bytes: Vec<u8>) -> Verdict {
        match topic {
            Topic::Consensus => self.engine.consensus_bytes(bytes).await,
            Topic::Blocks => self.judge_block(&bytes).await,
            Topic::Liveness | Topic::Status => Verdict::Ignore,
            Topic::Jobs
            | Topic::Assignments
            | Topic::Attestations
            | Topic::Vcrs(_)
            | Topic::Challenges
            | Topic::Transactions => self.judge_tx(topic, from, bytes).await,
        }
    }

    async fn judge_block(&self, bytes: &[u8]) -> Verdict {
        use pb::block_gossip::Message;
        let rules = &self.submitter.rules;
        let limit = rules.params().limits.block_bytes_max as usize;
        let Ok(gossip) = wire::decode::<pb::BlockGossip>(bytes, limit) else {
            return Verdict::Reject;
        };
        match gossip.message {
            None => Verdict::Reject,
            Some(Message::Proposed(proposed)) => {
                let Some(Ok(block)) = proposed.block.as_ref().map(Block::from_pb) else {
                    return Verdict::Reject;
                };
                if block.check_shape(&rules.chain_id).is_err()
                    || rules.validators.index_of(&block.header.proposer).is_none()
                {
                    return Verdict::Reject;
                }
                // Only what may be decided soon is worth remembering.
                let head = self.head_height();
                if block.header.height.0 <= head || block.header.height.0 > head + 3 {
                    let _ = self.wakes.try_send(Wake::Behind);
                    return Verdict::Ignore;
                }
                let signed = is_from_proposer(&rules.chain_id, &block, &proposed.signature);
                if !signed && !proposed.signature.is_empty() {
                    return Verdict::Reject;
                }
                if signed {
                    self.proposals.insert(Arc::new(block.clone()));
                }
                match (self.engine.votes(), signed) {
                    (true, _) => self.engine.block_received(block).await,
                    (false, true) => Verdict::Accept,
                    // Without a proposal at hand we cannot tell what it is.
                    (false, false) => Verdict::Ignore,
                }
            }
            Some(Message::Decided(certificate)) => {
                let Ok(certificate) = Certificate::from_pb(&certificate) else {
                    return Verdict::Reject;
                };
                if certificate
                    .verify(&rules.chain_id, &rules.validators)
                    .is_err()
                {
                    return Verdict::Reject;
                }
                if certificate.height.0 > self.head_height()
                    && !follow(&self.proposals, &self.engine, certificate).await
                {
                    let _ = self.wakes.try_send(Wake::Behind);
                }
                Verdict::Accept
            }
        }
    }

    fn head_height(&self) -> u64 {
        self.submitter
            .reads
            .head()
            .ok()
            .flatten()
            .map_or(0, |head| head.height.0)
    }

    /// Fetches what a transaction lacks, one blob after the other (a VCR may
    /// name an output and a bundle of endorsements), and judges it then.
    async fn judge_lacking(&self, from: PeerId, id: TxId, mut blob: BlobRef) -> Verdict {
        for _ in 0..BLOBS_MAX {
            let fetched = self.fetcher.fetch(blob, Some(from), BLOB_PATIENCE).await;
            if fetched.is_err() {
                return Verdict::Ignore;
            }
            let submitter = self.submitter.clone();
            match tokio::task::spawn_blocking(move || submitter.recheck(&id)).await {
                Ok(Ok(())) => return Verdict::Accept,
                Ok(Err(Refusal::BlobMissing(next))) => blob = next,
                Ok(Err(refusal)) if refusal.blame() == Blame::Sender => return Verdict::Reject,
                _ => return Verdict::Ignore,
            }
        }
        Verdict::Ignore
    }

    async fn judge_tx(&self, topic: Topic, from: PeerId, bytes: Vec<u8>) -> Verdict {
        let limit = self.submitter.rules.params().limits.message_bytes_max as usize;
        let Ok(tx) = SignedTx::decode(&bytes, limit) else {
            return Verdict::Reject;
        };
        let submitter = self.submitter.clone();
        let admitted = tokio::task::spawn_blocking(move || {
            let verified = tx.clone().verify(&submitter.rules.chain_id)?;
            // A topic filter is only worth something if topics tell the truth.
            let right_topic = super::submit::topic_of(verified.action()) == topic;
            Ok::<_, SubmitError>((right_topic, submitter.admit(tx)))
        })
        .await;
        match admitted {
            Ok(Ok((false, _))) | Ok(Err(_)) => Verdict::Reject,
            Ok(Ok((true, Ok(Admitted::Ready(_))))) => Verdict::Accept,
            Ok(Ok((true, Ok(Admitted::Waiting(id, refusal))))) => {
                tracing::debug!(tx = %id, %refusal, "waits for a later state");
                Verdict::Ignore
            }
            Ok(Ok((true, Ok(Admitted::Lacking(id, blob))))) => {
                self.judge_lacking(from, id, blob).await
            }
            Ok(Ok((true, Err(error)))) => {
                tracing::debug!(%error, "transaction not taken");
                if error.is_senders_fault() {
                    Verdict::Reject
                } else {
                    Verdict::Ignore
                }
            }
            Err(_) => Verdict::Ignore,
        }
    }
}
