//! The genesis: a network's name, rules, trust and first balances.
//!
//! - A network is a folder; its `genesis.toml` is this. Unknown keys are
//!   refused; contradictory parameters do not build ([`Genesis::check`]).
//! - The chain id is a hash over the canonical encoding of everything in it,
//!   so two networks never share a signature.
//! - Stand-ins exist only where the genesis names them: the simulated TEE
//!   works only under a root listed here, and such a genesis is of kind dev.
//! - Everybody's first stake and balance is in the supply from the start.

use crate::primitives::{Account, Amount, ChainId, hash_parts};
use crate::validators::{ValidatorRecord, ValidatorSet, ValidatorSetError};
use aether_inference as inference;
use aether_kzg::bls;
use borsh::BorshSerialize;
use serde::{Deserialize, Serialize};

mod tee;
pub use tee::{GenesisSnpTcb, GenesisTee, TeeRulesText};

/// Most base units in a genesis: no amount of a network can overflow where a
/// share of it is computed.
const SUPPLY_MAX: Amount = Amount(1 << 88);

/// What kind of network this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// One machine or one team; may trust a simulated TEE.
    Dev,
    /// Public, without value.
    Test,
    /// Public, with value.
    Main,
}

/// Rules with numbers in them. Slots are heights; `bps` are hundredths of a
/// percent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Target time between blocks, milliseconds.
    pub slot_ms: u64,
    /// A header's time may differ this much from a validator's clock, ms.
    pub clock_skew_ms_max: u64,
    /// Slots in an epoch.
    pub epoch_slots: u64,
    /// Least challenge window.
    pub window_slots: u64,
    /// Gas that a modest machine re-executes in a slot: longer jobs get
    /// longer windows.
    pub reference_gas_per_slot: u64,
    /// Bytes that a modest connection fetches in a slot: jobs with larger
    /// blobs get longer windows.
    pub reference_bytes_per_slot: u64,
    /// After the window, the slots in which commits may be revealed.
    pub reveal_slots: u64,
    /// Slots a worker has to accept before the next coordinator may assign.
    pub accept_slots: u64,
    /// Greatest age of TEE evidence, in slots.
    pub evidence_age_slots_max: u64,
    /// A worker's registration counts for so many slots.
    pub registration_slots: u64,
    /// Accepted jobs that may run on one platform at once, whosever workers
    /// share it. Evidence of some kinds names no platform: those workers are
    /// bounded by stake alone.
    pub platform_jobs_max: u32,
    /// A raised number of vendors' collateral counts after so many slots.
    pub collateral_grace_slots: u64,
    /// Voted rules take effect after so many slots.
    pub governance_delay_slots: u64,
    /// Longest deadline a job may ask for.
    pub deadline_slots_max: u64,
    /// Unbonding and vesting time.
    pub unbonding_slots: u64,
    /// Slash for a refuted VCR, of the stake at assignment.
    pub slash_bps: u32,
    /// Slash for a double vote, of the validator's stake.
    pub double_vote_slash_bps: u32,
    /// Minted to the worker, of what was burned.
    pub worker_reward_bps: u32,
    /// Minted to the coordinator, of what was burned.
    pub coordinator_reward_bps: u32,
    /// A challenger's reward is at most this many times bond plus payment.
    pub challenge_reward_multiple: u32,
    /// Valid reveals that share the reward.
    pub challengers_max: u32,
    /// Least challenge bond.
    pub challenge_bond_min: Amount,
    /// Bond per byte of witness and per 1,024 gas re-executed, base units.
    pub challenge_unit_price: u64,
    /// Gas of re-execution that one block judges; at least one verdict is
    /// always worked off.
    pub verdict_gas_per_block: u64,
    /// Concurrent jobs of a worker.
    pub worker_jobs_max: u32,
    /// Least stakes.
    pub worker_stake_min: Amount,
    /// Least bond of a coordinator.
    pub coordinator_stake_min: Amount,
    /// Least stake of a validator.
    pub validator_stake_min: Amount,
    /// Burned per KiB of transaction, begun KiB count whole.
    pub fee_per_kib: Amount,
    /// Least payment of a job.
    pub payment_min: Amount,
    /// Reputation for a settled job.
    pub reputation_settled: i64,
    /// Reputation for a refuted VCR.
    pub reputation_refuted: i64,
    /// Reputation for a deadline missed after accepting.
    pub reputation_missed: i64,
    /// Reputation for winning against a bad challenge.
    pub reputation_defended: i64,
    /// Banned at or below.
    pub reputation_banned: i64,
    /// Most reputation gained in one epoch.
    pub reputation_gain_per_epoch_max: i64,
    /// Gains count only where the net burn is at least this.
    pub reputation_burn_floor: Amount,
    /// Limits on sizes and work.
    pub limits: Limits,
}

/// Most bytes and gas of anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A block's wire bytes.
    pub block_bytes_max: u64,
    /// A gossiped message's bytes, and so a transaction's.
    pub message_bytes_max: u64,
    /// Inputs and outputs inside a transaction; larger ones are blobs.
    pub inline_bytes_max: u64,
    /// Any blob.
    pub blob_bytes_max: u64,
    /// A one-step witness.
    pub witness_bytes_max: u64,
    /// Elements of a trace.
    pub trace_elements_max: u64,
    /// Gas of a job.
    pub job_gas_max: u64,
    /// Gas of one step.
    pub step_gas_max: u64,
    /// Memory of a run.
    pub run_memory_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            block_bytes_max: 4 << 20,
            message_bytes_max: 256 << 10,
            inline_bytes_max: 16 << 10,
            blob_bytes_max: 64 << 20,
            witness_bytes_max: 8 << 20,
            // 124 KiB: a VCR with its trace still fits into one message.
            trace_elements_max: 4096,
            job_gas_max: 1 << 38,
            // About two seconds of the slowest operators.
            step_gas_max: 1 << 31,
            run_memory_bytes_max: 1 << 30,
        }
    }
}

impl Default for Params {
    fn default() -> Self {
        Self {
            slot_ms: 1_000,
            clock_skew_ms_max: 10_000,
            epoch_slots: 600,
            window_slots: 10,
            // Elementwise operators take up to 1 ns a gas: half of one core, so
            // that slow challengers keep up.
            reference_gas_per_slot: 500_000_000,
            // 32 Mbit/s with slots of a second.
            reference_bytes_per_slot: 4 << 20,
            reveal_slots: 5,
            accept_slots: 2,
            evidence_age_slots_max: 60,
            // An hour of slots of a second.
            registration_slots: 3_600,
            platform_jobs_max: 16,
            // Two weeks: vendors publish new levels weeks before they matter.
            collateral_grace_slots: 1_209_600,
            governance_delay_slots: 600,
            deadline_slots_max: 86_400,
            unbonding_slots: 1_200,
            slash_bps: 500,
            double_vote_slash_bps: 500,
            worker_reward_bps: 9_000,
            coordinator_reward_bps: 200,
            challenge_reward_multiple: 10,
            challengers_max: 4,
            challenge_bond_min: Amount::aic(1),
            challenge_unit_price: 100,
            verdict_gas_per_block: 500_000_000,
            worker_jobs_max: 4,
            worker_stake_min: Amount::aic(1_000),
            coordinator_stake_min: Amount::aic(500),
            validator_stake_min: Amount::aic(10_000),
            fee_per_kib: Amount(1_000_000),
            payment_min: Amount(100_000_000),
            reputation_settled: 10,
            reputation_refuted: -50,
            reputation_missed: -20,
            reputation_defended: 5,
            reputation_banned: -100,
            reputation_gain_per_epoch_max: 100,
            reputation_burn_floor: Amount(5_000_000),
            limits: Limits::default(),
        }
    }
}

/// A validator in the genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisValidator {
    /// Its account.
    pub account: Account,
    /// BLS public key, 96 hex digits.
    pub vote_key: String,
    /// Proof that it owns the vote key, 192 hex digits.
    pub proof_of_possession: String,
    /// Its stake, part of the supply.
    pub stake: Amount,
}

/// An account in the genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Whose.
    pub account: Account,
    /// Free balance.
    pub balance: Amount,
}

/// A network's beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// For people.
    pub name: String,
    /// Dev, test or main.
    pub kind: NetworkKind,
    /// Time of height 0, Unix milliseconds.
    pub time_ms: u64,
    /// The rules.
    #[serde(default)]
    pub params: Params,
    /// Trust in evidence.
    #[serde(default)]
    pub tee: GenesisTee,
    /// Who votes.
    pub validators: Vec<GenesisValidator>,
    /// Who owns what.
    #[serde(default)]
    pub accounts: Vec<GenesisAccount>,
}

/// Why a genesis is none. The operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Not TOML of this shape.
    #[error("genesis.toml: {0}")]
    Syntax(String),
    /// A rule contradicts another or an invariant.
    #[error("genesis parameter {name}: {why}")]
    Param {
        /// Which.
        name: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A validator's key or proof is wrong.
    #[error("validator {account}: {why}")]
    Validator {
        /// Whose.
        account: Account,
        /// Why not.
        why: &'static str,
    },
    /// The set as a whole is wrong.
    #[error(transparent)]
    Set(#[from] ValidatorSetError),
    /// An account stands twice.
    #[error("account {0} is listed twice")]
    Duplicate(Account),
    /// Hex that is none, or of the wrong length.
    #[error("tee.{0}: expected hex of the right length")]
    Hex(&'static str),
    /// A list of `[tee]` that holds something unknown, or something twice.
    #[error("tee: {0}")]
    Tee(&'static str),
}

impl Genesis {
    /// Parses and checks `genesis.toml`.
    pub fn from_toml(text: &str) -> Result<Self, GenesisError> {
        let genesis: Genesis =
            toml::from_str(text).map_err(|e| GenesisError::Syntax(e.to_string()))?;
        genesis.check()?;
        Ok(genesis)
    }

    /// The chain id: everything in the genesis decides it.
    pub fn chain_id(&self) -> ChainId {
        let bytes = borsh::to_vec(self).unwrap_or_default();
        ChainId(hash_parts("aether/genesis/v1", &[&bytes]))
    }

    /// The first eight hex digits of the chain id, as topics carry them.
    pub fn genesis8(&self) -> String {
        hex::encode(&self.chain_id().0[..4])
    }

    /// The validator set of the first epoch.
    pub fn validator_set(&self) -> Result<ValidatorSet, GenesisError> {
        Ok(ValidatorSet::from_records(&self.validator_records()?)?)
    }

    /// The set as stored, in account order; proofs of possession checked.
    pub fn validator_records(&self) -> Result<Vec<ValidatorRecord>, GenesisError> {
        let mut records = Vec::with_capacity(self.validators.len());
        for v in &self.validators {
            let wrong = |why| GenesisError::Validator {
                account: v.account,
                why,
            };
            let mut vote_key = [0; 48];
            let mut proof = [0; 96];
            hex::decode_to_slice(&v.vote_key, &mut vote_key)
                .map_err(|_| wrong("vote_key is not 96 hex digits"))?;
            hex::decode_to_slice(&v.proof_of_possession, &mut proof)
                .map_err(|_| wrong("proof_of_possession is not 192 hex digits"))?;
            let key = bls::PublicKey::from_bytes(&vote_key)
                .map_err(|_| wrong("vote_key is not a BLS public key"))?;
            let proof = bls::ProofOfPossession::from_bytes(&proof)
                .map_err(|_| wrong("proof_of_possession is not a BLS signature"))?;
            if !proof.verify(&key) {
                return Err(wrong("proof_of_possession does not verify"));
            }
            // A proof of possession is public: who copies key and proof would
            // otherwise vote with another's signatures.
            if records
                .iter()
                .any(|r: &ValidatorRecord| r.vote_key == vote_key)
            {
                return Err(wrong("vote_key is another validator's"));
            }
            if v.stake < self.params.validator_stake_min {
                return Err(wrong("stake is below validator_stake_min"));
            }
            let power = u64::try_from(v.stake.0 / crate::primitives::AIC)
                .map_err(|_| wrong("stake is too large"))?;
            records.push(ValidatorRecord {
                account: v.account,
                vote_key,
                power,
            });
        }
        records.sort_by_key(|r| r.account);
        Ok(records)
    }

    /// Limits that a run of a job with this gas limit has.
    pub fn run_limits(&self, gas_limit: u64) -> inference::RunLimits {
        let l = &self.params.limits;
        inference::RunLimits {
            gas_limit,
            max_step_gas: l.step_gas_max,
            max_witness_bytes: l.witness_bytes_max,
            max_memory_bytes: l.run_memory_bytes_max,
            // Element 0 is the header's.
            max_steps: u32::try_from(l.trace_elements_max)
                .unwrap_or(u32::MAX)
                .saturating_sub(1),
        }
    }

    /// Window of a job, fixed when it is posted: re-execution at the reference
    /// rate, fetching model and input at the reference bandwidth, and five
    /// slots to look around; never less than the least. What fits into one slot
    /// each is a small job.
    pub fn window_slots(&self, gas_limit: u64, blob_bytes: u64) -> u64 {
        let p = &self.params;
        let run = gas_limit.div_ceil(p.reference_gas_per_slot.max(1));
        let fetch = blob_bytes.div_ceil(p.reference_bytes_per_slot.max(1));
        if run <= 1 && fetch <= 1 {
            return p.window_slots;
        }
        p.window_slots
            .max(run.saturating_add(fetch).saturating_add(5))
    }

    /// Contradictions do not build.
    pub fn check(&self) -> Result<(), GenesisError> {
        let p = &self.params;
        let bad = |name, why| Err(GenesisError::Param { name, why });
        if self.name.is_empty() || self.name.len() > 64 {
            return bad("name", "must have 1 to 64 bytes");
        }
        if p.slot_ms < 100 || p.slot_ms > 60_000 {
            return bad("slot_ms", "must be between 100 and 60000");
        }
        if p.worker_reward_bps.saturating_add(p.coordinator_reward_bps) > 9_900 {
            return bad(
                "worker_reward_bps",
                "reward and coordinator share together may be at most 9900 bps, or dealing with oneself would pay",
            );
        }
        if p.slash_bps == 0 || p.slash_bps > 10_000 || p.double_vote_slash_bps > 10_000 {
            return bad("slash_bps", "must be between 1 and 10000");
        }
        if p.epoch_slots == 0 || p.window_slots == 0 || p.reveal_slots == 0 || p.accept_slots == 0 {
            return bad("window_slots", "slot counts must be positive");
        }
        if p.evidence_age_slots_max == 0 || p.deadline_slots_max == 0 {
            return bad("evidence_age_slots_max", "slot counts must be positive");
        }
        if p.reference_gas_per_slot == 0 || p.reference_bytes_per_slot == 0 {
            return bad("reference_gas_per_slot", "reference rates must be positive");
        }
        if p.challengers_max == 0 || p.worker_jobs_max == 0 {
            return bad("challengers_max", "counts must be positive");
        }
        if p.challenge_bond_min == Amount::ZERO || p.worker_stake_min == Amount::ZERO {
            return bad("challenge_bond_min", "bonds and stakes must be positive");
        }
        if p.reputation_settled < 0 || p.reputation_defended < 0 {
            return bad("reputation_settled", "what is gained may not be negative");
        }
        if p.reputation_refuted > 0 || p.reputation_missed > 0 || p.reputation_banned >= 0 {
            return bad("reputation_refuted", "what is lost must be negative");
        }
        let blobs = p.limits.blob_bytes_max.saturating_mul(2);
        let longest = self
            .window_slots(p.limits.job_gas_max, blobs)
            .saturating_add(p.reveal_slots);
        if p.unbonding_slots <= longest {
            return bad(
                "unbonding_slots",
                "must outlast the longest challenge window, or a cheat could leave before it closes",
            );
        }
        let l = &p.limits;
        if l.inline_bytes_max.saturating_mul(4) > l.message_bytes_max
            || l.trace_elements_max
                .saturating_mul(31)
                .saturating_add(l.inline_bytes_max)
                > l.message_bytes_max
            || l.message_bytes_max > crate::tx::TX_BODY_BYTES_MAX as u64
        {
            return bad(
                "limits.message_bytes_max",
                "must hold a VCR with trace and inline output",
            );
        }
        if l.message_bytes_max.saturating_mul(4) > l.block_bytes_max || l.block_bytes_max > 64 << 20
        {
            return bad(
                "limits.block_bytes_max",
                "must hold several messages, and at most 64 MiB",
            );
        }
        if l.witness_bytes_max > l.blob_bytes_max || l.blob_bytes_max > 1 << 30 {
            return bad(
                "limits.blob_bytes_max",
                "must hold a witness, and at most 1 GiB",
            );
        }
        if p.registration_slots <= p.evidence_age_slots_max || p.platform_jobs_max == 0 {
            return bad(
                "registration_slots",
                "must outlast evidence_age_slots_max, and a platform must hold a job",
            );
        }
        if !self.tee.simulated_roots.is_empty() && self.kind != NetworkKind::Dev {
            return bad(
                "tee.simulated_roots",
                "only a dev network may trust a simulated TEE",
            );
        }
        // The largest product anywhere is (bond + payment) × a u32 multiple.
        let supply = self
            .accounts
            .iter()
            .map(|a| a.balance)
            .chain(self.validators.iter().map(|v| v.stake))
            .try_fold(Amount::ZERO, Amount::checked_add);
        if supply.is_none_or(|s| s > SUPPLY_MAX) {
            return bad(
                "accounts",
                "the supply is larger than the arithmetic allows",
            );
        }
        let mut accounts: Vec<Account> = self.accounts.iter().map(|a| a.account).collect();
        accounts.sort();
        if let Some(w) = accounts.windows(2).find(|w| w[0] == w[1]) {
            return Err(GenesisError::Duplicate(w[0]));
        }
        self.validator_set()?;
        self.trust_anchors()?;
        self.evidence_policy();
        self.tee_rules()?;
        Ok(())
    }
}
