//! Which VCRs to re-execute, when to commit and when to reveal.
//!
//! - Every VCR that enters a block is re-executed and compared element by
//!   element, up to [`RECHECKS_MAX`] at once.
//! - A difference is committed to at once, hidden and bonded; it is revealed
//!   when the window has closed, and not before, so nobody copies it.
//! - The salt is a hash of a secret of ours, so a commit cannot be guessed; and
//!   re-execution is deterministic, so who stops between commit and reveal finds
//!   the very challenge again, and reveals it.
//! - Begun in the middle of windows: VCRs that the state still lets us
//!   challenge, or that we have committed to, are re-executed too.

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
    secret: [u8; 32],
    /// VCRs under way or seen: `true` while the re-execution runs.
    seen: BTreeMap<JobId, bool>,
    hidden: BTreeMap<JobId, Hidden>,
    looked: Option<Slot>,
}

impl Challenger {
    /// For a challenger's account; `secret` hides what it commits to, and has to
    /// be the same after a restart.
    pub fn new(account: Account, secret: [u8; 32]) -> Self {
        Self {
            account,
            secret,
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
            let Some(vcr) = job.vcr else { continue };
            let forgotten = !self.hidden.contains_key(&id) && self.committed(cx, &id).is_some();
            if vcr.closed.is_none() || forgotten {
                actions.extend(self.recheck(id, vcr.tx));
            }
        }
        actions
    }

    /// Our commit to a job's VCR, in a block and not opened yet.
    fn committed(&self, cx: &Context<'_>, id: &JobId) -> Option<ChallengeRecord> {
        let key = keys::challenge(id, &self.account);
        let record: Option<ChallengeRecord> = load(cx.state, &key, "challenge").ok().flatten();
        record.filter(|r| r.status == ChallengeStatus::Committed)
    }

    /// Commits to a difference, or takes up the commit of an earlier life.
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
        if self.hidden.contains_key(&id) {
            return Vec::new();
        }
        let salt = hash_parts("aether/salt/v1", &[&self.secret, &vcr.tx.0]);
        let commitment = challenge_commitment(&self.account, &vcr.tx, &challenge.encode(), &salt);
        if let Some(record) = self.committed(cx, &id) {
            if record.commitment != commitment {
                let why = "our commit hides something else, and its bond is lost";
                return vec![Action::Say(format!("job {}: {why}", id.short()))];
            }
            let hidden = Hidden {
                challenge,
                salt,
                revealed: false,
            };
            self.hidden.insert(id, hidden);
            return self.reveal(cx, &id);
        }
        if vcr.closed.is_some() {
            let why = "the window has closed";
            return vec![Action::Say(format!(
                "job {}: step {} is wrong, but {why}",
                id.short(),
                challenge.step
            ))];
        }
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
        if self.hidden.get(id).is_none_or(|h| h.revealed) {
            return Vec::new();
        }
        let Some(closed) = cx
            .job(id)
            .and_then(|job| job.vcr)
            .and_then(|vcr| vcr.closed)
        else {
            return Vec::new();
        };
        // A commit that no block took cannot be opened.
        if self.committed(cx, id).is_none() {
            self.hidden.remove(id);
            return vec![Action::Say(format!(
                "job {}: our commit came too late",
                id.short()
            ))];
        }
        let Some(hidden) = self.hidden.get_mut(id) else {
            return Vec::new();
        };
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
