//! Which VCRs to re-execute, when to commit and when to reveal.
//!
//! - Every VCR that enters a block is re-executed and compared element by
//!   element, up to [`RECHECKS_MAX`] at once.
//! - A difference is committed to at once, hidden and bonded; it is revealed
//!   when the window has closed, and not before, so nobody copies it.
//! - The salt comes from the event's entropy, so a commit cannot be guessed. It
//!   is in memory only: who stops between commit and reveal loses the bond.
//! - Begun in the middle of windows: VCRs that the state still lets us
//!   challenge are re-executed too.

use crate::machine::{Action, Context, Event, LOOK_AROUND_SLOTS, Recheck, Role, Submission};
use aether_mesh::{
    Account, Action as TxAction, Challenge, ChallengeRecord, ChallengeStatus, JobId, Slot,
    StateEvent, TxId, bond_required, challenge_commitment, hash_parts, keys, load,
};
use std::collections::BTreeMap;

/// Re-executions under way; further VCRs are left to other challengers.
pub const RECHECKS_MAX: usize = 256;

struct Hidden {
    challenge: Challenge,
    salt: [u8; 32],
    revealed: bool,
}

/// Re-executes and challenges.
pub struct Challenger {
    account: Account,
    /// VCRs under way or seen: `true` while the re-execution runs.
    seen: BTreeMap<JobId, bool>,
    hidden: BTreeMap<JobId, Hidden>,
    looked: Option<Slot>,
}

impl Challenger {
    /// For a challenger's account.
    pub fn new(account: Account) -> Self {
        Self {
            account,
            seen: BTreeMap::new(),
            hidden: BTreeMap::new(),
            looked: None,
        }
    }

    fn recheck(&mut self, job: JobId, vcr: TxId) -> Option<Action> {
        let running = self.seen.values().filter(|running| **running).count();
        if running >= RECHECKS_MAX || self.seen.contains_key(&job) {
            return None;
        }
        self.seen.insert(job, true);
        Some(Action::Recheck { job, vcr })
    }

    fn on_block(&mut self, cx: &Context<'_>, events: &[StateEvent]) -> Vec<Action> {
        let mut actions = Vec::new();
        for event in events {
            match event {
                StateEvent::VcrSubmitted { job, vcr, .. } => {
                    actions.extend(self.recheck(*job, *vcr));
                }
                StateEvent::JobSettled { job, .. } | StateEvent::JobRefuted { job, .. } => {
                    self.hidden.remove(job);
                    self.seen.remove(job);
                }
                _ => {}
            }
        }
        actions.extend(self.look_around(cx));
        let waiting = self.hidden.iter().filter(|(_, h)| !h.revealed);
        let waiting: Vec<JobId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            actions.extend(self.reveal(cx, &id));
        }
        actions
    }

    /// VCRs with an open window that we have not looked at.
    fn look_around(&mut self, cx: &Context<'_>) -> Vec<Action> {
        if self
            .looked
            .is_some_and(|at| cx.slot.since(at) < LOOK_AROUND_SLOTS)
        {
            return Vec::new();
        }
        self.looked = Some(cx.slot);
        let unfinished = cx.unfinished();
        let ended = |id: &JobId| cx.job(id).is_none_or(|job| job.status.is_terminal());
        self.seen.retain(|id, _| !ended(id));
        self.hidden.retain(|id, _| !ended(id));
        let mut actions = Vec::new();
        for (id, job) in unfinished {
            if let Some(vcr) = job.vcr.filter(|vcr| vcr.closed.is_none()) {
                actions.extend(self.recheck(id, vcr.tx));
            }
        }
        actions
    }

    /// Commits to a difference.
    fn differs(
        &mut self,
        cx: &Context<'_>,
        id: JobId,
        challenge: Challenge,
        step_gas: u64,
    ) -> Vec<Action> {
        let Some(vcr) = cx.job(&id).and_then(|r| r.vcr) else {
            return Vec::new();
        };
        if vcr.closed.is_some() {
            let why = "the window has closed";
            return vec![Action::Say(format!(
                "job {}: step {} is wrong, but {why}",
                id.short(),
                challenge.step
            ))];
        }
        if self.hidden.contains_key(&id) {
            return Vec::new();
        }
        let salt = hash_parts("aether/salt/v1", &[&cx.entropy, &id.0]);
        let commitment = challenge_commitment(&self.account, &vcr.tx, &challenge.encode(), &salt);
        let bond = bond_required(cx.rules.params(), challenge.witness.bytes_len, step_gas);
        let said = format!(
            "job {}: step {} is wrong, challenging",
            id.short(),
            challenge.step
        );
        self.hidden.insert(
            id,
            Hidden {
                challenge,
                salt,
                revealed: false,
            },
        );
        vec![
            Action::Say(said),
            Action::Submit {
                what: Submission::Commit(id),
                action: TxAction::ChallengeCommit {
                    job: id,
                    vcr: vcr.tx,
                    commitment,
                    bond,
                },
                expiry: vcr.window_end.after(cx.rules.params().window_slots),
            },
        ]
    }

    /// Opens our commit once the window has closed.
    fn reveal(&mut self, cx: &Context<'_>, id: &JobId) -> Vec<Action> {
        let Some(hidden) = self.hidden.get_mut(id).filter(|h| !h.revealed) else {
            return Vec::new();
        };
        let Some(closed) = cx
            .job(id)
            .and_then(|job| job.vcr)
            .and_then(|vcr| vcr.closed)
        else {
            return Vec::new();
        };
        // A commit that no block took cannot be opened.
        let record: Option<ChallengeRecord> =
            load(cx.state, &keys::challenge(id, &self.account), "challenge")
                .ok()
                .flatten();
        if record.is_none_or(|r| r.status != ChallengeStatus::Committed) {
            self.hidden.remove(id);
            return vec![Action::Say(format!(
                "job {}: our commit came too late",
                id.short()
            ))];
        }
        hidden.revealed = true;
        vec![Action::Submit {
            what: Submission::Reveal(*id),
            action: TxAction::ChallengeReveal {
                job: *id,
                encoded: hidden.challenge.encode(),
                challenge: hidden.challenge.clone(),
                salt: hidden.salt,
            },
            expiry: closed.after(cx.rules.params().reveal_slots),
        }]
    }
}

impl Role for Challenger {
    fn account(&self) -> Account {
        self.account
    }

    fn handle(&mut self, cx: &Context<'_>, event: Event) -> Vec<Action> {
        match event {
            Event::Block { events } => self.on_block(cx, &events),
            Event::Rechecked { job, result } => {
                if let Some(running) = self.seen.get_mut(&job) {
                    *running = false;
                }
                match result {
                    Ok(Recheck::Agrees) => {
                        vec![Action::Say(format!(
                            "job {}: every step agrees",
                            job.short()
                        ))]
                    }
                    Ok(Recheck::Differs {
                        challenge,
                        step_gas,
                    }) => self.differs(cx, job, challenge, step_gas),
                    Err(why) => {
                        vec![Action::Say(format!(
                            "job {}: not re-executed: {why}",
                            job.short()
                        ))]
                    }
                }
            }
            // Refused, for want of money perhaps: with the window still open it
            // is tried again when we next look around.
            Event::SubmissionFailed {
                what: Submission::Commit(job),
            } => {
                self.hidden.remove(&job);
                self.seen.remove(&job);
                Vec::new()
            }
            Event::SubmissionFailed {
                what: Submission::Reveal(job),
            } => {
                if let Some(hidden) = self.hidden.get_mut(&job) {
                    hidden.revealed = false;
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}
