//! What validators check of a VCR before they vote for it.
//!
//! - The worker is the assigned one and has accepted; it is in time.
//! - The session key signed it, and the evidence binds that key to this
//!   worker and a recent block, appraised at this block's time.
//! - Element 0 is the header this job must have; the final state hashes to
//!   the last element and is not `running`; the output has the digests that
//!   the final state lists. So a wrong header or output is inadmissible
//!   rather than disputed.
//! - `commitment = commit(trace)`: for a whole block in one combined
//!   multi-scalar multiplication. An infinite commitment is refused.

use super::evidence::appraise_bound;
use super::jobs::{known, model_of, program_of};
use super::registration::free_place;
use super::{ApplyError, Env};
use crate::action::{Action, Payload, Vcr};
use crate::events::StateEvent;
use crate::primitives::hash_parts;
use crate::records::{JobStatus, VcrRecord, WorkerRecord};
use crate::refusal::Refusal;
use crate::runs;
use crate::tx::VerifiedTx;
use crate::view::View;
use aether_kzg::{Setup, TraceCommitment, TraceElement, verify_commitments};
use ed25519_dalek::{Signature, VerifyingKey};

/// A signed VCR: the exact bytes and the session key's signature.
pub(super) struct Signed<'a> {
    pub(super) encoded: &'a [u8],
    pub(super) signature: &'a [u8; 64],
}

/// The bytes that the session key signs.
pub fn vcr_sign_bytes(chain: &crate::primitives::ChainId, encoded: &[u8]) -> [u8; 32] {
    hash_parts("aether/vcr/v1", &[chain.as_bytes(), encoded])
}

/// Whether the session key signed exactly these bytes for this chain.
pub fn verify_session_signature(
    chain: &crate::primitives::ChainId,
    session_key: &[u8; 32],
    encoded: &[u8],
    signature: &[u8; 64],
) -> bool {
    VerifyingKey::from_bytes(session_key).is_ok_and(|key| {
        key.verify_strict(
            &vcr_sign_bytes(chain, encoded),
            &Signature::from_bytes(signature),
        )
        .is_ok()
    })
}

pub(super) fn submit(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    tx: &VerifiedTx,
    vcr: &Vcr,
    signed: Signed<'_>,
    check_commitment: bool,
) -> Result<(), Refusal> {
    let limits = &env.rules.params().limits;
    let worker = tx.signer();
    // Cheap looks first, then signatures, then hashes, then curves.
    let mut job = known(view, &vcr.job)?;
    match job.status {
        JobStatus::Accepted => {}
        JobStatus::Posted | JobStatus::Assigned => {
            return Err(Refusal::NotNow("the job is not accepted yet"));
        }
        _ => return Err(Refusal::Over("the job has a VCR or has ended")),
    }
    let assignment = job
        .assignment
        .clone()
        .ok_or(Refusal::Corrupted("an accepted job has no assignment"))?;
    if vcr.worker != worker || assignment.worker != worker {
        return Err(Refusal::Vcr("its worker is not the assigned one"));
    }
    if env.ctx.slot > job.deadline {
        return Err(Refusal::Over("the deadline has passed"));
    }
    if vcr.trace.len() as u64 > limits.trace_elements_max {
        return Err(Refusal::Vcr("the trace is longer than the network allows"));
    }
    let output_len = vcr.output.blob_ref().bytes_len;
    if matches!(vcr.output, Payload::Inline(_)) && output_len > limits.inline_bytes_max {
        return Err(Refusal::Vcr("the inline output is too long"));
    }
    let chain = &env.rules.chain_id;
    if !verify_session_signature(chain, &vcr.session_key, signed.encoded, signed.signature) {
        return Err(Refusal::Vcr("it is not signed by its session key"));
    }

    let header = runs::header_element(chain, &vcr.job, &job);
    if vcr.trace.first() != Some(&header) {
        return Err(Refusal::Vcr(
            "the trace does not begin with this job's header",
        ));
    }
    let end = runs::final_state(&vcr.final_state).map_err(Refusal::Vcr)?;
    if vcr.trace.last() != Some(&end.element) {
        return Err(Refusal::Vcr(
            "the final state does not hash to the last element",
        ));
    }
    if u64::from(end.steps()) + 1 != vcr.trace.len() as u64 {
        return Err(Refusal::Vcr(
            "the final state is not that of the trace's last step",
        ));
    }
    if end.gas > job.gas_limit {
        return Err(Refusal::Vcr("it used more gas than the job allows"));
    }
    let model = model_of(view, &job.model)?;
    let program = program_of(env, &model)?;
    let output = match &vcr.output {
        Payload::Inline(bytes) => bytes.as_slice().into(),
        Payload::Blob(blob) => env.library.blob(blob).ok_or(Refusal::BlobMissing(*blob))?,
    };
    runs::check_output(&program, &end, &output, limits).map_err(Refusal::Vcr)?;

    let evidence = appraise_bound(
        env,
        view,
        &worker,
        &vcr.session_key,
        &vcr.evidence,
        &job.tee_kinds,
    )?;
    if check_commitment && !commitments_hold(&[vcr]) {
        return Err(Refusal::Vcr("the commitment does not commit to the trace"));
    }

    let mut record: WorkerRecord = view
        .worker(&worker)?
        .ok_or(Refusal::Corrupted("an assigned worker has no record"))?;
    record.jobs_running = record.jobs_running.saturating_sub(1);
    free_place(view, &mut job)?;
    view.put_worker(&worker, &record)?;
    let window_end = env.ctx.slot.after(job.window_slots);
    job.status = JobStatus::Submitted;
    job.vcr = Some(VcrRecord {
        tx: tx.id(),
        slot: env.ctx.slot,
        time_ms: env.ctx.time_ms,
        commitment: vcr.commitment.clone(),
        elements: vcr.trace.len() as u32,
        output: vcr.output.blob_ref(),
        gas_used: end.gas,
        run_status: end.status,
        evidence: evidence.summary,
        window_end,
        closed: None,
        commits: 0,
        revealed: 0,
        judged: 0,
    });
    view.set_due(window_end.after(1), &vcr.job);
    view.put_job(&vcr.job, &job)?;
    events.push(StateEvent::VcrSubmitted {
        job: vcr.job,
        vcr: tx.id(),
        worker,
        window_end,
    });
    Ok(())
}

/// Checks all commitments of a block together.
pub(super) fn check_block_commitments(txs: &[VerifiedTx]) -> Result<(), ApplyError> {
    let vcrs: Vec<(&VerifiedTx, &Vcr)> = txs
        .iter()
        .filter_map(|tx| match tx.action() {
            Action::SubmitVcr { vcr, .. } => Some((tx, vcr.as_ref())),
            _ => None,
        })
        .collect();
    let all: Vec<&Vcr> = vcrs.iter().map(|(_, vcr)| *vcr).collect();
    if vcrs.is_empty() || commitments_hold(&all) {
        return Ok(());
    }
    // Name the culprit: only now one by one.
    let culprit = vcrs
        .iter()
        .find(|(_, vcr)| !commitments_hold(&[vcr]))
        .or(vcrs.first());
    let Some((tx, _)) = culprit else {
        return Ok(());
    };
    Err(ApplyError::Tx {
        tx: tx.id(),
        name: tx.action().name(),
        refusal: Refusal::Vcr("the commitment does not commit to the trace"),
    })
}

/// Whether each VCR's commitment is finite and commits to its trace.
pub(crate) fn commitments_hold(vcrs: &[&Vcr]) -> bool {
    // Together, which costs a third of one at a time.
    let encoded: Vec<&[u8]> = vcrs.iter().map(|vcr| vcr.commitment.as_slice()).collect();
    let Ok(commitments) = TraceCommitment::from_bytes_many(&encoded) else {
        return false;
    };
    let mut chunks = commitments.iter().flat_map(TraceCommitment::chunks);
    if chunks.any(|chunk| chunk.is_infinity()) {
        return false;
    }
    let traces: Vec<Vec<TraceElement>> = vcrs
        .iter()
        .map(|vcr| vcr.trace.iter().map(|e| TraceElement(*e)).collect())
        .collect();
    let pairs: Vec<(&TraceCommitment, &[TraceElement])> = commitments
        .iter()
        .zip(traces.iter().map(Vec::as_slice))
        .collect();
    verify_commitments(Setup::ethereum(), &pairs).unwrap_or(false)
}
