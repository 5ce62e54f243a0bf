//! Bytes from strangers: every message type, mutated, cut, extended, odd.

use crate::scene::{Scene, key, session};
use aether_mesh::wire::{self, WireError};
use aether_mesh::*;
use aether_tee::EvidenceKind;
use ed25519_dalek::Signer as _;
use prost::Message as _;

/// One transaction of every kind, as it would travel.
fn one_of_each(s: &mut Scene) -> Vec<VerifiedTx> {
    let job = s.accepted();
    let outcome = s.run(&job);
    let vcr = s.vcr_of(&job, "worker", &outcome);
    let vcr = s.vcr_tx("worker", vcr, &session("worker"));
    let accept = s.accept_tx(&job, "worker");
    let assign = s.assign_tx("coordinator", &job, "worker");
    s.block(std::slice::from_ref(&vcr));
    let challenge = s.challenge_of(&vcr, 3);
    let block = |n| Some(BlockId([n; 32]));
    let first = s.vote(0, 1, 0, VoteKind::Precommit, block(1));
    let second = s.vote(0, 1, 0, VoteKind::Precommit, None);
    let mut terms = s.terms();
    terms.tee_kinds = vec![EvidenceKind::Nitro, EvidenceKind::Simulated];
    terms.reputation_min = -3;
    let mut blob = s.terms();
    blob.input = Payload::Blob(BlobRef::of(b"elsewhere"));
    vec![
        s.transfer_tx("stranger", "owner", Amount(u128::MAX / 3)),
        s.tx(
            "owner",
            Action::RegisterModel {
                onnx: BlobRef::of(b"model"),
            },
        ),
        s.tx("requester", Action::PostJob(terms)),
        s.tx("requester", Action::PostJob(blob)),
        s.tx("requester", Action::CancelJob { job }),
        s.tx(
            "worker",
            Action::Bond {
                role: Role::Worker,
                amount: Amount::aic(1),
            },
        ),
        s.tx(
            "coordinator",
            Action::Bond {
                role: Role::Coordinator,
                amount: Amount::aic(1),
            },
        ),
        assign,
        accept,
        vcr,
        s.commit_tx("challenger", &job, &challenge),
        s.reveal_tx("challenger", &job, &challenge),
        s.tx("owner", Action::DoubleVote { first, second }),
    ]
}

#[test]
fn every_kind_of_transaction_survives_the_wire() {
    let mut s = Scene::new();
    let all = one_of_each(&mut s);
    let mut names = std::collections::BTreeSet::new();
    for tx in &all {
        let bytes = tx.signed().encode();
        assert_eq!(bytes.len(), tx.signed().encoded_len());
        let back = SignedTx::decode(&bytes, 1 << 20)
            .unwrap()
            .verify(&s.rules.chain_id)
            .unwrap();
        assert_eq!(back, *tx);
        assert_eq!(
            back.body().encode(),
            tx.signed().body,
            "decoding loses nothing"
        );
        names.insert(tx.action().name());
    }
    assert_eq!(names.len(), 11, "every kind: {names:?}");
}

#[test]
fn no_flipped_byte_verifies() {
    let mut s = Scene::new();
    let chain = s.rules.chain_id;
    let mut flips = 0;
    for tx in one_of_each(&mut s) {
        let bytes = tx.signed().encode();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let verified = SignedTx::decode(&flipped, 1 << 20)
                .map_err(TxError::from)
                .and_then(|tx| tx.verify(&chain));
            assert!(verified.is_err(), "{}, byte {at}", tx.action().name());
            flips += 1;
        }
    }
    assert!(flips > 5_000, "{flips}");
}

#[test]
fn cut_and_extended_transactions_are_refused() {
    let mut s = Scene::new();
    let chain = s.rules.chain_id;
    for tx in one_of_each(&mut s) {
        let bytes = tx.signed().encode();
        let name = tx.action().name();
        let verify = |bytes: &[u8]| {
            SignedTx::decode(bytes, 1 << 20)
                .map_err(TxError::from)?
                .verify(&chain)
        };
        for cut in (0..bytes.len()).step_by(1 + bytes.len() / 500) {
            assert!(verify(&bytes[..cut]).is_err(), "{name} cut to {cut}");
        }
        // An unknown field, a known one again, a zero byte.
        for tail in [&[0x78u8, 1][..], &[0x0a, 0], &[0], &[0x12, 1, 7]] {
            let extended = [&bytes[..], tail].concat();
            assert!(verify(&extended).is_err(), "{name} with {tail:?}");
        }
        let over = SignedTx::decode(&bytes, bytes.len() - 1);
        assert_eq!(
            over,
            Err(WireError::TooLong {
                got: bytes.len(),
                limit: bytes.len() - 1
            })
        );
    }
}

/// Signs any bytes as a body.
fn signed(s: &Scene, who: &str, body: Vec<u8>) -> SignedTx {
    let message = hash_parts("aether/tx/v1", &[s.rules.chain_id.as_bytes(), &body]);
    let key = key(who);
    let signature = key.sign(&message).to_bytes();
    SignedTx {
        body,
        signer: Account(key.verifying_key().to_bytes()),
        signature,
    }
}

#[test]
fn a_body_must_be_canonical_although_its_signature_is_right() {
    let s = Scene::new();
    let chain = s.rules.chain_id;
    let body = s
        .transfer_tx("stranger", "owner", Amount(5))
        .signed()
        .body
        .clone();
    assert!(
        signed(&s, "stranger", body.clone()).verify(&chain).is_ok(),
        "signed rightly"
    );
    // nonce 1 is `08 01`, then the expiry, then the action.
    assert_eq!(body[..2], [0x08, 0x01]);
    let varint = [&[0x08, 0x81, 0x00], &body[2..]].concat();
    let reordered = [&body[2..], &body[..2]].concat();
    let unknown = [&body[..], &[0xf8, 0x07, 0x01]].concat();
    let twice = [&body[..2], &body[..]].concat();
    let nothing = Vec::new();
    for (what, bytes) in [
        ("an overlong integer", varint),
        ("fields out of order", reordered),
        ("an unknown field", unknown),
        ("a field twice", twice),
        ("nothing", nothing),
    ] {
        let refused = signed(&s, "stranger", bytes).verify(&chain).unwrap_err();
        assert!(matches!(refused, TxError::Wire(_)), "{what}: {refused:?}");
    }
    // A default written out: the cancel's zero nonce.
    let cancel = s
        .tx(
            "stranger",
            Action::CancelJob {
                job: JobId([1; 32]),
            },
        )
        .signed()
        .body
        .clone();
    let zero = [&[0x08, 0x00], &cancel[..]].concat();
    let refused = signed(&s, "stranger", zero).verify(&chain).unwrap_err();
    assert_eq!(refused, TxError::Wire(WireError::NotCanonical));
}

/// An encoded action that is signed rightly and is still none.
fn refused_action(s: &Scene, action: pb::tx_body::Action, spending: bool) -> TxError {
    let body = pb::TxBody {
        nonce: u64::from(spending),
        expiry_slot: 50,
        action: Some(action),
    };
    signed(s, "stranger", body.encode_to_vec())
        .verify(&s.rules.chain_id)
        .unwrap_err()
}

#[test]
fn fields_of_impossible_length_or_value_are_refused() {
    use pb::tx_body::Action as A;
    let mut s = Scene::new();
    let amount = || Some(pb::Amount { hi: 0, lo: 5 });
    let id = || vec![1u8; 32];
    let blob = || {
        Some(pb::BlobRef {
            id: id(),
            bytes_len: 5,
        })
    };
    let post = |change: fn(&mut pb::PostJob)| {
        let mut p = pb::PostJob {
            model: id(),
            input: Some(pb::post_job::Input::InlineInput(vec![])),
            tee_kinds: vec![3, 127],
            reputation_min: 0,
            payment: amount(),
            gas_limit: 1,
            deadline_slots: 1,
            seed: 0,
        };
        change(&mut p);
        A::PostJob(p)
    };
    let accept = |change: fn(&mut pb::Evidence)| {
        let mut e = pb::Evidence {
            kind: 127,
            document: vec![1],
            slot: 1,
            endorsements: None,
        };
        change(&mut e);
        A::Accept(pb::Accept {
            job: id(),
            session_key: id(),
            evidence: Some(e),
        })
    };
    let vote = |change: fn(&mut pb::Vote)| {
        let good = pb::Vote {
            height: 1,
            round: 0,
            kind: 2,
            block_id: id(),
            voter: id(),
            signature: vec![1; 96],
        };
        let mut bad = good.clone();
        change(&mut bad);
        A::DoubleVote(pb::DoubleVote {
            first: Some(good),
            second: Some(bad),
        })
    };
    let challenge = |change: fn(&mut pb::Challenge)| {
        let mut c = pb::Challenge {
            step: 1,
            before: vec![1; 31],
            after: vec![1; 31],
            opening: vec![1; 48],
            witness: blob(),
        };
        change(&mut c);
        A::ChallengeReveal(pb::ChallengeReveal {
            job: id(),
            challenge: c.encode_to_vec(),
            salt: id(),
        })
    };
    let job = s.accepted();
    let whole = s.vcr_of(&job, "worker", &s.run(&job)).encode();
    let vcr = |change: fn(&mut pb::Vcr)| {
        let mut v = pb::Vcr::decode(&whole[..]).unwrap();
        change(&mut v);
        let session_signature = vec![1; 64];
        A::SubmitVcr(pb::SubmitVcr {
            vcr: v.encode_to_vec(),
            session_signature,
        })
    };
    let table: Vec<(&str, A, bool)> = vec![
        (
            "short receiver",
            A::Transfer(pb::Transfer {
                to: vec![1; 31],
                amount: amount(),
            }),
            true,
        ),
        (
            "long receiver",
            A::Transfer(pb::Transfer {
                to: vec![1; 33],
                amount: amount(),
            }),
            true,
        ),
        (
            "no amount",
            A::Transfer(pb::Transfer {
                to: id(),
                amount: None,
            }),
            true,
        ),
        (
            "no blob",
            A::RegisterModel(pb::RegisterModel { onnx: None }),
            true,
        ),
        (
            "role 0",
            A::Bond(pb::Bond {
                role: 0,
                amount: amount(),
            }),
            true,
        ),
        (
            "role 3",
            A::Bond(pb::Bond {
                role: 3,
                amount: amount(),
            }),
            true,
        ),
        (
            "kinds not ascending",
            post(|p| p.tee_kinds = vec![127, 3]),
            true,
        ),
        ("a kind twice", post(|p| p.tee_kinds = vec![3, 3]), true),
        ("no such kind", post(|p| p.tee_kinds = vec![4]), true),
        (
            "a kind beyond a byte",
            post(|p| p.tee_kinds = vec![259]),
            true,
        ),
        (
            "nine kinds",
            post(|p| p.tee_kinds = (1..10).collect()),
            true,
        ),
        ("no input", post(|p| p.input = None), true),
        ("no payment", post(|p| p.payment = None), true),
        ("short model", post(|p| p.model = vec![1; 8]), true),
        ("no job", A::CancelJob(pb::CancelJob { job: vec![] }), false),
        ("kind 0", accept(|e| e.kind = 0), false),
        ("kind 128", accept(|e| e.kind = 128), false),
        ("empty evidence", accept(|e| e.document.clear()), false),
        (
            "endless evidence",
            accept(|e| e.document = vec![1; (32 << 10) + 1]),
            false,
        ),
        ("vote kind 3", vote(|v| v.kind = 3), false),
        ("half a block id", vote(|v| v.block_id.truncate(16)), false),
        ("short signature", vote(|v| v.signature.truncate(95)), false),
        ("step 0", challenge(|c| c.step = 0), false),
        ("short element", challenge(|c| c.before.truncate(30)), false),
        ("long element", challenge(|c| c.after.push(1)), false),
        ("no witness", challenge(|c| c.witness = None), false),
        (
            "endless opening",
            challenge(|c| c.opening = vec![1; 2_000]),
            false,
        ),
        (
            "half an element",
            vcr(|v| v.trace.truncate(31 * 3 + 5)),
            false,
        ),
        ("one element", vcr(|v| v.trace.truncate(31)), false),
        ("no element", vcr(|v| v.trace.clear()), false),
        ("no commitment", vcr(|v| v.commitment.clear()), false),
        (
            "half a commitment",
            vcr(|v| v.commitment.truncate(24)),
            false,
        ),
        ("no output", vcr(|v| v.output = None), false),
        ("no evidence", vcr(|v| v.evidence = None), false),
        ("short session", vcr(|v| v.session_key.truncate(31)), false),
    ];
    for (what, action, spending) in table {
        let refused = refused_action(&s, action, spending);
        let shape = matches!(refused, TxError::Action(_) | TxError::Wire(_));
        assert!(shape, "{what}: {refused:?}");
    }
    // No action at all.
    let body = pb::TxBody {
        nonce: 0,
        expiry_slot: 50,
        action: None,
    };
    let refused = signed(&s, "stranger", body.encode_to_vec()).verify(&s.rules.chain_id);
    assert!(
        matches!(refused, Err(TxError::Wire(WireError::Missing(_)))),
        "{refused:?}"
    );
}

#[test]
fn inner_messages_must_be_canonical_too() {
    use pb::tx_body::Action as A;
    let mut s = Scene::new();
    let job = s.accepted();
    let vcr = [
        s.vcr_of(&job, "worker", &s.run(&job)).encode(),
        vec![0xf8, 0x07, 0x01],
    ]
    .concat();
    let submit = A::SubmitVcr(pb::SubmitVcr {
        vcr,
        session_signature: vec![1; 64],
    });
    let odd = TxError::Action(ActionError::Wire(WireError::NotCanonical));
    assert_eq!(refused_action(&s, submit, false), odd);
    let tx = s.submit_honest(&job, "worker");
    let challenge = [s.challenge_of(&tx, 2).encode(), vec![0xf8, 0x07, 0x01]].concat();
    let reveal = A::ChallengeReveal(pb::ChallengeReveal {
        job: vec![1; 32],
        challenge,
        salt: vec![1; 32],
    });
    assert_eq!(refused_action(&s, reveal, false), odd);
}

#[test]
fn a_key_that_is_no_point_signs_nothing() {
    let s = Scene::new();
    let mut tx = s.transfer_tx("stranger", "owner", Amount(5)).into_signed();
    // Not a point, a point of small order, and the neutral one.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    for signer in [[0xff; 32], [0; 32], neutral] {
        tx.signer = Account(signer);
        assert_eq!(
            tx.clone().verify(&s.rules.chain_id),
            Err(TxError::Signature)
        );
    }
}

#[test]
fn a_body_over_the_hard_limit_is_refused_before_it_is_looked_at() {
    let tx = pb::SignedTx {
        body: vec![0; TX_BODY_BYTES_MAX + 1],
        signer: vec![1; 32],
        signature: vec![1; 64],
    };
    let refused = SignedTx::decode(&tx.encode_to_vec(), 8 << 20);
    let limit = TX_BODY_BYTES_MAX;
    assert_eq!(
        refused,
        Err(WireError::TooLong {
            got: limit + 1,
            limit
        })
    );
}

#[test]
fn odd_encodings_of_any_message_are_refused() {
    let good = pb::BlobRef {
        id: vec![1; 32],
        bytes_len: 300,
    }
    .encode_to_vec();
    assert!(wire::decode::<pb::BlobRef>(&good, 100).is_ok());
    assert_eq!(
        wire::decode::<pb::BlobRef>(&good, 36),
        Err(WireError::TooLong {
            got: good.len(),
            limit: 36
        })
    );
    let cut = wire::decode::<pb::BlobRef>(&good[..good.len() - 1], 100);
    assert!(matches!(cut, Err(WireError::Malformed(_))), "{cut:?}");
    // A length that promises more than there is allocates nothing of it.
    let promise = [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(wire::decode::<pb::BlobRef>(&promise, 100).is_err());
}
