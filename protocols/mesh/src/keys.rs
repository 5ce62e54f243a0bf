//! Every key of the state, at a glance.
//!
//! | key | value |
//! | --- | --- |
//! | `a` account | [`AccountRecord`](crate::AccountRecord) |
//! | `b` slot | id of that slot's block, for the evidence's freshness |
//! | `c` account | [`CoordinatorRecord`](crate::CoordinatorRecord) |
//! | `d` slot job | nothing: the job is due for a look at that slot |
//! | `e` voter height round kind | nothing: this double vote was punished |
//! | `g` sequence account | hash of the rules of evidence that this validator votes for |
//! | `j` job | [`JobRecord`](crate::JobRecord) |
//! | `k` platform | accepted jobs that run on it |
//! | `m` model | [`ModelRecord`](crate::ModelRecord) |
//! | `n` slot account job | vesting amount, free at that slot |
//! | `o` blob | nothing: this bundle of endorsements was paid for |
//! | `p` slot | account that proposed that slot's block |
//! | `q` slot job challenger | nothing: a revealed challenge waits for its verdict |
//! | `r` what | [`RatchetRecord`](crate::RatchetRecord) |
//! | `s` | [`Supply`](crate::Supply) |
//! | `t` sequence | [`TeeRulesRecord`](crate::TeeRulesRecord) |
//! | `u` | sequence of the newest rules of evidence |
//! | `v` account | [`ValidatorState`](crate::ValidatorState) |
//! | `w` account | [`WorkerRecord`](crate::WorkerRecord) |
//! | `x` job challenger | [`ChallengeRecord`](crate::ChallengeRecord) |
//!
//! Slots are big-endian, so that scans run in time order.

use crate::certificate::Vote;
use crate::primitives::{Account, BlobId, JobId, ModelId, Slot};

fn key(prefix: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + parts.iter().map(|p| p.len()).sum::<usize>());
    out.push(prefix);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// An account's balance and nonce.
pub fn account(a: &Account) -> Vec<u8> {
    key(b'a', &[&a.0])
}

/// The id of a slot's block.
pub fn block_id(slot: Slot) -> Vec<u8> {
    key(b'b', &[&slot.0.to_be_bytes()])
}

/// A coordinator's bond.
pub fn coordinator(a: &Account) -> Vec<u8> {
    key(b'c', &[&a.0])
}

/// All coordinators.
pub const COORDINATORS: &[u8] = b"c";

/// A job due at a slot.
pub fn due(slot: Slot, job: &JobId) -> Vec<u8> {
    key(b'd', &[&slot.0.to_be_bytes(), &job.0])
}

/// All due entries, in slot order.
pub const DUE: &[u8] = b"d";

/// A punished double vote.
pub fn double_vote(vote: &Vote) -> Vec<u8> {
    let (height, round) = (vote.height.0.to_be_bytes(), vote.round.to_be_bytes());
    key(b'e', &[&vote.voter.0, &height, &round, &[vote.kind as u8]])
}

/// A validator's vote for the next rules of evidence.
pub fn tee_vote(sequence: u64, a: &Account) -> Vec<u8> {
    key(b'g', &[&sequence.to_be_bytes(), &a.0])
}

/// All votes for the rules of this sequence.
pub fn tee_votes(sequence: u64) -> Vec<u8> {
    key(b'g', &[&sequence.to_be_bytes()])
}

/// A job.
pub fn job(id: &JobId) -> Vec<u8> {
    key(b'j', &[&id.0])
}

/// All jobs.
pub const JOBS: &[u8] = b"j";

/// Jobs that run on a platform.
pub fn platform(id: &[u8; 32]) -> Vec<u8> {
    key(b'k', &[id])
}

/// All platforms with jobs.
pub const PLATFORMS: &[u8] = b"k";

/// A model.
pub fn model(id: &ModelId) -> Vec<u8> {
    key(b'm', &[&id.0])
}

/// All models.
pub const MODELS: &[u8] = b"m";

/// Vesting money.
pub fn vesting(slot: Slot, a: &Account, job: &JobId) -> Vec<u8> {
    key(b'n', &[&slot.0.to_be_bytes(), &a.0, &job.0])
}

/// All vesting, in slot order.
pub const VESTING: &[u8] = b"n";

/// A bundle of endorsements that was paid for.
pub fn bundle(id: &BlobId) -> Vec<u8> {
    key(b'o', &[&id.0])
}

/// Who proposed a slot's block.
pub fn proposer(slot: Slot) -> Vec<u8> {
    key(b'p', &[&slot.0.to_be_bytes()])
}

/// All proposers, in slot order.
pub const PROPOSERS: &[u8] = b"p";

/// A revealed challenge in the verdict queue.
pub fn verdict(slot: Slot, job: &JobId, challenger: &Account) -> Vec<u8> {
    key(b'q', &[&slot.0.to_be_bytes(), &job.0, &challenger.0])
}

/// The whole verdict queue, in slot order.
pub const VERDICTS: &[u8] = b"q";

/// The highest number seen of something that never goes back.
pub(crate) fn ratchet(what: &[u8]) -> Vec<u8> {
    key(b'r', &[what])
}

/// All such numbers.
pub const RATCHETS: &[u8] = b"r";

/// The books.
pub const SUPPLY: &[u8] = b"s";

/// Rules of evidence.
pub fn tee_rules(sequence: u64) -> Vec<u8> {
    key(b't', &[&sequence.to_be_bytes()])
}

/// The newest rules' sequence.
pub const TEE_SEQUENCE: &[u8] = b"u";

/// A validator's stake.
pub fn validator(a: &Account) -> Vec<u8> {
    key(b'v', &[&a.0])
}

/// All validators.
pub const VALIDATORS: &[u8] = b"v";

/// A worker.
pub fn worker(a: &Account) -> Vec<u8> {
    key(b'w', &[&a.0])
}

/// All workers.
pub const WORKERS: &[u8] = b"w";

/// A challenge.
pub fn challenge(job: &JobId, challenger: &Account) -> Vec<u8> {
    key(b'x', &[&job.0, &challenger.0])
}

/// All challenges of a job.
pub fn challenges(job: &JobId) -> Vec<u8> {
    key(b'x', &[&job.0])
}

/// The slot, then the rest, of a `prefix slot rest` key.
pub fn split_slot(key: &[u8]) -> Option<(Slot, &[u8])> {
    let (slot, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    Some((Slot(u64::from_be_bytes(*slot)), rest))
}
