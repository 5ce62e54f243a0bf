//! Multiplication of single points of G1, by way of its endomorphism.
//!
//! φ(x, y) = (βx, y) with β³ = 1 multiplies every point of the subgroup by
//! −z², where z is the curve's parameter and r = z⁴ − z² + 1. So a scalar
//! k = k₀ + k₁·z² with k₀, k₁ < 2^128 gives kP = k₀P − k₁φ(P): two short
//! multiplications that share their doublings.
//!
//! * [`multiply_sum`] — Σ kᵢPᵢ for a handful of points: signed windows of five
//!   bits, one chain of 128 doublings for all. Larger sums go to
//!   [`buckets`](crate::buckets).
//! * [`FixedBase`] — a point that never changes: a table of its multiples and
//!   no doublings at all.
//!
//! Points must be in the subgroup (the types of this crate see to that): φ is
//! that multiplication only there. Not constant-time.

use ark_bls12_381::Fr;
use ark_ff::PrimeField;

use crate::curve::{self, G1, G1Affine};
use crate::field::{self, Fp};

/// z² = 0xd201000000010000².
const Z_SQUARED: u128 = 0xac45_a401_0001_a402_0000_0001_0000_0000;
/// ⌊2^255 / z²⌋, for division by multiplication.
const Z_SQUARED_INVERSE: u128 = 0xbe35_f678_f00f_d56e_b1fb_7291_7b67_f717;

/// β in Montgomery form: the cube root of one for which φ is −z² (a test says so).
const BETA: Fp = Fp {
    l: [
        0x30f1_361b_798a_64e8,
        0xf3b8_ddab_7ece_5a2a,
        0x16a8_ca3a_c615_77f7,
        0xc26a_2ff8_74fd_029b,
        0x3636_b766_6070_1c6e,
        0x051b_a4ab_241b_6160,
    ],
};

/// Width of the signed windows for points met once.
const WINDOW: u32 = 5;
/// Signed windows of a fixed base.
const FIXED_WINDOW: usize = 6;
/// Windows in 128 bits and a carry.
const FIXED_ROWS: usize = 129usize.div_ceil(FIXED_WINDOW);
const FIXED_HALF: usize = 1 << (FIXED_WINDOW - 1);

/// Low and high half of a product.
fn wide(a: u128, b: u128) -> (u128, u128) {
    let mask = u128::from(u64::MAX);
    let [a0, a1, b0, b1] = [a & mask, a >> 64, b & mask, b >> 64];
    let low = a0 * b0;
    let (middle, carry) = (a1 * b0).overflowing_add(a0 * b1);
    let (sum, carry_low) = low.overflowing_add(middle << 64);
    let high = a1 * b1 + (middle >> 64) + (u128::from(carry) << 64) + u128::from(carry_low);
    (sum, high)
}

/// k = k₀ + k₁·z² with k₀ < z² and k₁ ≤ z².
pub(crate) fn split(k: &Fr) -> (u128, u128) {
    let limbs = k.into_bigint().0;
    let low = u128::from(limbs[0]) | u128::from(limbs[1]) << 64;
    let high = u128::from(limbs[2]) | u128::from(limbs[3]) << 64;
    // An estimate from the upper 128 of 255 bits; a little too small at most.
    let (_, mut quotient) = wide(low >> 127 | high << 1, Z_SQUARED_INVERSE);
    let (product_low, product_high) = wide(quotient, Z_SQUARED);
    let (mut rest, borrow) = low.overflowing_sub(product_low);
    let mut above = high - product_high - u128::from(borrow);
    while above > 0 || rest >= Z_SQUARED {
        let (next, borrow) = rest.overflowing_sub(Z_SQUARED);
        above -= u128::from(borrow);
        rest = next;
        quotient += 1;
    }
    (rest, quotient)
}

/// −φ(P) = z²·P.
pub(crate) fn times_z_squared(point: &G1Affine) -> G1Affine {
    G1Affine {
        x: field::mul(&point.x, &BETA),
        y: field::negate(&point.y),
    }
}

pub(crate) fn negated(point: &G1Affine) -> G1Affine {
    G1Affine {
        x: point.x,
        y: field::negate(&point.y),
    }
}

/// Odd digits below 2^(w−1) in size, mostly zeros: k = Σ dᵢ2^i.
fn sparse_digits(mut k: u128) -> [i8; 129] {
    let mut out = [0; 129];
    let (mut at, mut carry) = (0, 0);
    while k != 0 || carry != 0 {
        let odd = (k & 1) as u32 ^ carry;
        if odd == 0 {
            // Even: halving rounds down, and the carry stays what it was.
            k >>= 1;
            at += 1;
            continue;
        }
        let window = (k & ((1 << WINDOW) - 1)) as u32 + carry;
        let digit = if window >= 1 << (WINDOW - 1) {
            window as i32 - (1 << WINDOW)
        } else {
            window as i32
        };
        carry = u32::from(digit < 0);
        out[at] = digit as i8;
        k >>= WINDOW;
        at += WINDOW as usize;
    }
    out
}

/// Σ kᵢ·Pᵢ for a few points of the subgroup.
pub(crate) fn multiply_sum(terms: &[(G1Affine, Fr)]) -> G1 {
    const ODD: usize = 1 << (WINDOW - 2);
    let finite: Vec<&(G1Affine, Fr)> = terms
        .iter()
        .filter(|(point, _)| !curve::g1_is_infinity(point))
        .collect();
    // P, 3P, 5P, … of every point, normalised together.
    let mut multiples: Vec<G1> = Vec::with_capacity(finite.len() * ODD);
    for (point, _) in &finite {
        let mut next = curve::g1_from_affine(point);
        let step = curve::g1_double(&next);
        for _ in 0..ODD {
            multiples.push(next);
            next = curve::g1_add(&next, &step);
        }
    }
    // Finite: the order r is prime and far above 2^w.
    let table = curve::g1_batch_to_affine(&multiples);
    let mirrored: Vec<G1Affine> = table.iter().map(times_z_squared).collect();
    let mut streams = Vec::with_capacity(finite.len() * 2);
    for (i, (_, k)) in finite.iter().enumerate() {
        let (k0, k1) = split(k);
        let own = i * ODD..(i + 1) * ODD;
        streams.push((sparse_digits(k0), &table[own.clone()]));
        streams.push((sparse_digits(k1), &mirrored[own]));
    }
    let mut sum = G1::default();
    for bit in (0..129).rev() {
        sum = curve::g1_double(&sum);
        for (digits, table) in &streams {
            let digit = digits[bit];
            if digit != 0 {
                let multiple = &table[usize::from(digit.unsigned_abs() / 2)];
                sum = if digit < 0 {
                    curve::g1_add_affine(&sum, &negated(multiple))
                } else {
                    curve::g1_add_affine(&sum, multiple)
                };
            }
        }
    }
    sum
}

/// Multiples of one point: j·2^(6i)·P for 1 ≤ j ≤ 32 and 22 rows i; 68 kB.
pub(crate) struct FixedBase(Vec<G1Affine>);

impl FixedBase {
    /// `point` is finite and in the subgroup.
    pub(crate) fn new(point: &G1Affine) -> Self {
        let mut multiples = Vec::with_capacity(FIXED_ROWS * FIXED_HALF);
        let mut row = curve::g1_from_affine(point);
        for _ in 0..FIXED_ROWS {
            let mut next = row;
            for _ in 0..FIXED_HALF {
                multiples.push(next);
                next = curve::g1_add(&next, &row);
            }
            // `next` is 33 times the row's point; its 32-fold was the last kept.
            row = curve::g1_double(&multiples[multiples.len() - 1]);
        }
        Self(curve::g1_batch_to_affine(&multiples))
    }

    /// sum + k·P.
    pub(crate) fn multiply_onto(&self, mut sum: G1, k: &Fr) -> G1 {
        let (k0, k1) = split(k);
        for (part, mirrored) in [(k0, false), (k1, true)] {
            let mut carry = 0;
            for (i, row) in self.0.chunks_exact(FIXED_HALF).enumerate() {
                let window = (part >> (i * FIXED_WINDOW)) as usize & (2 * FIXED_HALF - 1);
                let digit = window + carry;
                carry = usize::from(digit > FIXED_HALF);
                let (size, negative) = match carry {
                    0 => (digit, false),
                    _ => (2 * FIXED_HALF - digit, true),
                };
                let Some(multiple) = size.checked_sub(1).map(|at| &row[at]) else {
                    continue;
                };
                let mut term = if mirrored {
                    times_z_squared(multiple)
                } else {
                    *multiple
                };
                if negative {
                    term = negated(&term);
                }
                sum = curve::g1_add_affine(&sum, &term);
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use ark_ff::{Field, Zero};

    use super::*;
    use crate::curve::SCALAR_BITS;
    use crate::scalar::le_bytes;

    fn plain(point: &G1Affine, k: &Fr) -> G1 {
        curve::g1_msm(&[*point], &le_bytes(k), SCALAR_BITS)
    }

    /// Edges of the range, of the halves and of the windows, and some others.
    fn scalars() -> Vec<Fr> {
        let z2 = Fr::from(Z_SQUARED);
        let mut out = vec![
            Fr::zero(),
            z2,
            z2 * z2,
            -Fr::from(1u64),
            Fr::from(u128::MAX),
        ];
        for edge in [
            z2,
            z2 * z2,
            Fr::from(1u64 << 63) * Fr::from(1u64 << 63),
            Fr::from(33u64),
        ] {
            out.extend([edge - Fr::from(1u64), edge + Fr::from(1u64), -edge]);
        }
        out.extend((1..=40u64).map(Fr::from));
        out.extend((1..=40u64).map(|i| Fr::from(i).pow([97])));
        out
    }

    #[test]
    fn the_constants_are_what_they_claim() {
        let generator = curve::g1_generator();
        assert_eq!(field::mul(&field::square(&BETA), &BETA), field::one());
        let by_z2 = plain(&generator, &Fr::from(Z_SQUARED));
        assert_eq!(times_z_squared(&generator), curve::g1_to_affine(&by_z2));
        let (low, high) = wide(Z_SQUARED, Z_SQUARED_INVERSE);
        assert!(high < 1 << 127, "not above 2^255 / z²");
        assert!(
            high == (1 << 127) - 1 && low > u128::MAX - Z_SQUARED,
            "nor below"
        );
    }

    #[test]
    fn splitting_loses_nothing() {
        for k in scalars() {
            let (k0, k1) = split(&k);
            assert!(k0 < Z_SQUARED && k1 <= Z_SQUARED);
            assert_eq!(Fr::from(k0) + Fr::from(k1) * Fr::from(Z_SQUARED), k);
        }
    }

    #[test]
    fn digits_add_up_and_are_sparse() {
        for k in [
            0,
            1,
            15,
            16,
            17,
            31,
            32,
            33,
            u128::MAX,
            Z_SQUARED,
            u128::MAX / 3,
        ] {
            let digits = sparse_digits(k);
            let mut sum = Fr::zero();
            for digit in digits.iter().rev() {
                let size = Fr::from(digit.unsigned_abs());
                sum = sum + sum + if *digit < 0 { -size } else { size };
            }
            assert_eq!(sum, Fr::from(k));
            assert!(
                digits
                    .iter()
                    .all(|d| *d == 0 || (d % 2 != 0 && d.abs() < 16))
            );
        }
    }

    #[test]
    fn every_way_of_multiplying_agrees() {
        let generator = curve::g1_generator();
        let other = curve::g1_to_affine(&plain(&generator, &Fr::from(987_654_321u64)));
        let fixed = FixedBase::new(&other);
        for k in scalars() {
            let expected = plain(&other, &k);
            assert_eq!(multiply_sum(&[(other, k)]), expected, "{k}");
            assert_eq!(fixed.multiply_onto(G1::default(), &k), expected, "{k}");
            let onto = fixed.multiply_onto(curve::g1_from_affine(&generator), &k);
            assert_eq!(onto, curve::g1_add_affine(&expected, &generator), "{k}");
        }
        assert_eq!(multiply_sum(&[]), G1::default());
    }

    #[test]
    fn sums_with_equal_opposite_and_infinite_points_are_right() {
        let generator = curve::g1_generator();
        let k = Fr::from(3u64).pow([150]);
        let terms = [
            (generator, k),
            (generator, k),
            (G1Affine::default(), k),
            (negated(&generator), k + k),
        ];
        assert_eq!(multiply_sum(&terms), G1::default());
        assert_eq!(multiply_sum(&terms[..2]), plain(&generator, &(k + k)));
    }
}
