//! Blobs on their way here: manifest first, then piece by piece, each checked
//! as it arrives and asked of several peers in turn.
//!
//! - A blob is fetched once however many ask for it.
//! - A peer that sends a wrong manifest or piece is penalised and not asked
//!   again for this blob.
//! - At most [`FETCHES_MAX`] at once; each is bounded by the genesis' blob
//!   limit before a byte is asked for.

use crate::chain::NodeLibrary;
use crate::net::{NetHandle, PeerId, Protocol};
use aether_mesh::{BlobRef, Manifest, wire::pb};
use prost::Message as _;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Fetches under way.
const FETCHES_MAX: usize = 16;
/// Points held against a peer that sends wrong bytes.
const WRONG_BYTES_POINTS: u32 = 20;
/// Between two rounds through all peers.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Why a blob is not here. Ours, or nobody has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Larger than the network allows.
    #[error("the blob is larger than the network allows")]
    TooLarge,
    /// Nobody who was asked in time has it.
    #[error("no peer sent the blob in time")]
    NotFound,
    /// Our own store refused it.
    #[error("the blob could not be stored")]
    Store,
}

type Outcome = Option<Result<(), FetchError>>;

/// Fetches blobs from peers.
#[derive(Clone)]
pub struct Fetcher {
    net: NetHandle,
    library: Arc<NodeLibrary>,
    bytes_max: u64,
    permits: Arc<Semaphore>,
    running: Arc<Mutex<HashMap<BlobRef, watch::Receiver<Outcome>>>>,
}

impl Fetcher {
    /// Over a network and a store.
    pub fn new(net: NetHandle, library: Arc<NodeLibrary>, bytes_max: u64) -> Self {
        let permits = Arc::new(Semaphore::new(FETCHES_MAX));
        Self {
            net,
            library,
            bytes_max,
            permits,
            running: Arc::default(),
        }
    }

    /// Makes sure that a blob is here, asking `first` before others, for at
    /// most `patience`.
    pub async fn fetch(
        &self,
        blob: BlobRef,
        first: Option<PeerId>,
        patience: Duration,
    ) -> Result<(), FetchError> {
        if self.library.has(&blob) {
            return Ok(());
        }
        if blob.bytes_len > self.bytes_max {
            return Err(FetchError::TooLarge);
        }
        let mut done = self.join(blob, first);
        let outcome = tokio::time::timeout(patience, done.wait_for(Option::is_some)).await;
        match outcome {
            Ok(Ok(outcome)) => (*outcome).unwrap_or(Err(FetchError::NotFound)),
            _ => Err(FetchError::NotFound),
        }
    }

    /// Joins the fetch under way, or starts one.
    fn join(&self, blob: BlobRef, first: Option<PeerId>) -> watch::Receiver<Outcome> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = running.get(&blob) {
            return done.clone();
        }
        let (tell, done) = watch::channel(None);
        running.insert(blob, done.clone());
        drop(running);
        let this = self.clone();
        tokio::spawn(async move {
            let limit = Duration::from_secs(30);
            let outcome = tokio::time::timeout(limit, this.run(blob, first))
                .await
                .unwrap_or(Err(FetchError::NotFound));
            let mut running = this.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.remove(&blob);
            drop(running);
            let _ = tell.send(Some(outcome));
        });
        done
    }

    async fn run(&self, blob: BlobRef, first: Option<PeerId>) -> Result<(), FetchError> {
        // Never closed, so this only waits.
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| FetchError::Store)?;
        let mut wrong: Vec<PeerId> = Vec::new();
        loop {
            let mut peers: Vec<PeerId> = first.into_iter().collect();
            let connected = self.net.peers().await;
            peers.extend(connected.iter().filter(|p| !p.bootnode).map(|p| p.peer_id));
            peers.dedup();
            for peer in peers
                .into_iter()
                .filter(|p| !wrong.contains(p))
                .collect::<Vec<_>>()
            {
                match self.fetch_from(blob, peer).await {
                    Ok(()) => return Ok(()),
                    Err(Failed::NotHeld) => {}
                    Err(Failed::Wrong) => {
                        wrong.push(peer);
                        let _ = self.net.penalize(peer, WRONG_BYTES_POINTS).await;
                    }
                    Err(Failed::Store) => return Err(FetchError::Store),
                }
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    async fn fetch_from(&self, blob: BlobRef, peer: PeerId) -> Result<(), Failed> {
        use pb::blob_request::Part as Ask;
        use pb::blob_response::Part as Answer;
        let answer = self
            .ask(peer, blob, Ask::Manifest(pb::ManifestAsk {}))
            .await?;
        let Answer::Manifest(bytes) = answer else {
            return Err(Failed::NotHeld);
        };
        let manifest = Manifest::decode(&bytes, &blob).map_err(|_| Failed::Wrong)?;
        let pieces = manifest.piece_count();
        let mut writer = self
            .library
            .store()
            .begin(manifest)
            .map_err(|_| Failed::Store)?;
        for index in 0..pieces {
            let answer = self
                .ask(peer, blob, Ask::Piece(pb::PieceAsk { index }))
                .await?;
            let Answer::Piece(bytes) = answer else {
                return Err(Failed::NotHeld);
            };
            writer
                .write_piece(index, &bytes)
                .map_err(|_| Failed::Wrong)?;
        }
        writer.finish().map_err(|_| Failed::Store)?;
        Ok(())
    }

    async fn ask(
        &self,
        peer: PeerId,
        blob: BlobRef,
        part: pb::blob_request::Part,
    ) -> Result<pb::blob_response::Part, Failed> {
        let request = pb::BlobRequest {
            id: blob.id.0.to_vec(),
            part: Some(part),
        };
        let bytes = self
            .net
            .request(peer, Protocol::Blob, request.encode_to_vec())
            .await
            .map_err(|_| Failed::NotHeld)?;
        let limit = aether_mesh::PIECE_BYTES + 1024;
        let response: pb::BlobResponse =
            aether_mesh::wire::decode(&bytes, limit).map_err(|_| Failed::Wrong)?;
        response.part.ok_or(Failed::Wrong)
    }
}

enum Failed {
    NotHeld,
    Wrong,
    Store,
}
