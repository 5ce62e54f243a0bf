//! Prints what the main operations cost on this machine.
//!
//! `cargo run --release -p aether-kzg --example timings [repetitions]`
//!
//! Each figure is the least and the median of the repetitions, in wall-clock
//! microseconds on one thread. Tables are built before, and shown separately.

use std::hint::black_box;
use std::time::Instant;

use aether_kzg::bls::{SecretKey, aggregate, batch_verify, fast_aggregate_verify};
use aether_kzg::{Opening, Prover, Scalar, Setup, TraceElement, Verifier, verify_commitments};

fn time<T>(name: &str, repetitions: usize, mut run: impl FnMut() -> T) {
    let mut samples: Vec<u128> = (0..repetitions.max(1))
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed().as_micros()
        })
        .collect();
    samples.sort_unstable();
    println!(
        "{name:<44} min {:>8}  median {:>8} µs",
        samples[0],
        samples[samples.len() / 2]
    );
}

fn trace(len: usize) -> Vec<TraceElement> {
    (0..len)
        .map(|i| {
            TraceElement(std::array::from_fn(|j| {
                (i * 131 + j * 31 + i * i * j) as u8
            }))
        })
        .collect()
}

fn main() {
    let repetitions = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(21);
    time("start, verification only", 1, Setup::ethereum);
    let setup = Setup::ethereum();
    time("table for up to 256 elements", 1, || setup.warm_up(256));
    time("table for up to 4,096 elements", 1, || setup.warm_up(4096));
    let (prover, verifier) = (Prover::new(setup), Verifier::ethereum());

    for len in [16, 64, 200, 256, 1024, 4096] {
        let elements = trace(len);
        time(&format!("commit {len} elements"), repetitions, || {
            prover.commit(&elements)
        });
    }
    let elements = trace(200);
    let commitment = prover.commit(&elements).expect("a short trace");
    let opening = prover.open_pair(&elements, 100).expect("an index inside");
    time("open pair", repetitions, || {
        prover.open_pair(&elements, 100)
    });
    time("verify pair", repetitions, || {
        verifier.verify_pair(
            &commitment,
            200,
            100,
            &elements[99],
            &elements[100],
            &opening,
        )
    });
    let z = Scalar::from(12_345);
    let (y, proof) = prover.open_at(&elements, 0, &z).expect("chunk 0");
    let chunk = commitment.chunks()[0];
    time("verify one opening (decoded)", repetitions, || {
        verifier.verify(&chunk, &z, &y, &proof)
    });
    let bytes = commitment.to_bytes();
    time("decode one point", repetitions, || {
        aether_kzg::TraceCommitment::from_bytes(&bytes)
    });
    let batch = vec![
        Opening {
            commitment: chunk,
            z,
            y,
            proof
        };
        64
    ];
    time(
        "verify 64 openings in a batch (decoded)",
        repetitions,
        || verifier.verify_batch(&batch),
    );

    let block: Vec<_> = (0..50)
        .map(|_| (&commitment, elements.as_slice()))
        .collect();
    time("verify 1 commitment of 200", repetitions, || {
        verify_commitments(setup, &block[..1])
    });
    time("verify 50 commitments of 200", repetitions, || {
        verify_commitments(setup, &block)
    });

    let keys: Vec<SecretKey> = (1..=100)
        .map(|i| SecretKey::from_key_material(&[i; 32]).expect("32 bytes"))
        .collect();
    let public: Vec<_> = keys.iter().map(SecretKey::public_key).collect();
    let votes: Vec<_> = keys.iter().map(|key| key.sign(b"vote")).collect();
    time("BLS sign", repetitions, || keys[0].sign(b"vote"));
    time("BLS verify", repetitions, || {
        votes[0].verify(&public[0], b"vote")
    });
    for n in [4, 100] {
        let sum = aggregate(&votes[..n]).expect("some votes");
        time(
            &format!("BLS fast-aggregate-verify, {n} keys"),
            repetitions,
            || fast_aggregate_verify(&public[..n], b"vote", &sum),
        );
    }
    let entries: Vec<_> = (0..16)
        .map(|i| (public[i], b"vote".as_slice(), votes[i]))
        .collect();
    time("BLS batch-verify, 16 votes", repetitions, || {
        batch_verify(&entries)
    });
}
