//! Transfers, bonds, and what a double vote costs.

use super::Env;
use crate::action::Role;
use crate::certificate::Vote;
use crate::events::StateEvent;
use crate::keys;
use crate::primitives::{Account, Amount};
use crate::records::{CoordinatorRecord, ValidatorState};
use crate::refusal::Refusal;
use crate::view::{Bucket, View};

pub(super) fn transfer(
    view: &mut View<'_>,
    from: &Account,
    to: &Account,
    amount: Amount,
) -> Result<(), Refusal> {
    if amount == Amount::ZERO {
        return Err(Refusal::Never("a transfer of nothing"));
    }
    // Through the books and back, so that a transfer to oneself also balances.
    view.debit(from, amount, Bucket::Escrows)?;
    view.credit(to, amount, Bucket::Escrows)
}

/// Adds to a worker's or coordinator's stake; the whole must reach the least.
pub(super) fn bond(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    signer: &Account,
    role: Role,
    amount: Amount,
) -> Result<(), Refusal> {
    if amount == Amount::ZERO {
        return Err(Refusal::Never("a bond of nothing"));
    }
    let p = env.rules.params();
    // First what the signer has: an amount that exists overflows nothing.
    view.debit(signer, amount, Bucket::Stakes)?;
    let stake = match role {
        Role::Worker => {
            let mut worker = view.worker(signer)?.unwrap_or_default();
            worker.stake = worker.stake.checked_add(amount).ok_or(Refusal::Overflow)?;
            if worker.stake < p.worker_stake_min {
                return Err(Refusal::NotNow("the stake would be below worker_stake_min"));
            }
            if worker.registration_epoch == 0 {
                worker.registration_epoch = env.ctx.slot.0.max(1);
                worker.reputation_epoch = env.ctx.slot.0 / p.epoch_slots;
            }
            view.put_worker(signer, &worker)?;
            worker.stake
        }
        Role::Coordinator => {
            let mut record = view.coordinator(signer)?.unwrap_or_default();
            record.stake = record.stake.checked_add(amount).ok_or(Refusal::Overflow)?;
            if record.stake < p.coordinator_stake_min {
                return Err(Refusal::NotNow(
                    "the bond would be below coordinator_stake_min",
                ));
            }
            view.store(
                keys::coordinator(signer),
                &CoordinatorRecord {
                    stake: record.stake,
                },
            )?;
            record.stake
        }
    };
    events.push(StateEvent::Bonded {
        account: *signer,
        role,
        stake,
    });
    Ok(())
}

/// Two signed votes of one validator for one (height, round, kind) that name
/// different blocks: objective, punished once.
pub(super) fn double_vote(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    first: &Vote,
    second: &Vote,
) -> Result<(), Refusal> {
    let same_place = first.voter == second.voter
        && first.height == second.height
        && first.round == second.round
        && first.kind == second.kind;
    if !same_place || first.block == second.block {
        return Err(Refusal::Never("the two votes do not contradict each other"));
    }
    if first.height > env.ctx.slot {
        return Err(Refusal::NotNow("the votes are about a future height"));
    }
    if env.ctx.slot.since(first.height) > env.rules.params().unbonding_slots {
        return Err(Refusal::Over(
            "the votes are older than the unbonding period",
        ));
    }
    let key = keys::double_vote(first);
    if view.has(&key)? {
        return Err(Refusal::Over("this double vote was punished already"));
    }
    let set = &env.rules.validators;
    if !first.verify(&env.rules.chain_id, set) || !second.verify(&env.rules.chain_id, set) {
        return Err(Refusal::Never("a vote is not signed by its voter"));
    }
    let mut validator: ValidatorState = view
        .load(&keys::validator(&first.voter), "validator")?
        .ok_or(Refusal::Corrupted(
            "a validator of the set has no stake record",
        ))?;
    let slashed = validator
        .stake
        .bps(env.rules.params().double_vote_slash_bps)
        .ok_or(Refusal::Overflow)?;
    validator.stake = validator
        .stake
        .checked_sub(slashed)
        .ok_or(Refusal::Overflow)?;
    validator.jailed = true;
    view.store(keys::validator(&first.voter), &validator)?;
    view.shift(Bucket::Stakes, Bucket::Burned, slashed)?;
    view.mark(key);
    events.push(StateEvent::ValidatorSlashed {
        validator: first.voter,
        slashed,
    });
    Ok(())
}
