//! Which evidence counts, and the validators' votes for other rules.

use crate::rpc::error::ApiError;
use aether_mesh::{
    Account, Refusal, Rules, Slot, StateReader, TeeRulesText, keys, newest_rules, rules_at,
};
use borsh::BorshDeserialize;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which evidence counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeeView {
    /// How often the validators have changed the rules.
    pub sequence: u64,
    /// The rules in force in the next block.
    pub rules: TeeRulesText,
    /// Rules that were voted and do not count yet.
    pub waiting: Option<WaitingRulesView>,
    /// Votes for the sequence that is open, equal rules counted together.
    pub votes: Vec<TeeVotesView>,
}

/// Rules that will count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRulesView {
    /// Their sequence.
    pub sequence: u64,
    /// First slot in which they count.
    pub effective: Slot,
    /// All of them.
    pub rules: TeeRulesText,
}

/// Votes for the same rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeeVotesView {
    /// Hash of the rules, hex.
    pub rules: String,
    /// Who votes for them.
    pub validators: Vec<Account>,
    /// Their power, of how much.
    pub power: u64,
    /// Power of all validators; more than two thirds of it decide.
    pub total_power: u64,
}

impl TeeView {
    /// What the state after `slot` says.
    pub(crate) fn of(state: &dyn StateReader, rules: &Rules, slot: Slot) -> Result<Self, ApiError> {
        let (sequence, now) = rules_at(state, &rules.tee_rules, slot.after(1))?;
        let newest = newest_rules(state)?;
        let waiting = newest.as_ref().filter(|(n, _)| *n > sequence);
        let open = newest.as_ref().map_or(0, |(n, _)| *n) + 1;
        let set = &rules.validators;
        let mut votes: BTreeMap<[u8; 32], TeeVotesView> = BTreeMap::new();
        for (key, value) in state
            .scan(&keys::tee_votes(open), b"", set.len())
            .map_err(Refusal::from)?
        {
            let hash = <[u8; 32]>::try_from_slice(&value);
            let hash = hash.map_err(|_| Refusal::Corrupted("vote"))?;
            let voter = key.get(9..).and_then(Account::from_slice);
            let voter = voter.ok_or(Refusal::Corrupted("vote key"))?;
            let same = votes.entry(hash).or_insert_with(|| TeeVotesView {
                rules: hex::encode(hash),
                validators: Vec::new(),
                power: 0,
                total_power: set.total_power(),
            });
            same.validators.push(voter);
            same.power += set.get(&voter).map_or(0, |v| v.power);
        }
        Ok(Self {
            sequence,
            rules: TeeRulesText::from(&now),
            waiting: waiting.map(|(sequence, record)| WaitingRulesView {
                sequence: *sequence,
                effective: record.effective,
                rules: TeeRulesText::from(&record.rules),
            }),
            votes: votes.into_values().collect(),
        })
    }
}
