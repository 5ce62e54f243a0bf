//! Whole blocks of published traces against their commitments.

use aether_kzg::{CHUNK_LEN, Malformed, Setup, TraceCommitment, TraceElement, verify_commitments};

use crate::{infinity, prover, trace};

fn verify(claims: &[(TraceCommitment, Vec<TraceElement>)]) -> Result<bool, Malformed> {
    let borrowed: Vec<(&TraceCommitment, &[TraceElement])> =
        claims.iter().map(|(c, e)| (c, e.as_slice())).collect();
    verify_commitments(Setup::ethereum(), &borrowed)
}

fn block(lengths: &[usize]) -> Vec<(TraceCommitment, Vec<TraceElement>)> {
    lengths
        .iter()
        .enumerate()
        .map(|(i, len)| {
            let elements = trace(100 + i as u64, *len);
            (prover().commit(&elements).unwrap(), elements)
        })
        .collect()
}

#[test]
fn honest_blocks_pass_whatever_their_lengths() {
    assert_eq!(verify(&[]), Ok(true));
    assert_eq!(verify(&block(&[1])), Ok(true));
    assert_eq!(verify(&block(&[10, 1, 256, 30])), Ok(true));
    assert_eq!(verify(&block(&[10, CHUNK_LEN + 3, 300])), Ok(true));
    let zeros = (
        TraceCommitment::new(vec![infinity()]).unwrap(),
        vec![TraceElement::default(); 3],
    );
    assert_eq!(verify(std::slice::from_ref(&zeros)), Ok(true));
    assert_eq!(verify(&[zeros, block(&[4]).remove(0)]), Ok(true));
}

#[test]
fn one_wrong_element_anywhere_spoils_the_block() {
    let honest = block(&[10, CHUNK_LEN + 3, 30]);
    for (claim, element) in [(0, 0), (0, 9), (1, 17), (1, CHUNK_LEN + 2), (2, 29)] {
        let mut block = honest.clone();
        block[claim].1[element].0[30] ^= 1;
        assert_eq!(
            verify(&block),
            Ok(false),
            "claim {claim}, element {element}"
        );
    }
    let mut swapped = block(&[10, 10]);
    let first = swapped[0].0.clone();
    swapped[0].0 = std::mem::replace(&mut swapped[1].0, first);
    assert_eq!(verify(&swapped), Ok(false));
    let mut hidden = block(&[10]);
    hidden[0].0 = TraceCommitment::new(vec![infinity()]).unwrap();
    assert_eq!(verify(&hidden), Ok(false));
}

#[test]
fn errors_that_cancel_in_a_sum_are_caught() {
    // Exchange one element between two traces: the sum of the claims is unchanged.
    let mut block = block(&[10, 10]);
    let taken = block[0].1[4];
    block[0].1[4] = std::mem::replace(&mut block[1].1[4], taken);
    assert_eq!(verify(&block), Ok(false));
}

#[test]
fn a_trace_and_a_commitment_of_different_sizes_are_malformed() {
    let mut block = block(&[10, CHUNK_LEN + 1]);
    block[1].1.pop();
    assert_eq!(
        verify(&block),
        Err(Malformed::ChunkCount {
            expected: 1,
            actual: 2
        })
    );
    block[1].1.clear();
    assert_eq!(verify(&block), Err(Malformed::EmptyTrace));
}
