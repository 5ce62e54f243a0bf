//! The seam to the consensus thread: the chain as its application, the network
//! as its outlet.
//!
//! - The proposer of a decided block gossips its certificate, so that
//!   followers commit without asking.
//! - A block that needs bytes we lack is judged "not yet"; the bytes are
//!   fetched meanwhile and the engine asks again.
//! - Time: a proposal ahead of our clock by more than the bound is "not yet";
//!   the past is bounded by the parent's time only, because a block that a
//!   quorum locked may be proposed again much later.

use super::fetch::Fetcher;
use super::proposals::Proposals;
use super::sync::Wake;
use crate::chain::{Chain, Judged};
use crate::consensus::{
    Application, Config, Exit, Fatal, Head, Host, HostHandle, Judgement, Outlet, SyncReport,
    Verdict as HostVerdict, VoteKey,
};
use crate::net::{NetHandle, Protocol, Topic, Verdict};
use crate::service::peer::peer_of_account;
use aether_behaviours::Event;
use aether_kzg::bls;
use aether_mesh::{
    Account, BlobRef, Block, BlockId, Certificate, ChainId, Slot, ValidatorSet, Vote, hash_parts,
    wire, wire::pb,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use prost::Message as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

/// How long a fetch for a proposed block may take.
const FETCH_PATIENCE: Duration = Duration::from_secs(10);
/// How long a decided block may wait for bytes before this node gives up.
const COMMIT_PATIENCE: Duration = Duration::from_secs(120);
/// A consensus verdict that takes longer is too late for gossip.
const VERDICT_PATIENCE: Duration = Duration::from_secs(4);

/// What the consensus thread is built from.
pub(super) struct Parts {
    pub(super) chain: Chain,
    pub(super) vote_key: Option<bls::SecretKey>,
    pub(super) key: SigningKey,
    pub(super) wal: PathBuf,
    pub(super) net: NetHandle,
    pub(super) fetcher: Fetcher,
    pub(super) proposals: Proposals,
    pub(super) wakes: mpsc::Sender<Wake>,
    pub(super) double_votes: mpsc::Sender<Event>,
}

/// The way to the consensus thread.
#[derive(Clone)]
pub(super) struct EngineHandle {
    host: HostHandle,
    votes: bool,
}

/// Starts the consensus thread; the receiver tells when it had to stop.
pub(super) fn spawn(
    parts: Parts,
) -> Result<(EngineHandle, watch::Receiver<Option<String>>), String> {
    let rules = parts.chain.rules().clone();
    let params = rules.params();
    let slot = Duration::from_millis(params.slot_ms);
    let config = Config::new(rules.chain_id, params.epoch_slots, slot);
    let runtime = Handle::current();
    let votes = parts.vote_key.is_some();
    let account = Account(parts.key.verifying_key().to_bytes());
    let key = parts.vote_key.map(|secret| VoteKey::new(account, secret));
    let app = App {
        chain: parts.chain,
        account,
        votes,
        net: parts.net.clone(),
        fetcher: parts.fetcher,
        double_votes: parts.double_votes,
        runtime: runtime.clone(),
    };
    let (to_engine, engine) = watch::channel(None::<HostHandle>);
    let (publishing, publications) = mpsc::channel(PUBLISH_QUEUE);
    runtime.spawn(publish(parts.net.clone(), publications));
    let outlet = Out {
        net: parts.net,
        proposals: parts.proposals,
        wakes: parts.wakes,
        engine,
        publishing,
        runtime,
        limits: params.limits.clone(),
        chain: rules.chain_id,
        key: parts.key,
    };
    let (host, thread) =
        Host::spawn(config, key, &parts.wal, app, outlet).map_err(|e| e.to_string())?;
    let _ = to_engine.send(Some(host.clone()));
    let (failing, failed) = watch::channel(None);
    std::thread::spawn(move || {
        let why = match thread.join() {
            Ok(Exit::Shutdown) => return,
            Ok(Exit::Fatal(why)) => why,
            Err(_) => "the consensus thread panicked".to_owned(),
        };
        tracing::error!(%why, "consensus stopped");
        let _ = failing.send(Some(why));
    });
    Ok((EngineHandle { host, votes }, failed))
}

fn verdict(v: HostVerdict) -> Verdict {
    match v {
        HostVerdict::Accept => Verdict::Accept,
        HostVerdict::Reject => Verdict::Reject,
        HostVerdict::Ignore => Verdict::Ignore,
    }
}

impl EngineHandle {
    /// Whether this node votes.
    pub(super) fn votes(&self) -> bool {
        self.votes
    }

    /// Hands in bytes of the consensus topic and waits for the verdict.
    pub(super) async fn consensus_bytes(&self, bytes: Vec<u8>) -> Verdict {
        let (tell, told) = oneshot::channel();
        self.host.message(bytes, reply(tell));
        await_verdict(told).await
    }

    /// Hands in a proposed block and waits for the verdict.
    pub(super) async fn block_received(&self, block: Block) -> Verdict {
        let (tell, told) = oneshot::channel();
        self.host.block(block, Some(reply(tell)));
        await_verdict(told).await
    }

    /// Hands in committed blocks and waits until they are through; none when
    /// the consensus thread is too busy to take them.
    pub(super) async fn synced(&self, blocks: Vec<(Block, Certificate)>) -> Option<SyncReport> {
        let (tell, told) = oneshot::channel();
        let report = Box::new(move |report| {
            let _ = tell.send(report);
        });
        if !self.host.synced(blocks, report) {
            return None;
        }
        told.await.ok()
    }

    /// A block lately proposed.
    pub(super) fn recent_block(&self, id: &BlockId) -> Option<Arc<Block>> {
        self.host.recent_block(id)
    }

    /// Ends the thread.
    pub(super) fn shutdown(&self) {
        self.host.shutdown();
    }
}

fn reply(tell: oneshot::Sender<HostVerdict>) -> Box<dyn FnOnce(HostVerdict) + Send> {
    Box::new(move |v| {
        let _ = tell.send(v);
    })
}

async fn await_verdict(told: oneshot::Receiver<HostVerdict>) -> Verdict {
    match tokio::time::timeout(VERDICT_PATIENCE, told).await {
        Ok(Ok(v)) => verdict(v),
        _ => Verdict::Ignore,
    }
}

/// The chain, as consensus sees it.
struct App {
    chain: Chain,
    account: Account,
    votes: bool,
    net: NetHandle,
    fetcher: Fetcher,
    double_votes: mpsc::Sender<Event>,
    runtime: Handle,
}

fn fatal(e: impl ToString) -> Fatal {
    Fatal(e.to_string())
}

impl App {
    fn fetch(&self, blobs: Vec<BlobRef>) {
        for blob in blobs {
            let fetcher = self.fetcher.clone();
            self.runtime.spawn(async move {
                if let Err(error) = fetcher.fetch(blob, None, FETCH_PATIENCE).await {
                    tracing::warn!(blob = %blob.id.short(), %error, "a block waits for a blob");
                }
            });
        }
    }
}

impl Application for App {
    fn head(&self) -> Head {
        // The chain was opened before, so it has a head; a disk that fails
        // now fails again, fatally, at the next build or commit.
        let head = self.chain.head().ok();
        Head {
            height: head.map(|h| h.height).unwrap_or_default(),
            block_id: head.map(|h| h.block_id).unwrap_or_default(),
            time_ms: head.map(|h| h.time_ms).unwrap_or_default(),
        }
    }

    fn validators(&self, _height: Slot) -> Arc<ValidatorSet> {
        self.chain.rules().validators.clone()
    }

    fn build(&mut self, _height: Slot, _round: u32, now_ms: u64) -> Result<Block, Fatal> {
        self.chain.build(now_ms).map_err(fatal)
    }

    fn judge(&mut self, block: &Block, now_ms: u64) -> Judgement {
        let ahead = block.header.time_ms.saturating_sub(now_ms);
        if ahead > self.chain.rules().params().clock_skew_ms_max {
            return Judgement::NotYet(format!("its time is {ahead} ms ahead of our clock"));
        }
        match self.chain.judge(block) {
            Ok(Judged::Valid) => Judgement::Valid,
            Ok(Judged::Invalid(why)) => {
                tracing::warn!(block = %block.id().short(), %why, "proposed block refused");
                Judgement::Invalid(why)
            }
            Ok(Judged::Missing(blobs)) => {
                let why = format!("{} blobs are on their way", blobs.len());
                self.fetch(blobs);
                Judgement::NotYet(why)
            }
            // Ours: not voting is safe, and the commit will say it loudly.
            Err(error) => {
                tracing::error!(%error, "a block could not be judged");
                Judgement::NotYet(error.to_string())
            }
        }
    }

    fn commit(&mut self, block: &Block, certificate: &Certificate) -> Result<Head, Fatal> {
        // Sync fetches a block's bytes before it hands the block in, and judges
        // fetch them too; so this waits only where a decision overtook both.
        let deadline = Instant::now() + COMMIT_PATIENCE;
        while let Judged::Missing(blobs) = self.chain.judge(block).map_err(fatal)? {
            if Instant::now() > deadline {
                return Err(fatal("a decided block needs blobs that no peer sends"));
            }
            self.fetch(blobs);
            std::thread::sleep(Duration::from_millis(20));
        }
        let head = self
            .chain
            .commit(block.clone(), certificate.clone())
            .map_err(fatal)?;
        if self.votes && block.header.proposer == self.account {
            let message = pb::block_gossip::Message::Decided(certificate.to_pb());
            let bytes = pb::BlockGossip {
                message: Some(message),
            }
            .encode_to_vec();
            let net = self.net.clone();
            self.runtime.spawn(async move {
                let _ = net.publish(Topic::Blocks, bytes).await;
            });
        }
        Ok(Head {
            height: head.height,
            block_id: head.block_id,
            time_ms: head.time_ms,
        })
    }

    fn upgrade_certificate(&mut self, certificate: &Certificate) {
        if let Err(error) = self.chain.upgrade_certificate(certificate) {
            tracing::warn!(%error, "a fuller certificate was not stored");
        }
    }

    fn double_vote(&mut self, first: Vote, second: Vote) {
        let _ = self
            .double_votes
            .try_send(Event::DoubleVoteSeen { first, second });
    }
}

/// Publications waiting for the network task.
const PUBLISH_QUEUE: usize = 1_024;

async fn publish(net: NetHandle, mut queue: mpsc::Receiver<(Topic, Vec<u8>)>) {
    while let Some((topic, bytes)) = queue.recv().await {
        if let Err(error) = net.publish(topic, bytes).await {
            tracing::warn!(%error, topic = topic.kind(), "not published");
        }
    }
}

fn proposed_sign_bytes(chain: &ChainId, block: &BlockId) -> [u8; 32] {
    hash_parts("aether/proposed/v1", &[&chain.0, &block.0])
}

/// Whether the block's own proposer sent it out.
pub(super) fn is_from_proposer(chain: &ChainId, block: &Block, signature: &[u8]) -> bool {
    let Ok(signature) = Signature::from_slice(signature) else {
        return false;
    };
    VerifyingKey::from_bytes(&block.header.proposer.0).is_ok_and(|key| {
        key.verify_strict(&proposed_sign_bytes(chain, &block.id()), &signature)
            .is_ok()
    })
}

/// The network, as consensus sees it.
struct Out {
    net: NetHandle,
    proposals: Proposals,
    wakes: mpsc::Sender<Wake>,
    engine: watch::Receiver<Option<HostHandle>>,
    publishing: mpsc::Sender<(Topic, Vec<u8>)>,
    runtime: Handle,
    limits: aether_mesh::Limits,
    chain: ChainId,
    key: SigningKey,
}

impl Outlet for Out {
    fn publish_consensus(&self, bytes: Vec<u8>) {
        // Full: votes are repeated.
        let _ = self.publishing.try_send((Topic::Consensus, bytes));
    }

    fn publish_block(&self, block: &Block) {
        self.proposals.insert(Arc::new(block.clone()));
        let ours = block.header.proposer.0 == self.key.verifying_key().to_bytes();
        let signature = if ours {
            self.key
                .sign(&proposed_sign_bytes(&self.chain, &block.id()))
                .to_bytes()
                .to_vec()
        } else {
            Vec::new()
        };
        let message = pb::block_gossip::Message::Proposed(pb::ProposedBlock {
            block: Some(block.to_pb()),
            signature,
        });
        let bytes = pb::BlockGossip {
            message: Some(message),
        }
        .encode_to_vec();
        // Larger ones are asked for by those who see the proposal.
        if bytes.len() as u64 <= self.limits.message_bytes_max {
            let _ = self.publishing.try_send((Topic::Blocks, bytes));
        }
    }

    fn request_block(&self, id: BlockId, _height: Slot, from: Account) {
        let Some(engine) = self.engine.borrow().clone() else {
            return;
        };
        if let Some(block) = self.proposals.get(&id) {
            engine.block(block.as_ref().clone(), None);
            return;
        }
        let (net, limit) = (
            self.net.clone(),
            self.limits.block_bytes_max as usize + 1024,
        );
        self.runtime.spawn(async move {
            let mut peers: Vec<_> = peer_of_account(&from).into_iter().collect();
            peers.extend(
                net.peers()
                    .await
                    .iter()
                    .filter(|p| !p.bootnode)
                    .map(|p| p.peer_id),
            );
            const ASKED_MAX: usize = 4;
            for peer in peers.into_iter().take(ASKED_MAX) {
                let ask = pb::sync_request::Ask::Proposal(pb::ProposalAsk {
                    block_id: id.0.to_vec(),
                });
                let request = pb::SyncRequest { ask: Some(ask) }.encode_to_vec();
                let Ok(bytes) = net.request(peer, Protocol::Sync, request).await else {
                    continue;
                };
                let Ok(response) = wire::decode::<pb::SyncResponse>(&bytes, limit) else {
                    continue;
                };
                if let Some(pb::sync_response::Answer::Proposal(block)) = response.answer
                    && let Ok(block) = Block::from_pb(&block)
                    && block.id() == id
                {
                    engine.block(block, None);
                    return;
                }
            }
        });
    }

    fn behind(&self, _height: Slot) {
        let _ = self.wakes.try_send(Wake::Behind);
    }
}
