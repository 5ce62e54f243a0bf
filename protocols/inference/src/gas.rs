//! The gas table: what an instruction costs, from shapes alone.
//!
//! One unit is about one fused multiply-add. All arithmetic saturates, so an
//! absurd shape costs `u64::MAX` and is stopped before anything is allocated.

/// Every instruction, whatever it does.
pub(crate) const INSTRUCTION: u64 = 100;
/// Add, subtract, multiply, negate, compare, select, rounding.
pub(crate) const SIMPLE: u64 = 1;
/// Divide, square root, reciprocal.
pub(crate) const DIVIDE: u64 = 4;
/// exp, log, tanh, sigmoid, erf and what is made of one of them.
pub(crate) const TRANSCENDENTAL: u64 = 8;
/// pow.
pub(crate) const POWER: u64 = 24;
/// One element visited by a reduction or a pooling window.
pub(crate) const VISIT: u64 = 1;

/// `elements × weight`.
pub(crate) fn elementwise(elements: u64, weight: u64) -> u64 {
    elements.saturating_mul(weight)
}

/// Moving `bytes` around: a quarter unit per byte, rounded up.
pub(crate) fn movement(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// A contraction of `outputs` elements over `k`, with one more unit per output.
pub(crate) fn contraction(outputs: u64, k: u64) -> u64 {
    outputs.saturating_mul(k.saturating_add(1))
}
