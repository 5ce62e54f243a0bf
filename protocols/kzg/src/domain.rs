//! Polynomials of degree below 4,096, held as their values on a fixed domain.
//!
//! The domain is the 4,096 powers of ω = 7^((r−1)/4096), taken in bit-reversed
//! order as EIP-4844 does: position i stands for ω^rev(i), where rev reverses
//! the 12 bits of i. A polynomial is given by its values at positions
//! 0, 1, …; values that are not given are zero, and nothing below costs
//! anything for them unless it says so.

use std::sync::OnceLock;

use ark_bls12_381::Fr;
use ark_ff::{Field, One, batch_inversion};
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

#[cfg(test)]
mod tests {
    use ark_ff::Zero;
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
