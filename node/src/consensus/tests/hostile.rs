//! Strangers and cheats.

use super::super::context::{CoreProposal, CoreVote, Height, Value, Voter};
use super::super::io::{Now, Verdict};
use super::super::messages::{MESSAGE_BYTES_MAX, Message};
use super::super::signing::{Checker, sign_proposal, sign_vote};
use super::app::{CHAIN, account, key, set_of};
use super::sim::{Packet, Sim};
use aether_mesh::{BlockId, ChainId, Slot, VoteKind};
use arc_malachitebft_core_types::{
    NilOrVal, PolkaCertificate, PolkaSignature, Round, RoundCertificate, RoundCertificateType,
    RoundSignature, VoteType,
};
use proptest::prelude::*;
use std::time::Duration;

fn vote(i: usize, chain: &ChainId, height: u64, kind: VoteType, value: Option<u8>) -> Message {
    let vote = CoreVote {
        height: Height(Slot(height)),
        round: Round::new(0),
        kind,
        value: value.map_or(NilOrVal::Nil, |b| NilOrVal::Val(BlockId([b; 32]))),
        voter: Voter(account(i)),
    };
    Message::Vote(sign_vote(&key(i), chain, vote, &mut Checker::new(*chain)))
}

fn proposal(i: usize, height: u64, round: u32, block: u8) -> Message {
    let proposal = CoreProposal {
        height: Height(Slot(height)),
        round: Round::new(round),
        value: Value(BlockId([block; 32])),
        pol_round: Round::Nil,
        proposer: Voter(account(i)),
    };
    Message::Proposal(sign_proposal(
        &key(i),
        &CHAIN,
        proposal,
        &mut Checker::new(CHAIN),
    ))
}

/// One validator of four, alone, at height 1.
fn lone() -> Sim {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    sim.boot(0);
    sim
}

fn verdict(sim: &mut Sim, bytes: Vec<u8>) -> Verdict {
    let now = Now {
        elapsed: sim.now,
        unix_ms: 0,
    };
    sim.nodes[0]
        .machine
        .as_mut()
        .unwrap()
        .message(bytes, &|| now)
        .unwrap()
}

fn proposer(round: u32) -> usize {
    let set = set_of(&[10, 10, 10, 10]);
    set.index_of(&set.proposer(Slot(1), round, 600).account)
        .unwrap()
}

#[test]
fn messages_are_judged_by_what_is_wrong_with_them() {
    let prevote = VoteType::Prevote;
    let honest = vote(1, &CHAIN, 1, prevote, None);
    let Message::Vote(mut stolen) = honest.clone() else {
        unreachable!()
    };
    stolen.message.voter = Voter(account(2));
    let mut flipped = honest.encode(5);
    *flipped.last_mut().unwrap() ^= 1;
    let (entitled, other) = (proposer(0), (proposer(0) + 1) % 4);
    let cases: Vec<(&str, Vec<u8>, Verdict)> = vec![
        ("an honest vote", honest.encode(5), Verdict::Accept),
        (
            "the same sent again at once",
            honest.encode(6),
            Verdict::Ignore,
        ),
        (
            "another's vote as one's own",
            Message::Vote(stolen).encode(5),
            Verdict::Reject,
        ),
        ("a signature with a wrong bit", flipped, Verdict::Reject),
        (
            "a vote for another chain",
            vote(2, &ChainId([8; 32]), 1, prevote, None).encode(5),
            Verdict::Reject,
        ),
        (
            "a vote of no validator",
            vote(9, &CHAIN, 1, prevote, None).encode(5),
            Verdict::Ignore,
        ),
        (
            "a vote for the past",
            vote(1, &CHAIN, 0, prevote, None).encode(5),
            Verdict::Ignore,
        ),
        (
            "a vote for the next height",
            vote(1, &CHAIN, 2, prevote, None).encode(5),
            Verdict::Accept,
        ),
        (
            "a vote far ahead",
            vote(1, &CHAIN, 90, prevote, None).encode(5),
            Verdict::Ignore,
        ),
        (
            "the proposer's proposal",
            proposal(entitled, 1, 0, 3).encode(5),
            Verdict::Accept,
        ),
        (
            "another's proposal",
            proposal(other, 1, 0, 3).encode(5),
            Verdict::Reject,
        ),
        ("nothing", vec![], Verdict::Reject),
        ("garbage", vec![0xff; 100], Verdict::Reject),
        ("too much", vec![0; MESSAGE_BYTES_MAX + 1], Verdict::Reject),
        (
            "trailing bytes",
            [honest.encode(7), vec![0]].concat(),
            Verdict::Reject,
        ),
    ];
    let mut sim = lone();
    for (what, bytes, expected) in cases {
        assert_eq!(verdict(&mut sim, bytes), expected, "{what}");
    }
}

#[test]
fn certificates_that_prove_nothing_are_rejected() {
    let id = BlockId([3; 32]);
    let signature = |i: usize| match vote(i, &CHAIN, 1, VoteType::Prevote, Some(3)) {
        Message::Vote(vote) => PolkaSignature::new(Voter(account(i)), vote.signature),
        _ => unreachable!(),
    };
    let polka = |signers: &[usize]| PolkaCertificate {
        height: Height(Slot(1)),
        round: Round::new(0),
        value_id: id,
        polka_signatures: signers.iter().map(|i| signature(*i)).collect(),
    };
    let mut forged = polka(&[1, 2, 3]);
    forged.polka_signatures[2].signature = forged.polka_signatures[1].signature;
    let skip = |kind, signers: &[usize]| RoundCertificate {
        height: Height(Slot(1)),
        round: Round::new(0),
        cert_type: kind,
        round_signatures: signers
            .iter()
            .map(|i| {
                let s = signature(*i);
                RoundSignature::new(VoteType::Prevote, NilOrVal::Val(id), s.address, s.signature)
            })
            .collect(),
    };
    let mut sim = lone();
    for (what, message, expected) in [
        (
            "two of four",
            Message::Polka(polka(&[1, 2])),
            Verdict::Reject,
        ),
        (
            "one thrice",
            Message::Polka(polka(&[1, 1, 1])),
            Verdict::Reject,
        ),
        (
            "a stranger",
            Message::Polka(polka(&[1, 2, 9])),
            Verdict::Reject,
        ),
        (
            "a forged signature",
            Message::Polka(forged),
            Verdict::Reject,
        ),
        (
            "three of four",
            Message::Polka(polka(&[1, 2, 3])),
            Verdict::Accept,
        ),
        (
            "prevotes for precommits",
            Message::Round(skip(RoundCertificateType::Precommit, &[1, 2, 3])),
            Verdict::Reject,
        ),
        (
            "one of four",
            Message::Round(skip(RoundCertificateType::Skip, &[1])),
            Verdict::Reject,
        ),
        (
            "two of four skip",
            Message::Round(skip(RoundCertificateType::Skip, &[1, 2])),
            Verdict::Accept,
        ),
    ] {
        assert_eq!(verdict(&mut sim, message.encode(5)), expected, "{what}");
    }
}

#[test]
fn a_double_voter_is_reported_with_both_votes() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    sim.boot_all();
    let cheat = vote(3, &CHAIN, 1, VoteType::Precommit, Some(66));
    sim.send(3, Packet::Consensus(cheat.encode(1)));
    sim.run_until(Duration::from_secs(60), |sim| {
        sim.heights().iter().all(|h| *h >= 3)
    });
    for node in &sim.nodes[..3] {
        let disk = node.disk.lock().unwrap();
        let (first, second) = disk.double_votes.first().expect("the cheat is found");
        for v in [first, second] {
            assert_eq!(
                (v.voter, v.kind, v.height),
                (account(3), VoteKind::Precommit, Slot(1))
            );
            assert!(v.verify(&CHAIN, &sim.sets.at(Slot(1))));
        }
        assert_ne!(first.block, second.block);
    }
}

#[test]
fn a_validator_that_votes_for_everything_is_looked_at_a_few_times() {
    let mut sim = lone();
    let votes: Vec<Verdict> = (0..20)
        .map(|b| {
            let vote = vote(1, &CHAIN, 1, VoteType::Prevote, Some(b));
            verdict(&mut sim, vote.encode(u64::from(b)))
        })
        .collect();
    assert_eq!(votes.iter().filter(|v| **v == Verdict::Accept).count(), 4);
    assert!(
        sim.nodes[0]
            .machine
            .as_ref()
            .unwrap()
            .status()
            .signature_checks
            <= 4
    );
}

#[test]
fn one_validator_cannot_claim_that_we_are_behind() {
    let mut sim = lone();
    verdict(
        &mut sim,
        vote(1, &CHAIN, 1_000_000, VoteType::Prevote, None).encode(1),
    );
    sim.run_for(Duration::from_secs(2));
    assert!(sim.nodes[0].outbox.lock().unwrap().is_empty());
    // Two of four are more than a third.
    verdict(
        &mut sim,
        vote(2, &CHAIN, 70, VoteType::Prevote, None).encode(1),
    );
    let asked = sim.nodes[0].outbox.clone();
    let now = Now {
        elapsed: sim.now + Duration::from_secs(2),
        unix_ms: 0,
    };
    sim.nodes[0]
        .machine
        .as_mut()
        .unwrap()
        .tick(&|| now)
        .unwrap();
    assert!(
        asked
            .lock()
            .unwrap()
            .iter()
            .any(|p| matches!(p, Packet::Behind))
    );
}

#[test]
fn blocks_are_judged_by_what_is_wrong_with_them() {
    let mut source = Sim::new(&[10, 10, 10, 10], 0);
    source.boot_all();
    source.run_until(Duration::from_secs(60), |sim| sim.nodes[1].height() >= 3);
    let chain = source.nodes[1].disk.lock().unwrap().chain.clone();
    let (first, certificate) = chain[0].clone();
    let mut other_chain = first.clone();
    other_chain.header.chain_id = ChainId([9; 32]);
    let mut other_parent = first.clone();
    other_parent.header.parent_id = BlockId([9; 32]);
    let mut other_set = first.clone();
    other_set.header.validators_hash = [9; 32];
    // Not what this lone node proposes itself at the same moment.
    let mut unnamed = first.clone();
    unnamed.header.time_ms += 1;
    let mut unproven = chain[1].0.clone();
    if let Some(c) = &mut unproven.parent_certificate {
        c.signers = vec![0b0011];
        unproven.header.parent_certificate_hash = c.hash();
    }
    let answer = |sim: &mut Sim, block: &aether_mesh::Block| {
        let told = std::sync::Arc::new(std::sync::Mutex::new(None));
        let tell = told.clone();
        let now = Now {
            elapsed: sim.now,
            unix_ms: 1_800_000_000_000,
        };
        let reply = Box::new(move |v| *tell.lock().unwrap() = Some(v));
        let machine = sim.nodes[0].machine.as_mut().unwrap();
        machine.block(block.clone(), Some(reply), &|| now).unwrap();
        *told.lock().unwrap()
    };
    let mut sim = lone();
    for (what, block, expected) in [
        ("another chain's", &other_chain, Some(Verdict::Reject)),
        ("on another parent", &other_parent, Some(Verdict::Reject)),
        ("for another set", &other_set, Some(Verdict::Reject)),
        ("far ahead", &chain[2].0, Some(Verdict::Ignore)),
        (
            "with a certificate of too few",
            &unproven,
            Some(Verdict::Reject),
        ),
        ("not proposed yet", &unnamed, None),
    ] {
        assert_eq!(answer(&mut sim, block), expected, "{what}");
    }
    // Synced blocks need their own certificate.
    let now = Now {
        elapsed: sim.now,
        unix_ms: 0,
    };
    let machine = sim.nodes[0].machine.as_mut().unwrap();
    let mut weak = certificate.clone();
    weak.signers = vec![0b0001];
    let report = machine
        .synced(vec![(first.clone(), weak)], &|| now)
        .unwrap();
    assert!(report.refused && report.applied == 0);
    let report = machine.synced(chain.clone(), &|| now).unwrap();
    assert_eq!((report.applied, report.refused), (3, false));
}

proptest! {
    #[test]
    fn decoding_never_panics_and_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(message) = Message::decode(&bytes) {
            let again = Message::decode(&message.encode(0)).unwrap();
            prop_assert_eq!(message, again);
        }
    }

    #[test]
    fn votes_survive_the_wire(height in 1u64.., round in 0u32..1_000, nil: bool, pre: bool, sent: u64) {
        let kind = if pre { VoteType::Precommit } else { VoteType::Prevote };
        let vote = CoreVote {
            height: Height(Slot(height)),
            round: Round::new(round),
            kind,
            value: if nil { NilOrVal::Nil } else { NilOrVal::Val(BlockId([4; 32])) },
            voter: Voter(account(1)),
        };
        let signature = super::super::scheme::Sig([5; 96]);
        let message = Message::Vote(arc_malachitebft_core_types::SignedMessage::new(vote, signature));
        prop_assert_eq!(Message::decode(&message.encode(sent)).unwrap(), message);
    }
}
