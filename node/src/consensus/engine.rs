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
use super::io::{Config, Head, Input, Now, Output};
use super::signing::VoteKey;
use super::timers::Timer;
use super::wal::{Recovered, Wal};
use aether_mesh::{Account, BlockId, Certificate, Slot, ValidatorSet, Vote, VoteKind};
use arc_malachitebft_core_consensus::{Error as CoreError, Input as CoreInput, Params, State};
use arc_malachitebft_core_types::{ThresholdParams, ValuePayload};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
        signatures: impl Iterator<Item = (Voter, super::scheme::Sig)>,
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
