//! The gas table: what an instruction costs, from shapes alone.
//!
//! One unit is about one fused multiply-add. All arithmetic saturates, so an
//! absurd shape costs `u64::MAX` and is stopped before anything is allocated.

/// Every instruction, whatever it does: about what planning it, closing a step
/// after it and hashing the state take.
pub(crate) const INSTRUCTION: u64 = 4000;
/// Every input and output place of an instruction.
pub(crate) const PLACE: u64 = 100;
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

/// What an instruction costs before its work is counted.
pub(crate) fn instruction(places: usize) -> u64 {
    INSTRUCTION.saturating_add(PLACE.saturating_mul(places as u64))
}

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
