//! The consensus machine: [`Input`]s in, [`Output`]s out, time as an argument.
//!
//! ```text
//!   messages, blocks, synced blocks          publish, request, build, judge,
//!        time, what the host did   ──▶ Engine ──▶ commit, evidence
//!                                        │
//!                          Tendermint core (pure) + log + timers
//! ```
//!
//! - One height at a time: `head + 1`. A height is *idle* until its slot
//!   begins, then *running*, then *committing* while the host stores the
//!   block. The next slot begins one slot length after this one began, or at
//!   once when we are behind.
//! - A block is judged only when its parent is committed and a signed proposal
//!   of the round's proposer names it. The engine core votes for nothing that
//!   was not judged valid.
//! - A decision comes either from votes that the core counted, or from a
//!   certificate: with a synced block, or in a block of the next height. A
//!   certificate that verifies against the height's set is final, whatever our
//!   own votes were.
//! - Upon a decision the block goes out with the certificate at hand; votes
//!   that come until the next height begins make an [`Output::Upgrade`].
//! - Whatever may change our votes is flushed to the log before the outputs of
//!   the same call are handed out. If the log fails, the only output is
//!   [`Output::Fatal`], and the engine does nothing any more.
//!
//! The rules for what strangers send are in `inbound`, those for beginning,
//! replaying and ending a height in `heights`.

use super::blocks::Blocks;
use super::context::{Ctx, Set, Voter};
use super::effects::{Effects, Event};
use super::heights::Want;
use super::inbound::{Ahead, Forwarded};
use super::signing::VoteKey;
use super::timers::Timer;
use super::wal::{Recovered, Wal};
use aether_mesh::{
    Account, Block, BlockId, Certificate, ChainId, Slot, ValidatorSet, Vote, VoteKind,
};
use arc_malachitebft_core_consensus::{Error as CoreError, Input as CoreInput, Params, State};
use arc_malachitebft_core_types::{LinearTimeouts, ThresholdParams, ValuePayload};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What time it is, by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Steady time since some moment of the host's choice: all timers.
    pub elapsed: Duration,
    /// Unix milliseconds: stamped on what is sent, never decides anything.
    pub unix_ms: u64,
}

/// How the engine is set up. Checked by [`super::Host::spawn`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The network.
    pub chain: ChainId,
    /// Epoch length, for the proposers' order.
    pub epoch_slots: u64,
    /// How long a slot lasts at least.
    pub slot: Duration,
    /// How long each step of a round waits, and when votes are repeated.
    pub timeouts: LinearTimeouts,
    /// How long a proposal waits for its block before we ask for it.
    pub fetch_after: Duration,
    /// How often a block that cannot be judged yet is judged again.
    pub judge_again: Duration,
}

impl Config {
    /// Slots of one second; three seconds for a proposal, half a second more
    /// each round: at 0.8 s, rounds were lost under load. Votes are repeated
    /// every two seconds.
    pub fn new(chain: ChainId, epoch_slots: u64, slot: Duration) -> Self {
        let timeouts = LinearTimeouts {
            rebroadcast: Duration::from_secs(2),
            ..LinearTimeouts::default()
        };
        Self {
            chain,
            epoch_slots,
            slot,
            timeouts,
            fetch_after: Duration::from_millis(150),
            judge_again: Duration::from_millis(100),
        }
    }
}

/// The last committed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its height; 0 before the first block.
    pub height: Slot,
    /// Its id; the chain id at height 0.
    pub block_id: BlockId,
    /// Its header's time, Unix milliseconds.
    pub time_ms: u64,
}

/// What we think of a proposed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// We would vote for it.
    Valid,
    /// We shall never vote for it; why.
    Invalid(String),
    /// It cannot be said yet; what is missing.
    NotYet(String),
}

/// What gossip should do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Wrong whatever the state is: the sender is to blame.
    Reject,
    /// Not useful to us now; nobody's fault.
    Ignore,
}

/// Everything that can happen to the engine.
#[derive(Clone, Debug)]
pub enum Input {
    /// Bytes from the consensus topic. Answered with one [`Output::Verdict`].
    Message(Vec<u8>),
    /// A block from gossip, or one that was asked for. Answered, now or later,
    /// with one [`Output::BlockVerdict`].
    Block(Box<Block>),
    /// A committed block from a peer. Answered with one [`Output::Verdict`].
    Synced(Box<Block>, Certificate),
    /// The block that [`Output::Build`] asked for.
    Built(u32, Box<Block>),
    /// The answer to [`Output::Judge`].
    Judged(BlockId, Judgement),
    /// [`Output::Commit`] was carried out: the new head, and who votes next.
    Committed(Head, Arc<ValidatorSet>),
    /// [`Engine::wake_at`] has come.
    Tick,
}

/// Everything the engine may want.
#[derive(Clone, Debug)]
pub enum Output {
    /// What to do with the message or synced block just handed in.
    Verdict(Verdict),
    /// What to do with a block handed in before.
    BlockVerdict(BlockId, Verdict),
    /// Send on the consensus topic.
    Publish(Vec<u8>),
    /// Send to everybody: the block of a proposal just published.
    PublishBlock(Arc<Block>),
    /// Fetch a block, best from this validator, and hand it in.
    Request {
        /// Which.
        id: BlockId,
        /// Its height.
        height: Slot,
        /// Who should have it.
        from: Account,
    },
    /// Build a block for this height and round, and hand it in.
    Build {
        /// The height.
        height: Slot,
        /// The round.
        round: u32,
    },
    /// Judge a block whose parent is the head, and hand the judgement in.
    Judge(Arc<Block>),
    /// Final: store block and certificate, then hand in the new head.
    Commit {
        /// The block.
        block: Arc<Block>,
        /// More than 2/3 of stake signed it.
        certificate: Certificate,
    },
    /// The head's certificate with more signatures than the one committed.
    Upgrade(Certificate),
    /// A validator signed two different votes in one step. May come twice.
    DoubleVote(Box<Vote>, Box<Vote>),
    /// Others are at this height already: sync.
    Behind(Slot),
    /// The node must stop.
    Fatal(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for the slot to begin.
    Idle,
    /// The core is at `head + 1`.
    Running,
    /// The host stores a block.
    Committing,
    /// Something of ours failed.
    Halted,
}

/// The machine. See the module's header.
pub struct Engine {
    pub(super) config: Config,
    pub(super) state: State<Ctx>,
    pub(super) fx: Effects,
    pub(super) phase: Phase,
    pub(super) head: Head,
    /// Who votes at `head + 1`.
    pub(super) set: Set,
    /// When the running height began.
    pub(super) started_at: Duration,
    /// Signers of the head's certificate as committed.
    pub(super) signers: usize,
    /// The height the log is kept for, and its records until they are replayed.
    pub(super) wal_height: Option<Slot>,
    pub(super) recovered: Vec<Vec<u8>>,
    pub(super) blocks: Blocks,
    /// Blocks of the running height that proposals name.
    pub(super) wants: BTreeMap<BlockId, Want>,
    /// The running height is decided, but its block is missing.
    pub(super) certified: Option<(Certificate, Account)>,
    /// Verified messages for heights that have not begun.
    pub(super) ahead: Ahead,
    pub(super) forwarded: Forwarded,
    /// While the log is replayed: the round in which a block was asked for.
    pub(super) asked_in_replay: Option<arc_malachitebft_core_types::Round>,
}

impl Engine {
    /// An engine for the chain's head, `set` voting on the next block, and
    /// what the log held. Without a key it follows and never votes.
    pub fn new(
        config: Config,
        key: Option<VoteKey>,
        head: Head,
        set: Arc<ValidatorSet>,
        wal: Box<dyn Wal>,
        recovered: Recovered,
    ) -> Self {
        let ctx = Ctx {
            chain: config.chain,
            epoch_slots: config.epoch_slots,
        };
        let set = Set::new(set);
        // A node without a key takes an address that nobody votes with.
        let address = Voter(key.as_ref().map_or(Account([0; 32]), |k| k.account));
        let params = Params {
            address,
            threshold_params: ThresholdParams::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: false,
        };
        let height = super::context::Height(head.height.after(1));
        // Messages for later heights wait in `ahead`, verified; the core's own
        // queue stays empty.
        let state = State::new(ctx.clone(), height, set.clone(), params, 1, 1);
        let fx = Effects::new(ctx, key, config.timeouts, wal);
        Self {
            config,
            state,
            fx,
            phase: Phase::Idle,
            head,
            set,
            started_at: Duration::ZERO,
            signers: 0,
            wal_height: recovered.height,
            recovered: recovered.records,
            blocks: Blocks::default(),
            wants: BTreeMap::new(),
            certified: None,
            ahead: Ahead::default(),
            forwarded: Forwarded::default(),
            asked_in_replay: None,
        }
    }

    /// To be called once, first: begins the height after the head.
    pub fn start(&mut self, now: Now) -> Vec<Output> {
        self.fx.now = now;
        self.start_height();
        self.finish()
    }

    /// Processes one input. The outputs are to be carried out in order; the
    /// host hands in what [`Output::Build`], [`Output::Judge`] and
    /// [`Output::Commit`] ask for as soon as it has it.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Output> {
        if self.phase == Phase::Halted {
            return Vec::new();
        }
        self.fx.now = now;
        match input {
            Input::Message(bytes) => {
                let verdict = self.on_message(&bytes);
                self.fx.out.push(Output::Verdict(verdict));
            }
            Input::Block(block) => self.on_block(*block),
            Input::Synced(block, certificate) => {
                let verdict = self.on_synced(*block, certificate);
                self.fx.out.push(Output::Verdict(verdict));
            }
            Input::Built(round, block) => self.on_built(round, *block),
            Input::Judged(id, judgement) => self.on_judged(id, judgement),
            Input::Committed(head, set) => self.on_committed(head, set),
            Input::Tick => self.on_tick(),
        }
        self.finish()
    }

    /// When to hand in the next [`Input::Tick`], if nothing happens before.
    pub fn wake_at(&self) -> Option<Duration> {
        if self.phase == Phase::Halted {
            None
        } else {
            self.fx.timers.next()
        }
    }

    /// The height to be decided next.
    pub fn height(&self) -> Slot {
        self.head.height.after(1)
    }

    /// The round the core is in; `None` while the height has not begun.
    pub fn round(&self) -> Option<u32> {
        let running = self.phase == Phase::Running && self.state.height().0 == self.height();
        if running {
            self.state.round().as_u32()
        } else {
            None
        }
    }

    /// Whether we vote at the current height.
    pub fn is_voting(&self) -> bool {
        self.state.is_active_validator()
    }

    /// Signatures checked so far, those found in memory not counted.
    pub fn signature_checks(&self) -> u64 {
        self.fx.checker.checks
    }

    fn finish(&mut self) -> Vec<Output> {
        if self.phase != Phase::Halted
            && let Err(error) = self.fx.flush()
        {
            self.halt(format!("the consensus log cannot be written: {error}"));
        }
        std::mem::take(&mut self.fx.out)
    }

    /// Stops for good; whatever was about to go out does not.
    pub(super) fn halt(&mut self, why: String) {
        tracing::error!(%why, "consensus stops");
        self.phase = Phase::Halted;
        self.fx.out.clear();
        self.fx.events.clear();
        self.fx.out.push(Output::Fatal(why));
    }

    /// Gives the core one input and sees to what it left for us.
    pub(super) fn feed(&mut self, input: CoreInput<Ctx>) {
        if self.phase == Phase::Halted {
            return;
        }
        let result: Result<(), CoreError<Ctx>> = arc_malachitebft_core_consensus::process!(
            input: input,
            state: &mut self.state,
            metrics: &(),
            with: effect => self.fx.carry_out(effect)
        );
        match result {
            Ok(()) => {}
            // Going on could mean signing something else than before.
            Err(
                error @ (CoreError::ReplayDivergence(..)
                | CoreError::UnexpectedResume(..)
                | CoreError::WalCorrupted(_)),
            ) => return self.halt(error.to_string()),
            Err(error) => tracing::warn!(%error, "the consensus core refused an input"),
        }
        while let Some(event) = self.fx.events.pop_front() {
            match event {
                Event::GetValue(round) if self.fx.replaying.is_some() => {
                    self.asked_in_replay = Some(round);
                }
                Event::GetValue(round) => self.fx.out.push(Output::Build {
                    height: self.height(),
                    round: super::context::round_u32(round),
                }),
                Event::Proposed(id) => {
                    if let Some(block) = self.blocks.get(&id) {
                        self.fx.out.push(Output::PublishBlock(block.clone()));
                    }
                }
                Event::Decided(certificate) => self.on_decided(&certificate),
            }
        }
    }

    fn on_tick(&mut self) {
        while let Some(timer) = self.fx.timers.pop_due(self.fx.now.elapsed) {
            match timer {
                Timer::Step(step, round) => {
                    self.feed(CoreInput::TimeoutElapsed(Timer::timeout(step, round)));
                }
                Timer::Start => self.start_height(),
                Timer::Fetch(id) => self.fetch(id),
                Timer::Judge(id) => self.judge(id),
                Timer::Behind => self.check_behind(),
            }
            if self.phase == Phase::Halted {
                return;
            }
        }
    }

    /// Aggregates precommits the core has verified.
    pub(super) fn aggregate(
        set: &ValidatorSet,
        height: Slot,
        round: u32,
        block_id: BlockId,
        signatures: impl Iterator<Item = (Voter, super::context::Sig)>,
    ) -> Option<Certificate> {
        let votes: Vec<Vote> = signatures
            .map(|(voter, signature)| Vote {
                height,
                round,
                kind: VoteKind::Precommit,
                block: Some(block_id),
                voter: voter.0,
                signature: signature.0,
            })
            .collect();
        Certificate::aggregate(set, height, round, block_id, &votes)
    }
}
