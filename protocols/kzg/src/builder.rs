//! Commitments that grow with their trace.
//!
//! A commitment is linear and what follows a trace counts as zeros, so appending
//! k elements adds k terms to the last chunk's sum: O(k) whatever came before.

use std::num::NonZeroUsize;

use crate::comb::Scalars;
use crate::curve::{self, G1};
use crate::domain::CHUNK_LEN;
use crate::error::KzgError;
use crate::points::Commitment;
use crate::scalar::TraceElement;
use crate::setup::Setup;
use crate::trace::{MAX_TRACE_LEN, TraceCommitment};

/// Commits to a trace as its elements come.
#[derive(Debug, Clone)]
pub struct CommitmentBuilder<'s> {
    setup: &'s Setup,
    full: Vec<Commitment>,
    last: G1,
    len: usize,
}

impl<'s> CommitmentBuilder<'s> {
    /// An empty trace under `setup`.
    pub fn new(setup: &'s Setup) -> Self {
        Self {
            setup,
            full: Vec::new(),
            last: G1::default(),
            len: 0,
        }
    }

    /// Appends elements. If they would not fit, nothing is changed.
    pub fn append(&mut self, mut elements: &[TraceElement]) -> Result<(), KzgError> {
        let len = self.len.saturating_add(elements.len());
        if len > MAX_TRACE_LEN {
            return Err(KzgError::TraceTooLong { len });
        }
        while !elements.is_empty() {
            let position = self.len % CHUNK_LEN;
            let (now, later) = elements.split_at(elements.len().min(CHUNK_LEN - position));
            let values = Scalars::Elements(now);
            let sum = self.setup.commit(position, values, NonZeroUsize::MIN);
            self.last = curve::g1_add(&self.last, &sum);
            self.len += now.len();
            if self.len.is_multiple_of(CHUNK_LEN) {
                self.full.push(Commitment::from_sum(&self.last));
                self.last = G1::default();
            }
            elements = later;
        }
        Ok(())
    }

    /// Elements appended so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The commitment to what was appended so far.
    pub fn commitment(&self) -> Result<TraceCommitment, KzgError> {
        let mut chunks = self.full.clone();
        if !self.len.is_multiple_of(CHUNK_LEN) {
            chunks.push(Commitment::from_sum(&self.last));
        }
        TraceCommitment::new(chunks).map_err(|_| KzgError::EmptyTrace)
    }
}
