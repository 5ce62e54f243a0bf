//! Commitments to traces and their openings at two neighbouring positions.
//!
//! A trace of n elements (1 ≤ n ≤ 2^20) is cut into ⌈n/4096⌉ chunks of 4,096,
//! the last one padded with zeros. Each chunk is a polynomial by its values:
//! element i of the chunk is its value at position i of the domain in EIP-4844
//! order, so a chunk's commitment is the EIP-4844 commitment of the blob with
//! the same field elements. Trace element i is position i mod 4096 of chunk
//! ⌊i/4096⌋.
//!
//! The encoding of a commitment is its chunks' 48-byte points, end to end. It
//! does not contain n: padding cannot be told from zero elements, so a verifier
//! is given n by whoever vouches for it.

use crate::domain::CHUNK_LEN;
use crate::error::Malformed;
use crate::points::{Commitment, POINT_BYTES, Proof};

/// The longest trace, in elements: 256 chunks.
pub const MAX_TRACE_LEN: usize = 1 << 20;

/// The commitment to a trace: one [`Commitment`] for each chunk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceCommitment {
    chunks: Vec<Commitment>,
}

impl TraceCommitment {
    /// From decoded chunk commitments; 1 to 256 of them.
    pub fn new(chunks: Vec<Commitment>) -> Result<Self, Malformed> {
        match chunks.len() {
            0 => Err(Malformed::EmptyTrace),
            n if n > MAX_TRACE_LEN / CHUNK_LEN => Err(Malformed::TraceTooLong),
            _ => Ok(Self { chunks }),
        }
    }

    /// Decodes and checks the points of 1 to 256 chunks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let points: Vec<&[u8; POINT_BYTES]> = Self::split(bytes)?.iter().collect();
        Self::new(Commitment::from_bytes_many(&points)?)
    }

    /// As [`TraceCommitment::from_bytes`] for each, which takes longer: a block's
    /// commitments are better decoded together. If some are malformed, the reason
    /// is one of theirs.
    pub fn from_bytes_many(encoded: &[&[u8]]) -> Result<Vec<Self>, Malformed> {
        let mut points = Vec::new();
        for bytes in encoded {
            points.extend(Self::split(bytes)?);
        }
        let mut decoded = Commitment::from_bytes_many(&points)?.into_iter();
        encoded
            .iter()
            .map(|bytes| Self::new(decoded.by_ref().take(bytes.len() / POINT_BYTES).collect()))
            .collect()
    }

    /// The encoded points of a commitment, as yet unchecked.
    fn split(bytes: &[u8]) -> Result<&[[u8; POINT_BYTES]], Malformed> {
        let (points, rest) = bytes.as_chunks::<POINT_BYTES>();
        if !rest.is_empty() {
            let expected = (points.len() + 1) * POINT_BYTES;
            return Err(Malformed::Length {
                expected,
                actual: bytes.len(),
            });
        }
        match points.len() {
            0 => Err(Malformed::EmptyTrace),
            n if n > MAX_TRACE_LEN / CHUNK_LEN => Err(Malformed::TraceTooLong),
            _ => Ok(points),
        }
    }

    /// 48 bytes a chunk.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.to_bytes())
            .collect()
    }

    /// The chunks' commitments, in order; never empty.
    pub fn chunks(&self) -> &[Commitment] {
        &self.chunks
    }

    /// The chunk and position of element `index`, if this commitment can be
    /// one to a trace of `len` elements.
    pub(crate) fn locate(
        &self,
        len: usize,
        index: usize,
    ) -> Result<(&Commitment, usize), Malformed> {
        self.check_len(len)?;
        let place = Place::of(len, index).ok_or(Malformed::IndexOutOfRange { index, len })?;
        let chunk = self.chunks.get(place.chunk).ok_or(Malformed::ChunkCount {
            expected: chunk_count(len),
            actual: self.chunks.len(),
        })?;
        Ok((chunk, place.position))
    }

    pub(crate) fn check_len(&self, len: usize) -> Result<(), Malformed> {
        match (len, chunk_count(len)) {
            (0, _) => Err(Malformed::EmptyTrace),
            _ if len > MAX_TRACE_LEN => Err(Malformed::TraceTooLong),
            (_, expected) if expected != self.chunks.len() => Err(Malformed::ChunkCount {
                expected,
                actual: self.chunks.len(),
            }),
            _ => Ok(()),
        }
    }
}

/// Chunks of a trace of `len` elements.
pub(crate) fn chunk_count(len: usize) -> usize {
    len.div_ceil(CHUNK_LEN)
}

/// Where a trace element lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) chunk: usize,
    pub(crate) position: usize,
}

impl Place {
    pub(crate) fn of(len: usize, index: usize) -> Option<Self> {
        (index < len).then_some(Self {
            chunk: index / CHUNK_LEN,
            position: index % CHUNK_LEN,
        })
    }
}

/// Proof for the elements at positions i−1 and i.
///
/// The index alone decides the form: across the border of two chunks (i a
/// multiple of 4,096) two proofs, otherwise one. The encoding is the proof's
/// 48 bytes, or the left one's followed by the right one's (96 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PairOpening(pub(crate) PairForm);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PairForm {
    /// Both in one chunk: the quotient by (X − z₀)(X − z₁).
    Together(Proof),
    /// i−1 ends a chunk and i starts the next.
    Straddling { left: Proof, right: Proof },
}

impl PairOpening {
    /// Decodes 48 or 96 bytes and checks the points.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let (points, rest) = bytes.as_chunks::<POINT_BYTES>();
        match (points, rest) {
            ([proof], []) => Ok(Self(PairForm::Together(Proof::from_bytes(proof)?))),
            ([left, right], []) => Ok(Self(PairForm::Straddling {
                left: Proof::from_bytes(left)?,
                right: Proof::from_bytes(right)?,
            })),
            _ => Err(Malformed::Length {
                expected: POINT_BYTES,
                actual: bytes.len(),
            }),
        }
    }

    /// The canonical 48 or 96 bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        match self.0 {
            PairForm::Together(proof) => proof.to_bytes().to_vec(),
            PairForm::Straddling { left, right } => [left.to_bytes(), right.to_bytes()].concat(),
        }
    }
}
