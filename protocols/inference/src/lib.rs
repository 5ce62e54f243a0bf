//! Deterministic ONNX inference: the same model, input and seed give the same
//! bits on every CPU, so that a run can be committed to and one wrong step of it
//! proven.
//!
//! ```text
//! ONNX bytes ──Program::from_onnx──▶ Program (ModelId)
//! inputs, TraceHeader ──execute──▶ outputs, trace (31-byte elements), gas, status
//! one step ──make_witness──▶ StepWitness ──execute_step──▶ the right element
//! ```
//!
//! The rules are in `SPEC.md`: numbers, programs, steps, gas, states. This crate
//! knows no network, clock, file or random source; malformed models and
//! witnesses are refused with a reason, and nothing panics.

#[cfg(feature = "bench")]
pub mod bench;
mod codec;
mod gas;
mod kernels;
mod merkle;
mod ops;
mod program;
mod run;
mod tensor;

/// The decoded ONNX messages (generated).
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod onnx {
    include!(concat!(env!("OUT_DIR"), "/aether.onnx.rs"));
}

pub use codec::CodecError;
pub use kernels::{FloatEnvironment, Kernels};
pub use ops::{BuildError, SupportedOperator, supported_operators};
pub use program::{
    Dim, ExternalData, InputError, Limits, Missing, ModelError, ModelFile, ModelId, Program,
    Seekable, ValueId, ValueInfo,
};
pub use run::{
    Before, Element, Frame, LiveValue, MachineState, Outcome, RUNTIME_VERSION, Run, RunError,
    RunLimits, Status, StepRecord, StepResult, StepWitness, TraceHeader, WitnessError, execute,
    execute_step, execute_step_on, inputs_root, make_witness, step_rule,
};
pub use tensor::{
    BundleLimits, DType, Data, Digest, Element as TensorElement, F16, MAX_DIM, MAX_RANK, PbError,
    Tensor, TensorError, decode_inputs, decode_outputs, encode_inputs, encode_outputs,
};
