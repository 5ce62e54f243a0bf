//! What bounds a run, and where a step ends.
//!
//! The limits are protocol parameters: they decide statuses and cuts, so
//! everybody must run a job with the same ones.

use crate::tensor::DType;

/// Bounds of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    /// Gas of the whole run (the job's).
    pub gas_limit: u64,
    /// Gas of one step.
    pub max_step_gas: u64,
    /// Encoded size of a step's witness, bytes.
    pub max_witness_bytes: u64,
    /// Live values and the working set of one instruction, bytes. Constants
    /// that it does not read are not counted.
    pub max_memory_bytes: u64,
    /// Steps of a run: so many elements has its trace at most, besides element 0.
    pub max_steps: u32,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            gas_limit: 1 << 40,
            max_step_gas: 1 << 36,
            max_witness_bytes: 64 << 20,
            max_memory_bytes: 1 << 30,
            max_steps: 1 << 20,
        }
    }
}

/// The rule that cuts a run into steps.
pub mod step_rule {
    /// Live tensors up to this size are hashed after every instruction.
    pub const SMALL_LIVE_BYTES: u64 = 16 << 10;
    /// Gas since the last cut that pays for hashing one live byte: hashing then
    /// costs a few percent of the arithmetic.
    pub const GAS_PER_LIVE_BYTE: u64 = 300;
    /// What a live value counts for besides its elements, bytes: its line in
    /// the state.
    pub const BYTES_PER_VALUE: u64 = 64;

    /// Least gas of a step that ends inside a body, so that a loop of many
    /// small rounds has a short trace.
    pub const GAS_INSIDE: u64 = 1 << 20;

    /// Whether a step closes after an instruction; `inside` a body?
    pub fn closes(step_gas: u64, live_bytes: u64, inside: bool) -> bool {
        let paid = step_gas >= live_bytes.saturating_mul(GAS_PER_LIVE_BYTE);
        if inside {
            paid && step_gas >= GAS_INSIDE
        } else {
            paid || live_bytes <= SMALL_LIVE_BYTES
        }
    }
}

/// What a live value counts for in the step rule, bytes.
pub(super) fn live_weight(dtype: DType, shape: &[usize]) -> u64 {
    crate::tensor::numel(shape)
        .saturating_mul(dtype.size() as u64)
        .saturating_add(step_rule::BYTES_PER_VALUE)
}
