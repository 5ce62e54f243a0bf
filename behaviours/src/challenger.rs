//! Which VCRs to re-execute, when to commit and when to reveal.
//!
//! - Every VCR that enters a block is re-executed and compared element by
//!   element, up to [`RECHECKS_MAX`] at once.
//! - A difference is committed to at once, hidden and bonded; it is revealed
//!   when the window has closed, and not before, so nobody copies it.
//! - The salt is the event's entropy, so a commit cannot be guessed.

use crate::machine::{Action, Context, Event, Recheck, Role, Submission};
use aether_mesh::{
    Account, Action as TxAction, Challenge, JobId, JobRecord, StateEvent, bond_required,
    challenge_commitment, hash_parts, keys, load,
};
use std::collections::{BTreeMap, BTreeSet};

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
    checking: BTreeSet<JobId>,
    hidden: BTreeMap<JobId, Hidden>,
}

impl Challenger {
    /// For a challenger's account.
    pub fn new(account: Account) -> Self {
        Self { account, checking: BTreeSet::new(), hidden: BTreeMap::new() }
    }

    fn on_block(&mut self, cx: &Context<'_>, events: &[StateEvent]) -> Vec<Action> {
        let mut actions = Vec::new();
        for event in events {
            match event {
                StateEvent::VcrSubmitted { job, vcr, .. }
                    if self.checking.len() < RECHECKS_MAX =>
                {
                    self.checking.insert(*job);
                    actions.push(Action::Recheck { job: *job, vcr: *vcr });
                }
                StateEvent::WindowClosed { job, .. } => actions.extend(self.reveal(cx, job)),
                StateEvent::JobSettled { job, .. } | StateEvent::JobRefuted { job, .. } => {
                    self.hidden.remove(job);
                    self.checking.remove(job);
                }
                _ => {}
            }
        }
        actions
    }

    fn differs(
        &mut self,
        cx: &Context<'_>,
        id: JobId,
        challenge: Challenge,
        step_gas: u64,
    ) -> Vec<Action> {
        let record: Option<JobRecord> = load(cx.state, &keys::job(&id), "job").ok().flatten();
        let Some(vcr) = record.and_then(|r| r.vcr) else { return Vec::new() };
        let salt = hash_parts("aether/salt/v1", &[&cx.entropy, &id.0]);
        let commitment =
            challenge_commitment(&self.account, &vcr.tx, &challenge.encode(), &salt);
        let bond = bond_required(cx.rules.params(), challenge.witness.bytes_len, step_gas);
        let said = format!("job {}: step {} is wrong, challenging", id.short(), challenge.step);
        self.hidden.insert(id, Hidden { challenge, salt, revealed: false });
        vec![
            Action::Say(said),
            Action::Submit {
                what: Submission::Commit(id),
                action: TxAction::ChallengeCommit { job: id, vcr: vcr.tx, commitment, bond },
                expiry: vcr.window_end.after(cx.rules.params().window_slots),
            },
        ]
    }

    fn reveal(&mut self, cx: &Context<'_>, id: &JobId) -> Vec<Action> {
        let Some(hidden) = self.hidden.get_mut(id).filter(|h| !h.revealed) else {
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
            expiry: cx.slot.after(cx.rules.params().reveal_slots),
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
                self.checking.remove(&job);
                match result {
                    Ok(Recheck::Agrees) => {
                        vec![Action::Say(format!("job {}: every step agrees", job.short()))]
                    }
                    Ok(Recheck::Differs { challenge, step_gas }) => {
                        self.differs(cx, job, challenge, step_gas)
                    }
                    Err(why) => {
                        vec![Action::Say(format!("job {}: not re-executed: {why}", job.short()))]
                    }
                }
            }
            _ => Vec::new(),
        }
    }
}
