//! The engine's wishes, carried out: signing, checking, timers, the log, and
//! what goes out.
//!
//! - Nothing that is pushed out here leaves before the log is flushed: the
//!   caller flushes once, after the whole input was processed.
//! - What needs blocks or the application is left as an [`Event`] for the
//!   caller, who sees it when the engine has finished.
//! - While the log is replayed, what stands in it is not written again; a vote
//!   that the crash kept out of it is.

use super::context::Ctx;
use super::io::{Now, Output};
use super::messages::Message;
use super::record;
use super::signing::{Checker, VoteKey, sign_proposal, sign_vote};
use super::timers::{Timer, Timers};
use super::wal::Wal;
use aether_mesh::BlockId;
use arc_malachitebft_core_consensus::{
    ConsensusMsg, Effect, LivenessMsg, Resumable, Resume, SignedConsensusMsg, VoteExtensionError,
};
use arc_malachitebft_core_types::{CommitCertificate, DoubleVote, LinearTimeouts, Round, Timeout};
use std::collections::{HashSet, VecDeque};
use std::io;

/// What the engine left for its host to do.
#[derive(Debug)]
pub(super) enum Event {
    /// It is our turn: a block for this round, please.
    GetValue(Round),
    /// The height is decided.
    Decided(CommitCertificate<Ctx>),
    /// A proposal went out: its block must follow.
    Proposed(BlockId),
}

/// Carries out effects. One field for each thing the engine may touch.
pub(super) struct Effects {
    pub(super) ctx: Ctx,
    pub(super) key: Option<VoteKey>,
    pub(super) checker: Checker,
    pub(super) timers: Timers,
    pub(super) timeouts: LinearTimeouts,
    pub(super) now: Now,
    pub(super) out: Vec<Output>,
    pub(super) events: VecDeque<Event>,
    wal: Box<dyn Wal>,
    /// Whether anything must be flushed.
    dirty: bool,
    /// Off for heights we do not vote at, and once the height is decided.
    pub(super) logging: bool,
    /// During replay, what the log holds.
    pub(super) replaying: Option<HashSet<Vec<u8>>>,
}

impl Effects {
    pub(super) fn new(
        ctx: Ctx,
        key: Option<VoteKey>,
        timeouts: LinearTimeouts,
        wal: Box<dyn Wal>,
    ) -> Self {
        let checker = Checker::new(ctx.chain);
        Self {
            ctx,
            key,
            checker,
            timers: Timers::default(),
            timeouts,
            now: Now::default(),
            out: Vec::new(),
            events: VecDeque::new(),
            wal,
            dirty: false,
            logging: false,
            replaying: None,
        }
    }

    /// Appends to the log, unless that is being replayed and has it.
    pub(super) fn log(&mut self, record: Vec<u8>) {
        let known = self
            .replaying
            .as_ref()
            .is_some_and(|log| log.contains(&record));
        if self.logging && !known {
            self.wal.append(record);
            self.dirty = true;
        }
    }

    /// Makes the log durable.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.dirty) {
            self.wal.flush()
        } else {
            Ok(())
        }
    }

    /// Starts the log of a height.
    pub(super) fn reset_log(&mut self, height: aether_mesh::Slot) -> io::Result<()> {
        self.dirty = false;
        self.wal.reset(height)
    }

    fn publish(&mut self, message: &Message) {
        self.out
            .push(Output::Publish(message.encode(self.now.unix_ms)));
    }

    fn schedule(&mut self, timeout: Timeout) {
        let at = self.now.elapsed + self.timeouts.duration_for(timeout);
        self.timers.set(Timer::step(timeout), at);
    }

    /// Votes that contradict each other, in the protocol's form.
    pub(super) fn double_votes(&mut self, pairs: impl IntoIterator<Item = DoubleVote<Ctx>>) {
        for (first, second) in pairs {
            self.out.push(Output::DoubleVote(
                Box::new(first.message.to_mesh(first.signature)),
                Box::new(second.message.to_mesh(second.signature)),
            ));
        }
    }

    /// Carries out one effect. An error here is ours: the engine asked for a
    /// signature that nobody can make.
    pub(super) fn carry_out(&mut self, effect: Effect<Ctx>) -> Result<Resume<Ctx>, NoKey> {
        Ok(match effect {
            Effect::CancelAllTimeouts(r) => {
                self.timers.cancel_steps();
                r.resume_with(())
            }
            Effect::CancelTimeout(timeout, r) => {
                self.timers.cancel(Timer::step(timeout));
                r.resume_with(())
            }
            Effect::ScheduleTimeout(timeout, r) => {
                self.schedule(timeout);
                r.resume_with(())
            }
            Effect::StartRound(height, round, proposer, role, r) => {
                tracing::debug!(%height, %round, %proposer, ?role, "round starts");
                r.resume_with(())
            }
            Effect::PublishConsensusMsg(SignedConsensusMsg::Vote(vote), r) => {
                self.publish(&Message::Vote(vote));
                r.resume_with(())
            }
            Effect::PublishConsensusMsg(SignedConsensusMsg::Proposal(proposal), r) => {
                self.events
                    .push_back(Event::Proposed(proposal.message.value.0));
                self.publish(&Message::Proposal(proposal));
                r.resume_with(())
            }
            Effect::PublishLivenessMsg(message, r) => {
                self.publish(&match message {
                    LivenessMsg::Vote(vote) => Message::Vote(vote),
                    LivenessMsg::PolkaCertificate(c) => Message::Polka(c),
                    LivenessMsg::SkipRoundCertificate(c) => Message::Round(c),
                });
                r.resume_with(())
            }
            Effect::RepublishVote(vote, r) => {
                self.publish(&Message::Vote(vote));
                r.resume_with(())
            }
            Effect::RepublishRoundCertificate(certificate, r) => {
                self.publish(&Message::Round(certificate));
                r.resume_with(())
            }
            Effect::GetValue(_, round, _, r) => {
                self.events.push_back(Event::GetValue(round));
                r.resume_with(())
            }
            // The proposal is published right after, and its block with it.
            Effect::RestreamProposal(_, _, _, _, _, r) => r.resume_with(()),
            Effect::Decide(certificate, _, r) => {
                self.events.push_back(Event::Decided(certificate));
                self.logging = false;
                r.resume_with(())
            }
            Effect::Finalize(_, _, evidence, r) => {
                self.double_votes(evidence.votes.into_iter().flat_map(|(_, pairs)| pairs));
                r.resume_with(())
            }
            Effect::SignVote(vote, r) => {
                let key = self.key.as_ref().ok_or(NoKey)?;
                r.resume_with(sign_vote(key, &self.ctx.chain, vote, &mut self.checker))
            }
            Effect::SignProposal(proposal, r) => {
                let key = self.key.as_ref().ok_or(NoKey)?;
                r.resume_with(sign_proposal(
                    key,
                    &self.ctx.chain,
                    proposal,
                    &mut self.checker,
                ))
            }
            Effect::VerifySignature(message, key, r) => {
                let valid = match &message.message {
                    ConsensusMsg::Vote(vote) => self.checker.vote(vote, message.signature, &key),
                    ConsensusMsg::Proposal(proposal) => {
                        self.checker.proposal(proposal, message.signature, &key)
                    }
                };
                r.resume_with(valid)
            }
            Effect::VerifyCommitCertificate(certificate, set, thresholds, r) => r.resume_with(
                self.checker
                    .commit_certificate(&self.ctx, &certificate, &set, thresholds),
            ),
            Effect::VerifyExtendedCommitCertificate(certificate, set, thresholds, _, r) => {
                let certificate = certificate.trim_vote_extensions();
                let result =
                    self.checker
                        .commit_certificate(&self.ctx, &certificate, &set, thresholds);
                r.resume_with(result)
            }
            Effect::VerifyPolkaCertificate(certificate, set, thresholds, r) => r.resume_with(
                self.checker
                    .polka_certificate(&self.ctx, &certificate, &set, thresholds),
            ),
            Effect::VerifyRoundCertificate(certificate, set, thresholds, r) => r.resume_with(
                self.checker
                    .round_certificate(&self.ctx, &certificate, &set, thresholds),
            ),
            Effect::WalAppend(_, input, r) => {
                if let Some(record) = record::encode_input(&input) {
                    self.log(record);
                }
                r.resume_with(())
            }
            // Synced blocks do not pass through the engine.
            Effect::CertVerifiedSyncValue(_, _, r) => r.resume_with(()),
            Effect::CertRejectedSyncValue(_, _, _, r) => r.resume_with(()),
            // We use no vote extensions.
            Effect::ExtendVote(_, _, _, _, r) => r.resume_with(None),
            Effect::VerifyVoteExtension(_, _, _, _, _, _, r) => {
                r.resume_with(Err(VoteExtensionError::InvalidVoteExtension))
            }
        })
    }
}

/// The engine asked for a signature on a node without a key.
#[derive(Debug)]
pub(super) struct NoKey;
