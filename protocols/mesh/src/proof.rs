//! Inclusion proofs of state records.
//!
//! The state is authenticated by a Jellyfish Merkle tree (`jmt`, SHA-256). A
//! record's place is a domain-separated hash of its key; the leaf holds the
//! record's bytes. The header's `state_root` is the tree's root after the
//! block's transactions. Storage keeps the tree; only checking is here, so
//! that a verifier needs nothing else.

use crate::primitives::hash_parts;
use borsh::BorshDeserialize;
use jmt::proof::SparseMerkleProof;
use jmt::{KeyHash, RootHash, SimpleHasher};
use sha2::{Digest, Sha256};

/// The tree's hash function: plain SHA-256 (the tree separates its own
/// domains).
#[derive(Clone, Debug, Default)]
pub struct StateHasher(Sha256);

impl SimpleHasher for StateHasher {
    fn new() -> Self {
        Self(Sha256::new())
    }

    fn update(&mut self, data: &[u8]) {
        Digest::update(&mut self.0, data);
    }

    fn finalize(self) -> [u8; 32] {
        Digest::finalize(self.0).into()
    }
}

/// Where a key stands in the tree.
pub fn key_hash(key: &[u8]) -> KeyHash {
    KeyHash(hash_parts("aether/state-key/v1", &[key]))
}

/// Most bytes a proof may have: 256 levels of 33 bytes, a leaf, and framing.
pub const PROOF_BYTES_MAX: usize = 16 * 1024;

/// Why a proof proves nothing. The fault of whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Longer than [`PROOF_BYTES_MAX`], or not the canonical encoding.
    #[error("the inclusion proof is malformed")]
    Malformed,
    /// Does not lead from this record to this root.
    #[error("the inclusion proof does not lead to the state root")]
    Mismatch,
}

/// Whether `root` holds `value` under `key`.
pub fn verify_inclusion(
    root: &[u8; 32],
    key: &[u8],
    value: &[u8],
    proof: &[u8],
) -> Result<(), ProofError> {
    if proof.len() > PROOF_BYTES_MAX {
        return Err(ProofError::Malformed);
    }
    let decoded = SparseMerkleProof::<StateHasher>::try_from_slice(proof)
        .map_err(|_| ProofError::Malformed)?;
    if borsh::to_vec(&decoded).map_err(|_| ProofError::Malformed)? != proof {
        return Err(ProofError::Malformed);
    }
    decoded
        .verify_existence(RootHash(*root), key_hash(key), value)
        .map_err(|_| ProofError::Mismatch)
}
