//! The engine with its application and network: carries out every output.
//!
//! - No thread and no clock: the host's thread drives it, and so do
//!   simulations.
//! - Outputs are carried out in order; what the application answers is handed
//!   to the engine, and what comes of that is carried out after the rest.
//! - The first failure of ours ends it: nothing may be done with it any more.

use super::engine::Engine;
use super::io::{Config, Head, Input, Judgement, Now, Output, Verdict};
use super::signing::VoteKey;
use super::wal::{Recovered, Wal};
use aether_mesh::{Account, Block, BlockId, Certificate, Slot, ValidatorSet, Vote};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Something of ours failed in a way that no retry mends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);

/// The state under consensus. Called from the consensus thread only.
pub trait Application: Send {
    /// The last committed block.
    fn head(&self) -> Head;

    /// Who votes on the block of this height. Asked for `head + 1` only.
    fn validators(&self, height: Slot) -> Arc<ValidatorSet>;

    /// A block on top of the head, ours to propose: parent certificate
    /// included, transactions executed, roots filled in.
    fn build(&mut self, height: Slot, round: u32, now_ms: u64) -> Result<Block, Fatal>;

    /// Whether we would vote for this block on top of the head. Its shape, its
    /// parent and its `validators_hash` are checked already; everything else
    /// is not: the proposer's account, the parent's certificate, time, the next
    /// set, transactions, roots.
    ///
    /// A time too far ahead of `now_ms` is [`Judgement::NotYet`]. There must be
    /// no bound into the past but the parent's time: a block that a quorum
    /// locked may be proposed again much later.
    fn judge(&mut self, block: &Block, now_ms: u64) -> Judgement;

    /// Stores a decided block durably, state and certificate with it. It may
    /// never have been judged here; its certificate was verified, so if
    /// executing it gives other roots than its header, that is fatal. Clocks
    /// do not matter.
    fn commit(&mut self, block: &Block, certificate: &Certificate) -> Result<Head, Fatal>;

    /// The head's certificate with more signatures: to be stored instead, and
    /// put into the next block.
    fn upgrade_certificate(&mut self, certificate: &Certificate);

    /// A validator signed both: the stuff of an evidence transaction. The same
    /// pair may be reported more than once.
    fn double_vote(&mut self, first: Vote, second: Vote);
}

/// The network under consensus. Must not block.
pub trait Outlet: Send {
    /// Gossip on the consensus topic.
    fn publish_consensus(&self, bytes: Vec<u8>);

    /// Gossip the block of a proposal of ours, or of one we saw locked.
    fn publish_block(&self, block: &Block);

    /// Fetch a proposed or decided block, best from this validator, and hand
    /// it in by [`super::HostHandle::block`]. Repeated every second until it is there.
    fn request_block(&self, id: BlockId, height: Slot, from: Account);

    /// More than a third of stake is at this later height: fetch committed
    /// blocks and hand them in by [`super::HostHandle::synced`]. Repeated every second.
    fn behind(&self, height: Slot);
}

/// How a gossip verdict is given back. Called once, from the consensus thread
/// or, when the inbox is full, at once.
pub type Reply = Box<dyn FnOnce(Verdict) + Send>;

/// What came of committed blocks handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// How many were committed.
    pub applied: usize,
    /// Whether one was wrong: the peer is to blame, the rest was not looked at.
    pub refused: bool,
}

/// Where consensus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The last committed block.
    pub head: Head,
    /// The running round of the next height; `None` between heights.
    pub round: Option<u32>,
    /// Whether we vote at it.
    pub voting: bool,
    /// Signatures checked since the start.
    pub signature_checks: u64,
}

/// Blocks kept for peers who ask for a proposal by its id.
const RECENT_BLOCKS: usize = 32;

/// Unanswered gossip verdicts on blocks; a stranger may cause them.
const WAITING_MAX: usize = 128;

/// Blocks lately proposed or decided, oldest first.
pub(super) type Recent = Arc<Mutex<VecDeque<(BlockId, Arc<Block>)>>>;

/// Looks a recent block up.
pub(super) fn find(recent: &Recent, id: &BlockId) -> Option<Arc<Block>> {
    let recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
    recent
        .iter()
        .find(|(known, _)| known == id)
        .map(|(_, block)| block.clone())
}

/// The engine with its application and network: carries out every output.
pub struct Machine<A, O> {
    engine: Engine,
    app: A,
    outlet: O,
    waiting: BTreeMap<BlockId, Vec<Reply>>,
    pub(super) recent: Recent,
}

impl<A: Application, O: Outlet> Machine<A, O> {
    /// Puts them together; the engine begins after the application's head.
    pub fn new(
        config: Config,
        key: Option<VoteKey>,
        app: A,
        outlet: O,
        wal: Box<dyn Wal>,
        recovered: Recovered,
    ) -> Self {
        let head = app.head();
        let set = app.validators(head.height.after(1));
        let engine = Engine::new(config, key, head, set, wal, recovered);
        let recent = Recent::default();
        Self {
            engine,
            app,
            outlet,
            waiting: BTreeMap::new(),
            recent,
        }
    }

    /// To be called once, first.
    pub fn start(&mut self, clock: &dyn Fn() -> Now) -> Result<(), Fatal> {
        let outputs = self.engine.start(clock());
        self.carry_out(outputs, clock).map(|_| ())
    }

    /// Hands in bytes of the consensus topic.
    pub fn message(&mut self, bytes: Vec<u8>, clock: &dyn Fn() -> Now) -> Result<Verdict, Fatal> {
        self.handle(Input::Message(bytes), clock)
    }

    /// Hands in a block from gossip or one that was requested.
    pub fn block(
        &mut self,
        block: Block,
        reply: Option<Reply>,
        clock: &dyn Fn() -> Now,
    ) -> Result<(), Fatal> {
        if let Some(reply) = reply {
            if self.waiting.len() < WAITING_MAX {
                self.waiting.entry(block.id()).or_default().push(reply);
            } else {
                reply(Verdict::Ignore);
            }
        }
        self.handle(Input::Block(Box::new(block)), clock)
            .map(|_| ())
    }

    /// Hands in committed blocks, ascending.
    pub fn synced(
        &mut self,
        blocks: Vec<(Block, Certificate)>,
        clock: &dyn Fn() -> Now,
    ) -> Result<SyncReport, Fatal> {
        let mut report = SyncReport::default();
        for (block, certificate) in blocks {
            match self.handle(Input::Synced(Box::new(block), certificate), clock)? {
                Verdict::Accept => report.applied += 1,
                Verdict::Ignore => {}
                Verdict::Reject => {
                    report.refused = true;
                    break;
                }
            }
        }
        Ok(report)
    }

    /// To be called when [`Machine::wake_at`] has come.
    pub fn tick(&mut self, clock: &dyn Fn() -> Now) -> Result<(), Fatal> {
        self.handle(Input::Tick, clock).map(|_| ())
    }

    /// When to call [`Machine::tick`], if nothing happens before.
    pub fn wake_at(&self) -> Option<Duration> {
        self.engine.wake_at()
    }

    /// Where consensus is.
    pub fn status(&self) -> Status {
        Status {
            head: self.app.head(),
            round: self.engine.round(),
            voting: self.engine.is_voting(),
            signature_checks: self.engine.signature_checks(),
        }
    }

    /// A block lately proposed or decided, for a peer that asks.
    pub fn recent_block(&self, id: &BlockId) -> Option<Arc<Block>> {
        find(&self.recent, id)
    }

    fn handle(&mut self, input: Input, clock: &dyn Fn() -> Now) -> Result<Verdict, Fatal> {
        let outputs = self.engine.handle(input, clock());
        self.carry_out(outputs, clock)
    }

    /// Carries out outputs, and those they lead to, in order.
    fn carry_out(
        &mut self,
        outputs: Vec<Output>,
        clock: &dyn Fn() -> Now,
    ) -> Result<Verdict, Fatal> {
        let mut verdict = Verdict::Ignore;
        let mut queue = VecDeque::from(outputs);
        while let Some(output) = queue.pop_front() {
            let answer = match output {
                Output::Verdict(v) => {
                    verdict = v;
                    continue;
                }
                Output::BlockVerdict(id, v) => {
                    for reply in self.waiting.remove(&id).unwrap_or_default() {
                        reply(v);
                    }
                    continue;
                }
                Output::Publish(bytes) => {
                    self.outlet.publish_consensus(bytes);
                    continue;
                }
                Output::PublishBlock(block) => {
                    self.keep(&block);
                    self.outlet.publish_block(&block);
                    continue;
                }
                Output::Request { id, height, from } => {
                    self.outlet.request_block(id, height, from);
                    continue;
                }
                Output::Behind(height) => {
                    self.outlet.behind(height);
                    continue;
                }
                Output::Upgrade(certificate) => {
                    self.app.upgrade_certificate(&certificate);
                    continue;
                }
                Output::DoubleVote(first, second) => {
                    self.app.double_vote(*first, *second);
                    continue;
                }
                Output::Fatal(why) => return Err(Fatal(why)),
                Output::Build { height, round } => {
                    let block = self.app.build(height, round, clock().unix_ms)?;
                    Input::Built(round, Box::new(block))
                }
                Output::Judge(block) => {
                    self.keep(&block);
                    let judgement = self.app.judge(&block, clock().unix_ms);
                    Input::Judged(block.id(), judgement)
                }
                Output::Commit { block, certificate } => {
                    self.keep(&block);
                    let head = self.app.commit(&block, &certificate)?;
                    let set = self.app.validators(head.height.after(1));
                    Input::Committed(head, set)
                }
            };
            queue.extend(self.engine.handle(answer, clock()));
        }
        Ok(verdict)
    }

    /// Keeps a block for peers who ask for it.
    fn keep(&self, block: &Arc<Block>) {
        let id = block.id();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.iter().any(|(known, _)| *known == id) {
            return;
        }
        if recent.len() >= RECENT_BLOCKS {
            recent.pop_front();
        }
        recent.push_back((id, block.clone()));
    }
}
