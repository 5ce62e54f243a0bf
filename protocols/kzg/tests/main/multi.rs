//! Many positions in one proof, and the audits that draw them.

use aether_kzg::{
    CHUNK_LEN, KzgError, MAX_OPENED, Malformed, MultiOpening, Setup, TraceCommitment, TraceElement,
    audit_positions,
};
use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{FftField, Field, PrimeField};
use ark_serialize::CanonicalDeserialize;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::{prover, trace, verifier};

struct Scene {
    elements: Vec<TraceElement>,
    commitment: TraceCommitment,
}

impl Scene {
    fn new(seed: u64, len: usize) -> Self {
        let elements = trace(seed, len);
        let commitment = prover().commit(&elements).unwrap();
        Self {
            elements,
            commitment,
        }
    }

    fn open(&self, positions: &[usize]) -> Result<MultiOpening, KzgError> {
        prover().open_many(&self.elements, &self.commitment, positions)
    }

    fn claims(&self, positions: &[usize]) -> Vec<(usize, TraceElement)> {
        positions.iter().map(|i| (*i, self.elements[*i])).collect()
    }

    fn verify(
        &self,
        claims: &[(usize, TraceElement)],
        opening: &MultiOpening,
    ) -> Result<bool, Malformed> {
        verifier().verify_many(&self.commitment, self.elements.len(), claims, opening)
    }
}

#[test]
fn positions_of_several_chunks_open_in_96_bytes_and_nothing_else_does() {
    let scene = Scene::new(41, 2 * CHUNK_LEN + 50);
    let positions = [
        0,
        1,
        77,
        CHUNK_LEN - 1,
        CHUNK_LEN,
        CHUNK_LEN + 9,
        2 * CHUNK_LEN + 40,
    ];
    let opening = scene.open(&positions).unwrap();
    let claims = scene.claims(&positions);
    assert_eq!(scene.verify(&claims, &opening), Ok(true));
    assert_eq!(MultiOpening::from_bytes(&opening.to_bytes()), Ok(opening));

    // The claims are a set.
    let mut backwards = claims.clone();
    backwards.reverse();
    assert_eq!(scene.verify(&backwards, &opening), Ok(true));
    let mut shuffled = positions;
    shuffled.reverse();
    assert_eq!(scene.open(&shuffled), Ok(opening));

    for i in 0..claims.len() {
        let mut wrong = claims.clone();
        wrong[i].1.0[30] ^= 1;
        assert_eq!(scene.verify(&wrong, &opening), Ok(false), "value {i}");
        let mut moved = claims.clone();
        moved[i].0 += 2;
        assert_eq!(scene.verify(&moved, &opening), Ok(false), "position {i}");
        let mut fewer = claims.clone();
        fewer.remove(i);
        assert_eq!(scene.verify(&fewer, &opening), Ok(false), "without {i}");
    }
    let mut exchanged = claims.clone();
    (exchanged[0].1, exchanged[5].1) = (exchanged[5].1, exchanged[0].1);
    assert_eq!(scene.verify(&exchanged, &opening), Ok(false));

    // Bound to the length, the commitment, the setup's key and both points.
    let longer = verifier().verify_many(&scene.commitment, 2 * CHUNK_LEN + 51, &claims, &opening);
    assert_eq!(longer, Ok(false));
    let other = Scene::new(42, scene.elements.len());
    assert_eq!(other.verify(&claims, &opening), Ok(false));
    let bytes = opening.to_bytes();
    let swapped = MultiOpening::from_bytes(&[&bytes[48..], &bytes[..48]].concat()).unwrap();
    assert_eq!(scene.verify(&claims, &swapped), Ok(false));
    let mut infinite = bytes;
    infinite[48..].fill(0);
    infinite[48] = 0xc0;
    let infinite = MultiOpening::from_bytes(&infinite).unwrap();
    assert_eq!(scene.verify(&claims, &infinite), Ok(false));
}

#[test]
fn more_chunks_than_a_few_are_the_same() {
    let scene = Scene::new(43, 10 * CHUNK_LEN);
    let positions: Vec<usize> = (0..10).map(|i| i * CHUNK_LEN + 400 * i).collect();
    let opening = scene.open(&positions).unwrap();
    let mut claims = scene.claims(&positions);
    assert_eq!(scene.verify(&claims, &opening), Ok(true));
    claims[9].1.0[0] ^= 0x80;
    assert_eq!(scene.verify(&claims, &opening), Ok(false));
}

#[test]
fn a_trace_of_zeros_and_a_single_position_open_too() {
    let zeros = vec![TraceElement::default(); 5];
    let commitment = prover().commit(&zeros).unwrap();
    let opening = prover().open_many(&zeros, &commitment, &[0, 4]).unwrap();
    let claims = [(0, zeros[0]), (4, zeros[4])];
    assert_eq!(
        verifier().verify_many(&commitment, 5, &claims, &opening),
        Ok(true)
    );
    let wrong = [(0, TraceElement([1; 31])), (4, zeros[4])];
    assert_eq!(
        verifier().verify_many(&commitment, 5, &wrong, &opening),
        Ok(false)
    );
    let scene = Scene::new(44, 1);
    let opening = scene.open(&[0]).unwrap();
    assert_eq!(scene.verify(&scene.claims(&[0]), &opening), Ok(true));
}

#[test]
fn statements_without_meaning_are_malformed_on_both_sides() {
    let scene = Scene::new(45, 300);
    let opening = scene.open(&[7]).unwrap();
    let many: Vec<usize> = (0..=MAX_OPENED).collect();
    let out = |index| Malformed::IndexOutOfRange { index, len: 300 };
    for (positions, reason) in [
        (vec![], Malformed::NoPositions),
        (vec![7, 8, 7], Malformed::DuplicatePosition),
        (vec![7, 300], out(300)),
        (vec![usize::MAX], out(usize::MAX)),
        (
            many,
            Malformed::TooManyPositions {
                count: MAX_OPENED + 1,
            },
        ),
    ] {
        let claims: Vec<_> = positions
            .iter()
            .map(|i| (*i, TraceElement::default()))
            .collect();
        assert_eq!(scene.verify(&claims, &opening), Err(reason));
        assert_eq!(scene.open(&positions), Err(KzgError::Statement(reason)));
    }
    let short = verifier().verify_many(&scene.commitment, 5000, &scene.claims(&[7]), &opening);
    assert!(matches!(short, Err(Malformed::ChunkCount { .. })));
    for len in [0, 48, 95, 97, 144] {
        let expected = Err(Malformed::Length {
            expected: 96,
            actual: len,
        });
        assert_eq!(MultiOpening::from_bytes(&vec![0xc0; len]), expected);
    }
    let most: Vec<usize> = (0..MAX_OPENED).collect();
    let opening = scene.open(&most).unwrap();
    assert_eq!(scene.verify(&scene.claims(&most), &opening), Ok(true));
}

fn fr(bytes: &[u8]) -> Fr {
    Fr::from_be_bytes_mod_order(bytes)
}

/// The verifier's equation once more, written from the documentation with other
/// arithmetic and another transcript.
#[test]
fn the_proof_satisfies_the_documented_equation() {
    let scene = Scene::new(46, CHUNK_LEN + 20);
    let positions = [3usize, 4, 900, CHUNK_LEN + 2];
    let opening = scene.open(&positions).unwrap().to_bytes();

    let tagged = |domain: &str| {
        Sha256::new()
            .chain_update([domain.len() as u8])
            .chain_update(domain)
    };
    let mut statement = tagged("aether/kzg/v1/multi-opening")
        .chain_update(Setup::ethereum().verifying_key().id())
        .chain_update(4u64.to_be_bytes())
        .chain_update((CHUNK_LEN as u64 + 20).to_be_bytes());
    for (chunk, own) in [(0u64, &positions[..3]), (1, &positions[3..])] {
        statement.update(chunk.to_be_bytes());
        statement.update(scene.commitment.chunks()[chunk as usize].to_bytes());
        statement.update((own.len() as u64).to_be_bytes());
        for index in own {
            statement.update((*index as u64).to_be_bytes());
            statement.update(scene.elements[*index].0);
        }
    }
    let seed = statement.finalize();
    let gamma = tagged("aether/kzg/v1/coefficient")
        .chain_update(seed)
        .chain_update(0u64.to_be_bytes())
        .finalize();
    let gamma = fr(&gamma[..16]);
    let z = fr(&tagged("aether/kzg/v1/multi-opening-point")
        .chain_update(seed)
        .chain_update(&opening[..48])
        .finalize());

    let point = |bytes: &[u8]| G1Affine::deserialize_compressed(bytes).unwrap();
    let omega = Fr::get_root_of_unity(4096).unwrap();
    let root = |i: usize| omega.pow([((i % 4096).reverse_bits() >> (usize::BITS - 12)) as u64]);
    let mut left = -point(&opening[..48]).into_group();
    let mut power = Fr::from(1u64);
    for (chunk, own) in [(0usize, &positions[..3]), (1, &positions[3..])] {
        let vanishing: Fr = own.iter().map(|i| z - root(*i)).product();
        let value: Fr = own
            .iter()
            .map(|i| {
                let others = own.iter().filter(|j| *j != i);
                let basis: Fr = others
                    .map(|j| (z - root(*j)) / (root(*i) - root(*j)))
                    .product();
                fr(&scene.elements[*i].0) * basis
            })
            .sum();
        let c = power / vanishing;
        left += point(&scene.commitment.chunks()[chunk].to_bytes()) * c;
        left -= G1Affine::generator() * (c * value);
        power *= gamma;
    }
    let second = point(&opening[48..]);
    left += second * z;
    let setup = concat!(env!("CARGO_MANIFEST_DIR"), "/setup/g2_monomial.bin");
    let powers = std::fs::read(setup).unwrap();
    let tau = G2Affine::deserialize_compressed(&powers[96..192]).unwrap();
    let left: G1Projective = left;
    assert_eq!(
        Bls12_381::pairing(left.into_affine(), G2Affine::generator()),
        Bls12_381::pairing(second, tau),
    );
}

#[test]
fn audits_draw_what_the_documentation_says() {
    let scene = Scene::new(47, 1000);
    let beacon = [9; 32];
    let draw = |beacon: &[u8; 32], count| audit_positions(&scene.commitment, 1000, beacon, count);
    let drawn = draw(&beacon, 16).unwrap();
    let domain = "aether/kzg/v1/audit";
    let seed = Sha256::new()
        .chain_update([domain.len() as u8])
        .chain_update(domain)
        .chain_update(beacon)
        .chain_update(16u64.to_be_bytes())
        .chain_update(1000u64.to_be_bytes())
        .chain_update(scene.commitment.to_bytes())
        .finalize();
    let mut expected = std::collections::BTreeSet::new();
    let mut i = 0u64;
    while expected.len() < 16 {
        let coefficient = "aether/kzg/v1/coefficient";
        let digest = Sha256::new()
            .chain_update([coefficient.len() as u8])
            .chain_update(coefficient)
            .chain_update(seed)
            .chain_update(i.to_be_bytes())
            .finalize();
        let number = u128::from_be_bytes(digest[..16].try_into().unwrap());
        expected.insert((number % 1000) as usize);
        i += 1;
    }
    assert_eq!(drawn, expected.into_iter().collect::<Vec<_>>());

    assert_ne!(draw(&[8; 32], 16).unwrap(), drawn);
    let other = Scene::new(48, 1000);
    assert_ne!(
        audit_positions(&other.commitment, 1000, &beacon, 16).unwrap(),
        drawn
    );
    let opening = scene.open(&drawn).unwrap();
    assert_eq!(scene.verify(&scene.claims(&drawn), &opening), Ok(true));

    // All there are, and one more.
    let small = Scene::new(49, 5);
    let all = audit_positions(&small.commitment, 5, &beacon, 5);
    assert_eq!(all, Ok(vec![0, 1, 2, 3, 4]));
    for (len, count, reason) in [
        (5, 6, Malformed::TooManyPositions { count: 6 }),
        (5, 0, Malformed::NoPositions),
        (0, 1, Malformed::EmptyTrace),
        (
            5000,
            1,
            Malformed::ChunkCount {
                expected: 2,
                actual: 1,
            },
        ),
    ] {
        assert_eq!(
            audit_positions(&small.commitment, len, &beacon, count),
            Err(reason)
        );
    }
    let count = MAX_OPENED + 1;
    assert_eq!(
        draw(&beacon, count),
        Err(Malformed::TooManyPositions { count })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    #[test]
    fn any_set_of_positions_opens(
        seed: u64, len in 1usize..400, picks in prop::collection::btree_set(0usize..400, 1..20),
        at in any::<prop::sample::Index>(), bit in 0usize..248,
    ) {
        let scene = Scene::new(seed, len);
        let mut positions: Vec<usize> = picks.into_iter().map(|p| p % len).collect();
        positions.sort_unstable();
        positions.dedup();
        let opening = scene.open(&positions).unwrap();
        let mut claims = scene.claims(&positions);
        prop_assert_eq!(scene.verify(&claims, &opening), Ok(true));
        claims[at.index(positions.len())].1.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(scene.verify(&claims, &opening), Ok(false));
    }
}
