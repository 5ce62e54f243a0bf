//! Who runs a job.
//!
//! - A job interests us from its posting until it is accepted; rank `r` acts
//!   from slot `posted + r` (the next block is what an assignment enters).
//! - Workers are found in the DHT: who is not there now is not chosen, so
//!   without capability records nothing is assigned. The state decides who is
//!   eligible: stake, standing, room, price.
//! - Among the eligible we draw with weights: reputation counts, load counts
//!   against, and newcomers keep a share. The draw's randomness is the
//!   event's.
//! - If the chosen worker does not accept in time, we look again.

use crate::machine::{Action, Context, Event, Role, Submission};
use aether_mesh::{
    Account, Action as TxAction, Capability, JobId, JobRecord, JobStatus, Role as BondRole, Slot,
    StateEvent, WorkerRecord, coordinator_ranking, hash_parts, keys, load, reputation_now,
};
use std::collections::BTreeMap;

/// Jobs looked after at once; more wait for other coordinators.
const JOBS_MAX: usize = 4_096;

/// Weight of a worker without any reputation: newcomers keep a share.
const NEWCOMER_WEIGHT: u64 = 20;

/// Finds a worker for each posted job it is entitled to assign.
pub struct Coordinator {
    account: Account,
    /// Jobs that still need somebody, with the slot of our last try.
    open: BTreeMap<JobId, Option<Slot>>,
    bonded: bool,
}

impl Coordinator {
    /// For a coordinator's account.
    pub fn new(account: Account) -> Self {
        Self { account, open: BTreeMap::new(), bonded: false }
    }

    /// Jobs that still need a worker.
    pub fn open_jobs(&self) -> usize {
        self.open.len()
    }

    fn on_block(&mut self, cx: &Context<'_>, events: &[StateEvent]) -> Vec<Action> {
        let mut actions = self.bond_once(cx);
        for event in events {
            match event {
                StateEvent::JobPosted { job } if self.open.len() < JOBS_MAX => {
                    self.open.insert(*job, None);
                }
                StateEvent::JobAccepted { job, .. }
                | StateEvent::JobExpired { job, .. }
                | StateEvent::JobCancelled { job } => {
                    self.open.remove(job);
                }
                _ => {}
            }
        }
        let waiting: Vec<JobId> = self.open.keys().copied().collect();
        for id in waiting {
            match self.wants_worker(cx, &id) {
                Some(job) => {
                    let tried = self.open.get(&id).copied().flatten();
                    // One look a slot: a try takes less than that.
                    if tried != Some(cx.slot) {
                        self.open.insert(id, Some(cx.slot));
                        actions.push(Action::FindWorkers { job: id, model: job.model });
                    }
                }
                None if !self.still_open(cx, &id) => {
                    self.open.remove(&id);
                }
                None => {}
            }
        }
        actions
    }

    fn bond_once(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let bonded = matches!(cx.state.get(&keys::coordinator(&self.account)), Ok(Some(_)));
        if bonded || self.bonded {
            return Vec::new();
        }
        self.bonded = true;
        vec![Action::Submit {
            what: Submission::Bond,
            action: TxAction::Bond {
                role: BondRole::Coordinator,
                amount: cx.rules.params().coordinator_stake_min,
            },
            expiry: cx.slot.after(100),
        }]
    }

    fn still_open(&self, cx: &Context<'_>, id: &JobId) -> bool {
        job(cx, id).is_some_and(|j| matches!(j.status, JobStatus::Posted | JobStatus::Assigned))
    }

    /// The job, if it needs a worker and we may choose one for the next block.
    fn wants_worker(&self, cx: &Context<'_>, id: &JobId) -> Option<JobRecord> {
        let p = cx.rules.params();
        let record = job(cx, id)?;
        let next = cx.slot.after(1);
        let free = match (record.status, &record.assignment) {
            (JobStatus::Posted, _) => true,
            (JobStatus::Assigned, Some(a)) => next.since(a.slot) > p.accept_slots,
            _ => false,
        };
        if !free || next >= record.deadline {
            return None;
        }
        let ranking = coordinator_ranking(cx.state, id, p.coordinator_stake_min).ok()?;
        let rank = ranking.iter().position(|a| *a == self.account)? as u64;
        (record.posted.after(rank) <= next).then_some(record)
    }

    fn choose(&self, cx: &Context<'_>, id: &JobId, candidates: Vec<Capability>) -> Vec<Action> {
        let Some(record) = self.wants_worker(cx, id) else { return Vec::new() };
        let previous = record.assignment.as_ref().map(|a| a.worker);
        let mut weighted = Vec::new();
        for candidate in &candidates {
            if let Some((worker, weight)) = weight(cx, &record, candidate) {
                // Who just let us wait is chosen only if nobody else is there.
                let weight = if previous == Some(candidate.worker) { 1 } else { weight };
                weighted.push((candidate.worker, worker.registration_epoch, weight));
            }
        }
        weighted.sort();
        weighted.dedup_by_key(|(account, ..)| *account);
        let Some((worker, worker_epoch)) = draw(&weighted, id, &cx.entropy) else {
            let said = format!(
                "job {}: none of {} workers found in the DHT is eligible",
                id.short(),
                candidates.len()
            );
            return vec![Action::Say(said)];
        };
        vec![Action::Submit {
            what: Submission::Assign(*id),
            action: TxAction::Assign { job: *id, worker, worker_epoch },
            expiry: cx.slot.after(cx.rules.params().accept_slots + 1),
        }]
    }
}

impl Role for Coordinator {
    fn account(&self) -> Account {
        self.account
    }

    fn handle(&mut self, cx: &Context<'_>, event: Event) -> Vec<Action> {
        match event {
            Event::Block { events } => self.on_block(cx, &events),
            Event::WorkersFound { job, candidates } => self.choose(cx, &job, candidates),
            Event::SubmissionFailed { what: Submission::Bond } => {
                self.bonded = false;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

fn job(cx: &Context<'_>, id: &JobId) -> Option<JobRecord> {
    load(cx.state, &keys::job(id), "job").ok().flatten()
}

/// The worker's record and weight, if the state allows it for this job.
fn weight(
    cx: &Context<'_>,
    job: &JobRecord,
    candidate: &Capability,
) -> Option<(WorkerRecord, u64)> {
    let p = cx.rules.params();
    let worker: WorkerRecord =
        load(cx.state, &keys::worker(&candidate.worker), "worker").ok().flatten()?;
    let standing = reputation_now(&worker, cx.slot, p.epoch_slots);
    let open = worker.open_payments.checked_add(job.payment)?;
    let kind = candidate.tee_kind.code();
    let eligible = worker.stake >= p.worker_stake_min
        && standing > p.reputation_banned
        && standing >= job.reputation_min
        && worker.jobs_running < p.worker_jobs_max
        && candidate.slots_free > 0
        && candidate.price_min <= job.payment
        && candidate.models.contains(&job.model)
        && (job.tee_kinds.is_empty() || job.tee_kinds.contains(&kind))
        && worker.stake.bps(p.slash_bps)?.0 >= open.0.saturating_mul(2);
    if !eligible {
        return None;
    }
    let standing = u64::try_from(standing.max(0)).unwrap_or(0).min(1_000);
    let weight = (NEWCOMER_WEIGHT + standing) / u64::from(worker.jobs_running + 1);
    Some((worker, weight.max(1)))
}

/// A weighted draw: `hash(entropy, job) mod total` along the sorted list.
fn draw(
    weighted: &[(Account, u64, u64)],
    job: &JobId,
    entropy: &[u8; 32],
) -> Option<(Account, u64)> {
    let total: u64 = weighted.iter().map(|(_, _, w)| *w).sum();
    let digest = hash_parts("aether/draw/v1", &[entropy, &job.0]);
    let (first, _) = digest.split_first_chunk::<8>()?;
    let mut point = u64::from_be_bytes(*first).checked_rem(total)?;
    for (account, epoch, weight) in weighted {
        if point < *weight {
            return Some((*account, *epoch));
        }
        point -= weight;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draw_follows_the_weights() {
        let weighted = [(Account([1; 32]), 1, 90), (Account([2; 32]), 1, 10)];
        let mut first = 0;
        for i in 0..1_000u32 {
            let mut entropy = [0; 32];
            entropy[..4].copy_from_slice(&i.to_be_bytes());
            let (who, _) = draw(&weighted, &JobId([7; 32]), &entropy).unwrap();
            first += u32::from(who == Account([1; 32]));
        }
        assert!((860..940).contains(&first), "{first}");
        assert_eq!(draw(&[], &JobId([7; 32]), &[0; 32]), None);
    }
}
