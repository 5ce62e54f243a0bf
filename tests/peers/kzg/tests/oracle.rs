//! c-kzg as the judge: the same commitments, proofs and verdicts, byte for byte, on
//! random inputs and on inputs made to be refused.

use std::sync::Arc;

use aether_kzg::{CHUNK_LEN, Prover, Setup, TraceElement, eip4844};
use c_kzg::{Blob, Bytes32, Bytes48, KzgSettings};

/// The largest scalar, r − 1; also −1.
const TOP: [u8; 32] = [
    0x73, 0xed, 0xa7, 0x53, 0x29, 0x9d, 0x7d, 0x48, 0x33, 0x39, 0xd8, 0x08, 0x09, 0xa1, 0xd8, 0x05,
    0x53, 0xbd, 0xa4, 0x02, 0xff, 0xfe, 0x5b, 0xfe, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
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

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| (self.next() >> 32) as u8)
    }

    /// Below the group order.
    fn scalar(&mut self) -> [u8; 32] {
        let mut out: [u8; 32] = self.bytes();
        out[0] &= 0x3f;
        out
    }
}

fn judge() -> Arc<KzgSettings> {
    c_kzg::ethereum_kzg_settings_arc(0)
}

/// Blobs of every kind: dense, sparse, of one value, of edge values.
fn blob(kind: usize, noise: &mut Noise) -> Vec<u8> {
    let constant = noise.scalar();
    let mut out = vec![0; eip4844::BLOB_BYTES];
    for (i, element) in out.chunks_exact_mut(32).enumerate() {
        match kind {
            0 => element.copy_from_slice(&noise.scalar()),
            1 if i % 97 == 3 => element.copy_from_slice(&noise.scalar()),
            2 => element.copy_from_slice(&constant),
            3 => element.copy_from_slice(&TOP),
            4 if noise.below(3) == 0 => element[31] = 1,
            5 => element[24..].copy_from_slice(&noise.bytes::<8>()),
            6 if i == 4095 => element.copy_from_slice(&TOP),
            _ => {}
        }
    }
    out
}

#[test]
fn commitments_and_proofs_are_the_same_bytes() {
    let (judge, setup, mut noise) = (judge(), Setup::ethereum(), Noise(11));
    for kind in 0..8 {
        let blob = blob(kind, &mut noise);
        let theirs = Blob::from_bytes(&blob).unwrap();
        let commitment = eip4844::blob_to_kzg_commitment(setup, &blob).unwrap();
        let expected = judge.blob_to_kzg_commitment(&theirs).unwrap().to_bytes();
        assert_eq!(commitment.to_bytes(), *expected, "kind {kind}");
        // −1 is a point of the domain.
        for z in [noise.scalar(), TOP, [0; 32]] {
            let (proof, y) = eip4844::compute_kzg_proof(setup, &blob, &z).unwrap();
            let (p, v) = judge.compute_kzg_proof(&theirs, &Bytes32::new(z)).unwrap();
            assert_eq!(proof.to_bytes(), *p.to_bytes(), "kind {kind}");
            assert_eq!(y.to_bytes(), *v, "kind {kind}");
        }
    }
}

#[test]
fn a_trace_commits_like_the_blob_of_its_elements() {
    let (judge, mut noise) = (judge(), Noise(12));
    for len in [1, 2, 200, 257, CHUNK_LEN] {
        let trace: Vec<TraceElement> = (0..len).map(|_| TraceElement(noise.bytes())).collect();
        let mut blob = vec![0; eip4844::BLOB_BYTES];
        for (place, element) in blob.chunks_exact_mut(32).zip(&trace) {
            place[1..].copy_from_slice(&element.0);
        }
        let blob = Blob::from_bytes(&blob).unwrap();
        let ours = Prover::new(Setup::ethereum()).commit(&trace).unwrap();
        let theirs = judge.blob_to_kzg_commitment(&blob).unwrap();
        assert_eq!(ours.to_bytes().as_slice(), theirs.to_bytes().as_slice());
    }
}

/// Points that are sound, unsound, and unsound in every way that a byte can be.
fn point(noise: &mut Noise, sound: &[[u8; 48]]) -> [u8; 48] {
    let mut out = sound[noise.below(sound.len())];
    match noise.below(9) {
        0 => out[noise.below(48)] ^= 1 << noise.below(8),
        1 => out = noise.bytes(),
        2 => {
            out = noise.bytes();
            out[0] = out[0] & 0x1f | 0x80;
        }
        3 => {
            out = [0; 48];
            out[0] = 0xc0;
        }
        4 => {
            // (0, 2): of order three.
            out = [0; 48];
            out[0] = 0x80;
        }
        _ => {}
    }
    out
}

#[test]
fn verdicts_and_refusals_are_the_same() {
    let (judge, setup, mut noise) = (judge(), Setup::ethereum(), Noise(13));
    let mut statements = Vec::new();
    for kind in [0, 1, 2, 7] {
        let blob = blob(kind, &mut noise);
        let z = noise.scalar();
        let (proof, y) = eip4844::compute_kzg_proof(setup, &blob, &z).unwrap();
        let commitment = eip4844::blob_to_kzg_commitment(setup, &blob).unwrap();
        statements.push((commitment.to_bytes(), z, y.to_bytes(), proof.to_bytes()));
    }
    let sound: Vec<[u8; 48]> = statements.iter().flat_map(|s| [s.0, s.3]).collect();
    let mut counts = [0; 3];
    for round in 0..900 {
        let (mut c, mut z, mut y, mut p) = statements[round % statements.len()];
        match noise.below(8) {
            0 => c = point(&mut noise, &sound),
            1 => p = point(&mut noise, &sound),
            2 => (c, p) = (point(&mut noise, &sound), point(&mut noise, &sound)),
            3 => z = noise.bytes(),
            4 => y = noise.bytes(),
            5 => y[31] ^= 1,
            6 => (z, y) = (y, z),
            _ => {}
        }
        let ours = eip4844::verify_kzg_proof(setup, &c, &z, &y, &p).ok();
        let theirs = judge
            .verify_kzg_proof(
                &Bytes48::new(c),
                &Bytes32::new(z),
                &Bytes32::new(y),
                &Bytes48::new(p),
            )
            .ok();
        assert_eq!(ours, theirs, "round {round}");
        counts[match ours {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        }] += 1;
    }
    // All three outcomes were met, many times.
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
}

#[test]
fn batches_of_blobs_have_the_same_verdict() {
    let (judge, setup, mut noise) = (judge(), Setup::ethereum(), Noise(14));
    let blobs: Vec<Vec<u8>> = (0..6).map(|kind| blob(kind, &mut noise)).collect();
    let theirs: Vec<Blob> = blobs.iter().map(|b| Blob::from_bytes(b).unwrap()).collect();
    let commitments: Vec<[u8; 48]> = blobs
        .iter()
        .map(|b| {
            eip4844::blob_to_kzg_commitment(setup, b)
                .unwrap()
                .to_bytes()
        })
        .collect();
    let proofs: Vec<[u8; 48]> = blobs
        .iter()
        .zip(&commitments)
        .map(|(b, c)| {
            eip4844::compute_blob_kzg_proof(setup, b, c)
                .unwrap()
                .to_bytes()
        })
        .collect();
    let views: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
    for round in 0..12 {
        let (mut c, mut p) = (commitments.clone(), proofs.clone());
        match round {
            0 => {}
            1 => c.swap(0, 1),
            2 => {
                c.swap(0, 1);
                p.swap(0, 1);
            }
            3 => p.swap(2, 4),
            _ => c[round % 6] = point(&mut noise, &commitments),
        }
        let slices =
            |list: &[[u8; 48]]| -> Vec<Vec<u8>> { list.iter().map(|b| b.to_vec()).collect() };
        let (cs, ps) = (slices(&c), slices(&p));
        let cs: Vec<&[u8]> = cs.iter().map(Vec::as_slice).collect();
        let ps: Vec<&[u8]> = ps.iter().map(Vec::as_slice).collect();
        let ours = eip4844::verify_blob_kzg_proof_batch(setup, &views, &cs, &ps).ok();
        let wrap =
            |list: &[[u8; 48]]| -> Vec<Bytes48> { list.iter().map(|b| Bytes48::new(*b)).collect() };
        let verdict = judge
            .verify_blob_kzg_proof_batch(&theirs, &wrap(&c), &wrap(&p))
            .ok();
        assert_eq!(ours, verdict, "round {round}");
    }
}
