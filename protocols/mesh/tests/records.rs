//! What travels beside transactions: capability records and blobs.

use crate::scene::{account, key};
use aether_mesh::*;
use aether_tee::EvidenceKind;
use ed25519_dalek::Signer as _;
use prost::Message as _;

const NOW: u64 = 1_772_366_400;
const CHAIN: ChainId = ChainId([7; 32]);

fn capability() -> Capability {
    Capability {
        worker: account("worker"),
        peer_id: vec![1; 38],
        models: vec![ModelId([1; 32]), ModelId([2; 32])],
        tee_kind: EvidenceKind::Simulated,
        price_min: Amount::aic(1),
        slots_free: 3,
        sequence: 9,
        expiry_unix_s: NOW + 300,
    }
}

fn signed(c: &Capability) -> Vec<u8> {
    c.sign(&key("worker"), &CHAIN)
}

fn verify(bytes: &[u8]) -> Result<Capability, CapabilityError> {
    Capability::verify(
        bytes,
        &CHAIN,
        Some(&capability_key(&account("worker"))),
        NOW,
    )
}

#[test]
fn a_capability_record_survives_the_wire() {
    let c = capability();
    assert_eq!(verify(&signed(&c)), Ok(c.clone()));
    // Without a key to stand under, as a reply carries it.
    assert_eq!(Capability::verify(&signed(&c), &CHAIN, None, NOW), Ok(c));
}

/// A record with one thing wrong.
type Wrong = (&'static str, fn(&mut Capability), CapabilityError);

#[test]
fn records_that_nobody_should_believe() {
    use CapabilityError::{Expiry, Key, Value};
    let table: &[Wrong] = &[
        ("expired", |c| c.expiry_unix_s = NOW - 1, Expiry),
        (
            "endless",
            |c| c.expiry_unix_s = NOW + LIFETIME_S_MAX + 1,
            Expiry,
        ),
        (
            "until the end of time",
            |c| c.expiry_unix_s = u64::MAX,
            Expiry,
        ),
        ("models out of order", |c| c.models.reverse(), Value),
        ("a model twice", |c| c.models[1] = c.models[0], Value),
        (
            "too many models",
            |c| {
                c.models = (0..129u8).map(|n| ModelId([n; 32])).collect();
            },
            Value,
        ),
        ("an endless peer id", |c| c.peer_id = vec![1; 65], Value),
        (
            "another worker's key",
            |c| c.worker = account("worker-2"),
            Key,
        ),
    ];
    for (what, spoil, expected) in table {
        let mut c = capability();
        spoil(&mut c);
        assert_eq!(verify(&signed(&c)), Err(expected.clone()), "{what}");
    }
    for (what, edge) in [
        ("just not expired", NOW),
        ("the longest life", NOW + LIFETIME_S_MAX),
    ] {
        let mut c = capability();
        c.expiry_unix_s = edge;
        assert!(verify(&signed(&c)).is_ok(), "{what}");
    }
    // Signed by another, or for another chain.
    let c = capability();
    let others = c.sign(&key("worker-2"), &CHAIN);
    assert_eq!(verify(&others), Err(CapabilityError::Signature));
    let elsewhere = c.sign(&key("worker"), &ChainId([8; 32]));
    assert_eq!(verify(&elsewhere), Err(CapabilityError::Signature));
    // In somebody else's place of the table.
    let place = capability_key(&account("worker-2"));
    let misplaced = Capability::verify(&signed(&c), &CHAIN, Some(&place), NOW);
    assert_eq!(misplaced, Err(CapabilityError::Key));
    let huge = vec![0; CAPABILITY_BYTES_MAX + 1];
    assert!(matches!(verify(&huge), Err(CapabilityError::Wire(_))));
}

#[test]
fn no_flipped_cut_or_extended_record_verifies() {
    let bytes = signed(&capability());
    for at in 0..bytes.len() {
        for bit in [1, 0x80] {
            let mut flipped = bytes.clone();
            flipped[at] ^= bit;
            assert!(verify(&flipped).is_err(), "byte {at}");
        }
        assert!(verify(&bytes[..at]).is_err(), "cut to {at}");
    }
    assert!(verify(&[&bytes[..], &[0x78, 1]].concat()).is_err());
}

#[test]
fn impossible_fields_are_refused_although_signed() {
    let good = pb::SignedCapability::decode(&signed(&capability())[..]).unwrap();
    let changes: [fn(&mut pb::Capability); 5] = [
        |c| c.worker.truncate(31),
        |c| c.models[0].truncate(31),
        |c| c.tee_kind = 0,
        |c| c.tee_kind = 383,
        |c| c.price_min = None,
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut c = pb::Capability::decode(&good.body[..]).unwrap();
        change(&mut c);
        let body = c.encode_to_vec();
        let message = hash_parts("aether/capability/v1", &[&CHAIN.0, &body]);
        let signature = key("worker").sign(&message).to_bytes().to_vec();
        let bytes = pb::SignedCapability { body, signature }.encode_to_vec();
        assert!(
            Capability::verify(&bytes, &CHAIN, None, NOW).is_err(),
            "{n}"
        );
    }
}

#[test]
fn a_worker_announces_itself_under_one_of_its_models_keys() {
    let model = ModelId([5; 32]);
    let shards = provider_keys(&model);
    let distinct: std::collections::BTreeSet<_> = shards.iter().collect();
    assert_eq!(distinct.len(), 16);
    let mut used = std::collections::BTreeSet::new();
    for n in 0..200u32 {
        let worker = Account(hash_parts("test/worker", &[&n.to_be_bytes()]));
        let mine = provider_key_of(&model, &worker);
        assert!(shards.contains(&mine));
        used.insert(mine);
    }
    assert_eq!(used.len(), 16, "workers spread over all of them");
    assert!(!provider_keys(&ModelId([6; 32])).contains(&shards[0]));
}

#[test]
fn a_manifest_is_no_other_blobs() {
    let bytes = vec![7u8; PIECE_BYTES + 5];
    let blob = BlobRef::of(&bytes);
    let manifest = Manifest::of(&bytes);
    let encoded = manifest.encode();
    assert_eq!(encoded.len(), 8 + 2 * 32);
    assert_eq!(Manifest::decode(&encoded, &blob), Ok(manifest.clone()));
    for at in 0..encoded.len() {
        let mut flipped = encoded.clone();
        flipped[at] ^= 1;
        assert_eq!(
            Manifest::decode(&flipped, &blob),
            Err(BlobError::Manifest),
            "byte {at}"
        );
        assert_eq!(
            Manifest::decode(&encoded[..at], &blob),
            Err(BlobError::Manifest)
        );
    }
    for (what, wanted) in [
        ("longer", BlobRef::new(blob.id, blob.bytes_len + 1)),
        ("shorter", BlobRef::new(blob.id, blob.bytes_len - 1)),
        ("endless", BlobRef::new(blob.id, u64::MAX)),
        ("another", BlobRef::of(b"another")),
    ] {
        assert_eq!(
            Manifest::decode(&encoded, &wanted),
            Err(BlobError::Manifest),
            "{what}"
        );
    }
    // Pieces have exactly their length.
    assert_eq!(manifest.check_piece(1, &bytes[PIECE_BYTES..]), Ok(()));
    assert_eq!(
        manifest.check_piece(1, &bytes[PIECE_BYTES..][..4]),
        Err(BlobError::Piece(1))
    );
    assert_eq!(
        manifest.check_piece(1, &bytes[..PIECE_BYTES]),
        Err(BlobError::Piece(1))
    );
    assert_eq!(
        manifest.check_piece(u32::MAX, b""),
        Err(BlobError::Piece(u32::MAX))
    );
}
