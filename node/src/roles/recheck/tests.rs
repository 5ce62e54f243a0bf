//! A challenger finds the first wrong element of a trace, wherever it is.

use super::*;
use crate::demo::DIGITS_MODEL;
use aether_inference::{
    Limits, Program, RunLimits, StepResult, Tensor, TraceHeader, execute, execute_step,
};
use aether_kzg::{PairOpening, Verifier};
use aether_mesh::{
    Account, Amount, BlobId, BlobRef, JobId, JobRecord, JobStatus, ModelId as RegisteredModel, Slot,
};
use aether_storage::DataDir;
use std::sync::Arc;

type Trace = Vec<[u8; ELEMENT_BYTES]>;

fn digit_job() -> (JobInputs, Trace) {
    let program = Program::from_onnx(DIGITS_MODEL, &Limits::default()).unwrap();
    let pixels = (0..64u8).map(|i| f32::from(i % 17) / 16.0).collect();
    let inputs = vec![Tensor::from_vec(&[1, 1, 8, 8], pixels).unwrap()];
    let header = TraceHeader::new([1; 32], [2; 32], program.id(), &inputs, 0);
    let limits = RunLimits::default();
    let trace = execute(&program, &header, &inputs, &limits).unwrap().trace;
    let job = JobRecord {
        status: JobStatus::Submitted,
        requester: Account([3; 32]),
        model: RegisteredModel(program.id().0),
        input: BlobRef {
            id: BlobId([4; 32]),
            bytes_len: 0,
        },
        inputs_root: header.inputs_root,
        tee_kinds: Vec::new(),
        reputation_min: 0,
        payment: Amount(0),
        gas_limit: limits.gas_limit,
        seed: 0,
        posted: Slot(1),
        deadline: Slot(2),
        window_slots: 10,
        assignment: None,
        accepted: None,
        platform: None,
        vcr: None,
        outcome: None,
    };
    let job = JobInputs {
        id: JobId([2; 32]),
        job,
        program: Arc::new(program),
        header,
        inputs,
        limits,
    };
    (job, trace)
}

/// The challenge that a lie meets, and what a validator makes of it.
fn caught(lie: impl FnOnce(&mut Trace)) -> (u32, StepResult, [u8; ELEMENT_BYTES]) {
    let (job, mut trace) = digit_job();
    lie(&mut trace);
    let folder = tempfile::tempdir().unwrap();
    let blobs = BlobStore::open(&DataDir::open(folder.path()).unwrap(), 1 << 30).unwrap();
    let Ok(Recheck::Differs { challenge, .. }) = recheck(&job, &trace, &blobs) else {
        panic!("not caught");
    };
    let elements: Vec<TraceElement> = trace.iter().map(|e| TraceElement(*e)).collect();
    let commitment = Prover::new(Setup::ethereum()).commit(&elements).unwrap();
    let (before, after) = (
        TraceElement(challenge.before),
        TraceElement(challenge.after),
    );
    let opening = PairOpening::from_bytes(&challenge.opening).unwrap();
    let at = challenge.step as usize;
    let opened =
        Verifier::ethereum().verify_pair(&commitment, trace.len(), at, &before, &after, &opening);
    assert_eq!(opened, Ok(true), "the opening proves both elements");
    let bytes = blobs.get(&challenge.witness.id).unwrap().unwrap();
    let witness = StepWitness::decode(&bytes, job.limits.max_witness_bytes).unwrap();
    let result = execute_step(
        &job.program,
        &job.header,
        &witness,
        &job.limits,
        &challenge.before,
    )
    .expect("the witness is admissible");
    (challenge.step, result, challenge.after)
}

#[test]
fn an_honest_trace_is_agreed_with() {
    let (job, trace) = digit_job();
    let folder = tempfile::tempdir().unwrap();
    let blobs = BlobStore::open(&DataDir::open(folder.path()).unwrap(), 1 << 30).unwrap();
    assert!(matches!(recheck(&job, &trace, &blobs), Ok(Recheck::Agrees)));
}

#[test]
fn the_first_wrong_element_is_proven_at_every_step() {
    let (_, honest) = digit_job();
    for step in 1..honest.len() {
        let (found, result, after) = caught(|trace| trace[step][0] ^= 1);
        assert_eq!(found as usize, step);
        assert!(result.refutes(&after), "step {step}");
    }
}

#[test]
fn a_trace_that_goes_on_after_the_end_is_proven_wrong_at_its_first_element_too_many() {
    let (_, honest) = digit_job();
    for extra in 1..4 {
        let (found, result, after) =
            caught(|trace| trace.extend((0..extra).map(|i| [i; ELEMENT_BYTES])));
        assert_eq!(found as usize, honest.len());
        assert!(result.refutes(&after));
    }
}

#[test]
fn a_trace_cut_short_is_proven_wrong_where_it_pretends_to_be_done() {
    let (_, honest) = digit_job();
    let cut = honest.len() - 2;
    let (found, result, after) = caught(|trace| {
        trace.truncate(cut + 1);
        // Its last element has to be another state's: one that is not running.
        trace[cut] = [7; ELEMENT_BYTES];
    });
    assert_eq!(found as usize, cut);
    assert!(result.refutes(&after));
}
