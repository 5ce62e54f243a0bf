//! Re-executing somebody's VCR.
//!
//! The trace came with the block, so our own run stops at the first element
//! that differs. Then the witness of that step is made (only the values it
//! reads), put into our store for validators to fetch, and the committed
//! elements on both sides of the lie are opened in one KZG proof.

use super::run::JobInputs;
use aether_behaviours::Recheck;
use aether_inference::{Run, make_witness};
use aether_kzg::{Prover, Setup, TraceElement};
use aether_mesh::{Challenge, Vcr};
use aether_storage::BlobStore;

/// Compares a VCR with our own run of its job.
pub(super) fn recheck(job: &JobInputs, vcr: &Vcr, blobs: &BlobStore) -> Result<Recheck, String> {
    let mut run = Run::start(&job.program, &job.header, &job.inputs, &job.limits)
        .map_err(|e| e.to_string())?;
    for (step, claimed) in vcr.trace.iter().enumerate().skip(1) {
        match run.step() {
            Some(record) if record.element == *claimed => {}
            // Either the step differs, or our run had ended before it.
            other => {
                let gas = other.map_or(0, |record| record.gas);
                return challenge(job, vcr, step, gas, blobs);
            }
        }
    }
    if run.step().is_some() {
        // The trace ends before the run does: then its last element, whose
        // status is final, differed from ours, which is running.
        return Err("the trace ends early without differing".to_owned());
    }
    Ok(Recheck::Agrees)
}

/// Proves that `step` of the VCR's trace is wrong.
pub(super) fn challenge(
    job: &JobInputs,
    vcr: &Vcr,
    step: usize,
    step_gas: u64,
    blobs: &BlobStore,
) -> Result<Recheck, String> {
    let number = u32::try_from(step).map_err(|_| "the trace is too long")?;
    let witness = make_witness(&job.program, &job.header, &job.inputs, &job.limits, number)
        .map_err(|e| e.to_string())?;
    let witness = blobs.put(&witness.0.encode()).map_err(|e| e.to_string())?;
    let elements: Vec<TraceElement> = vcr.trace.iter().map(|e| TraceElement(*e)).collect();
    let opening = Prover::new(Setup::ethereum())
        .open_pair(&elements, step)
        .map_err(|e| e.to_string())?;
    let (Some(before), Some(after)) = (vcr.trace.get(step - 1), vcr.trace.get(step)) else {
        return Err("the trace has no such step".to_owned());
    };
    let challenge = Challenge {
        step: number,
        before: *before,
        after: *after,
        opening: opening.to_bytes(),
        witness,
    };
    Ok(Recheck::Differs {
        challenge,
        step_gas,
    })
}
