//! Who votes, with what weight, and who proposes when.
//!
//! - A [`ValidatorSet`] is a list in strictly ascending account order; its
//!   hash stands in every header.
//! - Weights are whole AIC of stake. The total stays below `u64::MAX / 3`,
//!   because the engine multiplies by three.
//! - The proposer of (height, round) is a pure function of the set and the
//!   epoch: a golden-ratio walk over cumulative stake, offset anew each epoch.
//!   Over any stretch each validator proposes in proportion to its stake, and
//!   equal stakes come round evenly.

use crate::primitives::{Account, Slot, hash_parts};
use aether_kzg::bls;
use borsh::{BorshDeserialize, BorshSerialize};

/// One validator as the set knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// The validator's account.
    pub account: Account,
    /// The key its votes are signed with; proof of possession was checked at
    /// registration.
    pub vote_key: bls::PublicKey,
    /// Voting power: whole AIC of stake.
    pub power: u64,
}

/// As stored: the key in its 48 bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ValidatorRecord {
    /// The validator's account.
    pub account: Account,
    /// BLS public key, compressed.
    pub vote_key: [u8; 48],
    /// Whole AIC.
    pub power: u64,
}

/// Why a set is no set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// No validators at all.
    #[error("a validator set may not be empty")]
    Empty,
    /// More than [`VALIDATORS_MAX`].
    #[error("more than {VALIDATORS_MAX} validators")]
    TooMany,
    /// Accounts are not strictly ascending.
    #[error("validators are not in strictly ascending account order")]
    Order,
    /// A validator without power.
    #[error("a validator has no voting power")]
    NoPower,
    /// The total power would overflow the engine's arithmetic.
    #[error("total voting power is too large")]
    TooMuchPower,
    /// Not a valid BLS key.
    #[error("a vote key is not a valid BLS public key")]
    BadKey,
}

/// Most validators in a set.
pub const VALIDATORS_MAX: usize = 1_000;

/// Validators in ascending account order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorSet {
    validators: Vec<Validator>,
    total_power: u64,
    hash: [u8; 32],
}

impl ValidatorSet {
    /// Checks order, weights and bounds.
    pub fn new(validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        if validators.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        if validators.len() > VALIDATORS_MAX {
            return Err(ValidatorSetError::TooMany);
        }
        if validators.windows(2).any(|w| w[0].account >= w[1].account) {
            return Err(ValidatorSetError::Order);
        }
        let mut total_power = 0u64;
        let mut encoded = Vec::with_capacity(validators.len() * 88);
        for v in &validators {
            if v.power == 0 {
                return Err(ValidatorSetError::NoPower);
            }
            total_power = total_power
                .checked_add(v.power)
                .filter(|t| *t < u64::MAX / 3)
                .ok_or(ValidatorSetError::TooMuchPower)?;
            encoded.extend_from_slice(v.account.as_bytes());
            encoded.extend_from_slice(&v.vote_key.to_bytes());
            encoded.extend_from_slice(&v.power.to_be_bytes());
        }
        let hash = hash_parts("aether/validators/v1", &[&encoded]);
        Ok(Self {
            validators,
            total_power,
            hash,
        })
    }

    /// From stored records.
    pub fn from_records(records: &[ValidatorRecord]) -> Result<Self, ValidatorSetError> {
        let validators = records
            .iter()
            .map(|r| {
                let vote_key = bls::PublicKey::from_bytes(&r.vote_key)
                    .map_err(|_| ValidatorSetError::BadKey)?;
                Ok(Validator {
                    account: r.account,
                    vote_key,
                    power: r.power,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(validators)
    }

    /// All of them, in ascending account order.
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.validators.len()
    }

    /// Never: the constructor refuses an empty set.
    pub fn is_empty(&self) -> bool {
        self.validators.is_empty()
    }

    /// Sum of all powers.
    pub fn total_power(&self) -> u64 {
        self.total_power
    }

    /// What headers carry as `validators_hash`.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Position of an account.
    pub fn index_of(&self, account: &Account) -> Option<usize> {
        self.validators
            .binary_search_by(|v| v.account.cmp(account))
            .ok()
    }

    /// The validator of an account.
    pub fn get(&self, account: &Account) -> Option<&Validator> {
        self.index_of(account).and_then(|i| self.validators.get(i))
    }

    /// More than two thirds of all power, in integers.
    pub fn is_quorum(&self, power: u64) -> bool {
        u128::from(power) * 3 > u128::from(self.total_power) * 2
    }

    /// More than one third of all power, in integers.
    pub fn is_more_than_third(&self, power: u64) -> bool {
        u128::from(power) * 3 > u128::from(self.total_power)
    }

    /// Who proposes at (height, round). `epoch_slots` is the genesis' epoch
    /// length: the walk's offset changes with the epoch.
    pub fn proposer(&self, height: Slot, round: u32, epoch_slots: u64) -> &Validator {
        let epoch = height.0 / epoch_slots.max(1);
        let seed = hash_parts("aether/proposer/v1", &[&self.hash, &epoch.to_be_bytes()]);
        let mut first = [0u8; 8];
        first.copy_from_slice(&seed[..8]);
        let total = u128::from(self.total_power);
        // 2^64 / golden ratio: the walk with the most even coverage.
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let turn = height.0.wrapping_add(u64::from(round));
        let position = u64::from_be_bytes(first).wrapping_add(turn.wrapping_mul(STEP));
        let mut point = ((u128::from(position) * total) >> 64) as u64;
        for v in &self.validators {
            if point < v.power {
                return v;
            }
            point -= v.power;
        }
        // `point < total_power` = the sum of all powers, so the loop returned.
        &self.validators[self.validators.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn set(powers: &[u64]) -> ValidatorSet {
        let validators = powers
            .iter()
            .enumerate()
            .map(|(i, &power)| {
                let key = bls::SecretKey::from_key_material(&[i as u8 + 1; 32]).unwrap();
                Validator {
                    account: Account([i as u8; 32]),
                    vote_key: key.public_key(),
                    power,
                }
            })
            .collect();
        ValidatorSet::new(validators).unwrap()
    }

    #[test]
    fn proposals_follow_stake_and_equal_stakes_come_round_evenly() {
        let equal = set(&[10, 10, 10, 10]);
        for start in [1u64, 57, 130] {
            let mut seen = BTreeMap::new();
            for h in start..start + 40 {
                *seen
                    .entry(equal.proposer(Slot(h), 0, 600).account)
                    .or_insert(0) += 1;
            }
            assert!(
                seen.len() == 4 && seen.values().all(|n| (9..=11).contains(n)),
                "{seen:?}"
            );
        }
        let skewed = set(&[60, 20, 20]);
        let first = (1..=100)
            .filter(|h| skewed.proposer(Slot(*h), 0, 600).account == Account([0; 32]))
            .count();
        assert!((58..=62).contains(&first), "{first}");
    }

    #[test]
    fn the_next_round_has_another_proposer() {
        let s = set(&[10, 10, 10, 10]);
        for h in 1..200 {
            let a = s.proposer(Slot(h), 0, 600).account;
            let b = s.proposer(Slot(h), 1, 600).account;
            assert_ne!(a, b, "height {h}");
        }
    }

    #[test]
    fn quorum_is_more_than_two_thirds_in_integers() {
        let s = set(&[1, 1, 1]);
        assert!(!s.is_quorum(2));
        assert!(s.is_quorum(3));
        assert!(!s.is_more_than_third(1));
        assert!(s.is_more_than_third(2));
    }

    #[test]
    fn unordered_or_weightless_sets_are_refused() {
        let mut v = set(&[1, 1]).validators().to_vec();
        v.reverse();
        assert_eq!(ValidatorSet::new(v.clone()), Err(ValidatorSetError::Order));
        v.reverse();
        v[0].power = 0;
        assert_eq!(
            ValidatorSet::new(v.clone()),
            Err(ValidatorSetError::NoPower)
        );
        v[0].power = u64::MAX / 3;
        assert_eq!(ValidatorSet::new(v), Err(ValidatorSetError::TooMuchPower));
        assert_eq!(ValidatorSet::new(vec![]), Err(ValidatorSetError::Empty));
    }
}
