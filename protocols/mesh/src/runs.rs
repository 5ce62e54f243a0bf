//! The seam to deterministic inference: everything the transition asks of a
//! run, in the mesh's own types.
//!
//! A run's header binds chain, job, model, inputs, seed and runtime version;
//! no worker stands in it, so replicas compare. Decoding is bounded by the
//! genesis' limits; whatever is malformed is an error with a reason, for the
//! caller to blame on whoever sent it.

use crate::genesis::Limits;
use crate::primitives::{ChainId, JobId, ModelId};
use crate::records::JobRecord;
use aether_inference::{
    BundleLimits, Digest, Element, MachineState, Outcome, Program, RUNTIME_VERSION, RunError,
    RunLimits, Status, StepWitness, Tensor, TraceHeader, WitnessError, decode_inputs,
    decode_outputs, encode_outputs, execute_step,
};

/// The program's id as the mesh writes it.
pub fn model_id(program: &Program) -> ModelId {
    ModelId(program.id().0)
}

fn bundle_limits(limits: &Limits) -> BundleLimits {
    BundleLimits {
        max_bytes: limits.blob_bytes_max,
        ..BundleLimits::default()
    }
}

/// Decodes an encoded input and checks it against the model's signature:
/// names, types and shapes, in the model's order.
pub fn decode_input(
    program: &Program,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Vec<Tensor>, String> {
    let named = decode_inputs(bytes, &bundle_limits(limits)).map_err(|e| e.to_string())?;
    let names = named.iter().map(|(name, _)| name.as_str());
    if !names.eq(program.inputs().iter().map(|i| i.name.as_str())) {
        let wanted: Vec<&str> = program.inputs().iter().map(|i| i.name.as_str()).collect();
        return Err(format!(
            "the model takes the inputs {}, in this order",
            wanted.join(", ")
        ));
    }
    let tensors: Vec<Tensor> = named.into_iter().map(|(_, tensor)| tensor).collect();
    program.check_inputs(&tensors).map_err(|e| e.to_string())?;
    Ok(tensors)
}

/// Root over the input tensors' digests, in the model's order.
pub fn inputs_root(program: &Program, bytes: &[u8], limits: &Limits) -> Result<[u8; 32], String> {
    let tensors = decode_input(program, bytes, limits)?;
    let digests: Vec<Digest> = tensors.iter().map(Tensor::digest).collect();
    Ok(aether_inference::inputs_root(&digests))
}

/// The same for a verifier who does not hold the model: the encoding's own
/// order, which is the model's in every posting that a block took.
pub fn inputs_root_as_encoded(bytes: &[u8], limits: &Limits) -> Result<[u8; 32], String> {
    let named = decode_inputs(bytes, &bundle_limits(limits)).map_err(|e| e.to_string())?;
    let digests: Vec<Digest> = named.iter().map(|(_, tensor)| tensor.digest()).collect();
    Ok(aether_inference::inputs_root(&digests))
}

/// Encodes a finished run's outputs under the model's names; a run that did
/// not finish has none.
pub fn encode_output(program: &Program, outcome: &Outcome) -> Vec<u8> {
    let named: Vec<(&str, &Tensor)> = program
        .outputs()
        .iter()
        .map(|o| o.name.as_str())
        .zip(&outcome.outputs)
        .collect();
    encode_outputs(&named)
}

/// Decodes an encoded output, for people.
pub fn decode_output(bytes: &[u8], limits: &Limits) -> Result<Vec<(String, Tensor)>, String> {
    decode_outputs(bytes, &bundle_limits(limits)).map_err(|e| e.to_string())
}

/// The header of a job's run.
pub fn trace_header(chain: &ChainId, id: &JobId, job: &JobRecord) -> TraceHeader {
    TraceHeader {
        chain: chain.0,
        job: id.0,
        model: aether_inference::ModelId(job.model.0),
        inputs_root: job.inputs_root,
        seed: job.seed,
        runtime: RUNTIME_VERSION,
    }
}

/// Element 0 of a job's trace.
pub fn header_element(chain: &ChainId, id: &JobId, job: &JobRecord) -> Element {
    trace_header(chain, id, job).element()
}

/// The end of a run as its final state tells it.
pub struct FinalState {
    /// Hash of the state.
    pub element: Element,
    /// Gas used.
    pub gas: u64,
    /// Status code: 1 done, 2 out of gas, 3 step too large, 4 trapped.
    pub status: u8,
    state: MachineState,
}

/// Most bytes of a final state: a few outputs' lines.
const FINAL_STATE_BYTES_MAX: u64 = 64 * 1024;

/// Decodes a VCR's final state; it must not be running.
pub fn final_state(bytes: &[u8]) -> Result<FinalState, &'static str> {
    let state = MachineState::decode(bytes, FINAL_STATE_BYTES_MAX)
        .map_err(|_| "the final state does not decode")?;
    if state.status == Status::Running {
        return Err("the final state is still running");
    }
    Ok(FinalState {
        element: state.element(),
        gas: state.gas,
        status: state.status as u8,
        state,
    })
}

impl FinalState {
    /// Steps the run took.
    pub fn steps(&self) -> u32 {
        self.state.step
    }
}

/// Whether an encoded output is the one whose digests the final state lists,
/// with the model's names in the model's order.
pub fn check_output(
    program: &Program,
    end: &FinalState,
    bytes: &[u8],
    limits: &Limits,
) -> Result<(), &'static str> {
    let outputs = decoded(end, bytes, limits)?;
    if end.state.status != Status::Done {
        return Ok(());
    }
    let listed = end
        .state
        .outputs(program)
        .ok_or("the final state is not this model's")?;
    let right = outputs.len() == listed.len()
        && outputs
            .iter()
            .zip(program.outputs())
            .all(|((name, _), o)| *name == o.name)
        && outputs
            .iter()
            .zip(listed)
            .all(|((_, tensor), line)| tensor.digest() == line.digest);
    if right {
        Ok(())
    } else {
        Err("the output is not the one the final state lists")
    }
}

/// The same for a verifier who does not hold the model: names are not
/// checked, and the digests may stand in any order.
pub fn check_output_digests(
    end: &FinalState,
    bytes: &[u8],
    limits: &Limits,
) -> Result<(), &'static str> {
    let outputs = decoded(end, bytes, limits)?;
    if end.state.status != Status::Done {
        return Ok(());
    }
    let mut given: Vec<Digest> = outputs.iter().map(|(_, tensor)| tensor.digest()).collect();
    let mut listed: Vec<Digest> = end.state.live.iter().map(|line| line.digest).collect();
    given.sort_unstable();
    listed.sort_unstable();
    if given == listed {
        Ok(())
    } else {
        Err("the output is not the one the final state lists")
    }
}

fn decoded(
    end: &FinalState,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Vec<(String, Tensor)>, &'static str> {
    let outputs =
        decode_outputs(bytes, &bundle_limits(limits)).map_err(|_| "the output does not decode")?;
    if end.state.status != Status::Done && !outputs.is_empty() {
        return Err("a run that did not finish has no output");
    }
    Ok(outputs)
}

/// What a re-executed step gave.
pub struct Rerun {
    /// The element that should stand after the step; none where the run had
    /// ended before it.
    pub element: Option<Element>,
    /// Gas it took.
    pub gas: u64,
}

/// What a re-execution is asked about.
pub struct Disputed<'a> {
    /// The network.
    pub chain: &'a ChainId,
    /// The job.
    pub id: &'a JobId,
    /// Its record.
    pub job: &'a JobRecord,
    /// The step, from 1.
    pub step: u32,
    /// The element before it, as committed.
    pub before: &'a Element,
}

/// Why a step was not re-executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RerunError {
    /// The witness proves nothing: the fault of whoever made it.
    Witness(String),
    /// This process cannot compute as everybody does: ours, and no verdict.
    Machine(String),
}

/// Re-executes one step from a witness whose state must hash to `before`.
pub fn reexecute(
    program: &Program,
    disputed: &Disputed<'_>,
    limits: &RunLimits,
    witness: &[u8],
) -> Result<Rerun, RerunError> {
    let witness = StepWitness::decode(witness, limits.max_witness_bytes)
        .map_err(|e| RerunError::Witness(e.to_string()))?;
    if witness.step != disputed.step {
        let why = "the witness is about another step".to_owned();
        return Err(RerunError::Witness(why));
    }
    let header = trace_header(disputed.chain, disputed.id, disputed.job);
    let result =
        execute_step(program, &header, &witness, limits, disputed.before).map_err(|error| {
            match error {
                WitnessError::Run(RunError::FloatEnvironment(_)) => {
                    RerunError::Machine(error.to_string())
                }
                _ => RerunError::Witness(error.to_string()),
            }
        })?;
    Ok(Rerun {
        element: result.element_after,
        gas: result.gas,
    })
}
