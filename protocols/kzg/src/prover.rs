//! Committing to traces and opening them.
//!
//! An opening of p at z is the commitment to (p(X) − p(z))/(X − z); an opening
//! at two points the commitment to (p(X) − I(X))/((X − z₀)(X − z₁)), where I is
//! the line through both values. Committing costs in proportion to the number
//! of elements; an opening always costs a full chunk, because a quotient is
//! dense even when its polynomial is not.

use std::num::NonZeroUsize;

use ark_bls12_381::Fr;

use crate::comb::Scalars;
use crate::domain::{self, CHUNK_LEN};
use crate::error::KzgError;
use crate::points::{Commitment, Proof};
use crate::scalar::{Scalar, TraceElement};
use crate::setup::Setup;
use crate::trace::{MAX_TRACE_LEN, PairForm, PairOpening, Place, TraceCommitment};

/// Makes commitments and openings under one setup.
#[derive(Debug, Clone, Copy)]
pub struct Prover<'s> {
    setup: &'s Setup,
    threads: NonZeroUsize,
}

impl<'s> Prover<'s> {
    /// A prover under `setup`, whose tables it builds when first needed.
    pub fn new(setup: &'s Setup) -> Self {
        Self {
            setup,
            threads: NonZeroUsize::MIN,
        }
    }

    /// Lets one commitment or opening use up to `threads` threads. Without this
    /// everything runs on the calling one. The result is the same.
    #[must_use]
    pub fn with_threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Commits to a trace of 1 to 2^20 elements.
    pub fn commit(&self, elements: &[TraceElement]) -> Result<TraceCommitment, KzgError> {
        check_len(elements)?;
        let chunks = elements
            .chunks(CHUNK_LEN)
            .map(|chunk| {
                let values = Scalars::Elements(chunk);
                Commitment::from_sum(&self.setup.commit(0, values, self.threads))
            })
            .collect();
        TraceCommitment::new(chunks).map_err(|_| KzgError::TraceTooLong {
            len: elements.len(),
        })
    }

    /// Proves element `index` against the commitment of its chunk.
    pub fn open(&self, elements: &[TraceElement], index: usize) -> Result<Proof, KzgError> {
        let place = place(elements, index)?;
        let z = Scalar(domain::root(place.position));
        Ok(self.open_values(&chunk_values(elements, place.chunk), &z).1)
    }

    /// Opens the polynomial of chunk `chunk` at any point: its value and the proof.
    pub fn open_at(
        &self,
        elements: &[TraceElement],
        chunk: usize,
        z: &Scalar,
    ) -> Result<(Scalar, Proof), KzgError> {
        place(elements, chunk.saturating_mul(CHUNK_LEN))?;
        Ok(self.open_values(&chunk_values(elements, chunk), z))
    }

    /// Opens the polynomial of chunk `chunk` at two different points with one
    /// proof: both values and the proof.
    pub fn open_at_two(
        &self,
        elements: &[TraceElement],
        chunk: usize,
        points: [&Scalar; 2],
    ) -> Result<([Scalar; 2], Proof), KzgError> {
        place(elements, chunk.saturating_mul(CHUNK_LEN))?;
        let [a, b] = points;
        if a == b {
            return Err(KzgError::DuplicatePosition);
        }
        let values = chunk_values(elements, chunk);
        let [ya, yb] = [
            domain::evaluate(&values, &a.0),
            domain::evaluate(&values, &b.0),
        ];
        let quotient = domain::quotient_at_two(&values, &a.0, &ya, &b.0);
        Ok(([Scalar(ya), Scalar(yb)], self.prove(&quotient)))
    }

    /// Proves elements `index − 1` and `index`: one proof if they share a
    /// chunk, two if they do not. `index` is from 1 to `elements.len() − 1`.
    pub fn open_pair(
        &self,
        elements: &[TraceElement],
        index: usize,
    ) -> Result<PairOpening, KzgError> {
        let right = place(elements, index)?;
        let before = index.checked_sub(1).ok_or(KzgError::IndexOutOfRange {
            index,
            len: elements.len(),
        })?;
        let left = place(elements, before)?;
        if left.chunk != right.chunk {
            return Ok(PairOpening(PairForm::Straddling {
                left: self.open(elements, before)?,
                right: self.open(elements, index)?,
            }));
        }
        let values = chunk_values(elements, left.chunk);
        let quotient = domain::quotient_at_positions(&values, left.position, right.position);
        Ok(PairOpening(PairForm::Together(self.prove(&quotient))))
    }

    /// Value and proof at `z` of the polynomial with these leading values.
    pub(crate) fn open_values(&self, values: &[Fr], z: &Scalar) -> (Scalar, Proof) {
        let y = domain::evaluate(values, &z.0);
        (Scalar(y), self.prove(&domain::quotient(values, &z.0, &y)))
    }

    pub(crate) fn setup(&self) -> &'s Setup {
        self.setup
    }

    pub(crate) fn prove(&self, quotient: &[Fr]) -> Proof {
        let values = Scalars::Field(quotient);
        Proof::from_sum(&self.setup.commit(0, values, self.threads))
    }
}

fn check_len(elements: &[TraceElement]) -> Result<(), KzgError> {
    match elements.len() {
        0 => Err(KzgError::EmptyTrace),
        len if len > MAX_TRACE_LEN => Err(KzgError::TraceTooLong { len }),
        _ => Ok(()),
    }
}

fn place(elements: &[TraceElement], index: usize) -> Result<Place, KzgError> {
    check_len(elements)?;
    let len = elements.len();
    Place::of(len, index).ok_or(KzgError::IndexOutOfRange { index, len })
}

/// The leading values of a chunk; what follows is zero.
pub(crate) fn chunk_values(elements: &[TraceElement], chunk: usize) -> Vec<Fr> {
    elements
        .iter()
        .skip(chunk * CHUNK_LEN)
        .take(CHUNK_LEN)
        .map(|element| element.to_scalar().0)
        .collect()
}
