//! The other implementations, brought to one shape.

use std::sync::Arc;

use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::PrimeField;
use ark_serialize::CanonicalDeserialize;
use blst::{blst_fp12, blst_p1_affine, blst_p2_affine};
use ekzg_bls12_381::{G1Point, G2Point, Scalar};

/// One opening, as bytes.
#[derive(Clone)]
pub struct Sample {
    pub commitment: [u8; 48],
    pub z: [u8; 32],
    pub y: [u8; 32],
    pub proof: [u8; 48],
}

/// What nobody can do without: two Miller loops and one final exponentiation.
pub struct Floor {
    points: [blst_p1_affine; 2],
    others: [blst_p2_affine; 2],
    lines: [Vec<blst::blst_fp6>; 2],
}

impl Floor {
    pub fn new(sample: &Sample, tau_g2: &[u8; 96]) -> Self {
        let point = |bytes: &[u8; 48]| {
            let mut out = blst_p1_affine::default();
            // SAFETY: 48 bytes in, one struct out.
            unsafe { blst::blst_p1_uncompress(&mut out, bytes.as_ptr()) };
            out
        };
        let mut tau = blst_p2_affine::default();
        // SAFETY: 96 bytes in, one struct out; then a static constant.
        let one = unsafe {
            blst::blst_p2_uncompress(&mut tau, tau_g2.as_ptr());
            *blst::blst_p2_affine_generator()
        };
        let others = [one, tau];
        let lines = others.map(|q| {
            let mut lines = vec![blst::blst_fp6::default(); 68];
            // SAFETY: blst writes 68 lines.
            unsafe { blst::blst_precompute_lines(lines.as_mut_ptr(), &q) };
            lines
        });
        Self {
            points: [point(&sample.commitment), point(&sample.proof)],
            others,
            lines,
        }
    }

    /// Floor A.
    pub fn plain(&self) -> bool {
        let value = blst_fp12::miller_loop_n(&self.others, &self.points);
        value.final_exp() == blst_fp12::default()
    }

    /// Floor B: with lines prepared.
    pub fn prepared(&self) -> bool {
        let [a, b] = [0, 1].map(|i| {
            let mut out = blst_fp12::default();
            // SAFETY: 68 lines were written; one struct in, one out.
            unsafe {
                blst::blst_miller_loop_lines(&mut out, self.lines[i].as_ptr(), &self.points[i]);
            }
            out
        });
        blst_fp12::finalverify(&a, &b)
    }
}

/// rust_eth_kzg's parts.
pub struct Ekzg {
    pub context: rust_eth_kzg::DASContext,
    verifier: ekzg_single_open::verifier::Verifier,
}

/// Openings as rust_eth_kzg decodes them.
pub struct EkzgBatch {
    commitments: Vec<G1Point>,
    zs: Vec<Scalar>,
    ys: Vec<Scalar>,
    proofs: Vec<G1Point>,
}

impl Ekzg {
    pub fn new(tau_g2: &[u8; 96]) -> Self {
        use ekzg_bls12_381::traits::PrimeCurveAffine;
        let tau: Option<G2Point> = G2Point::from_compressed(tau_g2).into();
        let key = ekzg_single_open::verifier::VerificationKey {
            gen_g1: G1Point::generator(),
            gen_g2: G2Point::generator(),
            tau_g2: tau.expect("a point of the ceremony"),
        };
        Self {
            context: rust_eth_kzg::DASContext::default(),
            verifier: ekzg_single_open::verifier::Verifier::new(4096, key),
        }
    }

    pub fn decode(&self, samples: &[Sample]) -> EkzgBatch {
        let point = |bytes: &[u8; 48]| {
            ekzg_serialization::deserialize_compressed_g1(bytes).expect("a sound sample")
        };
        let scalar = |bytes: &[u8; 32]| {
            ekzg_serialization::deserialize_bytes_to_scalar(bytes).expect("a sound sample")
        };
        EkzgBatch {
            commitments: samples.iter().map(|s| point(&s.commitment)).collect(),
            zs: samples.iter().map(|s| scalar(&s.z)).collect(),
            ys: samples.iter().map(|s| scalar(&s.y)).collect(),
            proofs: samples.iter().map(|s| point(&s.proof)).collect(),
        }
    }

    /// With powers of one challenge, as its own callers do; drawing the
    /// challenge is not counted.
    pub fn verify_batch(&self, batch: &EkzgBatch) {
        let challenge = batch.zs[0] + batch.ys[0];
        let mut powers = Vec::with_capacity(batch.zs.len());
        let mut power = Scalar::from(1u64);
        for _ in &batch.zs {
            powers.push(power);
            power *= challenge;
        }
        self.verifier
            .verify_kzg_proof_batch(
                &batch.commitments,
                &batch.zs,
                &batch.ys,
                &batch.proofs,
                &powers,
            )
            .expect("a sound batch");
    }
}

/// c-kzg with its usual settings.
pub struct Ckzg(pub Arc<c_kzg::KzgSettings>);

impl Ckzg {
    pub fn new() -> Self {
        Self(c_kzg::ethereum_kzg_settings_arc(0))
    }

    pub fn verify(&self, sample: &Sample) -> bool {
        self.0
            .verify_kzg_proof(
                &c_kzg::Bytes48::new(sample.commitment),
                &c_kzg::Bytes32::new(sample.z),
                &c_kzg::Bytes32::new(sample.y),
                &c_kzg::Bytes48::new(sample.proof),
            )
            .expect("a sound sample")
    }
}

/// arkworks, with prepared G2 points.
pub struct Ark {
    one: <Bls12_381 as Pairing>::G2Prepared,
    tau: <Bls12_381 as Pairing>::G2Prepared,
    lagrange: Vec<G1Affine>,
}

impl Ark {
    pub fn new(tau_g2: &[u8; 96], lagrange: &[u8]) -> Self {
        let tau = G2Affine::deserialize_compressed(tau_g2.as_slice()).expect("a ceremony's point");
        let lagrange = lagrange
            .chunks_exact(48)
            .map(|bytes| G1Affine::deserialize_compressed_unchecked(bytes).expect("likewise"))
            .collect();
        Self {
            one: G2Affine::generator().into(),
            tau: tau.into(),
            lagrange,
        }
    }

    pub fn decode(sample: &Sample) -> (G1Affine, Fr, Fr, G1Affine) {
        let point = |bytes: &[u8; 48]| {
            G1Affine::deserialize_compressed(bytes.as_slice()).expect("a sound sample")
        };
        (
            point(&sample.commitment),
            Fr::from_be_bytes_mod_order(&sample.z),
            Fr::from_be_bytes_mod_order(&sample.y),
            point(&sample.proof),
        )
    }

    pub fn verify(&self, (commitment, z, y, proof): &(G1Affine, Fr, Fr, G1Affine)) -> bool {
        let left = *proof * z - G1Affine::generator() * y + commitment;
        let pairs = [left.into_affine(), -*proof];
        let second = [self.one.clone(), self.tau.clone()];
        let out = Bls12_381::multi_pairing(pairs, second);
        out == ark_ec::pairing::PairingOutput::default()
    }

    /// Natural order of the domain: the cost is that of any other.
    pub fn commit(&self, scalars: &[Fr]) -> G1Projective {
        G1Projective::msm_unchecked(&self.lagrange, scalars)
    }
}
