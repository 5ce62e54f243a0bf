//! The genesis, compiled, and the content-addressed library a transition may
//! read besides the state.
//!
//! `apply` is a function of state, block and [`Rules`] alone. The
//! [`Library`] is no further input: it returns bytes (or what is computed
//! from them) by content address, so every node that has them has the same.

use crate::blob::BlobRef;
use crate::genesis::{Genesis, GenesisError};
use crate::primitives::ChainId;
use crate::tee::TeeRules;
use crate::validators::ValidatorSet;
use aether_inference::{ModelError, Program};
use aether_kzg::Verifier;
use aether_tee::{Policy, TrustAnchors};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A genesis with everything that is computed from it once.
pub struct Rules {
    /// As written.
    pub genesis: Genesis,
    /// Its hash.
    pub chain_id: ChainId,
    /// Roots for evidence.
    pub anchors: TrustAnchors,
    /// Policy for evidence, without what may change by vote.
    pub policy: Policy,
    /// The rules of evidence of sequence 0.
    pub tee_rules: TeeRules,
    /// Who votes.
    pub validators: Arc<ValidatorSet>,
    /// Checks openings.
    pub verifier: Verifier<'static>,
}

impl Rules {
    /// Compiles a checked genesis.
    pub fn new(genesis: Genesis) -> Result<Self, GenesisError> {
        genesis.check()?;
        Ok(Self {
            chain_id: genesis.chain_id(),
            anchors: genesis.trust_anchors()?,
            policy: genesis.evidence_policy(),
            tee_rules: genesis.tee_rules()?,
            validators: Arc::new(genesis.validator_set()?),
            verifier: Verifier::ethereum(),
            genesis,
        })
    }

    /// The numbers.
    pub fn params(&self) -> &crate::genesis::Params {
        &self.genesis.params
    }

    /// Limits of decoding and lowering a model.
    pub fn model_limits(&self) -> aether_inference::Limits {
        aether_inference::Limits {
            max_model_bytes: self.genesis.params.limits.blob_bytes_max as usize,
            ..aether_inference::Limits::default()
        }
    }
}

/// Content-addressed bytes and the programs lowered from them.
pub trait Library: Send + Sync {
    /// The bytes, if held.
    fn blob(&self, blob: &BlobRef) -> Option<Arc<[u8]>>;

    /// The program lowered from ONNX bytes, if the bytes are held.
    fn program(&self, onnx: &BlobRef) -> Option<Result<Arc<Program>, ModelError>>;
}

type Lowered = Result<Arc<Program>, ModelError>;

/// A library in memory: tests, simulations, and the demo's checks.
pub struct MemoryLibrary {
    limits: aether_inference::Limits,
    blobs: Mutex<BTreeMap<BlobRef, Arc<[u8]>>>,
    programs: Mutex<BTreeMap<BlobRef, Lowered>>,
}

impl MemoryLibrary {
    /// Empty.
    pub fn new(limits: aether_inference::Limits) -> Self {
        Self {
            limits,
            blobs: Mutex::default(),
            programs: Mutex::default(),
        }
    }

    /// Adds bytes.
    pub fn insert(&self, bytes: &[u8]) -> BlobRef {
        let blob = BlobRef::of(bytes);
        lock(&self.blobs).insert(blob, bytes.into());
        blob
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere while holding the map leaves it whole: inserts are
    // single operations.
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Library for MemoryLibrary {
    fn blob(&self, blob: &BlobRef) -> Option<Arc<[u8]>> {
        lock(&self.blobs).get(blob).cloned()
    }

    fn program(&self, onnx: &BlobRef) -> Option<Lowered> {
        if let Some(found) = lock(&self.programs).get(onnx) {
            return Some(found.clone());
        }
        let bytes = self.blob(onnx)?;
        let lowered = Program::from_onnx(&bytes, &self.limits).map(Arc::new);
        lock(&self.programs).insert(*onnx, lowered.clone());
        Some(lowered)
    }
}
