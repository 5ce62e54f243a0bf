//! Who may assign a job, and when.
//!
//! Coordinators are ranked per job by rendezvous hashing weighted by bond:
//! each has one ticket per least bond it holds (at most [`TICKETS_MAX`]), a
//! ticket is a hash of job, account and number, and the smallest ticket
//! counts. Integers only, and anybody can recompute it. Rank `r` may assign
//! from slot `posted + r`.

use crate::keys;
use crate::primitives::{Account, Amount, JobId, hash_parts};
use crate::records::CoordinatorRecord;
use crate::refusal::Refusal;
use crate::state::StateReader;
use borsh::BorshDeserialize;

/// More bond than this many least bonds brings no more tickets.
pub const TICKETS_MAX: u128 = 64;

/// Most coordinators that are ranked.
pub const COORDINATORS_MAX: usize = 1_000;

/// Coordinators in the order in which they may assign `job`.
pub fn coordinator_ranking(
    state: &dyn StateReader,
    job: &JobId,
    stake_min: Amount,
) -> Result<Vec<Account>, Refusal> {
    let mut ranked = Vec::new();
    for (key, value) in state.scan(keys::COORDINATORS, b"", COORDINATORS_MAX)? {
        let account = Account::from_slice(key.get(1..).unwrap_or_default())
            .ok_or(Refusal::Corrupted("coordinator key"))?;
        let record = CoordinatorRecord::try_from_slice(&value)
            .map_err(|_| Refusal::Corrupted("coordinator"))?;
        if record.stake < stake_min {
            continue;
        }
        let tickets = (record.stake.0 / stake_min.0.max(1)).clamp(1, TICKETS_MAX);
        let best = (0..tickets as u64)
            .map(|n| hash_parts("aether/rank/v1", &[&job.0, &account.0, &n.to_be_bytes()]))
            .min()
            .unwrap_or([0xff; 32]);
        ranked.push((best, account));
    }
    ranked.sort();
    Ok(ranked.into_iter().map(|(_, account)| account).collect())
}
