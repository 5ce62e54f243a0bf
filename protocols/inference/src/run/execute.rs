//! A whole run at once.

use super::engine::{Run, RunError};
use super::header::TraceHeader;
use super::limits::RunLimits;
use super::state::{Element, MachineState, Status};
use crate::program::Program;
use crate::tensor::Tensor;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The outputs in the graph's order; empty unless the status is done.
    pub outputs: Vec<Tensor>,
    /// Element 0 (header) to n (final state).
    pub trace: Vec<Element>,
    /// The state after the last step.
    pub final_state: MachineState,
    /// Gas of the instructions executed.
    pub gas_used: u64,
    /// Status of the final state; never running.
    pub status: Status,
    /// Gas of each step, from step 1.
    pub step_gas: Vec<u64>,
    /// Why the run trapped, if it did; not part of the trace.
    pub trap: Option<&'static str>,
}

/// Runs a program to its end.
///
/// # Errors
/// When header, program and inputs do not belong together; every other end is
/// an [`Outcome`] with its status.
pub fn execute(
    program: &Program,
    header: &TraceHeader,
    inputs: &[Tensor],
    limits: &RunLimits,
) -> Result<Outcome, RunError> {
    let mut run = Run::start(program, header, inputs, limits)?;
    let mut trace = vec![header.element()];
    let mut step_gas = Vec::new();
    let mut trap = None;
    while let Some(record) = run.step() {
        trace.push(record.element);
        step_gas.push(record.gas);
        trap = record.trap;
    }
    let final_state = run.state().clone();
    Ok(Outcome {
        outputs: run.outputs().unwrap_or_default(),
        trace,
        gas_used: final_state.gas,
        status: final_state.status,
        final_state,
        step_gas,
        trap,
    })
}
