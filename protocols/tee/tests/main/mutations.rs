//! Whatever happens to the bytes: no panic, and nothing changed is accepted but the twin of
//! the signature, which has its own story.

use aether_tee::{Evidence, EvidenceKind, NonCanonical, Refusal, canonicalize, is_canonical};
use proptest::prelude::*;

use crate::forger::*;

#[test]
fn no_flipped_byte_is_accepted() {
    let forger = Forger::pinned();
    let good = forger.evidence();
    for position in 0..good.bytes.len() {
        let mut bad = good.clone();
        // Another bit in each place, so that every kind of flip occurs in every field.
        bad.bytes[position] ^= 1 << (position % 8);
        assert!(
            forger.judge(&bad).is_err(),
            "a flip at byte {position} was accepted"
        );
        let _ = is_canonical(&bad);
        let _ = canonicalize(&bad);
    }
}

#[test]
fn no_truncated_or_extended_evidence_is_accepted() {
    let forger = Forger::pinned();
    let good = forger.evidence();
    for length in 0..good.bytes.len() {
        let bad = Evidence {
            bytes: good.bytes[..length].to_vec(),
            ..good
        };
        assert_eq!(
            forger.judge(&bad),
            Err(Refusal::Unreadable),
            "{length} bytes"
        );
        assert!(is_canonical(&bad).is_err());
    }
    for tail in 0..=255 {
        let mut bad = good.clone();
        bad.bytes.push(tail);
        assert_eq!(forger.judge(&bad), Err(Refusal::TrailingBytes { bytes: 1 }));
        assert!(is_canonical(&bad).is_err());
    }
}

/// An attacker who owns a platform can sign anything: the signature protects no parser.
#[test]
fn properly_signed_nonsense_never_panics() {
    let forger = Forger::pinned();
    let document = forger.document();
    for position in (0..document.len()).step_by(7) {
        let mut bad = document.clone();
        bad[position] ^= 1 << (position % 8);
        let _ = forger.judge(&forger.seal(bad));
        let _ = forger.judge(&forger.seal(document[..position].to_vec()));
    }
}

#[test]
fn twin_of_a_signature_is_the_same_evidence_and_not_admitted() {
    let forger = Forger::honest();
    let good = forger.evidence();
    let at = good.bytes.len() - 96;
    let signature = p384::ecdsa::Signature::from_slice(&good.bytes[at..]).expect("a signature");
    let (r, s) = signature.split_scalars();
    let twin = p384::ecdsa::Signature::from_scalars(r, -s).expect("its twin");
    let mut high = good.clone();
    high.bytes[at..].copy_from_slice(&twin.to_bytes());

    assert_ne!(high, good);
    assert_eq!(forger.judge(&high), forger.judge(&good));
    assert!(forger.judge(&high).is_ok());
    assert_eq!(is_canonical(&good), Ok(()));
    assert_eq!(is_canonical(&high), Err(NonCanonical::HighS));
    assert_eq!(canonicalize(&high), Ok(good.clone()));
    assert_eq!(canonicalize(&good), Ok(good));
}

#[test]
fn evidence_with_an_unprotected_header_is_not_admitted() {
    let mut forger = Forger::honest();
    forger.envelope = Some(Box::new(|envelope| envelope.unprotected.key_id = vec![1]));
    let refusal = NonCanonical::Envelope(Refusal::UnprotectedHeader);
    assert_eq!(is_canonical(&forger.evidence()), Err(refusal));
}

proptest! {
    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let forger = Forger::pinned();
        let evidence = Evidence { kind: EvidenceKind::Simulated, bytes };
        prop_assert!(forger.judge(&evidence).is_err());
        prop_assert!(is_canonical(&evidence).is_err());
    }
}
