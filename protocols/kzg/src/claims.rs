//! Checking that published commitments really are those of published traces.
//!
//! For claims (Cᵢ, elementsᵢ) with chunks numbered k = 0, 1, … through the whole
//! list: Σ rₖCₖ = Σⱼ (Σₖ rₖ·eₖⱼ)·Lⱼ, where eₖⱼ is element j of chunk k and Lⱼ the
//! setup's Lagrange point of position j. One multi-scalar multiplication over at
//! most 4,096 fixed points serves any number of traces.
//!
//! The coefficients come from the transcript of domain
//! `aether/kzg/v1/commitments` (see the crate's documentation), each claim being
//! `u64(chunks) ‖ chunks·48 bytes ‖ u64(elements) ‖ elements·31 bytes`.

use ark_bls12_381::Fr;
use ark_ff::Zero;

use crate::buckets;
use crate::curve::G1Affine;
use crate::domain::CHUNK_LEN;
use crate::error::Malformed;
use crate::scalar::TraceElement;
use crate::setup::Setup;
use crate::trace::TraceCommitment;
use crate::transcript::{Transcript, short};

const COMMITMENTS_DOMAIN: &[u8] = b"aether/kzg/v1/commitments";

/// Whether *every* commitment is the one of its elements.
///
/// Equals recomputing each with [`Prover::commit`](crate::Prover::commit) and
/// comparing, but for a chance of 2^-128. True for an empty list; a `false`
/// does not say which claim failed. A number of chunks that does not fit the
/// number of elements is malformed.
pub fn verify_commitments(
    setup: &Setup,
    claims: &[(&TraceCommitment, &[TraceElement])],
) -> Result<bool, Malformed> {
    let mut transcript =
        Transcript::new(COMMITMENTS_DOMAIN, setup.verifying_key().id(), claims.len());
    for (commitment, elements) in claims {
        commitment.check_len(elements.len())?;
        transcript.absorb_count(commitment.chunks().len());
        transcript.absorb(&commitment.to_bytes());
        transcript.absorb_count(elements.len());
        transcript.absorb(
            elements
                .iter()
                .map(|e| e.0)
                .collect::<Vec<_>>()
                .as_flattened(),
        );
    }

    let points: Vec<G1Affine> = claims
        .iter()
        .flat_map(|(c, _)| c.chunks())
        .map(|chunk| chunk.affine())
        .collect();
    let r = transcript.coefficients().take_scalars(points.len());

    let longest = claims
        .iter()
        .map(|(_, e)| e.len().min(CHUNK_LEN))
        .max()
        .unwrap_or(0);
    let mut columns = vec![Fr::zero(); longest];
    // `check_len` made each trace's chunks as many as its commitment's.
    let chunks = claims
        .iter()
        .flat_map(|(_, elements)| elements.chunks(CHUNK_LEN));
    for (chunk, coefficient) in chunks.zip(&r) {
        for (column, element) in columns.iter_mut().zip(chunk) {
            *column += element.to_scalar().0 * coefficient;
        }
    }

    let terms: Vec<(G1Affine, u128)> = points.into_iter().zip(short(&r)).collect();
    let claimed = buckets::sum_short(&terms);
    Ok(claimed == setup.commit_scalars(&columns))
}
