//! Catching up and following.
//!
//! - Every few seconds, and when a peer connects, peers are asked for their
//!   height. Whoever is ahead is asked for blocks; their certificates are
//!   checked by the consensus thread, so a liar only wastes its own answer.
//! - A follower (and a validator that lost a round) also takes the short way:
//!   proposals and certificates come by gossip, and together they are a
//!   decided block.

use super::engine::EngineHandle;
use super::fetch::Fetcher;
use super::proposals::Proposals;
use crate::net::{NetHandle, PeerId, Protocol};
use aether_mesh::{Block, Certificate, Rules, Slot, wire, wire::pb};
use aether_storage::ChainReads;
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Between two rounds of questions while everything is well.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// Blocks asked for at once.
const BLOCKS_PER_ASK: u32 = 64;
/// How long a blob of a synced block may take.
const BLOB_PATIENCE: Duration = Duration::from_secs(20);
/// Points against a peer whose blocks do not decode.
const BAD_BLOCKS_POINTS: u32 = 20;

/// Something that makes asking worth while now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wake {
    /// A peer has connected.
    Peer(PeerId),
    /// Something of a later height was seen.
    Behind,
}

/// The loop that keeps this node at the head.
pub(super) struct Sync {
    pub(super) net: NetHandle,
    pub(super) reads: ChainReads,
    pub(super) engine: EngineHandle,
    pub(super) fetcher: Fetcher,
    pub(super) rules: Arc<Rules>,
}

impl Sync {
    pub(super) async fn run(self, mut wakes: mpsc::Receiver<Wake>) {
        loop {
            let wake = tokio::time::timeout(ASK_EVERY, wakes.recv()).await;
            let peers = match wake {
                Ok(None) => return,
                Ok(Some(Wake::Peer(peer))) => vec![peer],
                Ok(Some(Wake::Behind)) | Err(_) => self.some_peers().await,
            };
            for peer in peers {
                self.catch_up_from(peer).await;
            }
        }
    }

    async fn some_peers(&self) -> Vec<PeerId> {
        const ASKED_MAX: usize = 4;
        let mut peers: Vec<PeerId> = self
            .net
            .peers()
            .await
            .iter()
            .filter(|p| !p.bootnode)
            .map(|p| p.peer_id)
            .collect();
        // Another few each time, without keeping a list.
        let turn = super::submit::now_ms() as usize / 1_000;
        if !peers.is_empty() {
            let by = turn % peers.len();
            peers.rotate_left(by);
        }
        peers.truncate(ASKED_MAX);
        peers
    }

    async fn catch_up_from(&self, peer: PeerId) {
        use pb::sync_request::Ask;
        use pb::sync_response::Answer;
        let Ok(Some(Answer::Status(status))) = self.ask(peer, Ask::Status(pb::StatusAsk {})).await
        else {
            return;
        };
        loop {
            let Ok(Some(head)) = self.reads.head() else {
                return;
            };
            // A validator one block behind is about to decide it itself.
            let slack = u64::from(self.engine.votes());
            if status.height <= head.height.0 + slack {
                return;
            }
            let from = head.height.after(1);
            let ask = pb::BlocksAsk {
                from_height: from.0,
                count_max: BLOCKS_PER_ASK,
            };
            let Ok(Some(Answer::Blocks(blocks))) = self.ask(peer, Ask::Blocks(ask)).await else {
                return;
            };
            let Some(blocks) = decode_blocks(blocks, from) else {
                let _ = self.net.penalize(peer, BAD_BLOCKS_POINTS).await;
                return;
            };
            if !self.fetch_blobs(&blocks, peer).await {
                return;
            }
            let applied = match self.engine.synced(blocks).await {
                Some(report) if report.refused => {
                    let _ = self.net.penalize(peer, BAD_BLOCKS_POINTS).await;
                    return;
                }
                Some(report) => report.applied,
                None => 0,
            };
            if applied == 0 {
                return;
            }
        }
    }

    /// Brings the bytes that blocks need here first, so that a block is never
    /// committed half way. Whether a transaction is right is judged later.
    async fn fetch_blobs(&self, blocks: &[(Block, Certificate)], peer: PeerId) -> bool {
        for tx in blocks.iter().flat_map(|(block, _)| &block.txs) {
            let Ok(tx) = tx.clone().verify(&self.rules.chain_id) else {
                return false;
            };
            for blob in tx.action().blobs() {
                if let Err(error) = self.fetcher.fetch(blob, Some(peer), BLOB_PATIENCE).await {
                    tracing::warn!(blob = %blob.id.short(), %error, "sync waits for a blob");
                    return false;
                }
            }
        }
        true
    }

    async fn ask(
        &self,
        peer: PeerId,
        ask: pb::sync_request::Ask,
    ) -> Result<Option<pb::sync_response::Answer>, ()> {
        let request = pb::SyncRequest { ask: Some(ask) }.encode_to_vec();
        let bytes = self
            .net
            .request(peer, Protocol::Sync, request)
            .await
            .map_err(drop)?;
        let limit = self.rules.params().limits.block_bytes_max as usize + (1 << 20);
        let response: pb::SyncResponse = wire::decode(&bytes, limit).map_err(drop)?;
        Ok(response.answer)
    }
}

/// Consecutive blocks from `from`, or nothing.
fn decode_blocks(blocks: pb::Blocks, from: Slot) -> Option<Vec<(Block, Certificate)>> {
    let mut decoded = Vec::with_capacity(blocks.blocks.len());
    for (i, committed) in blocks.blocks.iter().enumerate() {
        let block = Block::from_pb(committed.block.as_ref()?).ok()?;
        let certificate = Certificate::from_pb(committed.certificate.as_ref()?).ok()?;
        if block.header.height != from.after(i as u64) {
            return None;
        }
        decoded.push((block, certificate));
    }
    (!decoded.is_empty()).then_some(decoded)
}

/// Joins proposals and certificates that come by gossip.
pub(super) async fn follow(
    proposals: &Proposals,
    engine: &EngineHandle,
    certificate: Certificate,
) -> bool {
    match proposals.get(&certificate.block_id) {
        Some(block) => {
            let decided = vec![(block.as_ref().clone(), certificate)];
            engine
                .synced(decided)
                .await
                .is_some_and(|report| report.applied == 1)
        }
        None => false,
    }
}
