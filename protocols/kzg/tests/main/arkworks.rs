//! A second opinion on the curve side, by an independent implementation.

use std::path::Path;

use aether_kzg::{Scalar, TraceElement};
use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{FftField, Field, PrimeField, Zero};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};

use crate::{prover, trace, verifier};

fn points<P: CanonicalDeserialize>(file: &str, size: usize, indices: &[usize]) -> Vec<P> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("setup")
        .join(file);
    let bytes = std::fs::read(path).unwrap();
    indices
        .iter()
        .map(|i| P::deserialize_compressed(&bytes[i * size..][..size]).unwrap())
        .collect()
}

fn bit_reverse(i: usize) -> usize {
    i.reverse_bits() >> (usize::BITS - 12)
}

fn value(element: &TraceElement) -> Fr {
    Fr::from_be_bytes_mod_order(&element.0)
}

fn root(position: usize) -> Fr {
    Fr::get_root_of_unity(4096)
        .unwrap()
        .pow([bit_reverse(position) as u64])
}

fn commit(elements: &[TraceElement]) -> G1Affine {
    let indices: Vec<usize> = (0..elements.len()).map(bit_reverse).collect();
    let lagrange: Vec<G1Affine> = points("g1_lagrange.bin", 48, &indices);
    let sum: G1Projective = lagrange
        .iter()
        .zip(elements)
        .map(|(p, e)| *p * value(e))
        .sum();
    sum.into_affine()
}

fn compressed(point: &G1Affine) -> Vec<u8> {
    let mut out = Vec::new();
    point.serialize_compressed(&mut out).unwrap();
    out
}

#[test]
fn commitments_are_the_ones_arkworks_computes() {
    for len in [1, 2, 33, 300] {
        let elements = trace(len as u64, len);
        let ours = prover().commit(&elements).unwrap();
        assert_eq!(
            ours.to_bytes(),
            compressed(&commit(&elements)),
            "{len} elements"
        );
    }
}

#[test]
fn pair_openings_satisfy_the_equation_as_written() {
    let elements = trace(9, 50);
    let tau: Vec<G1Affine> = points("g1_monomial.bin", 48, &[0, 1]);
    let tau2: Vec<G2Affine> = points("g2_monomial.bin", 96, &[0, 1, 2]);
    for index in [1, 17, 49] {
        let opening = prover().open_pair(&elements, index).unwrap();
        let proof = G1Affine::deserialize_compressed(opening.to_bytes().as_slice()).unwrap();
        let [a, b] = [root(index - 1), root(index)];
        let [ya, yb] = [value(&elements[index - 1]), value(&elements[index])];
        let slope = (yb - ya) / (b - a);
        let line: G1Projective = tau[0] * (ya - slope * a) + tau[1] * slope;
        // (X − a)(X − b) in the exponent of G2.
        let vanishing: G2Projective = tau2[0] * (a * b) - tau2[1] * (a + b) + tau2[2];
        let left = Bls12_381::pairing((commit(&elements) - line).into_affine(), tau2[0]);
        assert!(!left.is_zero());
        assert_eq!(
            left,
            Bls12_381::pairing(proof, vanishing.into_affine()),
            "index {index}"
        );
    }
}

#[test]
fn proofs_made_by_arkworks_with_a_known_secret_verify_only_under_their_key() {
    // With τ known, a proof is one multiplication; the verifier must agree.
    let tau = Fr::from(987_654_321u64);
    let point = |k: Fr| -> [u8; 48] {
        compressed(&(G1Affine::generator() * k).into_affine())
            .try_into()
            .unwrap()
    };
    let g1 = [Fr::from(1u64), tau].map(point);
    let g2 = [Fr::from(1u64), tau, tau * tau].map(|k| -> [u8; 96] {
        let mut out = [0; 96];
        let power = (G2Affine::generator() * k).into_affine();
        power.serialize_compressed(out.as_mut_slice()).unwrap();
        out
    });
    let key = aether_kzg::VerifyingKey::from_powers(&g1, &g2).unwrap();
    let polynomial = |x: Fr| x * x * x + x + Fr::from(5u64);
    let z = Fr::from(31_337u64);
    let y = polynomial(z);
    let quotient = (polynomial(tau) - y) / (tau - z);
    let commitment = aether_kzg::Commitment::from_bytes(&point(polynomial(tau))).unwrap();
    let proof = aether_kzg::Proof::from_bytes(&point(quotient)).unwrap();
    let scalar = |x: Fr| {
        let mut bytes = [0; 32];
        x.serialize_compressed(bytes.as_mut_slice()).unwrap();
        bytes.reverse();
        Scalar::from_bytes(&bytes).unwrap()
    };
    let own = aether_kzg::Verifier::new(&key);
    assert!(own.verify(&commitment, &scalar(z), &scalar(y), &proof));
    assert!(!own.verify(&commitment, &scalar(z), &scalar(y + Fr::from(1u64)), &proof));
    assert!(!verifier().verify(&commitment, &scalar(z), &scalar(y), &proof));
}
