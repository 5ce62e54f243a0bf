//! Who runs a job.
//!
//! - A job interests us from its posting until it is accepted; rank `r` acts
//!   from slot `posted + r` (the next block is what an assignment enters).
//! - Workers are found in the DHT: who is not there now is not chosen, so
//!   without capability records nothing is assigned. The state decides who is
//!   eligible: registration, stake, standing, room, price.
//! - Among the eligible we draw with weights: reputation counts, load counts
//!   against, and newcomers keep a share. The draw's randomness is the
//!   event's.
//! - One choice at a time: while an assignment of ours may still enter a block,
//!   no other is made. If the chosen worker does not accept in time, we look
//!   again, and take it again only if nobody else is there.
//! - Begun again after a stop: open jobs are found in the state.

use crate::machine::{Action, Context, Event, LOOK_AROUND_SLOTS, Role, Submission};
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
    /// Jobs that still need somebody.
    open: BTreeMap<JobId, Open>,
    bonded: bool,
    looked: Option<Slot>,
}

/// What we did about an open job.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    /// Slot of the last search for workers.
    searched: Option<Slot>,
    /// Last slot that may include our assignment.
    chosen_until: Option<Slot>,
}

impl Coordinator {
    /// For a coordinator's account.
    pub fn new(account: Account) -> Self {
        Self {
            account,
            open: BTreeMap::new(),
            bonded: false,
            looked: None,
        }
    }

    /// Jobs that still need a worker.
    pub fn open_jobs(&self) -> usize {
        self.open.len()
    }

    fn on_block(&mut self, cx: &Context<'_>, events: &[StateEvent]) -> Vec<Action> {
        let mut actions = self.bond_once(cx);
        for event in events {
            match event {
                StateEvent::JobPosted { job } => self.open_job(*job),
                // Ours or somebody else's choice: now the worker has its time.
                StateEvent::JobAssigned { job, .. } => {
                    if let Some(open) = self.open.get_mut(job) {
                        open.chosen_until = None;
                    }
                }
                StateEvent::JobAccepted { job, .. }
                | StateEvent::JobExpired { job, .. }
                | StateEvent::JobCancelled { job } => {
                    self.open.remove(job);
                }
                _ => {}
            }
        }
        self.look_around(cx);
        let waiting: Vec<JobId> = self.open.keys().copied().collect();
        for id in waiting {
            let Some(record) = still_open(cx, &id) else {
                self.open.remove(&id);
                continue;
            };
            if self.wants_worker(cx, &id, &record)
                && let Some(open) = self.open.get_mut(&id)
                // One look a slot: a try takes less than that.
                && open.searched != Some(cx.slot)
            {
                open.searched = Some(cx.slot);
                actions.push(Action::FindWorkers {
                    job: id,
                    model: record.model,
                });
            }
        }
        actions
    }

    fn open_job(&mut self, job: JobId) {
        if self.open.len() < JOBS_MAX {
            self.open.entry(job).or_default();
        }
    }

    /// Open jobs that we have not heard of.
    fn look_around(&mut self, cx: &Context<'_>) {
        if self
            .looked
            .is_some_and(|at| cx.slot.since(at) < LOOK_AROUND_SLOTS)
        {
            return;
        }
        self.looked = Some(cx.slot);
        for (id, job) in cx.unfinished() {
            if matches!(job.status, JobStatus::Posted | JobStatus::Assigned) {
                self.open_job(id);
            }
        }
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

    /// Whether a job needs a worker and we may choose one for the next block.
    fn wants_worker(&self, cx: &Context<'_>, id: &JobId, record: &JobRecord) -> bool {
        let p = cx.rules.params();
        let next = cx.slot.after(1);
        let free = match (record.status, &record.assignment) {
            (JobStatus::Posted, _) => true,
            (JobStatus::Assigned, Some(a)) => next.since(a.slot) > p.accept_slots,
            _ => false,
        };
        let chosen = self.open.get(id).and_then(|open| open.chosen_until);
        if !free || next >= record.deadline || chosen.is_some_and(|until| next <= until) {
            return false;
        }
        let Ok(ranking) = coordinator_ranking(cx.state, id, p.coordinator_stake_min) else {
            return false;
        };
        let rank = ranking.iter().position(|a| *a == self.account);
        rank.is_some_and(|rank| record.posted.after(rank as u64) <= next)
    }

    fn choose(&mut self, cx: &Context<'_>, id: &JobId, candidates: Vec<Capability>) -> Vec<Action> {
        let Some(record) = still_open(cx, id).filter(|job| self.wants_worker(cx, id, job)) else {
            return Vec::new();
        };
        let mut weighted = Vec::new();
        for candidate in &candidates {
            if let Some((worker, weight)) = weight(cx, &record, candidate) {
                weighted.push((candidate.worker, worker.registration_epoch, weight));
            }
        }
        weighted.sort();
        weighted.dedup_by_key(|(account, ..)| *account);
        // Who just let us wait is chosen only if nobody else is there.
        if let Some(previous) = record.assignment.as_ref().map(|a| a.worker)
            && weighted.iter().any(|(account, ..)| *account != previous)
        {
            weighted.retain(|(account, ..)| *account != previous);
        }
        let Some((worker, worker_epoch)) = draw(&weighted, id, &cx.entropy) else {
            let said = format!(
                "job {}: none of {} workers found in the DHT is eligible",
                id.short(),
                candidates.len()
            );
            return vec![Action::Say(said)];
        };
        // So short that it cannot enter a block after this worker's time to
        // accept has passed.
        let expiry = cx
            .slot
            .after(cx.rules.params().accept_slots.saturating_add(1));
        self.open.entry(*id).or_default().chosen_until = Some(expiry);
        vec![Action::Submit {
            what: Submission::Assign(*id),
            action: TxAction::Assign {
                job: *id,
                worker,
                worker_epoch,
            },
            expiry,
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
            Event::SubmissionFailed {
                what: Submission::Bond,
            } => {
                self.bonded = false;
                Vec::new()
            }
            Event::SubmissionFailed {
                what: Submission::Assign(job),
            } => {
                if let Some(open) = self.open.get_mut(&job) {
                    open.chosen_until = None;
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

fn still_open(cx: &Context<'_>, id: &JobId) -> Option<JobRecord> {
    cx.job(id)
        .filter(|job| matches!(job.status, JobStatus::Posted | JobStatus::Assigned))
}

/// The worker's record and weight, if the state allows it for this job.
fn weight(
    cx: &Context<'_>,
    job: &JobRecord,
    candidate: &Capability,
) -> Option<(WorkerRecord, u64)> {
    let p = cx.rules.params();
    let worker: WorkerRecord = load(cx.state, &keys::worker(&candidate.worker), "worker")
        .ok()
        .flatten()?;
    let standing = reputation_now(&worker, cx.slot, p.epoch_slots);
    let open = worker.open_payments.checked_add(job.payment)?;
    // What it registered with, and what it says it has now.
    let registration = worker.registration.as_ref()?;
    let kind = candidate.tee_kind.code();
    let takes = |kind: &u8| job.tee_kinds.is_empty() || job.tee_kinds.contains(kind);
    let eligible = worker.stake >= p.worker_stake_min
        && registration.until > cx.slot
        && standing > p.reputation_banned
        && standing >= job.reputation_min
        && worker.jobs_running < p.worker_jobs_max
        && candidate.slots_free > 0
        && candidate.price_min <= job.payment
        && candidate.models.contains(&job.model)
        && [kind, registration.kind].iter().all(takes)
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
