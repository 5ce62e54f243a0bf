//! Element 0 of a trace: what was asked, and of which model.
//!
//! Encoding (140 bytes): chain, job, model, inputs root (32 bytes each), seed
//! (`u64`), runtime version (`u32`). It names no worker, so replicas' traces
//! compare.

use super::state::{Element, element_of};
use crate::codec::{CodecError, Reader, Writer};
use crate::merkle;
use crate::program::ModelId;
use crate::tensor::{Digest, Tensor};

/// Version of the rules in SPEC.md. Any change of bits changes it.
pub const RUNTIME_VERSION: u32 = 1;

const DOMAIN: &str = "aether/trace/header/v1";

/// The header of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHeader {
    /// Chain id.
    pub chain: [u8; 32],
    /// Job id.
    pub job: [u8; 32],
    /// Model id.
    pub model: ModelId,
    /// [`inputs_root`] of the inputs.
    pub inputs_root: [u8; 32],
    /// The job's seed, for operators that draw numbers.
    pub seed: u64,
    /// [`RUNTIME_VERSION`].
    pub runtime: u32,
}

impl TraceHeader {
    /// Encoded size, bytes.
    pub const ENCODED_LEN: usize = 140;

    /// A header for `inputs` under this crate's rules.
    pub fn new(
        chain: [u8; 32],
        job: [u8; 32],
        model: ModelId,
        inputs: &[Tensor],
        seed: u64,
    ) -> Self {
        let digests: Vec<Digest> = inputs.iter().map(Tensor::digest).collect();
        let inputs_root = inputs_root(&digests);
        Self {
            chain,
            job,
            model,
            inputs_root,
            seed,
            runtime: RUNTIME_VERSION,
        }
    }

    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.finish()
    }

    /// Decodes canonical bytes.
    ///
    /// # Errors
    /// When they are not exactly [`Self::ENCODED_LEN`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut r = Reader::new(bytes);
        let header = Self::read(&mut r)?;
        r.finish()?;
        Ok(header)
    }

    /// Element 0 of the trace.
    pub fn element(&self) -> Element {
        element_of(DOMAIN, &self.encode())
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.raw(&self.chain);
        w.raw(&self.job);
        w.raw(&self.model.0);
        w.raw(&self.inputs_root);
        w.u64(self.seed);
        w.u32(self.runtime);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            chain: r.array()?,
            job: r.array()?,
            model: ModelId(r.array()?),
            inputs_root: r.array()?,
            seed: r.u64()?,
            runtime: r.u32()?,
        })
    }
}

/// Root of the inputs' digests, in the program's order (`crate::merkle`, domain
/// `aether/inputs/v1`).
pub fn inputs_root(digests: &[Digest]) -> [u8; 32] {
    let leaves: Vec<_> = digests.iter().map(|d| merkle::leaf(d)).collect();
    merkle::root("aether/inputs/v1", &leaves)
}
