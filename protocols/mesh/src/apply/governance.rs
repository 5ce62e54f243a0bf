//! Which rules of evidence are in force, and the validators' votes for others.
//!
//! - A vote names the next sequence and all of the rules; a validator may
//!   change its vote while the sequence is open.
//! - The vote that brings equal rules above 2/3 of the power writes them into
//!   the state; they count `governance_delay_slots` later, so that operators
//!   see them coming. Until then nothing further can be voted.

use super::Env;
use crate::events::StateEvent;
use crate::keys;
use crate::primitives::{Account, hash_parts};
use crate::refusal::Refusal;
use crate::tee::{TeeRules, TeeRulesRecord, rules_at};
use crate::validators::VALIDATORS_MAX;
use crate::view::View;
use borsh::BorshDeserialize;

/// The rules that hold in this block, and their sequence.
pub(super) fn rules_in_force(env: &Env<'_>, view: &View<'_>) -> Result<(u64, TeeRules), Refusal> {
    rules_at(view.reader(), &env.rules.tee_rules, env.ctx.slot)
}

pub(super) fn vote(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    voter: &Account,
    sequence: u64,
    rules: &TeeRules,
) -> Result<(), Refusal> {
    let set = &env.rules.validators;
    if set.get(voter).is_none() {
        return Err(Refusal::Never("only validators vote on rules of evidence"));
    }
    let newest: u64 = view.load(keys::TEE_SEQUENCE, "sequence")?.unwrap_or(0);
    if sequence <= newest {
        return Err(Refusal::Over("these rules of evidence are decided"));
    }
    if sequence > newest + 1 {
        return Err(Refusal::NotNow("an earlier sequence is not decided yet"));
    }
    if rules_in_force(env, view)?.0 != newest {
        return Err(Refusal::NotNow(
            "the rules voted last have not taken effect yet",
        ));
    }
    let bytes = borsh::to_vec(rules).map_err(|_| Refusal::Overflow)?;
    let choice = hash_parts("aether/tee-rules/v1", &[&bytes]);
    let key = keys::tee_vote(sequence, voter);
    if view.load::<[u8; 32]>(&key, "vote")? == Some(choice) {
        return Err(Refusal::Over("this validator has voted so"));
    }
    view.store(key, &choice)?;

    let votes = view.scan(&keys::tee_votes(sequence), b"", VALIDATORS_MAX)?;
    let mut power = 0u64;
    for (key, value) in &votes {
        let same = <[u8; 32]>::try_from_slice(value)
            .map_err(|_| Refusal::Corrupted("vote"))
            .map(|hash| hash == choice)?;
        let voter = key.get(9..).and_then(Account::from_slice);
        let voter = voter.ok_or(Refusal::Corrupted("vote key"))?;
        if same {
            power += set.get(&voter).map_or(0, |v| v.power);
        }
    }
    if !set.is_quorum(power) {
        return Ok(());
    }
    for (key, _) in votes {
        view.remove(key);
    }
    let effective = env
        .ctx
        .slot
        .after(env.rules.params().governance_delay_slots.max(1));
    let record = TeeRulesRecord {
        effective,
        rules: rules.clone(),
    };
    view.store(keys::tee_rules(sequence), &record)?;
    view.store(keys::TEE_SEQUENCE.to_vec(), &sequence)?;
    events.push(StateEvent::TeeRulesChanged {
        sequence,
        effective,
    });
    Ok(())
}
