//! How a height begins, is replayed after a crash, and ends.
//!
//! - Beginning: what the height before still yields is collected (evidence, a
//!   fuller certificate), the log is reset or replayed, the core is told, and
//!   messages that came early are handed over.
//! - We vote at a height only with a key that stands in its set, and only if
//!   the log is not ahead of the state: a node restored from an old copy waits
//!   until the chain has caught up with what it said.
//! - Replay: the height begins, the log's inputs are fed in order, and only
//!   then is a request for a block answered. Blocks in the log precede the
//!   verdicts on them.
//! - A log kept for a height that is committed already is dropped.

use super::context::{Ctx, Height, Set, Value, round_u32};
use super::engine::{Engine, Phase};
use super::io::{Head, Output, Verdict};
use super::record::{self, Record};
use super::timers::Timer;
use aether_mesh::{Account, Block, BlockId, Certificate, Slot, ValidatorSet};
use arc_malachitebft_core_consensus::{Input as CoreInput, LocallyProposedValue};
use arc_malachitebft_core_types::{CommitCertificate, Round, VoteExtensionPolicy};
use std::collections::HashSet;
use std::sync::Arc;

/// A block that a verified proposal of the running height names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// The first round it was proposed in.
    pub(super) round: Round,
    /// The proposal's round of an earlier quorum.
    pub(super) pol_round: Round,
    /// Who proposed it.
    pub(super) proposer: super::context::Voter,
    /// Whether the core has our verdict.
    pub(super) judged: bool,
}

impl Engine {
    /// Begins `head + 1`.
    pub(super) fn start_height(&mut self) {
        self.leave_height();
        let height = self.height();
        self.fx.checker.next_height();
        self.forwarded.clear();
        self.phase = Phase::Running;
        self.started_at = self.fx.now.elapsed;

        let votes = self.may_vote(height);
        self.state.params.enabled = votes;
        self.fx.logging = votes;
        let log = if votes && self.wal_height == Some(height) {
            std::mem::take(&mut self.recovered)
        } else {
            if votes {
                if let Err(error) = self.fx.reset_log(height) {
                    return self.halt(format!("the consensus log cannot be reset: {error}"));
                }
                self.wal_height = Some(height);
                self.recovered.clear();
            }
            Vec::new()
        };
        let begin = CoreInput::StartHeight(
            Height(height),
            self.set.clone(),
            false,
            None,
            VoteExtensionPolicy::Disabled,
        );
        if log.is_empty() {
            self.feed(begin);
        } else {
            self.replay(begin, log);
        }
        for message in self.ahead.take(height) {
            if self.phase == Phase::Running {
                self.deliver(message);
            }
        }
    }

    fn may_vote(&self, height: Slot) -> bool {
        let Some(key) = &self.fx.key else {
            return false;
        };
        let Some(member) = self.set.inner().get(&key.account) else {
            return false;
        };
        if member.vote_key != key.secret.public_key() {
            tracing::warn!("our vote key is not the registered one: we do not vote");
            return false;
        }
        if self.wal_height.is_some_and(|logged| logged > height) {
            tracing::warn!(%height, "the consensus log is ahead of the state: we do not vote yet");
            return false;
        }
        true
    }

    /// What the core still knows of the height before: contradicting votes,
    /// and precommits that came after the decision.
    fn leave_height(&mut self) {
        let evidence = self.state.driver.take_vote_evidence();
        self.fx
            .double_votes(evidence.into_iter().flat_map(|(_, pairs)| pairs));
        if !self.core_decided_head() {
            return;
        }
        let Some((round, value)) = self.state.decided_value() else {
            return;
        };
        let votes = self
            .state
            .restore_precommits(self.state.height(), round, &value);
        if votes.len() <= self.signers || value.0 != self.head.block_id {
            return;
        }
        let set = self.state.validator_set().inner();
        let signatures = votes
            .iter()
            .map(|vote| (vote.message.voter, vote.signature));
        let height = self.head.height;
        if let Some(c) = Self::aggregate(set, height, round_u32(round), value.0, signatures) {
            self.fx.out.push(Output::Upgrade(c));
        }
    }

    /// Whether the core is still at the head's height, and decided it.
    pub(super) fn core_decided_head(&self) -> bool {
        self.state.height().0 == self.head.height && self.state.driver.step_is_commit()
    }

    /// Begins the height from its log.
    fn replay(&mut self, begin: CoreInput<Ctx>, log: Vec<Vec<u8>>) {
        tracing::info!(height = %self.height(), records = log.len(), "replaying the log");
        let mut inputs = Vec::new();
        for bytes in &log {
            match record::decode(bytes) {
                Ok(Record::Block(block)) => {
                    self.blocks.insert(block.id(), Arc::new(*block), true);
                }
                Ok(Record::Input(input)) => inputs.push(*input),
                Err(error) => return self.halt(format!("the consensus log is damaged: {error}")),
            }
        }
        self.fx.replaying = Some(log.into_iter().collect::<HashSet<_>>());
        self.asked_in_replay = None;
        self.feed(begin);
        self.state
            .record_recovered_own_precommit_extensions(&inputs);
        self.state.index_wal_entries(&inputs);
        for input in &inputs {
            if let CoreInput::Proposal(proposal) = input {
                self.register(&proposal.message);
            }
            self.feed(input.clone());
        }
        for input in &inputs {
            if let CoreInput::ProposedValue(value, _) = input
                && let Some(want) = self.wants.get_mut(&value.value.0)
            {
                want.judged = true;
            }
        }
        self.state.reset_entries_index();
        self.fx.replaying = None;
        if self.phase != Phase::Running {
            return;
        }
        if let Some(round) = self.asked_in_replay.take() {
            self.propose_after_replay(round, &inputs);
        }
        let open: Vec<BlockId> = self
            .wants
            .iter()
            .filter(|(_, w)| !w.judged)
            .map(|(id, _)| *id)
            .collect();
        for id in open {
            self.seek(id);
        }
    }

    /// Answers a request for a block that came during replay: with the block
    /// that the log says was built, or with a new one.
    fn propose_after_replay(&mut self, round: Round, inputs: &[CoreInput<Ctx>]) {
        let address = *self.state.address();
        let height = self.state.height();
        let proposed = self
            .state
            .full_proposal_at_round_and_proposer(&height, round, &address);
        if self.state.round() != round || proposed.is_some() {
            return;
        }
        let built = inputs.iter().find_map(|input| match input {
            CoreInput::ProposedValue(value, _)
                if value.round == round && value.proposer == address =>
            {
                Some(value.value)
            }
            _ => None,
        });
        match built {
            Some(value) => {
                self.feed(CoreInput::Propose(LocallyProposedValue::new(
                    height, round, value,
                )));
            }
            None => self.fx.out.push(Output::Build {
                height: height.0,
                round: round_u32(round),
            }),
        }
    }

    /// The block we were asked to build.
    pub(super) fn on_built(&mut self, round: u32, block: Block) {
        let height = self.height();
        let in_time = self.phase == Phase::Running
            && block.header.height == height
            && self.state.round() == Round::new(round);
        if !in_time {
            return;
        }
        let id = block.id();
        self.fx.log(record::encode_block(&block));
        self.blocks.insert(id, Arc::new(block), true);
        let proposer = *self.state.address();
        let want = Want {
            round: round.into(),
            pol_round: Round::Nil,
            proposer,
            judged: true,
        };
        self.wants.insert(id, want);
        let value = LocallyProposedValue::new(Height(height), round.into(), Value(id));
        self.feed(CoreInput::Propose(value));
    }

    /// The core counted enough precommits.
    pub(super) fn on_decided(&mut self, certificate: &CommitCertificate<Ctx>) {
        if self.phase != Phase::Running || certificate.height.0 != self.height() {
            return;
        }
        let signatures = certificate
            .commit_signatures
            .iter()
            .map(|s| (s.address, s.signature));
        let round = round_u32(certificate.round);
        let (height, id) = (self.height(), certificate.value_id);
        match Self::aggregate(self.set.inner(), height, round, id, signatures) {
            Some(c) => {
                let from = certificate.commit_signatures.first().map(|s| s.address.0);
                self.on_certificate(c, from.unwrap_or_default());
            }
            None => self.halt("a decision without a quorum of signatures".to_owned()),
        }
    }

    /// The height is decided: `certificate` was verified against its set.
    /// `from` should have the block.
    pub(super) fn on_certificate(&mut self, certificate: Certificate, from: Account) {
        let id = certificate.block_id;
        match self.blocks.get(&id) {
            Some(block) => {
                let block = block.clone();
                self.commit(block, certificate);
            }
            None if self.certified.is_none() => {
                self.certified = Some((certificate, from));
                self.fetch(id);
            }
            None => {}
        }
    }

    /// Hands block and certificate to the host.
    pub(super) fn commit(&mut self, block: Arc<Block>, certificate: Certificate) {
        self.phase = Phase::Committing;
        self.signers = certificate
            .signers
            .iter()
            .map(|byte| byte.count_ones() as usize)
            .sum();
        self.fx.out.push(Output::Commit { block, certificate });
    }

    /// The host has stored the block.
    pub(super) fn on_committed(&mut self, head: Head, set: Arc<ValidatorSet>) {
        if self.phase != Phase::Committing || head.height != self.height() {
            return self.halt(format!(
                "the application reports height {} while {} is being committed",
                head.height,
                self.height()
            ));
        }
        self.head = head;
        self.set = Set::new(set);
        self.phase = Phase::Idle;
        self.certified = None;
        self.wants.clear();
        self.fx.timers.cancel_blocks();
        self.fx.timers.cancel_steps();
        self.fx.logging = false;
        for id in self.blocks.forget_through(head.height) {
            self.fx.out.push(Output::BlockVerdict(id, Verdict::Ignore));
        }
        self.ahead.forget_below(self.height());
        let now = self.fx.now.elapsed;
        let start = if self.core_decided_head() {
            now.max(self.started_at + self.config.slot)
        } else {
            // Others decided it before us: no time to lose.
            now
        };
        self.fx.timers.set(Timer::Start, start);
    }
}
