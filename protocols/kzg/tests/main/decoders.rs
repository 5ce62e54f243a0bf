//! Every decoder against bytes that nobody meant: it refuses, or what it accepts
//! is written back as the same bytes.

use aether_kzg::bls::{ProofOfPossession, PublicKey, SecretKey, Signature};
use aether_kzg::{
    Commitment, EncodedOpening, Malformed, MultiOpening, PairOpening, Proof, Scalar,
    TraceCommitment,
};

use crate::{prover, trace};

/// A decoder followed by its encoder.
type RoundTrip = fn(&[u8]) -> Result<Vec<u8>, Malformed>;

const DECODERS: [(&str, RoundTrip); 9] = [
    ("commitment", |b| {
        Ok(Commitment::from_slice(b)?.to_bytes().to_vec())
    }),
    ("proof", |b| Ok(Proof::from_slice(b)?.to_bytes().to_vec())),
    ("pair", |b| Ok(PairOpening::from_bytes(b)?.to_bytes())),
    ("many", |b| {
        Ok(MultiOpening::from_bytes(b)?.to_bytes().to_vec())
    }),
    ("trace", |b| Ok(TraceCommitment::from_bytes(b)?.to_bytes())),
    ("scalar", |b| Ok(Scalar::from_slice(b)?.to_bytes().to_vec())),
    ("key", |b| Ok(PublicKey::from_slice(b)?.to_bytes().to_vec())),
    ("signature", |b| {
        Ok(Signature::from_slice(b)?.to_bytes().to_vec())
    }),
    ("possession", |b| {
        Ok(ProofOfPossession::from_slice(b)?.to_bytes().to_vec())
    }),
];

struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Sound encodings of everything.
fn seeds() -> Vec<Vec<u8>> {
    let elements = trace(1, 4100);
    let commitment = prover().commit(&elements).unwrap();
    let key = SecretKey::from_key_material(&[7; 32]).unwrap();
    let infinite = |len: usize| {
        let mut bytes = vec![0; len];
        bytes[0] = 0xc0;
        bytes
    };
    vec![
        commitment.to_bytes(),
        commitment.chunks()[0].to_bytes().to_vec(),
        prover().open_pair(&elements, 9).unwrap().to_bytes(),
        prover().open_pair(&elements, 4096).unwrap().to_bytes(),
        prover()
            .open_many(&elements, &commitment, &[1, 4099])
            .unwrap()
            .to_bytes()
            .to_vec(),
        Scalar::from(12345).to_bytes().to_vec(),
        key.public_key().to_bytes().to_vec(),
        key.sign(b"message").to_bytes().to_vec(),
        key.prove_possession().to_bytes().to_vec(),
        infinite(48),
        infinite(96),
    ]
}

/// A few of the changes that break parsers.
fn mutated(seed: &[u8], noise: &mut Noise) -> Vec<u8> {
    let mut out = seed.to_vec();
    for _ in 0..=noise.below(3) {
        let at = noise.below(out.len().max(1));
        match noise.below(8) {
            0 => out.truncate(at),
            1 => out.push(noise.next() as u8),
            2 => out.extend_from_slice(&seed[..seed.len().min(48)]),
            3 => out
                .iter_mut()
                .take(1)
                .for_each(|b| *b ^= 0x20 << noise.below(3)),
            4 => out.iter_mut().skip(at).take(8).for_each(|b| *b = 0xff),
            5 => out.iter_mut().skip(1).for_each(|b| *b = 0),
            _ => out
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|b| *b ^= 1 << noise.below(8)),
        }
    }
    out
}

#[test]
fn what_is_accepted_is_canonical_and_the_rest_is_refused() {
    let seeds = seeds();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut accepted = [0; DECODERS.len()];
    for round in 0..2500 {
        let seed = &seeds[round % seeds.len()];
        // Every seed once as it is.
        let bytes = match round < seeds.len() {
            true => seed.clone(),
            false => mutated(seed, &mut noise),
        };
        for ((name, round_trip), accepted) in DECODERS.iter().zip(&mut accepted) {
            if let Ok(again) = round_trip(&bytes) {
                assert_eq!(again, bytes, "{name}: two encodings of one value");
                *accepted += 1;
            }
        }
    }
    assert!(accepted.iter().all(|count| *count > 0), "{accepted:?}");
}

#[test]
fn lists_are_decoded_like_their_members() {
    let seeds = seeds();
    let mut noise = Noise(3);
    for _ in 0..60 {
        let list: Vec<Vec<u8>> = (0..1 + noise.below(12))
            .map(|_| match noise.below(12) {
                0 => mutated(&seeds[1], &mut noise),
                1 => seeds[9].clone(),
                2 => seeds[0].clone(),
                _ => seeds[1].clone(),
            })
            .collect();
        let views: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
        let each: Result<Vec<_>, _> = views
            .iter()
            .map(|b| TraceCommitment::from_bytes(b))
            .collect();
        let together = TraceCommitment::from_bytes_many(&views);
        assert_eq!(together.is_ok(), each.is_ok());
        if let Ok(each) = each {
            assert_eq!(together, Ok(each));
        }
    }
    let point: &[u8; 48] = seeds[1].as_slice().try_into().unwrap();
    let scalar = Scalar::from(5).to_bytes();
    let sound = EncodedOpening {
        commitment: point,
        z: &scalar,
        y: &scalar,
        proof: point,
    };
    assert_eq!(EncodedOpening::decode_many(&[sound; 3]).unwrap().len(), 3);
    assert_eq!(EncodedOpening::decode_many(&[]), Ok(vec![]));
    let (order, flagless) = ([0xff; 32], [0; 48]);
    for (bad, reason) in [
        (
            EncodedOpening { z: &order, ..sound },
            Malformed::ScalarTooLarge,
        ),
        (
            EncodedOpening { y: &order, ..sound },
            Malformed::ScalarTooLarge,
        ),
        (
            EncodedOpening {
                proof: &flagless,
                ..sound
            },
            Malformed::NotCompressed,
        ),
        (
            EncodedOpening {
                commitment: &flagless,
                ..sound
            },
            Malformed::NotCompressed,
        ),
    ] {
        assert_eq!(
            EncodedOpening::decode_many(&[sound, bad, sound]),
            Err(reason)
        );
        let verdict = crate::verifier().verify_encoded_batch(&[sound, bad]);
        assert_eq!(verdict, Err(reason));
    }
    assert_eq!(crate::verifier().verify_encoded_batch(&[]), Ok(true));
}
