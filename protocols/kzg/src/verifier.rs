//! Checking openings.
//!
//! One point: e(C − y·G1 + z·π, G2) = e(π, τG2).
//!
//! Two points z₀ ≠ z₁ of one chunk, I the line with I(zⱼ) = yⱼ:
//! e(C − [I(τ)]G1, G2) = e(π, [(τ − z₀)(τ − z₁)]G2), checked with fixed G2
//! arguments as e(C − [I(τ)]G1 − z₀z₁·π, G2) · e((z₀+z₁)·π, τG2) = e(π, τ²G2).
//!
//! Many one-point openings: Σ rᵢ of the first equation, with coefficients from
//! the transcript of domain `aether/kzg/v1/openings` (see the crate's
//! documentation), each statement being `C (48) ‖ z (32) ‖ y (32) ‖ π (48)`.
//!
//! A statement whose *shape* is wrong (an index outside the trace, the wrong
//! number of chunks or proofs) is [`Malformed`]; a well-shaped one is true or
//! false.

use ark_bls12_381::Fr;
use ark_ff::{Field, Zero};

use crate::buckets;
use crate::curve::{self, G1Affine};
use crate::domain;
use crate::error::Malformed;
use crate::glv;
use crate::key::VerifyingKey;
use crate::pairing;
use crate::points::{Commitment, POINT_BYTES, Proof, decode_many};
use crate::scalar::{Scalar, TraceElement};
use crate::setup::Setup;
use crate::trace::{PairForm, PairOpening, TraceCommitment};
use crate::transcript::{Transcript, short};

const OPENINGS_DOMAIN: &[u8] = b"aether/kzg/v1/openings";

/// The statement "the polynomial in `commitment` has value `y` at `z`", and its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opening {
    /// Commitment to the polynomial.
    pub commitment: Commitment,
    /// Where it is opened.
    pub z: Scalar,
    /// Its claimed value there.
    pub y: Scalar,
    /// The proof.
    pub proof: Proof,
}

/// An [`Opening`] as it travels: nothing about it is checked.
#[derive(Debug, Clone, Copy)]
pub struct EncodedOpening<'a> {
    /// A compressed point.
    pub commitment: &'a [u8; POINT_BYTES],
    /// A scalar, big-endian.
    pub z: &'a [u8; 32],
    /// A scalar, big-endian.
    pub y: &'a [u8; 32],
    /// A compressed point.
    pub proof: &'a [u8; POINT_BYTES],
}

impl EncodedOpening<'_> {
    /// Decodes and checks all openings; cheaper than one at a time. If several are
    /// malformed, the reason is one of theirs.
    pub fn decode_many(encoded: &[Self]) -> Result<Vec<Opening>, Malformed> {
        let points: Vec<&[u8; POINT_BYTES]> = encoded
            .iter()
            .flat_map(|opening| [opening.commitment, opening.proof])
            .collect();
        let decoded = decode_many(&points)?;
        let (pairs, _) = decoded.as_chunks::<2>();
        encoded
            .iter()
            .zip(pairs)
            .map(|(opening, [commitment, proof])| {
                Ok(Opening {
                    commitment: Commitment::from_checked(*commitment),
                    z: Scalar::from_bytes(opening.z)?,
                    y: Scalar::from_bytes(opening.y)?,
                    proof: Proof::from_checked(*proof),
                })
            })
            .collect()
    }
}

/// Checks openings under one key.
#[derive(Debug, Clone, Copy)]
pub struct Verifier<'k> {
    key: &'k VerifyingKey,
}

impl Verifier<'static> {
    /// Under the Ethereum ceremony's key.
    pub fn ethereum() -> Self {
        Self::new(Setup::ethereum().verifying_key())
    }
}

impl<'k> Verifier<'k> {
    /// Under `key`.
    pub fn new(key: &'k VerifyingKey) -> Self {
        Self { key }
    }

    pub(crate) fn key(&self) -> &'k VerifyingKey {
        self.key
    }

    /// Whether the polynomial in `commitment` has value `y` at `z`.
    pub fn verify(&self, commitment: &Commitment, z: &Scalar, y: &Scalar, proof: &Proof) -> bool {
        let pi = proof.affine();
        let sum = glv::multiply_sum(&[(pi, z.0)]);
        let sum = curve::g1_add_affine(&sum, &commitment.affine());
        let left = curve::g1_to_affine(&self.key.g1_multiples.multiply_onto(sum, &-y.0));
        pairing::products_equal(
            &[(left, &self.key.g2_lines)],
            &[(pi, &self.key.tau_g2_lines)],
        )
    }

    /// Whether the polynomial has the values `y` at the two different points
    /// `z`; each pair is `(z, y)`. Equal points are refused.
    pub fn verify_two(
        &self,
        commitment: &Commitment,
        [(a, ya), (b, yb)]: [(Scalar, Scalar); 2],
        proof: &Proof,
    ) -> Result<bool, Malformed> {
        let apart = (b.0 - a.0).inverse().ok_or(Malformed::DuplicatePosition)?;
        // I(X) = slope·X + base.
        let slope = (yb.0 - ya.0) * apart;
        let base = ya.0 - slope * a.0;
        let pi = proof.affine();
        let key = self.key;
        let sum = glv::multiply_sum(&[(pi, -(a.0 * b.0))]);
        let sum = curve::g1_add_affine(&sum, &commitment.affine());
        let sum = key.g1_multiples.multiply_onto(sum, &-base);
        let sum = key.tau_g1_multiples.multiply_onto(sum, &-slope);
        let first = curve::g1_to_affine(&sum);
        let second = glv::multiply_sum(&[(pi, a.0 + b.0)]);
        Ok(pairing::products_equal(
            &[
                (first, &key.g2_lines),
                (curve::g1_to_affine(&second), &key.tau_g2_lines),
            ],
            &[(pi, &key.tau2_g2_lines)],
        ))
    }

    /// Whether `element` is element `index` of the committed trace of `len` elements.
    pub fn verify_at_index(
        &self,
        commitment: &TraceCommitment,
        len: usize,
        index: usize,
        element: &TraceElement,
        proof: &Proof,
    ) -> Result<bool, Malformed> {
        let (chunk, position) = commitment.locate(len, index)?;
        let z = Scalar(domain::root(position));
        Ok(self.verify(chunk, &z, &element.to_scalar(), proof))
    }

    /// Whether `left` and `right` are elements `index − 1` and `index` of the
    /// committed trace of `len` elements; 1 ≤ `index` < `len`.
    pub fn verify_pair(
        &self,
        commitment: &TraceCommitment,
        len: usize,
        index: usize,
        left: &TraceElement,
        right: &TraceElement,
        opening: &PairOpening,
    ) -> Result<bool, Malformed> {
        let before = index
            .checked_sub(1)
            .ok_or(Malformed::IndexOutOfRange { index, len })?;
        let (right_chunk, b) = commitment.locate(len, index)?;
        let (left_chunk, a) = commitment.locate(len, before)?;
        let [za, zb] = [Scalar(domain::root(a)), Scalar(domain::root(b))];
        let [ya, yb] = [left.to_scalar(), right.to_scalar()];
        // Position 0 on the right means that the left one is in the chunk before.
        match (&opening.0, b == 0) {
            (PairForm::Together(proof), false) => {
                self.verify_two(right_chunk, [(za, ya), (zb, yb)], proof)
            }
            (
                PairForm::Straddling {
                    left: first,
                    right: second,
                },
                true,
            ) => Ok(self.verify_batch(&[
                Opening {
                    commitment: *left_chunk,
                    z: za,
                    y: ya,
                    proof: *first,
                },
                Opening {
                    commitment: *right_chunk,
                    z: zb,
                    y: yb,
                    proof: *second,
                },
            ])),
            _ => Err(Malformed::OpeningForm),
        }
    }

    /// As [`Verifier::verify_batch`], from bytes.
    pub fn verify_encoded_batch(&self, openings: &[EncodedOpening<'_>]) -> Result<bool, Malformed> {
        Ok(self.verify_batch(&EncodedOpening::decode_many(openings)?))
    }

    /// Whether *all* openings hold: one pairing check for the whole list.
    ///
    /// True for an empty list. A `false` does not say which one failed.
    pub fn verify_batch(&self, openings: &[Opening]) -> bool {
        match openings {
            [] => return true,
            [one] => return self.verify(&one.commitment, &one.z, &one.y, &one.proof),
            _ => {}
        }
        let mut transcript = Transcript::new(OPENINGS_DOMAIN, self.key.id(), openings.len());
        for opening in openings {
            transcript.absorb(&opening.commitment.to_bytes());
            transcript.absorb(&opening.z.to_bytes());
            transcript.absorb(&opening.y.to_bytes());
            transcript.absorb(&opening.proof.to_bytes());
        }
        let r = transcript.coefficients().take_scalars(openings.len());

        // Everything of the first sum in one go: Σ rᵢCᵢ + Σ (rᵢzᵢ)πᵢ, every
        // full scalar in two short halves. The values meet at the generator.
        let weighted: Vec<Fr> = openings.iter().zip(&r).map(|(o, r)| o.z.0 * r).collect();
        let proofs = openings.iter().map(|o| o.proof.affine());
        let mut terms: Vec<(G1Affine, u128)> =
            buckets::halves(proofs.clone().zip(&weighted)).collect();
        terms.extend(
            openings
                .iter()
                .map(|o| o.commitment.affine())
                .zip(short(&r)),
        );
        let value = openings
            .iter()
            .zip(&r)
            .fold(Fr::zero(), |sum, (o, r)| sum + o.y.0 * r);
        let sum = buckets::sum_short(&terms);
        let left = curve::g1_to_affine(&self.key.g1_multiples.multiply_onto(sum, &-value));
        let proofs: Vec<(G1Affine, u128)> = proofs.zip(short(&r)).collect();
        let combined_proof = curve::g1_to_affine(&buckets::sum_short(&proofs));
        pairing::products_equal(
            &[(left, &self.key.g2_lines)],
            &[(combined_proof, &self.key.tau_g2_lines)],
        )
    }
}
