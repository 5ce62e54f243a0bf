//! What can be wrong with bytes from outside, and with a caller's request.
//!
//! Two questions are kept apart everywhere in this crate:
//!
//! * *Is this well-formed?* — if not, [`Malformed`]. The sender is to blame
//!   whatever the state of the world is.
//! * *Is this well-formed statement true?* — `Ok(true)` or `Ok(false)`.

use thiserror::Error;

/// An encoding, or the shape of a statement, that no honest peer sends.
///
/// Every variant is the fault of whoever produced the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The byte string has the wrong length.
    #[error("expected {expected} bytes, got {actual}")]
    Length {
        /// Length the format prescribes, in bytes.
        expected: usize,
        /// Length that was given, in bytes.
        actual: usize,
    },
    /// The compression flag (bit 7 of the first byte) is not set.
    #[error("the point is not in compressed form")]
    NotCompressed,
    /// The infinity flag is set, but the other bits are not all zero.
    #[error("the point at infinity carries other bits")]
    DirtyInfinity,
    /// A coordinate is not below the field's modulus.
    #[error("a coordinate is not reduced modulo p")]
    CoordinateTooLarge,
    /// No point of the curve has this x coordinate.
    #[error("the point is not on the curve")]
    NotOnCurve,
    /// The point lies on the curve but outside the subgroup of order r.
    #[error("the point is not in the prime-order subgroup")]
    NotInSubgroup,
    /// The point at infinity where it has no meaning (a public key).
    #[error("the point at infinity is not allowed here")]
    Infinity,
    /// A scalar is not below the group order r.
    #[error("a scalar is not reduced modulo r")]
    ScalarTooLarge,
    /// A secret key of zero.
    #[error("a secret key must not be zero")]
    ZeroSecretKey,
    /// A trace without elements, or a trace commitment without chunks.
    #[error("a trace must have at least one element")]
    EmptyTrace,
    /// More elements (or chunks) than [`MAX_TRACE_LEN`](crate::MAX_TRACE_LEN) allows.
    #[error("the trace has more than 2^20 elements")]
    TraceTooLong,
    /// The number of chunk commitments does not fit the number of elements.
    #[error("the trace's length calls for {expected} chunks, the commitment has {actual}")]
    ChunkCount {
        /// ⌈len / 4096⌉.
        expected: usize,
        /// Chunks in the commitment.
        actual: usize,
    },
    /// An index outside the trace, or a pair without a left neighbour.
    #[error("index {index} is out of range for a trace of {len} elements")]
    IndexOutOfRange {
        /// The index asked for.
        index: usize,
        /// Number of elements in the trace.
        len: usize,
    },
    /// A statement that names one position or point twice.
    #[error("a position occurs twice in one opening")]
    DuplicatePosition,
    /// An opening or an audit of nothing.
    #[error("an opening needs at least one position")]
    NoPositions,
    /// More positions than [`MAX_OPENED`](crate::MAX_OPENED), or than there are.
    #[error("{count} positions are too many")]
    TooManyPositions {
        /// Positions asked for.
        count: usize,
    },
    /// A one-proof pair opening across chunks, or a two-proof one inside a chunk.
    #[error("the pair opening has the wrong form for this index")]
    OpeningForm,
    /// Parallel lists of unequal lengths.
    #[error("the lists have different lengths")]
    ListLength,
    /// A setup whose points contradict each other.
    #[error("the setup is not well-formed: {0}")]
    Setup(&'static str),
}

/// Why a commitment or an opening could not be made. The fault is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KzgError {
    /// A trace without elements cannot be committed to.
    #[error("a trace must have at least one element")]
    EmptyTrace,
    /// More elements than [`MAX_TRACE_LEN`](crate::MAX_TRACE_LEN).
    #[error("a trace of {len} elements is longer than 2^20")]
    TraceTooLong {
        /// Elements given.
        len: usize,
    },
    /// An index outside the trace, or a pair at index 0.
    #[error("index {index} is out of range for a trace of {len} elements")]
    IndexOutOfRange {
        /// The index asked for.
        index: usize,
        /// Number of elements in the trace.
        len: usize,
    },
    /// Two-point openings need two different points.
    #[error("the two points of an opening coincide")]
    DuplicatePosition,
    /// The statement to be proven has no meaning.
    #[error("such a statement cannot be proven: {0}")]
    Statement(#[from] Malformed),
}
