//! The functions of EIP-4844 ("blob" commitments), from bytes to verdicts.
//!
//! Source: <https://github.com/ethereum/consensus-specs>, deneb,
//! `polynomial-commitments.md`. A blob is 4,096 field elements of 32 bytes,
//! big-endian, each below r. The names are the specification's.
//!
//! Where the specification refuses an input, these return [`Malformed`].

use ark_bls12_381::Fr;
use sha2::{Digest, Sha256};

use crate::domain::{self, CHUNK_LEN};
use crate::error::Malformed;
use crate::points::{Commitment, Proof};
use crate::prover::Prover;
use crate::scalar::{Scalar, reduced};
use crate::setup::Setup;
use crate::verifier::{Opening, Verifier};

/// Bytes of a blob.
pub const BLOB_BYTES: usize = CHUNK_LEN * 32;

/// `FIAT_SHAMIR_PROTOCOL_DOMAIN`.
const CHALLENGE_DOMAIN: &[u8; 16] = b"FSBLOBVERIFY_V1_";

/// Commitment to a blob.
pub fn blob_to_kzg_commitment(setup: &Setup, blob: &[u8]) -> Result<Commitment, Malformed> {
    Ok(Commitment::from_sum(
        &setup.commit_scalars(&field_elements(blob)?),
    ))
}

/// Proof and value of a blob's polynomial at `z` (32 bytes).
pub fn compute_kzg_proof(
    setup: &Setup,
    blob: &[u8],
    z: &[u8],
) -> Result<(Proof, Scalar), Malformed> {
    let values = field_elements(blob)?;
    let (y, proof) = Prover::new(setup).open_values(&values, &Scalar::from_slice(z)?);
    Ok((proof, y))
}

/// Proof that goes with a blob and its commitment (48 bytes), at the point
/// that [`compute_challenge`] derives. Does not check that they belong together.
pub fn compute_blob_kzg_proof(
    setup: &Setup,
    blob: &[u8],
    commitment: &[u8],
) -> Result<Proof, Malformed> {
    let values = field_elements(blob)?;
    let z = challenge(blob, &Commitment::from_slice(commitment)?);
    Ok(Prover::new(setup).open_values(&values, &z).1)
}

/// The point at which a blob is opened: SHA-256 of
/// `"FSBLOBVERIFY_V1_" ‖ u128(4096) ‖ blob ‖ commitment`, modulo r.
pub fn compute_challenge(blob: &[u8], commitment: &[u8]) -> Result<Scalar, Malformed> {
    field_elements(blob)?;
    Ok(challenge(blob, &Commitment::from_slice(commitment)?))
}

/// Whether the polynomial in `commitment` has value `y` at `z`.
pub fn verify_kzg_proof(
    setup: &Setup,
    commitment: &[u8],
    z: &[u8],
    y: &[u8],
    proof: &[u8],
) -> Result<bool, Malformed> {
    let commitment = Commitment::from_slice(commitment)?;
    let [z, y] = [Scalar::from_slice(z)?, Scalar::from_slice(y)?];
    let proof = Proof::from_slice(proof)?;
    Ok(Verifier::new(setup.verifying_key()).verify(&commitment, &z, &y, &proof))
}

/// Whether `commitment` is the one of `blob`, by the proof that came with it.
pub fn verify_blob_kzg_proof(
    setup: &Setup,
    blob: &[u8],
    commitment: &[u8],
    proof: &[u8],
) -> Result<bool, Malformed> {
    verify_blob_kzg_proof_batch(setup, &[blob], &[commitment], &[proof])
}

/// Whether every blob's commitment is right; true for none at all.
///
/// The combination uses this crate's coefficients (see
/// [`Verifier::verify_batch`]), not the specification's powers of one; the
/// verdict is the same.
pub fn verify_blob_kzg_proof_batch(
    setup: &Setup,
    blobs: &[&[u8]],
    commitments: &[&[u8]],
    proofs: &[&[u8]],
) -> Result<bool, Malformed> {
    if blobs.len() != commitments.len() || blobs.len() != proofs.len() {
        return Err(Malformed::ListLength);
    }
    let openings = blobs
        .iter()
        .zip(commitments)
        .zip(proofs)
        .map(|((blob, commitment), proof)| {
            let values = field_elements(blob)?;
            let commitment = Commitment::from_slice(commitment)?;
            let proof = Proof::from_slice(proof)?;
            let z = challenge(blob, &commitment);
            let y = Scalar(domain::evaluate(&values, &z.0));
            Ok(Opening {
                commitment,
                z,
                y,
                proof,
            })
        })
        .collect::<Result<Vec<_>, Malformed>>()?;
    Ok(Verifier::new(setup.verifying_key()).verify_batch(&openings))
}

fn field_elements(blob: &[u8]) -> Result<Vec<Fr>, Malformed> {
    if blob.len() != BLOB_BYTES {
        return Err(Malformed::Length {
            expected: BLOB_BYTES,
            actual: blob.len(),
        });
    }
    let (elements, _) = blob.as_chunks::<32>();
    elements
        .iter()
        .map(|element| Scalar::from_bytes(element).map(|scalar| scalar.0))
        .collect()
}

fn challenge(blob: &[u8], commitment: &Commitment) -> Scalar {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(CHALLENGE_DOMAIN)
        .chain_update((CHUNK_LEN as u128).to_be_bytes())
        .chain_update(blob)
        .chain_update(commitment.to_bytes())
        .finalize()
        .into();
    Scalar(reduced(&digest))
}
