//! One-step fraud proofs: what a challenger shows, and what a validator does.
//!
//! A witness of step i carries the preimage of element i−1 (the header and the
//! inputs' lines for step 1, the state otherwise) and the bytes of exactly those
//! values that the step reads. Encoding: step `u32`, kind `u8` (0 header, 1
//! state), the preimage, count `u32`, then per value, sorted by id: id `u32`,
//! tensor. The header's preimage is its 140 bytes, a `u32` count and the inputs'
//! lines. Anything malformed, superfluous or missing is the challenger's fault.

use std::collections::BTreeMap;

use thiserror::Error;

use super::engine::{Run, RunError, check_state, initial_state};
use super::header::TraceHeader;
use super::limits::RunLimits;
use super::state::{Element, LiveValue, MachineState, Status};
use crate::codec::{CodecError, Reader, Writer};
use crate::kernels::Kernels;
use crate::program::{Program, ValueId};
use crate::tensor::{Tensor, encoded_len};

/// The preimage of the element before a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// For step 1: the header, and the inputs' lines in order.
    Header {
        /// Element 0's preimage.
        header: TraceHeader,
        /// One line per program input, ids from 0.
        inputs: Vec<LiveValue>,
    },
    /// For later steps: the state.
    State(MachineState),
}

/// What is needed to re-execute one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepWitness {
    /// The step, from 1.
    pub step: u32,
    /// The preimage of element `step − 1`.
    pub before: Before,
    /// The values that the step reads, sorted by id.
    pub values: Vec<(ValueId, Tensor)>,
}

/// Why a witness proves nothing. The challenger is to blame, except for `Run`
/// with a floating-point mode, which is our process's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WitnessError {
    /// Not a canonical encoding.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// There is no such step in the run.
    #[error("the run has no step {0}")]
    NoSuchStep(u32),
    /// The preimage does not hash to the committed element.
    #[error("the preimage does not match the element before the step")]
    Before,
    /// The preimage is of the wrong kind or for another step.
    #[error("the preimage is not that of the step before")]
    WrongStep,
    /// The preimage does not belong to this program or header.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Values unsorted, or given twice.
    #[error("values are not sorted")]
    Unsorted,
    /// A value that is not in the preimage, or has another digest.
    #[error("value {0} does not match the preimage")]
    Value(ValueId),
    /// A value that the step reads is missing.
    #[error("value {0} is needed and missing")]
    Missing(ValueId),
    /// A value that the step does not read.
    #[error("value {0} is not read by the step")]
    Superfluous(ValueId),
}

/// What a step comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// The right element after the step; `None` when the run had ended before
    /// it, so that no element may follow.
    pub element_after: Option<Element>,
    /// The right state after the step.
    pub state_after: Option<MachineState>,
    /// Gas of the step.
    pub gas: u64,
}

impl StepResult {
    /// Whether a claimed element after the step is wrong.
    pub fn refutes(&self, claimed: &Element) -> bool {
        self.element_after.as_ref() != Some(claimed)
    }
}

/// Encoded size of a witness without its values, bytes.
pub(super) fn base_len(before: &MachineState) -> u64 {
    let lines: u64 = before.live.iter().map(LiveValue::encoded_len).sum();
    let preimage = if before.step == 0 {
        TraceHeader::ENCODED_LEN as u64 + 4 + lines
    } else {
        before.encoded_len()
    };
    9 + preimage
}

impl StepWitness {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u32(self.step);
        match &self.before {
            Before::Header { header, inputs } => {
                w.u8(0);
                header.write(&mut w);
                w.count(inputs.len());
                inputs.iter().for_each(|v| v.write(&mut w));
            }
            Before::State(state) => {
                w.u8(1);
                state.write(&mut w);
            }
        }
        w.count(self.values.len());
        for (id, tensor) in &self.values {
            w.u32(*id);
            tensor.write(&mut w);
        }
        w.finish()
    }

    /// Decodes canonical bytes.
    ///
    /// # Errors
    /// When they are longer than `max_bytes` or not canonical.
    pub fn decode(bytes: &[u8], max_bytes: u64) -> Result<Self, CodecError> {
        let mut r = Reader::bounded(bytes, max_bytes)?;
        let step = r.u32()?;
        let before = match r.u8()? {
            0 => {
                let header = TraceHeader::read(&mut r)?;
                let n = r.count(38)?;
                let mut inputs = Vec::with_capacity(n);
                for _ in 0..n {
                    inputs.push(LiveValue::read(&mut r)?);
                }
                Before::Header { header, inputs }
            }
            1 => Before::State(MachineState::read(&mut r)?),
            _ => return Err(CodecError::NotCanonical("unknown kind of preimage")),
        };
        let n = r.count(6)?;
        let mut values: Vec<(ValueId, Tensor)> = Vec::new();
        for _ in 0..n {
            let id = r.u32()?;
            if values.last().is_some_and(|(last, _)| *last >= id) {
                return Err(CodecError::NotCanonical("values are not sorted"));
            }
            values.push((id, Tensor::read(&mut r)?));
        }
        r.finish()?;
        Ok(Self {
            step,
            before,
            values,
        })
    }

    /// Encoded size, bytes (saturating).
    pub fn encoded_len(&self) -> u64 {
        let before = match &self.before {
            Before::Header { inputs, .. } => {
                let lines: u64 = inputs.iter().map(LiveValue::encoded_len).sum();
                TraceHeader::ENCODED_LEN as u64 + 4 + lines
            }
            Before::State(state) => state.encoded_len(),
        };
        self.values.iter().fold(9 + before, |len, (_, t)| {
            len.saturating_add(4)
                .saturating_add(encoded_len(t.dtype(), t.shape()))
        })
    }
}

/// Runs a program up to `step` and makes the witness of that step; also returns
/// the elements before and after it.
///
/// # Errors
/// When the run cannot start or ends before `step`.
pub fn make_witness(
    program: &Program,
    header: &TraceHeader,
    inputs: &[Tensor],
    limits: &RunLimits,
    step: u32,
) -> Result<(StepWitness, Element, Element), WitnessError> {
    let mut run = Run::start(program, header, inputs, limits)?;
    let none = WitnessError::NoSuchStep(step);
    let mut element = header.element();
    for _ in 1..step {
        element = run.step().ok_or_else(|| none.clone())?.element;
    }
    if step == 0 {
        return Err(none);
    }
    let state = run.state().clone();
    let values = run.values();
    let record = run.step().ok_or(none)?;
    let before = if step == 1 {
        Before::Header {
            header: header.clone(),
            inputs: state.live,
        }
    } else {
        Before::State(state)
    };
    let values = record
        .read_values
        .iter()
        .filter_map(|id| values.get(id).map(|t| (*id, t.clone())))
        .collect();
    Ok((
        StepWitness {
            step,
            before,
            values,
        },
        element,
        record.element,
    ))
}

/// Re-executes one step from a witness, with the fastest kernels.
///
/// # Errors
/// When the witness proves nothing; the challenger is to blame.
pub fn execute_step(
    program: &Program,
    header: &TraceHeader,
    witness: &StepWitness,
    limits: &RunLimits,
    expected_before: &Element,
) -> Result<StepResult, WitnessError> {
    execute_step_on(
        Kernels::best(),
        program,
        header,
        witness,
        limits,
        expected_before,
    )
}

/// [`execute_step`] on chosen kernels, so that verdicts can be repeated on
/// others.
///
/// # Errors
/// As [`execute_step`].
pub fn execute_step_on(
    kernels: Kernels,
    program: &Program,
    header: &TraceHeader,
    witness: &StepWitness,
    limits: &RunLimits,
    expected_before: &Element,
) -> Result<StepResult, WitnessError> {
    let (len, max) = (witness.encoded_len(), limits.max_witness_bytes);
    if len > max {
        return Err(CodecError::TooLong { len, max }.into());
    }
    let state = match &witness.before {
        Before::Header {
            header: given,
            inputs,
        } => {
            if witness.step != 1 {
                return Err(WitnessError::WrongStep);
            }
            if given.element() != *expected_before || given != header {
                return Err(WitnessError::Before);
            }
            if inputs.iter().enumerate().any(|(i, v)| v.id as usize != i) {
                return Err(WitnessError::Unsorted);
            }
            initial_state(program, header, inputs.clone())?
        }
        Before::State(state) => {
            if state.step == 0 || state.step.checked_add(1) != Some(witness.step) {
                return Err(WitnessError::WrongStep);
            }
            if state.element() != *expected_before {
                return Err(WitnessError::Before);
            }
            if header.model != program.id() {
                return Err(RunError::Model.into());
            }
            state.clone()
        }
    };
    if state.status != Status::Running {
        // The trace goes on after its end: nothing is right here.
        return Ok(StepResult {
            element_after: None,
            state_after: None,
            gas: 0,
        });
    }
    check_state(program, &state)?;
    let values = check_values(&state, &witness.values)?;
    let given: Vec<ValueId> = values.keys().copied().collect();
    let mut run = Run::assemble(program, state, values, limits)?;
    run.set_kernels(kernels);
    let record = match run.try_step() {
        Ok(record) => record.ok_or(WitnessError::NoSuchStep(witness.step))?,
        Err(missing) => return Err(WitnessError::Missing(missing.0)),
    };
    if let Some(id) = given
        .iter()
        .find(|id| record.read_values.binary_search(id).is_err())
    {
        return Err(WitnessError::Superfluous(*id));
    }
    Ok(StepResult {
        element_after: Some(record.element),
        state_after: Some(record.state),
        gas: record.gas,
    })
}

/// Checks the values' bytes against the digests in the state.
fn check_values(
    state: &MachineState,
    values: &[(ValueId, Tensor)],
) -> Result<BTreeMap<ValueId, Tensor>, WitnessError> {
    if !values.windows(2).all(|w| w[0].0 < w[1].0) {
        return Err(WitnessError::Unsorted);
    }
    for (id, tensor) in values {
        if state.live_value(*id) != Some(&LiveValue::new(*id, tensor)) {
            return Err(WitnessError::Value(*id));
        }
    }
    Ok(values.iter().cloned().collect())
}
