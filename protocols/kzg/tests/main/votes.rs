//! Signatures of validators: one, many on one message, many on many.

use aether_kzg::Malformed;
use aether_kzg::bls::{
    ProofOfPossession, PublicKey, SecretKey, Signature, aggregate, aggregate_verify, batch_verify,
    fast_aggregate_verify,
};

fn secret(i: u8) -> SecretKey {
    SecretKey::from_key_material(&[i; 32]).unwrap()
}

fn committee(size: u8, message: &[u8]) -> (Vec<PublicKey>, Vec<Signature>) {
    (1..=size)
        .map(|i| (secret(i).public_key(), secret(i).sign(message)))
        .unzip()
}

#[test]
fn a_signature_holds_for_its_key_and_message_only() {
    let key = secret(1);
    let signature = key.sign(b"block");
    assert!(signature.verify(&key.public_key(), b"block"));
    assert!(!signature.verify(&key.public_key(), b"blocks"));
    assert!(!signature.verify(&secret(2).public_key(), b"block"));
    assert_eq!(Signature::from_bytes(&signature.to_bytes()), Ok(signature));
    let public = key.public_key();
    assert_eq!(PublicKey::from_bytes(&public.to_bytes()), Ok(public));
}

#[test]
fn secret_keys_do_not_show_in_logs_and_reject_what_is_no_key() {
    let key = secret(3);
    assert_eq!(format!("{key:?}"), "SecretKey(..)");
    let again = SecretKey::from_bytes(&key.to_bytes()).unwrap();
    assert_eq!(again.public_key(), key.public_key());
    assert_eq!(
        SecretKey::from_bytes(&[0; 32]).err(),
        Some(Malformed::ZeroSecretKey)
    );
    assert_eq!(
        SecretKey::from_bytes(&[0xff; 32]).err(),
        Some(Malformed::ScalarTooLarge)
    );
    let short = Malformed::Length {
        expected: 32,
        actual: 31,
    };
    assert_eq!(SecretKey::from_key_material(&[1; 31]).err(), Some(short));
}

#[test]
fn a_quorum_is_one_signature() {
    let (keys, signatures) = committee(20, b"height 7");
    let sum = aggregate(&signatures).unwrap();
    assert!(fast_aggregate_verify(&keys, b"height 7", &sum));
    assert!(!fast_aggregate_verify(&keys, b"height 8", &sum));
    assert!(!fast_aggregate_verify(&keys[1..], b"height 7", &sum));
    let mut twice = keys.clone();
    twice.push(keys[0]);
    assert!(!fast_aggregate_verify(&twice, b"height 7", &sum));
    assert!(!fast_aggregate_verify(&[], b"height 7", &sum));
    assert_eq!(aggregate(&[]), None);
    let mut reversed = keys;
    reversed.reverse();
    assert!(fast_aggregate_verify(&reversed, b"height 7", &sum));
}

#[test]
fn an_aggregate_over_different_messages_binds_each_to_its_key() {
    let messages: [&[u8]; 3] = [b"a", b"b", b"a"];
    let keys: Vec<PublicKey> = (1..4).map(|i| secret(i).public_key()).collect();
    let signatures: Vec<Signature> = (1..4)
        .zip(messages)
        .map(|(i, message)| secret(i).sign(message))
        .collect();
    let sum = aggregate(&signatures).unwrap();
    assert!(aggregate_verify(&keys, &messages, &sum));
    assert!(!aggregate_verify(&keys, &[b"b", b"a", b"a"], &sum));
    assert!(!aggregate_verify(&keys[..2], &messages, &sum));
    assert!(!aggregate_verify(&[], &[], &sum));
}

#[test]
fn possession_is_proven_in_a_domain_of_its_own() {
    let key = secret(5);
    let public = key.public_key();
    let proof = key.prove_possession();
    assert!(proof.verify(&public));
    assert!(!proof.verify(&secret(6).public_key()));
    assert_eq!(ProofOfPossession::from_bytes(&proof.to_bytes()), Ok(proof));
    // A vote on the key's own bytes is not a proof, nor the proof a vote.
    let vote = key.sign(&public.to_bytes());
    assert!(
        !ProofOfPossession::from_bytes(&vote.to_bytes())
            .unwrap()
            .verify(&public)
    );
    let as_vote = Signature::from_bytes(&proof.to_bytes()).unwrap();
    assert!(!as_vote.verify(&public, &public.to_bytes()));
}

#[test]
fn a_batch_catches_one_wrong_signature_and_errors_that_cancel() {
    let messages: Vec<[u8; 4]> = (1..=8u32).map(u32::to_be_bytes).collect();
    let entries: Vec<(PublicKey, &[u8], Signature)> = (1..=8u8)
        .zip(&messages)
        .map(|(i, message)| {
            (
                secret(i).public_key(),
                message.as_slice(),
                secret(i).sign(message),
            )
        })
        .collect();
    assert!(batch_verify(&[]));
    assert!(batch_verify(&entries));
    for i in 0..entries.len() {
        let mut wrong = entries.clone();
        wrong[i].1 = b"other";
        assert!(!batch_verify(&wrong), "{i}");
    }
    // Exchanged signatures have the same sum as the right ones.
    let mut exchanged = entries.clone();
    exchanged[0].2 = entries[1].2;
    exchanged[1].2 = entries[0].2;
    let sum = aggregate(&exchanged.iter().map(|e| e.2).collect::<Vec<_>>()).unwrap();
    let keys: Vec<PublicKey> = exchanged.iter().map(|e| e.0).collect();
    let list: Vec<&[u8]> = exchanged.iter().map(|e| e.1).collect();
    assert!(
        aggregate_verify(&keys, &list, &sum),
        "the plain sum cannot tell"
    );
    assert!(!batch_verify(&exchanged));
}

#[test]
fn infinity_is_no_key_and_its_signature_convinces_nobody() {
    let mut key = [0; 48];
    key[0] = 0xc0;
    assert_eq!(PublicKey::from_bytes(&key), Err(Malformed::Infinity));
    let mut bytes = [0; 96];
    bytes[0] = 0xc0;
    let signature = Signature::from_bytes(&bytes).unwrap();
    let (keys, _) = committee(2, b"x");
    assert!(!signature.verify(&keys[0], b"x"));
    assert!(!fast_aggregate_verify(&keys, b"x", &signature));
    // A key and its negative add up to infinity, under which infinity would verify.
    let mut opposite = keys[0].to_bytes();
    opposite[0] ^= 0x20;
    let rogue = [keys[0], PublicKey::from_bytes(&opposite).unwrap()];
    assert!(!fast_aggregate_verify(&rogue, b"x", &signature));
}

#[test]
fn malformed_keys_and_signatures_say_why() {
    let key = secret(1).public_key().to_bytes();
    let signature = secret(1).sign(b"m").to_bytes();
    let flip = |bytes: &[u8], at: usize, mask: u8| {
        let mut out = bytes.to_vec();
        out[at] ^= mask;
        out
    };
    let length = |expected, actual| Err(Malformed::Length { expected, actual });
    assert_eq!(PublicKey::from_slice(&key[1..]).map(drop), length(48, 47));
    assert_eq!(Signature::from_slice(&key).map(drop), length(96, 48));
    for bit in [
        (0x80, Malformed::NotCompressed),
        (0x40, Malformed::DirtyInfinity),
    ] {
        assert_eq!(PublicKey::from_slice(&flip(&key, 0, bit.0)), Err(bit.1));
        assert_eq!(
            Signature::from_slice(&flip(&signature, 0, bit.0)),
            Err(bit.1)
        );
    }
    // Some x nearby is off the curve, some on it but outside the subgroup.
    let mut reasons = Vec::new();
    for x in 1..=255 {
        reasons.extend(PublicKey::from_slice(&flip(&key, 47, x)).err());
        reasons.extend(Signature::from_slice(&flip(&signature, 95, x)).err());
    }
    assert_eq!(reasons.len(), 510);
    assert!(reasons.contains(&Malformed::NotOnCurve));
    assert!(reasons.contains(&Malformed::NotInSubgroup));
}
