//! Finality: who has to sign, and what is no certificate.

use crate::scene::{Scene, VALIDATOR_STAKE, account, validator};
use aether_mesh::*;

const HEIGHT: u64 = 7;

fn block() -> BlockId {
    BlockId([3; 32])
}

/// The votes of these validators (numbered in the set's order) for the block.
fn votes(s: &Scene, which: &[usize]) -> Vec<Vote> {
    let set = s.rules.validators.clone();
    which
        .iter()
        .map(|place| {
            let account = set.validators()[*place].account;
            let n = (0..4)
                .find(|n| validator(*n) == account)
                .expect("one of the four");
            s.vote(n, HEIGHT, 2, VoteKind::Precommit, Some(block()))
        })
        .collect()
}

fn certificate(s: &Scene, which: &[usize]) -> Option<Certificate> {
    Certificate::aggregate(
        &s.rules.validators,
        Slot(HEIGHT),
        2,
        block(),
        &votes(s, which),
    )
}

fn verify(s: &Scene, c: &Certificate) -> Result<(), CertificateError> {
    c.verify(&s.rules.chain_id, &s.rules.validators)
}

#[test]
fn three_of_four_are_a_quorum_and_two_are_not() {
    let s = Scene::new();
    for which in [&[0, 1, 2][..], &[0, 1, 3], &[1, 2, 3], &[3, 2, 1, 0]] {
        let c = certificate(&s, which).expect("a quorum");
        assert_eq!(verify(&s, &c), Ok(()), "{which:?}");
        assert!(c.to_pb() == Certificate::from_pb(&c.to_pb()).unwrap().to_pb());
    }
    for which in [&[][..], &[0], &[0, 1], &[2, 3], &[1, 1, 1]] {
        assert_eq!(certificate(&s, which), None, "{which:?}");
    }
}

#[test]
fn stake_counts_and_not_heads() {
    // One of four holds more than two thirds.
    let s = Scene::with(|g| g.validators[0].stake = Amount(VALIDATOR_STAKE.0 * 9));
    let place = s.rules.validators.index_of(&validator(0)).unwrap();
    let c = certificate(&s, &[place]).expect("nine twelfths");
    assert_eq!(verify(&s, &c), Ok(()));
    let others: Vec<usize> = (0..4).filter(|p| *p != place).collect();
    assert_eq!(certificate(&s, &others), None);
}

#[test]
fn votes_that_do_not_belong_are_left_out() {
    let s = Scene::new();
    let mut all = votes(&s, &[0, 1, 2]);
    let mut nil = s.vote(0, HEIGHT, 2, VoteKind::Precommit, None);
    let mut stranger = all[0].clone();
    stranger.voter = account("stranger");
    nil.signature = [9; 96];
    all.extend([
        nil,
        stranger,
        all[0].clone(),
        s.vote(3, HEIGHT, 1, VoteKind::Precommit, Some(block())),
        s.vote(3, HEIGHT, 2, VoteKind::Prevote, Some(block())),
        s.vote(3, HEIGHT + 1, 2, VoteKind::Precommit, Some(block())),
        s.vote(3, HEIGHT, 2, VoteKind::Precommit, Some(BlockId([4; 32]))),
    ]);
    let set = &s.rules.validators;
    let c = Certificate::aggregate(set, Slot(HEIGHT), 2, block(), &all).expect("a quorum");
    // Two of the names may be the same person's; what counts is that it holds.
    assert_eq!(verify(&s, &c), Ok(()));
    assert_eq!(c.signers, certificate(&s, &[0, 1, 2]).unwrap().signers);
}

/// A certificate with one thing wrong.
type Wrong = (
    &'static str,
    fn(&Scene, &mut Certificate),
    fn(&CertificateError) -> bool,
);

#[test]
fn what_is_no_certificate() {
    let s = Scene::new();
    let table: &[Wrong] = &[
        (
            "no bitmap",
            |_, c| c.signers.clear(),
            |e| *e == CertificateError::Bitmap,
        ),
        (
            "a longer bitmap",
            |_, c| c.signers.push(0),
            |e| *e == CertificateError::Bitmap,
        ),
        (
            "a spare bit",
            |_, c| c.signers[0] |= 0x10,
            |e| *e == CertificateError::Bitmap,
        ),
        (
            "the last spare bit",
            |_, c| c.signers[0] |= 0x80,
            |e| *e == CertificateError::Bitmap,
        ),
        (
            "one signer less",
            |_, c| c.signers[0] &= !1,
            |e| matches!(e, CertificateError::NoQuorum { .. }),
        ),
        (
            "nobody",
            |_, c| c.signers[0] = 0,
            |e| matches!(e, CertificateError::NoQuorum { signed: 0, .. }),
        ),
        (
            "one who did not sign",
            |_, c| c.signers[0] = 0b1111,
            |e| *e == CertificateError::Signature,
        ),
        (
            "other signers",
            |_, c| c.signers[0] = 0b1110,
            |e| *e == CertificateError::Signature,
        ),
        (
            "another block",
            |_, c| c.block_id.0[0] ^= 1,
            |e| *e == CertificateError::Signature,
        ),
        (
            "another height",
            |_, c| c.height.0 += 1,
            |e| *e == CertificateError::Signature,
        ),
        (
            "another round",
            |_, c| c.round += 1,
            |e| *e == CertificateError::Signature,
        ),
        (
            "garbage",
            |_, c| c.signature = [0x55; 96],
            |e| *e == CertificateError::Signature,
        ),
        (
            "infinity",
            |_, c| {
                c.signature = [0; 96];
                c.signature[0] = 0xc0;
            },
            |e| *e == CertificateError::Signature,
        ),
        (
            "one signature for all",
            |s, c| {
                c.signature = votes(s, &[0])[0].signature;
            },
            |e| *e == CertificateError::Signature,
        ),
        (
            "prevotes",
            |s, c| {
                let prevotes: Vec<Vote> = (0..4)
                    .map(|n| s.vote(n, HEIGHT, 2, VoteKind::Prevote, Some(block())))
                    .collect();
                let aggregate = |votes: &[Vote]| {
                    let all: Vec<_> = votes
                        .iter()
                        .map(|v| aether_kzg::bls::Signature::from_bytes(&v.signature).unwrap())
                        .collect();
                    aether_kzg::bls::aggregate(&all).unwrap().to_bytes()
                };
                c.signers[0] = 0b1111;
                c.signature = aggregate(&prevotes);
            },
            |e| *e == CertificateError::Signature,
        ),
    ];
    for (what, spoil, expected) in table {
        let mut c = certificate(&s, &[0, 1, 2]).unwrap();
        spoil(&s, &mut c);
        let error = verify(&s, &c).expect_err(what);
        assert!(expected(&error), "{what}: {error}");
    }
    let c = certificate(&s, &[0, 1, 2]).unwrap();
    let elsewhere = c.verify(&ChainId([1; 32]), &s.rules.validators);
    assert_eq!(elsewhere, Err(CertificateError::Signature));
}

#[test]
fn exactly_two_thirds_are_not_enough() {
    let s = Scene::with(|g| {
        g.validators.pop();
    });
    let votes: Vec<Vote> = (0..2)
        .map(|n| s.vote(n, HEIGHT, 0, VoteKind::Precommit, Some(block())))
        .collect();
    let set = &s.rules.validators;
    assert_eq!(
        Certificate::aggregate(set, Slot(HEIGHT), 0, block(), &votes),
        None
    );
}

#[test]
fn a_vote_is_its_voters_only() {
    let s = Scene::new();
    let vote = s.vote(0, 5, 1, VoteKind::Prevote, Some(block()));
    let set = &s.rules.validators;
    assert!(vote.verify(&s.rules.chain_id, set));
    assert!(!vote.verify(&ChainId([1; 32]), set));
    let changes: [fn(&mut Vote); 6] = [
        |v| v.height.0 += 1,
        |v| v.round += 1,
        |v| v.kind = VoteKind::Precommit,
        |v| v.block = None,
        |v| v.voter = validator(1),
        |v| v.signature[7] ^= 1,
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut other = vote.clone();
        change(&mut other);
        assert!(!other.verify(&s.rules.chain_id, set), "{n}");
    }
    let back = Vote::from_pb(&vote.to_pb()).unwrap();
    assert_eq!(back, vote);
}
