//! Running a job: bytes from the store, inference, an encoded result; then
//! the VCR around it.

use super::attest::{AttestError, Attester};
use aether_behaviours::RunResult;
use aether_inference::{Outcome, Program, RunLimits, Tensor, TraceHeader, execute};
use aether_kzg::{Prover, Setup, TraceElement};
use aether_mesh::{
    Account, Action, BlockId, BoundEvidence, JobId, JobRecord, Library, ModelRecord, Payload,
    Rules, Slot, StateReader, Vcr, keys, load, runs, vcr_sign_bytes,
};
use aether_storage::BlobStore;
use std::sync::Arc;

/// Everything a run needs, fetched and checked.
pub struct JobInputs {
    /// The job's id.
    pub id: JobId,
    /// Its record.
    pub job: JobRecord,
    /// The model.
    pub program: Arc<Program>,
    /// What binds the run to its job.
    pub header: TraceHeader,
    /// Input tensors in the model's order.
    pub inputs: Vec<Tensor>,
    /// Bounds.
    pub limits: RunLimits,
}

impl JobInputs {
    /// Loads a job whose model and input are in the store.
    pub fn load(
        rules: &Rules,
        state: &dyn StateReader,
        library: &dyn Library,
        id: &JobId,
    ) -> Result<Self, String> {
        let missing = |what: &str| format!("the {what} is not here");
        let job: JobRecord = load(state, &keys::job(id), "job")
            .map_err(|e| e.to_string())?
            .ok_or_else(|| missing("job"))?;
        let model: ModelRecord = load(state, &keys::model(&job.model), "model")
            .map_err(|e| e.to_string())?
            .ok_or_else(|| missing("model's record"))?;
        let program = library
            .program(&model.onnx)
            .ok_or_else(|| missing("model"))?
            .map_err(|e| e.to_string())?;
        let bytes = library.blob(&job.input).ok_or_else(|| missing("input"))?;
        let inputs = runs::decode_input(&program, &bytes, &rules.params().limits)?;
        let header = runs::trace_header(&rules.chain_id, id, &job);
        let limits = rules.genesis.run_limits(job.gas_limit);
        Ok(Self {
            id: *id,
            job,
            program,
            header,
            inputs,
            limits,
        })
    }
}

/// Computes a job.
pub trait Runner: Send + Sync {
    /// Runs it to its end.
    fn run(&self, job: &JobInputs) -> Result<RunResult, String>;
}

/// Computes what the model says.
pub struct HonestRunner;

impl Runner for HonestRunner {
    fn run(&self, job: &JobInputs) -> Result<RunResult, String> {
        let outcome = execute(&job.program, &job.header, &job.inputs, &job.limits)
            .map_err(|e| e.to_string())?;
        Ok(result_of(&job.program, &outcome))
    }
}

/// An outcome as the mesh carries it.
pub fn result_of(program: &Program, outcome: &Outcome) -> RunResult {
    RunResult {
        trace: outcome.trace.clone(),
        final_state: outcome.final_state.encode(),
        output: runs::encode_output(program, outcome),
        gas: outcome.gas_used,
    }
}

/// What evidence and a VCR are bound to.
pub(super) struct VcrContext<'a> {
    pub(super) rules: &'a Rules,
    pub(super) worker: Account,
    pub(super) head: (Slot, BlockId),
    pub(super) now_unix_s: u64,
}

/// Fresh evidence; the bundle that it names is kept for peers to fetch.
pub(super) fn attested(
    cx: &VcrContext<'_>,
    attester: &dyn Attester,
    store: &BlobStore,
) -> Result<BoundEvidence, AttestError> {
    let (slot, block) = &cx.head;
    let chain = &cx.rules.chain_id;
    let attested = attester.evidence(chain, &cx.worker, *slot, block, cx.now_unix_s)?;
    if let Some(bundle) = &attested.bundle {
        store
            .put(bundle)
            .map_err(|e| AttestError::Store(e.to_string()))?;
    }
    Ok(attested.evidence)
}

/// Commits to the trace, attests, and signs with the session key.
pub(super) fn make_vcr(
    cx: &VcrContext<'_>,
    attester: &dyn Attester,
    store: &BlobStore,
    job: JobId,
    result: RunResult,
    output: Payload,
) -> Result<Action, String> {
    let elements: Vec<TraceElement> = result.trace.iter().map(|e| TraceElement(*e)).collect();
    let commitment = Prover::new(Setup::ethereum())
        .commit(&elements)
        .map_err(|e| e.to_string())?;
    let chain = &cx.rules.chain_id;
    let vcr = Vcr {
        job,
        worker: cx.worker,
        session_key: attester.session_key(),
        evidence: attested(cx, attester, store).map_err(|e| e.to_string())?,
        commitment: commitment.to_bytes(),
        trace: result.trace,
        final_state: result.final_state,
        output,
    };
    let encoded = vcr.encode();
    let session_signature = attester.sign(&vcr_sign_bytes(chain, &encoded));
    Ok(Action::SubmitVcr {
        encoded,
        vcr: Box::new(vcr),
        session_signature,
    })
}
