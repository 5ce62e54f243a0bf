//! What checking openings needs of a setup.
//!
//! A [`VerifyingKey`] holds five points, the Miller-loop lines of the three in
//! G2 and small tables of multiples of the two in G1.

use std::fmt;

use sha2::Digest;

use crate::buckets;
use crate::curve::{self, G1, G1Affine, G2Affine};
use crate::error::Malformed;
use crate::glv::FixedBase;
use crate::pairing::{self, Lines};
use crate::transcript::{COEFFICIENT_BITS, Transcript, short, tagged};

const KEY_ID_DOMAIN: &[u8] = b"aether/kzg/v1/verifying-key";
pub(crate) const SETUP_CHECK_DOMAIN: &[u8] = b"aether/kzg/v1/setup-check";

/// What checking openings needs: G1, τG1, G2, τG2, τ²G2.
///
/// The id is SHA-256 of `u8(27) ‖ "aether/kzg/v1/verifying-key" ‖ G1 ‖ τG1 ‖
/// G2 ‖ τG2 ‖ τ²G2` (compressed points). It determines τ and so everything
/// else about a setup; transcripts are bound to it.
pub struct VerifyingKey {
    id: [u8; 32],
    pub(crate) g1: G1Affine,
    pub(crate) tau_g1: G1Affine,
    pub(crate) g1_multiples: FixedBase,
    pub(crate) tau_g1_multiples: FixedBase,
    pub(crate) g2_lines: Lines,
    pub(crate) tau_g2_lines: Lines,
    pub(crate) tau2_g2_lines: Lines,
}

impl VerifyingKey {
    /// A key from compressed points `[G1, τG1]` and `[G2, τG2, τ²G2]`.
    ///
    /// Checks encodings, subgroups, that the first points are the generators,
    /// and by pairings that all powers are of one τ.
    pub fn from_powers(g1: &[[u8; 48]; 2], g2: &[[u8; 96]; 3]) -> Result<Self, Malformed> {
        let key = Self::decode(g1, g2)?;
        let [g1, tau_g1] = [key.g1, key.tau_g1];
        let first = [(tau_g1, &key.g2_lines)];
        let second = [(tau_g1, &key.tau_g2_lines)];
        if pairing::products_equal(&first, &[(g1, &key.tau_g2_lines)])
            && pairing::products_equal(&second, &[(g1, &key.tau2_g2_lines)])
        {
            Ok(key)
        } else {
            Err(Malformed::Setup("the powers in G1 and G2 are not of one τ"))
        }
    }

    /// The key of a ceremony of any size, from *all* its powers of τ: compressed
    /// points of G1 end to end and of G2 likewise, at least two and three.
    ///
    /// Checks every point (finite, in the subgroup) and, by pairings on random
    /// combinations, that each list consists of successive powers of one τ. Takes
    /// some 30 µs of one core a point. The combination's coefficients are of
    /// the domain `aether/kzg/v1/setup-check`, the count being that of all points.
    pub fn from_ceremony(g1: &[u8], g2: &[u8]) -> Result<Self, Malformed> {
        let (first, _) = g1.as_chunks::<48>();
        let (second, _) = g2.as_chunks::<96>();
        let ([g, tau_g, ..], [h, tau_h, tau2_h, ..]) = (first, second) else {
            return Err(Malformed::Setup("too few powers"));
        };
        for (bytes, size) in [(g1, 48), (g2, 96)] {
            if bytes.len() % size != 0 {
                return Err(Malformed::Length {
                    expected: bytes.len().next_multiple_of(size),
                    actual: bytes.len(),
                });
            }
        }
        let key = Self::decode(&[*g, *tau_g], &[*h, *tau_h, *tau2_h])?;
        let count = first.len() + second.len();
        let mut transcript = Transcript::new(SETUP_CHECK_DOMAIN, key.id(), count);
        transcript.absorb(g1);
        transcript.absorb(g2);
        let r = transcript
            .coefficients()
            .take_scalars(first.len().max(second.len()));
        let weights: Vec<u128> = short(&r).collect();
        let first = decode_all(g1, decode_g1)?;
        let second = decode_all(g2, decode_g2)?;
        check_powers(&key, &first, &second, &weights)?;
        Ok(key)
    }

    pub(crate) fn decode(g1: &[[u8; 48]; 2], g2: &[[u8; 96]; 3]) -> Result<Self, Malformed> {
        let [one, tau_g1] = [decode_g1(&g1[0])?, decode_g1(&g1[1])?];
        let [two, tau_g2, tau2_g2] = [decode_g2(&g2[0])?, decode_g2(&g2[1])?, decode_g2(&g2[2])?];
        if one != curve::g1_generator() || two != curve::g2_generator() {
            return Err(Malformed::Setup("the zeroth powers are not the generators"));
        }
        let id = tagged(KEY_ID_DOMAIN)
            .chain_update(g1.concat())
            .chain_update(g2.concat())
            .finalize()
            .into();
        Ok(Self {
            id,
            g1: one,
            tau_g1,
            g1_multiples: FixedBase::new(&one),
            tau_g1_multiples: FixedBase::new(&tau_g1),
            g2_lines: Lines::new(&two),
            tau_g2_lines: Lines::new(&tau_g2),
            tau2_g2_lines: Lines::new(&tau2_g2),
        })
    }

    /// The digest that names this key, and with it τ.
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", hex::encode(self.id))
    }
}

/// Decodes a point that must be finite and in the subgroup.
pub(crate) fn decode_g1(bytes: &[u8; 48]) -> Result<G1Affine, Malformed> {
    let point = curve::g1_uncompress(bytes)?;
    match (curve::g1_is_infinity(&point), curve::g1_in_subgroup(&point)) {
        (true, _) => Err(Malformed::Infinity),
        (false, false) => Err(Malformed::NotInSubgroup),
        (false, true) => Ok(point),
    }
}

/// Decodes a point that must be finite and in the subgroup.
pub(crate) fn decode_g2(bytes: &[u8; 96]) -> Result<G2Affine, Malformed> {
    let point = curve::g2_uncompress(bytes)?;
    match (curve::g2_is_infinity(&point), curve::g2_in_subgroup(&point)) {
        (true, _) => Err(Malformed::Infinity),
        (false, false) => Err(Malformed::NotInSubgroup),
        (false, true) => Ok(point),
    }
}

/// Every point of a file.
pub(crate) fn decode_all<const N: usize, P>(
    bytes: &[u8],
    decode: impl Fn(&[u8; N]) -> Result<P, Malformed>,
) -> Result<Vec<P>, Malformed> {
    bytes.as_chunks::<N>().0.iter().map(decode).collect()
}

/// Σ weightᵢ·pointᵢ over all points.
pub(crate) fn weighted_sum(points: &[G1Affine], weights: &[u128]) -> G1 {
    let terms: Vec<(G1Affine, u128)> = points
        .iter()
        .copied()
        .zip(weights.iter().copied())
        .collect();
    buckets::sum_short(&terms)
}

/// Whether the points are 1, τ, τ², … times the generators, τ being the key's.
///
/// With random weights rᵢ: e(Σ rᵢ·τ^(i+1)G1, G2) = e(Σ rᵢ·τ^i·G1, τG2) and
/// e(G1, Σ rᵢ·τ^(i+1)G2) = e(τG1, Σ rᵢ·τ^i·G2).
pub(crate) fn check_powers(
    key: &VerifyingKey,
    g1: &[G1Affine],
    g2: &[G2Affine],
    weights: &[u128],
) -> Result<(), Malformed> {
    let sum = |points: &[G1Affine]| curve::g1_to_affine(&weighted_sum(points, weights));
    let left = [(sum(&g1[1..]), &key.g2_lines)];
    let right = [(sum(&g1[..g1.len() - 1]), &key.tau_g2_lines)];
    if !pairing::products_equal(&left, &right) {
        return Err(Malformed::Setup("G1 points are not successive powers"));
    }
    let sum = |points: &[G2Affine]| {
        let bytes: Vec<u8> = weights[..points.len()]
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        Lines::new(&curve::g2_msm(points, &bytes, COEFFICIENT_BITS))
    };
    let (lower, upper) = (sum(&g2[..g2.len() - 1]), sum(&g2[1..]));
    if !pairing::products_equal(&[(key.g1, &upper)], &[(key.tau_g1, &lower)]) {
        return Err(Malformed::Setup("G2 points are not successive powers"));
    }
    Ok(())
}
