//! A false challenge: somebody claims that a step of an honest run is wrong.
//!
//! Everything about it is well-formed: the opening proves the committed
//! elements, the witness is the right one. Re-executing the step shows that
//! the worker was right, and the bond is lost.

use super::requester::Requester;
use crate::rpc::{Client, ClientError};
use aether_inference::{
    RunLimits, StepWitness, Tensor, TraceHeader, execute, execute_step, make_witness,
};
use aether_kzg::{PairOpening, Prover, Setup, TraceElement, Verifier};
use aether_mesh::{Action, Amount, Challenge, JobId, TxId, challenge_commitment};
use std::time::Instant;

/// Times both halves of a verdict, the best of a few.
fn time_verdict(
    program: &aether_inference::Program,
    header: &TraceHeader,
    limits: &RunLimits,
    witness: &StepWitness,
    elements: &[TraceElement],
    step: u32,
    opening: &PairOpening,
) -> Result<(f64, f64), String> {
    const TIMES: usize = 7;
    let at = step as usize;
    let (Some(before), Some(after)) = (elements.get(at - 1), elements.get(at)) else {
        return Err("the trace has no such step".to_owned());
    };
    let commitment = Prover::new(Setup::ethereum())
        .commit(elements)
        .map_err(|e| e.to_string())?;
    let verifier = Verifier::ethereum();
    let (mut opened, mut executed) = (f64::MAX, f64::MAX);
    for _ in 0..TIMES {
        let started = Instant::now();
        let holds = verifier.verify_pair(&commitment, elements.len(), at, before, after, opening);
        opened = opened.min(started.elapsed().as_secs_f64());
        let started = Instant::now();
        let rerun =
            execute_step(program, header, witness, limits, &before.0).map_err(|e| e.to_string())?;
        executed = executed.min(started.elapsed().as_secs_f64());
        if holds != Ok(true) || rerun.refutes(&after.0) {
            return Err("an honest step does not verify".to_owned());
        }
    }
    Ok((opened, executed))
}

/// A challenge that will fail.
pub(super) struct FalseChallenge {
    job: JobId,
    challenge: Challenge,
    salt: [u8; 32],
    /// At stake.
    pub bond: Amount,
    /// The step it slanders.
    pub step: u32,
    /// What a validator spends on checking the opening, and on re-executing
    /// the step, seconds.
    pub verdict_seconds: (f64, f64),
}

impl FalseChallenge {
    /// Prepares one against the honest run of a job, and uploads its witness.
    pub(super) fn prepare(
        client: &Client,
        program: &aether_inference::Program,
        header: &TraceHeader,
        inputs: &[Tensor],
        limits: &RunLimits,
        job: JobId,
    ) -> Result<Self, String> {
        let outcome = execute(program, header, inputs, limits).map_err(|e| e.to_string())?;
        let step = (outcome.trace.len() / 2) as u32;
        let (witness, before, after) =
            make_witness(program, header, inputs, limits, step).map_err(|e| e.to_string())?;
        let elements: Vec<TraceElement> = outcome.trace.iter().map(|e| TraceElement(*e)).collect();
        let opening = Prover::new(Setup::ethereum())
            .open_pair(&elements, step as usize)
            .map_err(|e| e.to_string())?;
        let verdict_seconds =
            time_verdict(program, header, limits, &witness, &elements, step, &opening)?;
        let witness = client
            .put_blob(&witness.encode())
            .map_err(|e| e.to_string())?;
        let challenge = Challenge {
            step,
            before,
            after,
            opening: opening.to_bytes(),
            witness,
        };
        Ok(Self {
            job,
            challenge,
            salt: [0x5a; 32],
            bond: Amount::aic(5),
            step,
            verdict_seconds,
        })
    }

    /// The job it is about.
    pub(super) fn job(&self) -> JobId {
        self.job
    }

    /// Bonds and commits.
    pub(super) fn commit(&self, who: &mut Requester, vcr: TxId) -> Result<TxId, ClientError> {
        let encoded = self.challenge.encode();
        let commitment = challenge_commitment(&who.account(), &vcr, &encoded, &self.salt);
        who.submit(Action::ChallengeCommit {
            job: self.job,
            vcr,
            commitment,
            bond: self.bond,
        })
    }

    /// Reveals; only once the window has closed.
    pub(super) fn reveal(&self, who: &mut Requester) -> Result<TxId, ClientError> {
        who.submit(Action::ChallengeReveal {
            job: self.job,
            encoded: self.challenge.encode(),
            challenge: self.challenge.clone(),
            salt: self.salt,
        })
    }
}
