//! Running programs: states, steps, traces, and one-step fraud proofs.

mod control;
mod engine;
mod execute;
mod header;
mod kept;
mod limits;
mod live;
mod pending;
mod state;
mod step;
mod witness;

pub use engine::{Run, RunError, StepRecord};
pub use execute::{Outcome, execute};
pub use header::{RUNTIME_VERSION, TraceHeader, inputs_root};
pub(crate) use kept::Kept;
pub use limits::{RunLimits, step_rule};
pub use state::{Element, Frame, LiveValue, MachineState, Status};
pub use witness::{
    Before, StepResult, StepWitness, WitnessError, execute_step, execute_step_on, make_witness,
};
