//! Commit, then reveal, then one re-executed step.
//!
//! - A bonded commit hides the challenge: `H(challenger ‖ VCR ‖ challenge ‖
//!   salt)`. Commits are taken while the window is open and not after.
//! - Reveals are taken when the window has closed, so nobody can copy one
//!   into a commit of its own.
//! - A reveal only enters a queue; verdicts are worked off at the beginning
//!   of later blocks within a budget of gas (a witness' bytes count too), at
//!   least one a block, and settlement waits for them: a flood of challenges
//!   cannot slow down blocks.
//! - The verdict: the opening must prove both elements under the VCR's
//!   commitment, the witness must be the preimage of the first, and the step
//!   re-executed from it must not give the second. Anything malformed is the
//!   challenger's fault.

use super::Env;
use super::jobs::{known, model_of, program_of};
use crate::action::Challenge;
use crate::events::StateEvent;
use crate::keys;
use crate::primitives::{Account, Amount, JobId, Slot, TxId, hash_parts};
use crate::records::{ChallengeRecord, ChallengeStatus, JobRecord, JobStatus, VcrRecord};
use crate::refusal::Refusal;
use crate::runs;
use crate::state::StateError;
use crate::view::{Bucket, View};
use aether_kzg::{PairOpening, TraceCommitment, TraceElement};

/// What a commit carries.
pub fn challenge_commitment(
    challenger: &Account,
    vcr: &TxId,
    encoded_challenge: &[u8],
    salt: &[u8; 32],
) -> [u8; 32] {
    hash_parts(
        "aether/challenge/v1",
        &[
            challenger.as_bytes(),
            vcr.as_bytes(),
            encoded_challenge,
            salt,
        ],
    )
}

/// The least bond for a witness of so many bytes and a step of so much gas.
pub fn bond_required(params: &crate::genesis::Params, witness_bytes: u64, step_gas: u64) -> Amount {
    let units = u128::from(witness_bytes) + u128::from(step_gas / 1_024);
    let price = units.saturating_mul(u128::from(params.challenge_unit_price));
    Amount(price.max(params.challenge_bond_min.0))
}

#[allow(clippy::too_many_arguments)]
pub(super) fn commit(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    challenger: &Account,
    id: &JobId,
    vcr_id: &TxId,
    commitment: &[u8; 32],
    bond: Amount,
) -> Result<(), Refusal> {
    let mut job = known(view, id)?;
    let vcr = open_vcr(&mut job)?;
    if vcr.tx != *vcr_id {
        return Err(Refusal::Never("the job has another VCR"));
    }
    if vcr.closed.is_some() {
        return Err(Refusal::Over("the challenge window has closed"));
    }
    if bond < env.rules.params().challenge_bond_min {
        return Err(Refusal::Never("the bond is below challenge_bond_min"));
    }
    if view.challenge(id, challenger)?.is_some() {
        return Err(Refusal::Over(
            "this account has challenged this VCR already",
        ));
    }
    vcr.commits = vcr
        .commits
        .checked_add(1)
        .ok_or(Refusal::NotNow("too many challenges"))?;
    view.debit(challenger, bond, Bucket::Bonds)?;
    let record = ChallengeRecord {
        status: ChallengeStatus::Committed,
        commitment: *commitment,
        bond,
        slot: env.ctx.slot,
        step: 0,
        revealed: Vec::new(),
        gas: 0,
    };
    view.put_challenge(id, challenger, &record)?;
    view.put_job(id, &job)?;
    events.push(StateEvent::ChallengeCommitted {
        job: *id,
        challenger: *challenger,
    });
    Ok(())
}

#[allow(clippy::too_many_arguments)]
pub(super) fn reveal(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    challenger: &Account,
    id: &JobId,
    encoded: &[u8],
    challenge: &Challenge,
    salt: &[u8; 32],
) -> Result<(), Refusal> {
    let mut job = known(view, id)?;
    let reveal_slots = env.rules.params().reveal_slots;
    let vcr = open_vcr(&mut job)?;
    let closed = vcr
        .closed
        .ok_or(Refusal::NotNow("the challenge window is still open"))?;
    if env.ctx.slot > closed.after(reveal_slots) {
        return Err(Refusal::Over("the time for reveals has passed"));
    }
    let mut record = view
        .challenge(id, challenger)?
        .ok_or(Refusal::Never("there is no commit to this reveal"))?;
    if record.status != ChallengeStatus::Committed {
        return Err(Refusal::Over("this challenge was revealed already"));
    }
    if record.commitment != challenge_commitment(challenger, &vcr.tx, encoded, salt) {
        return Err(Refusal::Never("the reveal does not match its commit"));
    }
    // The bytes have to be here before the block is voted for, so that every
    // node can judge; what they hold is judged later, at the challenger's risk.
    let limits = &env.rules.params().limits;
    if challenge.witness.bytes_len > limits.witness_bytes_max {
        return Err(Refusal::Never(
            "the witness is larger than the network allows",
        ));
    }
    if env.library.blob(&challenge.witness).is_none() {
        return Err(Refusal::BlobMissing(challenge.witness));
    }
    vcr.revealed = vcr.revealed.saturating_add(1);
    view.put_job(id, &job)?;
    record.status = ChallengeStatus::Revealed;
    record.step = challenge.step;
    record.revealed = encoded.to_vec();
    view.put_challenge(id, challenger, &record)?;
    view.mark(keys::verdict(env.ctx.slot, id, challenger));
    events.push(StateEvent::ChallengeRevealed {
        job: *id,
        challenger: *challenger,
        step: challenge.step,
    });
    Ok(())
}

fn open_vcr(job: &mut JobRecord) -> Result<&mut VcrRecord, Refusal> {
    match (job.status, &mut job.vcr) {
        (JobStatus::Submitted, Some(vcr)) => Ok(vcr),
        (status, _) if status.is_terminal() => Err(Refusal::Over("the job has ended")),
        _ => Err(Refusal::NotNow("the job has no VCR yet")),
    }
}

/// Gas that a verdict costs besides the step's: points to decode and two
/// pairings, about two milliseconds where a gas takes a nanosecond.
const VERDICT_GAS: u64 = 2_000_000;
/// Gas that a byte of witness costs: it is read, decoded and hashed.
const WITNESS_BYTE_GAS: u64 = 4;

/// Works off the verdict queue within this block's budget.
pub(super) fn work_off_verdicts(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
) -> Result<(), Refusal> {
    const VERDICTS_PER_BLOCK_MAX: usize = 64;
    let mut left = env.rules.params().verdict_gas_per_block;
    for (n, (key, _)) in view
        .scan(keys::VERDICTS, b"", VERDICTS_PER_BLOCK_MAX)?
        .into_iter()
        .enumerate()
    {
        if n > 0 && left == 0 {
            break;
        }
        let (job, challenger) = split_verdict(&key)?;
        let cost = judge(env, view, events, &job, &challenger)?;
        view.remove(key);
        left = left.saturating_sub(cost);
    }
    Ok(())
}

fn split_verdict(key: &[u8]) -> Result<(JobId, Account), Refusal> {
    let corrupted = || Refusal::Corrupted("verdict key");
    let (_, rest): (Slot, &[u8]) = keys::split_slot(key).ok_or_else(corrupted)?;
    let (job, challenger) = rest.split_at_checked(32).ok_or_else(corrupted)?;
    let job = JobId::from_slice(job).ok_or_else(corrupted)?;
    let challenger = Account::from_slice(challenger).ok_or_else(corrupted)?;
    Ok((job, challenger))
}

/// Judges one revealed challenge and returns what it took of the budget.
fn judge(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    id: &JobId,
    challenger: &Account,
) -> Result<u64, Refusal> {
    let mut job = known(view, id)?;
    let mut record = view
        .challenge(id, challenger)?
        .ok_or(Refusal::Corrupted("a queued verdict has no challenge"))?;
    let Ok(challenge) = Challenge::decode(&record.revealed) else {
        return Err(Refusal::Corrupted("a revealed challenge does not decode"));
    };
    let verdict = verdict(env, view, id, &job, &record, &challenge)?;
    if let Some(vcr) = &mut job.vcr {
        vcr.judged = vcr.judged.saturating_add(1);
    }
    view.put_job(id, &job)?;
    let (status, gas, reason) = match verdict {
        Verdict::Differs { gas } => (ChallengeStatus::Upheld, gas, None),
        Verdict::Equal { gas } => (
            ChallengeStatus::Failed,
            gas,
            Some("the step is right".to_owned()),
        ),
        Verdict::Malformed { why, gas } => (ChallengeStatus::Forfeited, gas, Some(why)),
    };
    let bytes = challenge.witness.bytes_len.saturating_mul(WITNESS_BYTE_GAS);
    let cost = gas.saturating_add(bytes).saturating_add(VERDICT_GAS);
    record.status = status;
    record.gas = gas;
    record.revealed = Vec::new();
    view.put_challenge(id, challenger, &record)?;
    events.push(StateEvent::ChallengeJudged {
        job: *id,
        challenger: *challenger,
        step: record.step,
        upheld: status == ChallengeStatus::Upheld,
        reason,
        gas,
    });
    Ok(cost)
}

enum Verdict {
    /// The worker lied.
    Differs { gas: u64 },
    /// The worker was right.
    Equal { gas: u64 },
    /// The challenge proves nothing; `gas` is what finding out took at most.
    Malformed { why: String, gas: u64 },
}

fn verdict(
    env: &Env<'_>,
    view: &View<'_>,
    id: &JobId,
    job: &JobRecord,
    record: &ChallengeRecord,
    challenge: &Challenge,
) -> Result<Verdict, Refusal> {
    let malformed = |why: &str| {
        Ok(Verdict::Malformed {
            why: why.to_owned(),
            gas: 0,
        })
    };
    let vcr = job
        .vcr
        .as_ref()
        .ok_or(Refusal::Corrupted("a challenged job has no VCR"))?;
    // What can be told without the witness is told first.
    if record.bond < bond_required(env.rules.params(), challenge.witness.bytes_len, 0) {
        return malformed("the bond does not cover the witness");
    }
    if challenge.step >= vcr.elements {
        return malformed("the trace has no such step");
    }
    let commitment = TraceCommitment::from_bytes(&vcr.commitment)
        .map_err(|_| Refusal::Corrupted("a VCR's commitment does not decode"))?;
    let Ok(opening) = PairOpening::from_bytes(&challenge.opening) else {
        return malformed("the opening is malformed");
    };
    let proven = env.rules.verifier.verify_pair(
        &commitment,
        vcr.elements as usize,
        challenge.step as usize,
        &TraceElement(challenge.before),
        &TraceElement(challenge.after),
        &opening,
    );
    if proven != Ok(true) {
        return malformed("the opening does not prove these elements");
    }
    let witness = env
        .library
        .blob(&challenge.witness)
        .ok_or(Refusal::BlobMissing(challenge.witness))?;
    let model = model_of(view, &job.model)?;
    let program = program_of(env, &model)?;
    let disputed = runs::Disputed {
        chain: &env.rules.chain_id,
        id,
        job,
        step: challenge.step,
        before: &challenge.before,
    };
    let limits = env.rules.genesis.run_limits(job.gas_limit);
    let rerun = match runs::reexecute(&program, &disputed, &limits, &witness) {
        Ok(rerun) => rerun,
        // Not to guess: this node stops at this block, and says why.
        Err(runs::RerunError::Machine(why)) => return Err(StateError(why).into()),
        Err(runs::RerunError::Witness(why)) => {
            let gas = limits.max_step_gas.min(job.gas_limit);
            return Ok(Verdict::Malformed { why, gas });
        }
    };
    let needed = bond_required(env.rules.params(), challenge.witness.bytes_len, rerun.gas);
    if record.bond < needed {
        let why = "the bond does not cover the witness and the step's gas".to_owned();
        return Ok(Verdict::Malformed {
            why,
            gas: rerun.gas,
        });
    }
    if rerun.element == Some(challenge.after) {
        Ok(Verdict::Equal { gas: rerun.gas })
    } else {
        Ok(Verdict::Differs { gas: rerun.gas })
    }
}
