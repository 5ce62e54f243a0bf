//! What time brings, at the beginning of a block: the parent's id and the
//! proposer are noted, vested rewards become free, verdicts are worked off,
//! and jobs whose slot has come are looked at.
//!
//! - A job without a VCR past its deadline expires: the payment goes back;
//!   only a worker that had accepted loses standing.
//! - A window closes after its last slot, once proposers with more than 1/3
//!   of stake have made blocks since the VCR (censors cannot outwait it). The
//!   block that closes it does not count: it can hold no commit any more.
//! - With commits, reveals follow for a fixed time; the end waits for every
//!   verdict. One upheld challenge refutes; otherwise the job settles.

use super::challenges::work_off_verdicts;
use super::jobs::{known, release};
use super::registration::free_place;
use super::{Env, reputation};
use crate::events::StateEvent;
use crate::keys;
use crate::primitives::{Account, Amount, JobId, Slot};
use crate::records::{ChallengeRecord, ChallengeStatus, JobRecord, JobStatus, Outcome};
use crate::refusal::Refusal;
use crate::view::{Bucket, View};
use borsh::BorshDeserialize;
use std::collections::BTreeSet;

/// Most due entries looked at in one block; the rest wait for the next.
const DUE_PER_BLOCK_MAX: usize = 10_000;

pub(super) fn begin_block(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
) -> Result<(), Refusal> {
    let slot = env.ctx.slot;
    note_block(env, view)?;
    free_vested(view, slot)?;
    work_off_verdicts(env, view, events)?;
    for (key, _) in view.scan(keys::DUE, b"", DUE_PER_BLOCK_MAX)? {
        let (due, job) = keys::split_slot(&key).ok_or(Refusal::Corrupted("due key"))?;
        if due > slot {
            break;
        }
        let id = JobId::from_slice(job).ok_or(Refusal::Corrupted("due key"))?;
        view.remove(key);
        look_at(env, view, events, &id)?;
    }
    Ok(())
}

/// Remembers the parent and the proposer for as long as anybody may ask.
fn note_block(env: &Env<'_>, view: &mut View<'_>) -> Result<(), Refusal> {
    let p = env.rules.params();
    let slot = env.ctx.slot;
    let parent = Slot(slot.0.saturating_sub(1));
    view.store(keys::block_id(parent), &env.ctx.parent_id)?;
    view.store(keys::proposer(slot), &env.ctx.proposer)?;
    let forget = |keep: u64| slot.0.checked_sub(keep).map(Slot);
    if let Some(old) = forget(p.evidence_age_slots_max + 2) {
        view.remove(keys::block_id(old));
    }
    if let Some(old) = forget(p.unbonding_slots) {
        view.remove(keys::proposer(old));
    }
    Ok(())
}

fn free_vested(view: &mut View<'_>, slot: Slot) -> Result<(), Refusal> {
    for (key, value) in view.scan(keys::VESTING, b"", DUE_PER_BLOCK_MAX)? {
        let (free_at, rest) = keys::split_slot(&key).ok_or(Refusal::Corrupted("vesting key"))?;
        if free_at > slot {
            break;
        }
        let account = rest
            .get(..32)
            .and_then(Account::from_slice)
            .ok_or(Refusal::Corrupted("vesting key"))?;
        let amount = Amount::try_from_slice(&value).map_err(|_| Refusal::Corrupted("vesting"))?;
        view.remove(key);
        view.credit(&account, amount, Bucket::Vesting)?;
    }
    Ok(())
}

fn look_at(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    id: &JobId,
) -> Result<(), Refusal> {
    let job = known(view, id)?;
    match job.status {
        JobStatus::Posted | JobStatus::Assigned | JobStatus::Accepted
            if env.ctx.slot > job.deadline =>
        {
            expire(env, view, events, id, job)
        }
        JobStatus::Submitted => look_at_window(env, view, events, id, job),
        _ => Ok(()),
    }
}

fn expire(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    id: &JobId,
    mut job: JobRecord,
) -> Result<(), Refusal> {
    view.credit(&job.requester, job.payment, Bucket::Escrows)?;
    if let Some(assignment) = &job.assignment {
        release(view, &assignment.worker, job.payment)?;
        if job.status == JobStatus::Accepted
            && let Some(mut worker) = view.worker(&assignment.worker)?
        {
            worker.jobs_running = worker.jobs_running.saturating_sub(1);
            worker.missed += 1;
            reputation::lose(env, &mut worker, env.rules.params().reputation_missed);
            view.put_worker(&assignment.worker, &worker)?;
        }
    }
    free_place(view, &mut job)?;
    let outcome = Outcome {
        slot: env.ctx.slot,
        refunded: job.payment,
        ..Outcome::default()
    };
    job.status = JobStatus::Expired;
    job.outcome = Some(outcome.clone());
    view.put_job(id, &job)?;
    events.push(StateEvent::JobExpired { job: *id, outcome });
    Ok(())
}

fn look_at_window(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    id: &JobId,
    mut job: JobRecord,
) -> Result<(), Refusal> {
    let slot = env.ctx.slot;
    let next = slot.after(1);
    let vcr = job
        .vcr
        .as_mut()
        .ok_or(Refusal::Corrupted("a submitted job has no VCR"))?;
    let closed = match vcr.closed {
        Some(closed) => closed,
        // The entry for the slot after the window stands already.
        None if slot <= vcr.window_end => return Ok(()),
        None => {
            if !enough_proposers(env, view, vcr.slot)? {
                view.set_due(next, id);
                return Ok(());
            }
            vcr.closed = Some(slot);
            if vcr.commits > 0 {
                let reveal_until = slot.after(env.rules.params().reveal_slots);
                view.put_job(id, &job)?;
                view.set_due(next, id);
                events.push(StateEvent::WindowClosed {
                    job: *id,
                    reveal_until,
                });
                return Ok(());
            }
            slot
        }
    };
    let reveals_over = slot > closed.after(env.rules.params().reveal_slots);
    let revealing = !reveals_over && vcr.revealed < vcr.commits;
    if revealing || vcr.judged < vcr.revealed {
        view.set_due(next, id);
        return Ok(());
    }
    let challenges = challenges_of(view, id)?;
    if challenges
        .iter()
        .any(|(_, c)| c.status == ChallengeStatus::Upheld)
    {
        refute(env, view, events, id, job, challenges)
    } else {
        settle(env, view, events, id, job, challenges)
    }
}

/// Whether the blocks after the VCR's and before this one were made by holders
/// of more than a third.
fn enough_proposers(env: &Env<'_>, view: &View<'_>, since: Slot) -> Result<bool, Refusal> {
    let from = keys::proposer(since.after(1));
    let span = env.ctx.slot.since(since.after(1)) as usize;
    let mut seen = BTreeSet::new();
    let mut power = 0u64;
    for (_, value) in view.scan(keys::PROPOSERS, &from, span)? {
        let account =
            Account::try_from_slice(&value).map_err(|_| Refusal::Corrupted("proposer"))?;
        if seen.insert(account) {
            power += env.rules.validators.get(&account).map_or(0, |v| v.power);
        }
        if env.rules.validators.is_more_than_third(power) {
            return Ok(true);
        }
    }
    Ok(false)
}

type Challenges = Vec<(Account, ChallengeRecord)>;

fn challenges_of(view: &View<'_>, id: &JobId) -> Result<Challenges, Refusal> {
    let corrupted = || Refusal::Corrupted("challenge");
    let prefix = keys::challenges(id);
    let mut found = Vec::new();
    for (key, value) in view.scan(&prefix, b"", usize::MAX)? {
        let account = key
            .get(prefix.len()..)
            .and_then(Account::from_slice)
            .ok_or_else(corrupted)?;
        let record = ChallengeRecord::try_from_slice(&value).map_err(|_| corrupted())?;
        found.push((account, record));
    }
    // First come, first served: the earlier commits share the reward.
    found.sort_by_key(|(account, record)| (record.slot, *account));
    Ok(found)
}

/// Bonds of challenges that proved nothing are lost: half goes to the worker
/// where it was honest, the rest burns. Upheld ones come back.
fn close_challenges(
    view: &mut View<'_>,
    id: &JobId,
    challenges: &mut Challenges,
    honest_worker: Option<&Account>,
) -> Result<bool, Refusal> {
    let mut defended = false;
    for (challenger, record) in challenges {
        match record.status {
            ChallengeStatus::Upheld => {
                view.credit(challenger, record.bond, Bucket::Bonds)?;
                continue;
            }
            ChallengeStatus::Committed => {
                record.status = ChallengeStatus::Forfeited;
                view.put_challenge(id, challenger, record)?;
            }
            ChallengeStatus::Failed => defended = true,
            ChallengeStatus::Revealed | ChallengeStatus::Forfeited => {}
        }
        let half = match honest_worker {
            Some(worker) => {
                let half = record.bond.bps(5_000).ok_or(Refusal::Overflow)?;
                view.credit(worker, half, Bucket::Bonds)?;
                half
            }
            None => Amount::ZERO,
        };
        let rest = record.bond.checked_sub(half).ok_or(Refusal::Overflow)?;
        view.shift(Bucket::Bonds, Bucket::Burned, rest)?;
    }
    Ok(defended)
}

/// Burn and mint: the payment is burned, worker and coordinator are paid by
/// minting a part of what was burned.
fn settle(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    id: &JobId,
    mut job: JobRecord,
    mut challenges: Challenges,
) -> Result<(), Refusal> {
    let p = env.rules.params();
    let assignment = job
        .assignment
        .clone()
        .ok_or(Refusal::Corrupted("a settled job has no assignment"))?;
    let worker_reward = job
        .payment
        .bps(p.worker_reward_bps)
        .ok_or(Refusal::Overflow)?;
    let coordinator_reward = job
        .payment
        .bps(p.coordinator_reward_bps)
        .ok_or(Refusal::Overflow)?;
    let net_burn = job
        .payment
        .checked_sub(worker_reward)
        .and_then(|rest| rest.checked_sub(coordinator_reward))
        .ok_or(Refusal::Overflow)?;
    view.shift(Bucket::Escrows, Bucket::Burned, job.payment)?;
    view.credit(&assignment.worker, worker_reward, Bucket::Minted)?;
    view.credit(&assignment.coordinator, coordinator_reward, Bucket::Minted)?;
    let defended = close_challenges(view, id, &mut challenges, Some(&assignment.worker))?;
    release(view, &assignment.worker, job.payment)?;
    if let Some(mut worker) = view.worker(&assignment.worker)? {
        worker.settled += 1;
        let points = p.reputation_settled;
        reputation::gain(env, &mut worker, &job.requester, net_burn, points);
        if defended {
            reputation::gain_defended(env, &mut worker);
        }
        view.put_worker(&assignment.worker, &worker)?;
    }
    let outcome = Outcome {
        slot: env.ctx.slot,
        burned: job.payment,
        worker_reward,
        coordinator_reward,
        ..Outcome::default()
    };
    job.status = JobStatus::Settled;
    job.outcome = Some(outcome.clone());
    if let Some(vcr) = &mut job.vcr {
        vcr.closed.get_or_insert(env.ctx.slot);
    }
    view.put_job(id, &job)?;
    events.push(StateEvent::JobSettled { job: *id, outcome });
    Ok(())
}

/// The requester gets the whole escrow back, the worker loses a share of the
/// stake it had at assignment, challengers share a part of that.
fn refute(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    id: &JobId,
    mut job: JobRecord,
    mut challenges: Challenges,
) -> Result<(), Refusal> {
    let p = env.rules.params();
    let assignment = job
        .assignment
        .clone()
        .ok_or(Refusal::Corrupted("a refuted job has no assignment"))?;
    view.credit(&job.requester, job.payment, Bucket::Escrows)?;
    let due = assignment
        .worker_stake
        .bps(p.slash_bps)
        .ok_or(Refusal::Overflow)?;
    let slashed = view.slash_worker(&assignment.worker, due)?;
    let winners: Vec<(Account, Amount)> = challenges
        .iter()
        .filter(|(_, c)| c.status == ChallengeStatus::Upheld)
        .take(p.challengers_max as usize)
        .map(|(account, c)| (*account, c.bond))
        .collect();
    let largest_bond = winners
        .iter()
        .map(|(_, bond)| *bond)
        .max()
        .unwrap_or_default();
    let cap = largest_bond
        .checked_add(job.payment)
        .and_then(|sum| sum.mul_div(u128::from(p.challenge_reward_multiple), 1))
        .ok_or(Refusal::Overflow)?;
    let pool = Amount(slashed.0 / 2).min(cap);
    let share = pool.mul_div(1, winners.len() as u128).unwrap_or_default();
    let mut rewarded = Amount::ZERO;
    for (challenger, _) in &winners {
        view.vest(challenger, id, env.ctx.slot.after(p.unbonding_slots), share)?;
        rewarded = rewarded.checked_add(share).ok_or(Refusal::Overflow)?;
    }
    close_challenges(view, id, &mut challenges, None)?;
    release(view, &assignment.worker, job.payment)?;
    if let Some(mut worker) = view.worker(&assignment.worker)? {
        worker.refuted += 1;
        reputation::lose(env, &mut worker, p.reputation_refuted);
        view.put_worker(&assignment.worker, &worker)?;
    }
    let outcome = Outcome {
        slot: env.ctx.slot,
        refunded: job.payment,
        slashed,
        challengers_reward: rewarded,
        ..Outcome::default()
    };
    job.status = JobStatus::Refuted;
    job.outcome = Some(outcome.clone());
    view.put_job(id, &job)?;
    events.push(StateEvent::JobRefuted {
        job: *id,
        worker: assignment.worker,
        outcome,
    });
    Ok(())
}
