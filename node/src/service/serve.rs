//! Answers to peers: committed blocks with certificates, proposals, blobs by
//! piece, and transactions that gossip did not carry. Bounded in count and bytes; what we do not have is said.

use super::engine::EngineHandle;
use super::proposals::Proposals;
use super::submit::{SubmitError, Submitter};
use crate::chain::NodeLibrary;
use crate::net::{NetHandle, Protocol, ReplyToken};
use aether_mesh::{BlobId, BlockId, SignedTx, Slot, WireError, wire, wire::pb};
use aether_storage::ChainReads;
use prost::Message as _;
use std::sync::Arc;

/// Most blocks in one answer.
const BLOCKS_MAX: u64 = 64;
/// Most bytes of blocks in one answer, unless the first alone is larger.
const BLOCKS_BYTES_MAX: usize = 768 << 10;

/// Answers peers' requests.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) net: NetHandle,
    pub(super) reads: ChainReads,
    pub(super) library: Arc<NodeLibrary>,
    pub(super) engine: EngineHandle,
    pub(super) proposals: Proposals,
    pub(super) submitter: Submitter,
}

impl Server {
    /// Answers one request, or drops it when it is malformed.
    pub(super) async fn answer(&self, protocol: Protocol, bytes: Vec<u8>, reply: ReplyToken) {
        let this = self.clone();
        // Reads touch the disk.
        let answer = tokio::task::spawn_blocking(move || match protocol {
            Protocol::Sync | Protocol::Status => this.sync(&bytes),
            Protocol::Blob => this.blob(&bytes),
        })
        .await;
        if let Ok(Ok(bytes)) = answer {
            let _ = self.net.respond(reply, bytes).await;
        }
    }

    fn sync(&self, bytes: &[u8]) -> Result<Vec<u8>, WireError> {
        use pb::sync_request::Ask;
        use pb::sync_response::Answer;
        let limit = self.submitter.rules.params().limits.message_bytes_max as usize + 64;
        let request: pb::SyncRequest = wire::decode(bytes, limit)?;
        let answer = match wire::required(request.ask, "sync.ask")? {
            Ask::Status(_) => self.status().map(Answer::Status),
            Ask::Blocks(ask) => self.blocks(&ask).map(Answer::Blocks),
            Ask::Proposal(ask) => {
                let id = BlockId(wire::fixed(&ask.block_id, "proposal.block_id")?);
                self.engine
                    .recent_block(&id)
                    .or_else(|| self.proposals.get(&id))
                    .map(|block| Answer::Proposal(block.to_pb()))
            }
            Ask::Offer(tx) => {
                let admitted = self.submitter.admit(SignedTx::from_pb(&tx)?);
                let here = matches!(admitted, Ok(_) | Err(SubmitError::Known));
                here.then_some(Answer::Taken(pb::Taken {}))
            }
        };
        let answer = Some(answer.unwrap_or(Answer::NotHeld(pb::NotHeld {})));
        Ok(pb::SyncResponse { answer }.encode_to_vec())
    }

    fn status(&self) -> Option<pb::Status> {
        let head = self.reads.head().ok()??;
        let lowest = self.reads.lowest_height().ok()?.unwrap_or_default();
        Some(pb::Status {
            height: head.height.0,
            block_id: head.block_id.0.to_vec(),
            lowest_height: lowest.0,
        })
    }

    fn blocks(&self, ask: &pb::BlocksAsk) -> Option<pb::Blocks> {
        let count = u64::from(ask.count_max).min(BLOCKS_MAX);
        let mut blocks = Vec::new();
        let mut size = 0;
        for height in ask.from_height..ask.from_height.saturating_add(count) {
            let Some((block, certificate)) = self.reads.block(Slot(height)).ok()? else {
                break;
            };
            let committed = pb::CommittedBlock {
                block: Some(block.to_pb()),
                certificate: Some(certificate.to_pb()),
            };
            size += committed.encoded_len();
            if size > BLOCKS_BYTES_MAX && !blocks.is_empty() {
                break;
            }
            blocks.push(committed);
        }
        (!blocks.is_empty()).then_some(pb::Blocks { blocks })
    }

    fn blob(&self, bytes: &[u8]) -> Result<Vec<u8>, WireError> {
        use pb::blob_request::Part as Ask;
        use pb::blob_response::Part as Answer;
        let request: pb::BlobRequest = wire::decode(bytes, 1024)?;
        let id = BlobId(wire::fixed(&request.id, "blob.id")?);
        let store = self.library.store();
        let found = match wire::required(request.part, "blob.part")? {
            Ask::Manifest(_) => store
                .manifest(&id)
                .ok()
                .flatten()
                .map(|m| Answer::Manifest(m.encode())),
            Ask::Piece(ask) => store
                .piece(&id, ask.index)
                .ok()
                .flatten()
                .map(Answer::Piece),
        };
        let part = Some(found.unwrap_or(Answer::NotHeld(pb::NotHeld {})));
        Ok(pb::BlobResponse { part }.encode_to_vec())
    }
}
