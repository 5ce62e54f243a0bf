//! Re-executing somebody's VCR.
//!
//! - The trace came with the block, so our own run stops at the first element
//!   that differs. Then the witness of that step is made (only the values it
//!   reads), put into our store for validators to fetch, and the committed
//!   elements on both sides of the lie are opened in one KZG proof.
//! - A trace that goes on after the run's end is wrong at its first element
//!   too many; the finished state before it is the whole witness.

use super::run::JobInputs;
use aether_behaviours::Recheck;
use aether_inference::{Before, Run, StepWitness, make_witness};
use aether_kzg::{Prover, Setup, TraceElement};
use aether_mesh::{Challenge, ELEMENT_BYTES};
use aether_storage::BlobStore;

/// Compares the trace of a VCR with our own run of its job.
pub(super) fn recheck(
    job: &JobInputs,
    trace: &[[u8; ELEMENT_BYTES]],
    blobs: &BlobStore,
) -> Result<Recheck, String> {
    let mut run = Run::start(&job.program, &job.header, &job.inputs, &job.limits)
        .map_err(|e| e.to_string())?;
    for (step, claimed) in trace.iter().enumerate().skip(1) {
        let number = u32::try_from(step).map_err(|_| "the trace is too long")?;
        let (witness, step_gas) = match run.step() {
            Some(record) if record.element == *claimed => continue,
            Some(record) => {
                let (witness, ..) =
                    make_witness(&job.program, &job.header, &job.inputs, &job.limits, number)
                        .map_err(|e| e.to_string())?;
                (witness, record.gas)
            }
            None => (past_the_end(&run, number), 0),
        };
        return challenge(trace, step, &witness, blobs).map(|challenge| Recheck::Differs {
            challenge,
            step_gas,
        });
    }
    if run.step().is_some() {
        // The trace ends before the run does: then its last element, whose
        // status is final, differed from ours, which is running.
        return Err("the trace ends early without differing".to_owned());
    }
    Ok(Recheck::Agrees)
}

/// The witness that no step `number` exists: the state in which the run ended.
fn past_the_end(run: &Run<'_>, number: u32) -> StepWitness {
    StepWitness {
        step: number,
        before: Before::State(run.state().clone()),
        values: Vec::new(),
    }
}

/// The proof that `step` of a trace is wrong.
fn challenge(
    trace: &[[u8; ELEMENT_BYTES]],
    step: usize,
    witness: &StepWitness,
    blobs: &BlobStore,
) -> Result<Challenge, String> {
    let (Some(before), Some(after)) = (
        step.checked_sub(1).and_then(|i| trace.get(i)),
        trace.get(step),
    ) else {
        return Err("the trace has no such step".to_owned());
    };
    let elements: Vec<TraceElement> = trace.iter().map(|e| TraceElement(*e)).collect();
    let opening = Prover::new(Setup::ethereum())
        .open_pair(&elements, step)
        .map_err(|e| e.to_string())?;
    Ok(Challenge {
        step: witness.step,
        before: *before,
        after: *after,
        opening: opening.to_bytes(),
        witness: blobs.put(&witness.encode()).map_err(|e| e.to_string())?,
    })
}

#[cfg(test)]
mod tests;
