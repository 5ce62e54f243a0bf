//! Openings of traces: what is proven, what is refused, what is merely false.

use aether_kzg::{
    CHUNK_LEN, Commitment, KzgError, MAX_TRACE_LEN, Malformed, Opening, PairOpening, Proof, Scalar,
    TraceCommitment, TraceElement,
};
use proptest::prelude::*;

use crate::{infinity, prover, trace, verifier};

fn changed(element: &TraceElement) -> TraceElement {
    let mut out = *element;
    out.0[30] ^= 1;
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_pair_opens_to_its_own_elements_and_no_others(
        seed: u64, len in 3usize..300, at in any::<prop::sample::Index>(),
    ) {
        let elements = trace(seed, len);
        let index = 1 + at.index(len - 1);
        let commitment = prover().commit(&elements).unwrap();
        let opening = prover().open_pair(&elements, index).unwrap();
        let [left, right] = [&elements[index - 1], &elements[index]];
        let check = |index, left: &TraceElement, right: &TraceElement, opening: &PairOpening| {
            verifier().verify_pair(&commitment, len, index, left, right, opening)
        };
        prop_assert_eq!(opening.to_bytes().len(), 48);
        prop_assert_eq!(check(index, left, right, &opening), Ok(true));
        prop_assert_eq!(check(index, &changed(left), right, &opening), Ok(false));
        prop_assert_eq!(check(index, left, &changed(right), &opening), Ok(false));
        prop_assert_eq!(check(index, right, left, &opening), Ok(false));
        let elsewhere = if index + 1 < len { index + 1 } else { index - 1 };
        if elsewhere > 0 {
            prop_assert_eq!(check(elsewhere, left, right, &opening), Ok(false));
        }
        let other = prover().commit(&trace(!seed, len)).unwrap();
        let foreign = verifier().verify_pair(&other, len, index, left, right, &opening);
        prop_assert_eq!(foreign, Ok(false));
        prop_assert_eq!(PairOpening::from_bytes(&opening.to_bytes()), Ok(opening));
    }

    #[test]
    fn single_openings_hold_at_indices_and_at_any_point(
        seed: u64, len in 1usize..300, at in any::<prop::sample::Index>(), z: u64,
    ) {
        let elements = trace(seed, len);
        let index = at.index(len);
        let commitment = prover().commit(&elements).unwrap();
        let proof = prover().open(&elements, index).unwrap();
        let check = |index, element: &TraceElement, proof: &Proof| {
            verifier().verify_at_index(&commitment, len, index, element, proof)
        };
        prop_assert_eq!(check(index, &elements[index], &proof), Ok(true));
        prop_assert_eq!(check(index, &changed(&elements[index]), &proof), Ok(false));
        let [chunk] = commitment.chunks() else { panic!("one chunk") };
        let z = Scalar::from(z);
        let (y, at_z) = prover().open_at(&elements, 0, &z).unwrap();
        prop_assert!(verifier().verify(chunk, &z, &y, &at_z));
        prop_assert!(!verifier().verify(chunk, &y, &z, &at_z));
        prop_assert!(!verifier().verify(chunk, &z, &y, &proof));
    }

    #[test]
    fn two_arbitrary_points_open_in_one_proof(seed: u64, a: u64, b: u64) {
        prop_assume!(a != b);
        let elements = trace(seed, 20);
        let commitment = prover().commit(&elements).unwrap().chunks()[0];
        let points = [Scalar::from(a), Scalar::from(b)];
        let ([ya, yb], proof) =
            prover().open_at_two(&elements, 0, [&points[0], &points[1]]).unwrap();
        let [a, b] = points;
        prop_assert_eq!(verifier().verify_two(&commitment, [(a, ya), (b, yb)], &proof), Ok(true));
        prop_assert_eq!(verifier().verify_two(&commitment, [(b, yb), (a, ya)], &proof), Ok(true));
        prop_assert_eq!(verifier().verify_two(&commitment, [(a, yb), (b, ya)], &proof), Ok(false));
    }
}

#[test]
fn a_pair_across_two_chunks_needs_two_proofs() {
    let len = 2 * CHUNK_LEN + 5;
    let elements = trace(1, len);
    let commitment = prover().commit(&elements).unwrap();
    assert_eq!(commitment.chunks().len(), 3);
    let check = |index: usize, right: &TraceElement, opening: &PairOpening| {
        verifier().verify_pair(
            &commitment,
            len,
            index,
            &elements[index - 1],
            right,
            opening,
        )
    };
    for border in [CHUNK_LEN, 2 * CHUNK_LEN] {
        let opening = prover().open_pair(&elements, border).unwrap();
        let bytes = opening.to_bytes();
        assert_eq!(bytes.len(), 96);
        assert_eq!(PairOpening::from_bytes(&bytes), Ok(opening));
        assert_eq!(check(border, &elements[border], &opening), Ok(true));
        assert_eq!(
            check(border, &changed(&elements[border]), &opening),
            Ok(false)
        );
        // Its two proofs in the wrong order, and one of them alone.
        let swapped = PairOpening::from_bytes(&[&bytes[48..], &bytes[..48]].concat()).unwrap();
        assert_eq!(check(border, &elements[border], &swapped), Ok(false));
        let half = PairOpening::from_bytes(&bytes[..48]).unwrap();
        assert_eq!(
            check(border, &elements[border], &half),
            Err(Malformed::OpeningForm)
        );
        // The form that fits the border does not fit its neighbours.
        let next = border + 1;
        assert_eq!(
            check(next, &elements[next], &opening),
            Err(Malformed::OpeningForm)
        );
        let inside = prover().open_pair(&elements, next).unwrap();
        assert_eq!(inside.to_bytes().len(), 48);
        assert_eq!(check(next, &elements[next], &inside), Ok(true));
    }
    let last = prover().open(&elements, len - 1).unwrap();
    let check = verifier().verify_at_index(&commitment, len, len - 1, &elements[len - 1], &last);
    assert_eq!(check, Ok(true));
}

#[test]
fn statements_of_the_wrong_shape_are_refused() {
    let elements = trace(2, 10);
    let commitment = prover().commit(&elements).unwrap();
    let opening = prover().open_pair(&elements, 9).unwrap();
    let proof = prover().open(&elements, 9).unwrap();
    let pair = |len, index| {
        verifier().verify_pair(
            &commitment,
            len,
            index,
            &elements[8],
            &elements[9],
            &opening,
        )
    };
    let single =
        |len, index| verifier().verify_at_index(&commitment, len, index, &elements[9], &proof);
    let out = |index, len| Malformed::IndexOutOfRange { index, len };
    let chunks = |expected, actual| Malformed::ChunkCount { expected, actual };
    for (got, expected) in [
        (pair(10, 9), Ok(true)),
        (pair(10, 10), Err(out(10, 10))),
        (pair(9, 9), Err(out(9, 9))),
        (pair(10, 0), Err(out(0, 10))),
        (pair(10, usize::MAX), Err(out(usize::MAX, 10))),
        (pair(CHUNK_LEN + 1, 9), Err(chunks(2, 1))),
        (pair(0, 9), Err(Malformed::EmptyTrace)),
        (pair(MAX_TRACE_LEN + 1, 9), Err(Malformed::TraceTooLong)),
        (pair(usize::MAX, 9), Err(Malformed::TraceTooLong)),
        (single(10, 9), Ok(true)),
        (single(10, 10), Err(out(10, 10))),
        (single(CHUNK_LEN * 2, 9), Err(chunks(2, 1))),
    ] {
        assert_eq!(got, expected);
    }
    let z = Scalar::from(5u64);
    let twice = [(z, z), (z, z)];
    let refused = verifier().verify_two(&commitment.chunks()[0], twice, &proof);
    assert_eq!(refused, Err(Malformed::DuplicatePosition));
}

#[test]
fn a_prover_is_told_what_it_asked_wrongly() {
    let elements = trace(3, 4);
    let out = |index| KzgError::IndexOutOfRange { index, len: 4 };
    let z = Scalar::from(1u64);
    assert_eq!(prover().commit(&[]), Err(KzgError::EmptyTrace));
    assert_eq!(prover().open(&elements, 4), Err(out(4)));
    assert_eq!(prover().open_pair(&elements, 0), Err(out(0)));
    assert_eq!(prover().open_pair(&elements, 4), Err(out(4)));
    assert!(prover().open_at(&elements, 1, &z).is_err());
    assert!(prover().open_at(&elements, usize::MAX, &z).is_err());
    let same = prover().open_at_two(&elements, 0, [&z, &z]);
    assert_eq!(same, Err(KzgError::DuplicatePosition));
    let long = vec![TraceElement::default(); MAX_TRACE_LEN + 1];
    let len = long.len();
    assert_eq!(prover().commit(&long), Err(KzgError::TraceTooLong { len }));
}

#[test]
fn commitments_and_openings_have_one_encoding() {
    let commitment = prover().commit(&trace(4, CHUNK_LEN + 1)).unwrap();
    let bytes = commitment.to_bytes();
    assert_eq!(bytes.len(), 96);
    assert_eq!(TraceCommitment::from_bytes(&bytes), Ok(commitment));
    let length = |actual| Malformed::Length {
        expected: 96,
        actual,
    };
    assert_eq!(TraceCommitment::from_bytes(&bytes[..95]), Err(length(95)));
    assert_eq!(TraceCommitment::from_bytes(&[]), Err(Malformed::EmptyTrace));
    assert_eq!(TraceCommitment::new(Vec::new()), Err(Malformed::EmptyTrace));
    let too_many = vec![0; 48 * 257];
    assert_eq!(
        TraceCommitment::from_bytes(&too_many),
        Err(Malformed::TraceTooLong)
    );
    assert_eq!(
        TraceCommitment::new(vec![infinity(); 257]),
        Err(Malformed::TraceTooLong)
    );
    let mut bad = bytes;
    bad[48] &= 0x7f;
    assert_eq!(
        TraceCommitment::from_bytes(&bad),
        Err(Malformed::NotCompressed)
    );
    assert_eq!(PairOpening::from_bytes(&bad), Err(Malformed::NotCompressed));
    for len in [0, 47, 49, 95, 97, 144] {
        let refused = PairOpening::from_bytes(&vec![0xc0; len]);
        assert!(matches!(refused, Err(Malformed::Length { .. })), "{len}");
    }
}

#[test]
fn a_trace_of_zeros_commits_to_infinity_and_opens_with_infinity() {
    let elements = [TraceElement::default(); 7];
    let commitment = prover().commit(&elements).unwrap();
    assert_eq!(commitment.chunks(), [infinity()]);
    let opening = prover().open_pair(&elements, 3).unwrap();
    assert_eq!(opening.to_bytes(), infinity().to_bytes());
    let check = |right: &TraceElement| {
        verifier().verify_pair(&commitment, 7, 3, &TraceElement::default(), right, &opening)
    };
    assert_eq!(check(&TraceElement::default()), Ok(true));
    assert_eq!(check(&TraceElement([1; 31])), Ok(false));
}

#[test]
fn padding_counts_as_zeros() {
    let mut padded = trace(5, 300);
    for element in &mut padded[30..] {
        *element = TraceElement::default();
    }
    let short = prover().commit(&padded[..30]).unwrap();
    assert_eq!(
        prover().commit(&padded).unwrap(),
        short,
        "small and large tables agree"
    );
}

#[test]
fn a_commitment_is_the_sum_of_its_elements_commitments() {
    // Commitments are linear, and blst's aggregation of keys adds G1 points.
    let elements = trace(6, 5);
    let parts: Vec<[u8; 48]> = (0..5)
        .map(|i| {
            let mut alone = vec![TraceElement::default(); 5];
            alone[i] = elements[i];
            prover().commit(&alone).unwrap().chunks()[0].to_bytes()
        })
        .collect();
    let parts: Vec<&[u8]> = parts.iter().map(|p| p.as_slice()).collect();
    let sum = blst::min_pk::AggregatePublicKey::aggregate_serialized(&parts, true).unwrap();
    let whole: Commitment = prover().commit(&elements).unwrap().chunks()[0];
    assert_eq!(whole.to_bytes(), sum.to_public_key().to_bytes());
}

#[test]
fn a_batch_is_true_only_if_every_opening_is() {
    let elements = trace(7, 40);
    let commitment = prover().commit(&elements).unwrap().chunks()[0];
    let openings: Vec<Opening> = (0..6)
        .map(|i| {
            let z = Scalar::from(1000 + i);
            let (y, proof) = prover().open_at(&elements, 0, &z).unwrap();
            Opening {
                commitment,
                z,
                y,
                proof,
            }
        })
        .collect();
    assert!(verifier().verify_batch(&[]));
    assert!(verifier().verify_batch(&openings[..1]));
    assert!(verifier().verify_batch(&openings));
    for i in 0..openings.len() {
        let mut wrong = openings.clone();
        wrong[i].y = Scalar::from(3u64);
        assert!(!verifier().verify_batch(&wrong), "{i}");
        let mut wrong = openings.clone();
        wrong[i].proof = openings[(i + 1) % 6].proof;
        assert!(!verifier().verify_batch(&wrong), "{i}");
    }
    // Two values wrong by +1 and −1: the errors cancel in a plain sum.
    let even = |o: &Opening| o.y.to_bytes()[31] & 1 == 0;
    let other = (1..6)
        .find(|i| even(&openings[*i]) != even(&openings[0]))
        .expect("both parities");
    let mut cancelling = openings.clone();
    for i in [0, other] {
        let mut bytes = openings[i].y.to_bytes();
        bytes[31] ^= 1;
        cancelling[i].y = Scalar::from_bytes(&bytes).unwrap();
    }
    assert!(!verifier().verify_batch(&cancelling));
}

#[test]
fn a_commitment_grows_with_its_trace() {
    use aether_kzg::{CommitmentBuilder, Setup};
    let elements = trace(77, CHUNK_LEN + 400);
    let mut builder = CommitmentBuilder::new(Setup::ethereum());
    assert!(builder.is_empty());
    assert_eq!(builder.commitment(), Err(KzgError::EmptyTrace));
    let mut len = 0;
    for step in [1, 0, 30, 300, 3000, 764, 1, 700] {
        let next = (len + step).min(elements.len());
        builder.append(&elements[len..next]).unwrap();
        len = next;
        assert_eq!(builder.len(), len);
        let whole = prover().commit(&elements[..len]).unwrap();
        assert_eq!(builder.commitment(), Ok(whole), "{len} elements");
    }
    assert_eq!(len, elements.len());
    let mut at_once = CommitmentBuilder::new(Setup::ethereum());
    at_once.append(&elements).unwrap();
    assert_eq!(at_once.commitment(), builder.commitment());
    let too_many = vec![TraceElement::default(); MAX_TRACE_LEN - len + 1];
    let refused = Err(KzgError::TraceTooLong {
        len: MAX_TRACE_LEN + 1,
    });
    assert_eq!(builder.append(&too_many), refused);
    assert_eq!(builder.commitment(), at_once.commitment());
}
