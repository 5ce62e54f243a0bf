//! Many positions of a trace, across its chunks, in one proof of 96 bytes.
//!
//! Source: Boneh, Drake, Fisch, Gabizon, "Efficient polynomial commitment schemes
//! for multiple points and polynomials" (2020/081), section 4. Let the opened
//! chunks be j = 0, 1, … in ascending order, fⱼ their polynomials, Sⱼ the opened
//! points of each, Zⱼ = ∏ (X − s) over s in Sⱼ, and rⱼ the polynomial of degree
//! below |Sⱼ| with the claimed values.
//!
//! * W commits to h = Σ γʲ·(fⱼ − rⱼ)/Zⱼ.
//! * W′ commits to ℓ/(X − z), where ℓ = Σ cⱼ·(fⱼ − rⱼ(z)) − h and cⱼ = γʲ/Zⱼ(z).
//! * With F = Σ cⱼCⱼ − (Σ cⱼ·rⱼ(z))·G1 − W, the proof holds if
//!   e(F + z·W′, G2) = e(W′, τG2).
//!
//! γ binds the whole statement and z also W: see the crate's documentation,
//! "Transcripts". Positions count as a set: their order means nothing, each
//! occurs once, and there are 1 to [`MAX_OPENED`].

use std::collections::BTreeMap;

use ark_bls12_381::Fr;
use ark_ff::{Field, One, Zero, batch_inversion};
use sha2::Digest;

use crate::buckets;
use crate::curve::{self, G1, G1Affine};
use crate::domain::{self, CHUNK_LEN};
use crate::error::{KzgError, Malformed};
use crate::glv;
use crate::key::VerifyingKey;
use crate::pairing;
use crate::points::{Commitment, POINT_BYTES, Proof};
use crate::prover::{Prover, chunk_values};
use crate::scalar::{TraceElement, reduced};
use crate::trace::TraceCommitment;
use crate::transcript::{Transcript, tagged};
use crate::verifier::Verifier;

const STATEMENT_DOMAIN: &[u8] = b"aether/kzg/v1/multi-opening";
const POINT_DOMAIN: &[u8] = b"aether/kzg/v1/multi-opening-point";
const AUDIT_DOMAIN: &[u8] = b"aether/kzg/v1/audit";

/// The most positions that one proof opens.
pub const MAX_OPENED: usize = 256;

/// Up to this many chunks their doublings are shared; beyond, buckets are cheaper.
const FEW_CHUNKS: usize = 8;

/// Proof for elements at any positions of one trace: W ‖ W′, 96 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MultiOpening {
    quotients: Proof,
    at_point: Proof,
}

impl MultiOpening {
    /// Decodes 96 bytes and checks both points.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        match bytes.as_chunks::<POINT_BYTES>() {
            ([quotients, at_point], []) => Ok(Self {
                quotients: Proof::from_bytes(quotients)?,
                at_point: Proof::from_bytes(at_point)?,
            }),
            _ => Err(Malformed::Length {
                expected: 2 * POINT_BYTES,
                actual: bytes.len(),
            }),
        }
    }

    /// The canonical 96 bytes.
    pub fn to_bytes(self) -> [u8; 2 * POINT_BYTES] {
        let mut out = [0; 2 * POINT_BYTES];
        let (first, second) = out.split_at_mut(POINT_BYTES);
        first.copy_from_slice(&self.quotients.to_bytes());
        second.copy_from_slice(&self.at_point.to_bytes());
        out
    }
}

/// The opened part of one chunk: points of the domain and values, in order.
struct Group {
    chunk: usize,
    commitment: Commitment,
    points: Vec<Fr>,
    values: Vec<Fr>,
}

/// A statement in order, and its γ.
struct Statement {
    groups: Vec<Group>,
    seed: [u8; 32],
    gamma: Fr,
}

impl Statement {
    fn new(
        key: &VerifyingKey,
        commitment: &TraceCommitment,
        len: usize,
        claims: impl ExactSizeIterator<Item = (usize, TraceElement)>,
    ) -> Result<Self, Malformed> {
        commitment.check_len(len)?;
        match claims.len() {
            0 => return Err(Malformed::NoPositions),
            count if count > MAX_OPENED => return Err(Malformed::TooManyPositions { count }),
            _ => {}
        }
        let mut sorted = BTreeMap::new();
        for (index, element) in claims {
            if index >= len {
                return Err(Malformed::IndexOutOfRange { index, len });
            }
            if sorted.insert(index, element).is_some() {
                return Err(Malformed::DuplicatePosition);
            }
        }
        let mut transcript = Transcript::new(STATEMENT_DOMAIN, key.id(), sorted.len());
        transcript.absorb_count(len);
        let mut groups: Vec<Group> = Vec::new();
        let list: Vec<(usize, TraceElement)> = sorted.into_iter().collect();
        for own in list.chunk_by(|a, b| a.0 / CHUNK_LEN == b.0 / CHUNK_LEN) {
            let (chunk, _) = commitment.locate(len, own[0].0)?;
            let number = own[0].0 / CHUNK_LEN;
            transcript.absorb_count(number);
            transcript.absorb(&chunk.to_bytes());
            transcript.absorb_count(own.len());
            for (index, element) in own {
                transcript.absorb_count(*index);
                transcript.absorb(&element.0);
            }
            groups.push(Group {
                chunk: number,
                commitment: *chunk,
                points: own
                    .iter()
                    .map(|(i, _)| domain::root(i % CHUNK_LEN))
                    .collect(),
                values: own.iter().map(|(_, e)| e.to_scalar().0).collect(),
            });
        }
        let seed = transcript.seed();
        Ok(Self {
            groups,
            seed: seed.0,
            gamma: seed.coefficients().next_scalar(),
        })
    }

    /// The point z, once W is known.
    fn point(&self, quotients: &Proof) -> Fr {
        let digest: [u8; 32] = tagged(POINT_DOMAIN)
            .chain_update(self.seed)
            .chain_update(quotients.to_bytes())
            .finalize()
            .into();
        reduced(&digest)
    }

    /// The coefficients cⱼ and the sum of the cⱼ·rⱼ(z). `None` if z is one of the
    /// opened points, which happens once in 2^240 proofs.
    fn at(&self, z: &Fr) -> Option<(Vec<Fr>, Fr)> {
        let mut coefficients = Vec::with_capacity(self.groups.len());
        let (mut power, mut total) = (Fr::one(), Fr::zero());
        for group in &self.groups {
            // rⱼ(z)/Zⱼ(z) = Σ yₛ / (∏ₜ (s − t) · (z − s)), t running over the others.
            let mut denominators: Vec<Fr> = group
                .points
                .iter()
                .map(|s| {
                    let others = group.points.iter().filter(|t| *t != s);
                    others.fold(*z - s, |product, t| product * (*s - t))
                })
                .collect();
            let mut vanishing: Fr = group.points.iter().map(|s| *z - s).product();
            vanishing = vanishing.inverse()?;
            batch_inversion(&mut denominators);
            let value: Fr = group
                .values
                .iter()
                .zip(&denominators)
                .map(|(y, d)| *y * d)
                .sum();
            coefficients.push(power * vanishing);
            total += power * value;
            power *= self.gamma;
        }
        Some((coefficients, total))
    }
}

impl Prover<'_> {
    /// Proves the elements at `positions` (1 to 256 different indices below
    /// `elements.len()`, in any order) against `commitment`, which must be the
    /// elements' own ([`Prover::commit`]); under another one the proof is void.
    ///
    /// Costs two commitments of a full chunk and, for each chunk touched, an
    /// interpolation.
    pub fn open_many(
        &self,
        elements: &[TraceElement],
        commitment: &TraceCommitment,
        positions: &[usize],
    ) -> Result<MultiOpening, KzgError> {
        let len = elements.len();
        let claims = positions
            .iter()
            .map(|index| (*index, elements.get(*index).copied().unwrap_or_default()));
        let key = self.setup().verifying_key();
        let statement = Statement::new(key, commitment, len, claims)?;

        let chunks: Vec<Vec<Fr>> = statement
            .groups
            .iter()
            .map(|group| chunk_values(elements, group.chunk))
            .collect();
        let mut combined = vec![Fr::zero(); CHUNK_LEN];
        let mut power = Fr::one();
        for (group, values) in statement.groups.iter().zip(&chunks) {
            let quotient = divide(&domain::to_coefficients(values), &group.points);
            for (sum, own) in combined.iter_mut().zip(&quotient) {
                *sum += power * own;
            }
            power *= statement.gamma;
        }
        let h = domain::to_values(combined);
        let quotients = self.prove(&h);

        let z = statement.point(&quotients);
        let (coefficients, total) = statement.at(&z).unwrap_or_default();
        let mut difference: Vec<Fr> = h.iter().map(|own| -total - own).collect();
        for (c, values) in coefficients.iter().zip(&chunks) {
            for (sum, value) in difference.iter_mut().zip(values) {
                *sum += *c * value;
            }
        }
        let at_point = self.prove(&domain::quotient(&difference, &z, &Fr::zero()));
        Ok(MultiOpening {
            quotients,
            at_point,
        })
    }
}

/// The quotient of a polynomial (lowest coefficient first) by ∏ (X − s).
fn divide(coefficients: &[Fr], roots: &[Fr]) -> Vec<Fr> {
    // All divisions by one root each, in step: each takes what the one before
    // it gave a step earlier, so none waits for another.
    let mut states = vec![Fr::zero(); roots.len()];
    let mut out: Vec<Fr> = coefficients
        .iter()
        .rev()
        .map(|coefficient| {
            let mut input = *coefficient;
            for (state, root) in states.iter_mut().zip(roots) {
                let output = *state;
                *state = *state * root + input;
                input = output;
            }
            input
        })
        .collect();
    out.reverse();
    out
}

impl Verifier<'_> {
    /// Whether each `(index, element)` of `claims` is an element of the committed
    /// trace of `len` elements.
    ///
    /// No claims, more than 256, an index twice or outside the trace, and a
    /// commitment of another length are malformed.
    pub fn verify_many(
        &self,
        commitment: &TraceCommitment,
        len: usize,
        claims: &[(usize, TraceElement)],
        opening: &MultiOpening,
    ) -> Result<bool, Malformed> {
        let key = self.key();
        let statement = Statement::new(key, commitment, len, claims.iter().copied())?;
        let z = statement.point(&opening.quotients);
        let Some((coefficients, total)) = statement.at(&z) else {
            return Ok(false);
        };
        let at_point = opening.at_point.affine();
        let mut terms: Vec<(G1Affine, Fr)> = statement
            .groups
            .iter()
            .map(|group| group.commitment.affine())
            .zip(coefficients)
            .collect();
        terms.push((at_point, z));
        let sum: G1 = if terms.len() <= FEW_CHUNKS {
            glv::multiply_sum(&terms)
        } else {
            let pairs = terms.iter().map(|(point, k)| (*point, k));
            buckets::sum_short(&buckets::halves(pairs).collect::<Vec<_>>())
        };
        let minus_w = glv::negated(&opening.quotients.affine());
        let sum = curve::g1_add_affine(&sum, &minus_w);
        let left = curve::g1_to_affine(&key.g1_multiples.multiply_onto(sum, &-total));
        Ok(pairing::products_equal(
            &[(left, &key.g2_lines)],
            &[(at_point, &key.tau_g2_lines)],
        ))
    }
}

/// The positions that an audit of a committed trace opens: `count` different
/// indices below `len`, ascending.
///
/// `beacon` is randomness that was not known when the commitment was fixed (the
/// caller's duty): then a trace with a share ε of bad elements passes with a
/// chance of about (1 − ε)^count. Drawn as the crate's documentation says
/// ("Audits"); open them with [`Prover::open_many`].
pub fn audit_positions(
    commitment: &TraceCommitment,
    len: usize,
    beacon: &[u8; 32],
    count: usize,
) -> Result<Vec<usize>, Malformed> {
    commitment.check_len(len)?;
    if count == 0 {
        return Err(Malformed::NoPositions);
    }
    if count > MAX_OPENED || count > len {
        return Err(Malformed::TooManyPositions { count });
    }
    let mut transcript = Transcript::new(AUDIT_DOMAIN, beacon, count);
    transcript.absorb_count(len);
    transcript.absorb(&commitment.to_bytes());
    let mut draws = transcript.seed().coefficients();
    let mut drawn = std::collections::BTreeSet::new();
    while drawn.len() < count {
        let number = u128::from_be_bytes(draws.next_bytes()) % len as u128;
        // Below 2^20, like every length that passed the check above.
        drawn.insert(number as usize);
    }
    Ok(drawn.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_drops_the_remainder_and_nothing_else() {
        let roots: Vec<Fr> = (2..6u64).map(Fr::from).collect();
        let quotient: Vec<Fr> = (1..9u64).map(|i| Fr::from(i * i)).collect();
        // quotient·∏(X − s) + remainder
        let mut product = quotient.clone();
        for root in &roots {
            let mut next = vec![Fr::zero(); product.len() + 1];
            for (i, c) in product.iter().enumerate() {
                next[i + 1] += c;
                next[i] -= *c * root;
            }
            product = next;
        }
        for (i, c) in product.iter_mut().take(roots.len()).enumerate() {
            *c += Fr::from(100 + i as u64);
        }
        let mut out = divide(&product, &roots);
        assert!(out.split_off(quotient.len()).iter().all(Fr::is_zero));
        assert_eq!(out, quotient);
    }
}
