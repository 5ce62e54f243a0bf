//! Polynomials of degree below 4,096, held as their values on a fixed domain.
//!
//! The domain is the 4,096 powers of ω = 7^((r−1)/4096), taken in bit-reversed
//! order as EIP-4844 does: position i stands for ω^rev(i), where rev reverses
//! the 12 bits of i. A polynomial is given by its values at positions
//! 0, 1, …; values that are not given are zero, and nothing below costs
//! anything for them unless it says so.

use std::sync::OnceLock;

use ark_bls12_381::Fr;
use ark_ff::{Field, One, Zero, batch_inversion};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};

/// Elements of a chunk: the size of the domain and of an EIP-4844 blob.
pub const CHUNK_LEN: usize = 4096;

const CHUNK_BITS: u32 = CHUNK_LEN.trailing_zeros();

/// Reverses the 12 bits of a position. Its own inverse.
pub(crate) fn bit_reverse(position: usize) -> usize {
    position.reverse_bits() >> (usize::BITS - CHUNK_BITS)
}

fn roots() -> &'static [Fr] {
    static ROOTS: OnceLock<Vec<Fr>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let natural: Vec<Fr> = natural_domain().elements().collect();
        (0..CHUNK_LEN).map(|i| natural[bit_reverse(i)]).collect()
    })
}

/// The domain in natural order, for transforms to coefficients.
pub(crate) fn natural_domain() -> Radix2EvaluationDomain<Fr> {
    Radix2EvaluationDomain::new(CHUNK_LEN).expect("r - 1 is divisible by 2^32")
}

/// The point of the domain that position `position` (< 4,096) stands for.
pub(crate) fn root(position: usize) -> Fr {
    roots()[position]
}

/// The position a point stands at, if it belongs to the domain.
fn position_of(z: &Fr) -> Option<usize> {
    // Membership costs twelve squarings, the search only happens for members.
    (z.pow([CHUNK_LEN as u64]).is_one()).then(|| roots().iter().position(|root| root == z))?
}

/// Value at `z` of the polynomial with the given leading values.
///
/// p(z) = (z^4096 − 1)/4096 · Σ pᵢ ωᵢ/(z − ωᵢ), or simply pᵢ at ωᵢ.
pub(crate) fn evaluate(values: &[Fr], z: &Fr) -> Fr {
    if let Some(position) = position_of(z) {
        return values.get(position).copied().unwrap_or_default();
    }
    let mut inverses: Vec<Fr> = roots().iter().take(values.len()).map(|w| *z - w).collect();
    batch_inversion(&mut inverses);
    let sum: Fr = values
        .iter()
        .zip(roots())
        .zip(&inverses)
        .map(|((p, w), inverse)| *p * w * inverse)
        .sum();
    let vanishing = z.pow([CHUNK_LEN as u64]) - Fr::one();
    sum * vanishing * natural_domain().size_inv
}

/// Values on the whole domain of (p(X) − p(z)) / (X − z), where `y` = p(z).
///
/// Dense whatever p is: always 4,096 values.
pub(crate) fn quotient(values: &[Fr], z: &Fr, y: &Fr) -> Vec<Fr> {
    let mut out: Vec<Fr> = roots().iter().map(|w| *w - z).collect();
    // Skips the zero that stands where z itself is in the domain.
    batch_inversion(&mut out);
    for (i, q) in out.iter_mut().enumerate() {
        let p = values.get(i).copied().unwrap_or_default();
        *q *= p - y;
    }
    if let Some(at) = position_of(z) {
        // The quotient has degree < 4095, so Σ qᵢωᵢ = 0; that settles the value at z.
        let others: Fr = out
            .iter()
            .zip(roots())
            .enumerate()
            .filter(|(i, _)| *i != at)
            .map(|(_, (q, w))| *q * w)
            .sum();
        out[at] = -others * z.inverse().unwrap_or_default();
    }
    out
}

/// Values on the whole domain of (p(X) − I(X)) / ((X − a)(X − b)), where I is
/// the line through p at `a` and `b`; `ya` = p(a).
pub(crate) fn quotient_at_two(values: &[Fr], a: &Fr, ya: &Fr, b: &Fr) -> Vec<Fr> {
    let first = quotient(values, a, ya);
    let slope = evaluate(&first, b);
    quotient(&first, b, &slope)
}

/// As [`quotient_at_two`] for two different positions of the domain, by index:
/// no inversions, some four multiplications a value.
pub(crate) fn quotient_at_positions(values: &[Fr], a: usize, b: usize) -> Vec<Fr> {
    let roots = roots();
    let za = roots[a];
    let value = |i: usize| values.get(i).copied().unwrap_or_default();
    // z^-1 is the conjugate position's point.
    let [inverse_a, inverse_b] = [a, b].map(|i| natural_root(CHUNK_LEN - bit_reverse(i)));
    // 1/(zb − za) = za^-1 · 1/(ω^(b−a) − 1), both exponents in natural order.
    let [from_a, from_b] = [a, b].map(bit_reverse);
    let apart = inverse_a * gap(from_b, from_a);
    let slope = (value(b) - value(a)) * apart;
    let base = value(a) - slope * za;
    // 1/((w − za)(w − zb)) = (1/(w − zb) − 1/(w − za)) / (zb − za), and the
    // factors of both fractions are the same for all w.
    let [left, right] = [inverse_a * apart, inverse_b * apart];
    let (mut sum, mut sum_squares) = (Fr::zero(), Fr::zero());
    let mut out: Vec<Fr> = roots
        .iter()
        .enumerate()
        .map(|(i, w)| {
            if i == a || i == b {
                return Fr::zero();
            }
            let at = bit_reverse(i);
            let share = right * gap(at, from_b) - left * gap(at, from_a);
            let q = (value(i) - base - slope * w) * share;
            let weighted = q * w;
            sum += weighted;
            sum_squares += weighted * w;
            q
        })
        .collect();
    // The degree is below 4094, so Σ qᵢωᵢ = 0 and Σ qᵢωᵢ² = 0: two equations
    // for the two values that are missing.
    let weighted_b = (sum * za - sum_squares) * apart;
    let weighted_a = -sum - weighted_b;
    out[a] = weighted_a * inverse_a;
    out[b] = weighted_b * inverse_b;
    out
}

/// ω^exponent, the exponent modulo 4,096.
fn natural_root(exponent: usize) -> Fr {
    root(bit_reverse(exponent % CHUNK_LEN))
}

/// 1/(ω^(k−j) − 1) for different k and j below 4,096.
fn gap(k: usize, j: usize) -> Fr {
    static GAPS: OnceLock<Vec<Fr>> = OnceLock::new();
    let gaps = GAPS.get_or_init(|| {
        let mut out: Vec<Fr> = (0..CHUNK_LEN)
            .map(|i| natural_root(i) - Fr::one())
            .collect();
        batch_inversion(&mut out);
        out
    });
    gaps[(CHUNK_LEN + k - j) % CHUNK_LEN]
}

/// Coefficients, lowest first, of the polynomial with these leading values.
pub(crate) fn to_coefficients(values: &[Fr]) -> Vec<Fr> {
    let mut natural = vec![Fr::zero(); CHUNK_LEN];
    for (i, value) in values.iter().enumerate() {
        natural[bit_reverse(i)] = *value;
    }
    natural_domain().ifft_in_place(&mut natural);
    natural
}

/// Values on the whole domain of the polynomial with these coefficients.
pub(crate) fn to_values(mut coefficients: Vec<Fr>) -> Vec<Fr> {
    natural_domain().fft_in_place(&mut coefficients);
    (0..CHUNK_LEN)
        .map(|i| coefficients[bit_reverse(i)])
        .collect()
}

#[cfg(test)]
mod tests {
    use ark_poly::{DenseUVPolynomial, Polynomial, univariate::DensePolynomial};
    use proptest::prelude::*;

    use super::*;

    fn interpolate(values: &[Fr]) -> DensePolynomial<Fr> {
        let mut natural = vec![Fr::zero(); CHUNK_LEN];
        for (i, value) in values.iter().enumerate() {
            natural[bit_reverse(i)] = *value;
        }
        DensePolynomial::from_coefficients_vec(natural_domain().ifft(&natural))
    }

    fn scalars(seeds: &[u64]) -> Vec<Fr> {
        seeds.iter().map(|s| Fr::from(*s).pow([5])).collect()
    }

    #[test]
    fn the_generator_is_the_one_of_eip_4844() {
        assert_eq!(root(0), Fr::one());
        assert_eq!(root(1), -Fr::one());
        let omega = root(bit_reverse(1));
        let r_minus_1_over_4096 = {
            let mut limbs = <Fr as ark_ff::PrimeField>::MODULUS.0;
            limbs[0] -= 1;
            for i in 0..4 {
                let high = if i < 3 { limbs[i + 1] << 52 } else { 0 };
                limbs[i] = (limbs[i] >> 12) | high;
            }
            limbs
        };
        assert_eq!(omega, Fr::from(7u64).pow(r_minus_1_over_4096));
    }

    #[test]
    fn the_quick_quotient_is_the_plain_one() {
        let values = scalars(&(1..=300u64).collect::<Vec<_>>());
        for (a, b) in [
            (0, 1),
            (1, 0),
            (17, 18),
            (298, 299),
            (299, 300),
            (300, 4095),
            (4094, 4095),
            (7, 2000),
        ] {
            let at = |i: usize| values.get(i).copied().unwrap_or_default();
            let plain = quotient_at_two(&values, &root(a), &at(a), &root(b));
            assert_eq!(quotient_at_positions(&values, a, b), plain, "{a} {b}");
        }
    }

    #[test]
    fn values_and_coefficients_are_two_sides_of_one_polynomial() {
        let values = scalars(&[5, 0, 7, 9]);
        let coefficients = to_coefficients(&values);
        assert_eq!(coefficients, interpolate(&values).coeffs);
        let mut back = to_values(coefficients);
        assert!(back.split_off(4).iter().all(Fr::is_zero));
        assert_eq!(back, values);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]

        #[test]
        fn evaluation_agrees_with_the_coefficients(
            seeds in prop::collection::vec(any::<u64>(), 1..300), z in any::<u64>(), at in 0..CHUNK_LEN,
        ) {
            let values = scalars(&seeds);
            let polynomial = interpolate(&values);
            for z in [Fr::from(z).pow([3]), root(at), Fr::zero()] {
                prop_assert_eq!(evaluate(&values, &z), polynomial.evaluate(&z));
            }
        }

        #[test]
        fn quotients_agree_with_long_division(
            seeds in prop::collection::vec(any::<u64>(), 1..200), z in any::<u64>(), at in 0..CHUNK_LEN,
        ) {
            let values = scalars(&seeds);
            let polynomial = interpolate(&values);
            let outside = Fr::from(z).pow([3]);
            for (a, b) in [(outside, root(at)), (root(at), outside), (root(at), root((at + 1) % CHUNK_LEN))] {
                let ya = polynomial.evaluate(&a);
                let by_a = DensePolynomial::from_coefficients_vec(vec![-a, Fr::one()]);
                let by_b = DensePolynomial::from_coefficients_vec(vec![-b, Fr::one()]);
                let single = &polynomial / &by_a;
                prop_assert_eq!(interpolate(&quotient(&values, &a, &ya)), single.clone());
                let double = &single / &by_b;
                prop_assert_eq!(interpolate(&quotient_at_two(&values, &a, &ya, &b)), double);
            }
        }
    }
}
