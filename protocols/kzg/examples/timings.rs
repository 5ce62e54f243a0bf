//! Prints what the main operations cost on this machine.
//!
//! `cargo run --release -p aether-kzg --example timings`
//!
//! Two figures in microseconds, on one thread: the mean of its CPU time (which
//! other load disturbs little; absent where the system does not tell) and the
//! least wall-clock time of one run. Tables are built before, and shown
//! separately.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aether_kzg::bls::{SecretKey, aggregate, batch_verify, fast_aggregate_verify};
use aether_kzg::{Opening, Prover, Scalar, Setup, TraceElement, Verifier, verify_commitments};

/// CPU time of this thread, in nanoseconds.
fn cpu_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Long enough for the coarse clock of CPU time, short enough for patience.
const BUDGET: Duration = Duration::from_millis(250);

fn time<T>(name: &str, mut run: impl FnMut() -> T) {
    let (cpu, begin) = (cpu_ns(), Instant::now());
    let (mut least, mut runs) = (u128::MAX, 0);
    while runs == 0 || begin.elapsed() < BUDGET {
        let start = Instant::now();
        black_box(run());
        least = least.min(start.elapsed().as_micros());
        runs += 1;
    }
    let mean = cpu
        .zip(cpu_ns())
        .map_or(0, |(before, after)| (after - before) / 1000 / runs);
    println!("{name:<44} CPU {mean:>8}  least {least:>8} µs");
}

/// One call that cannot be repeated.
fn once<T>(name: &str, run: impl FnOnce() -> T) {
    let start = Instant::now();
    black_box(run());
    println!("{name:<44} once {:>8} µs", start.elapsed().as_micros());
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
    once("start, verification only", Setup::ethereum);
    let setup = Setup::ethereum();
    once("table for up to 256 elements", || setup.warm_up(256));
    once("table for up to 4,096 elements", || setup.warm_up(4096));
    let (prover, verifier) = (Prover::new(setup), Verifier::ethereum());

    for len in [16, 64, 200, 256, 1024, 4096] {
        let elements = trace(len);
        time(&format!("commit {len} elements"), || {
            prover.commit(&elements)
        });
    }
    let elements = trace(200);
    let commitment = prover.commit(&elements).expect("a short trace");
    let opening = prover.open_pair(&elements, 100).expect("an index inside");
    time("open pair", || prover.open_pair(&elements, 100));
    time("verify pair", || {
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
    time("verify one opening (decoded)", || {
        verifier.verify(&chunk, &z, &y, &proof)
    });
    let bytes = commitment.to_bytes();
    time("decode one point", || {
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
    time("verify 64 openings in a batch (decoded)", || {
        verifier.verify_batch(&batch)
    });

    let block: Vec<_> = (0..50)
        .map(|_| (&commitment, elements.as_slice()))
        .collect();
    time("verify 1 commitment of 200", || {
        verify_commitments(setup, &block[..1])
    });
    time("verify 50 commitments of 200", || {
        verify_commitments(setup, &block)
    });

    let keys: Vec<SecretKey> = (1..=100)
        .map(|i| SecretKey::from_key_material(&[i; 32]).expect("32 bytes"))
        .collect();
    let public: Vec<_> = keys.iter().map(SecretKey::public_key).collect();
    let votes: Vec<_> = keys.iter().map(|key| key.sign(b"vote")).collect();
    time("BLS sign", || keys[0].sign(b"vote"));
    time("BLS verify", || votes[0].verify(&public[0], b"vote"));
    for n in [4, 100] {
        let sum = aggregate(&votes[..n]).expect("some votes");
        time(&format!("BLS fast-aggregate-verify, {n} keys"), || {
            fast_aggregate_verify(&public[..n], b"vote", &sum)
        });
    }
    let entries: Vec<_> = (0..16)
        .map(|i| (public[i], b"vote".as_slice(), votes[i]))
        .collect();
    time("BLS batch-verify, 16 votes", || batch_verify(&entries));
}
