//! Figures, printed on request:
//! `cargo test -p aether-storage --release -- --ignored --nocapture measure`.

use crate::common::*;
use aether_mesh::{Slot, Writes};
use std::io::Write;
use std::time::{Duration, Instant};

const RECORDS: u64 = 10_000;
const WRITES: u64 = 50;
const BLOCKS: u64 = 200;

fn key(i: u64) -> Vec<u8> {
    format!("account/{i:016x}").into_bytes()
}

fn writes_at(height: u64) -> Writes {
    (0..WRITES)
        .map(|i| {
            (
                key((height * 7_919 + i * 104_729) % RECORDS),
                Some(vec![height as u8; 120]),
            )
        })
        .collect()
}

fn median(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_micros();
    format!("median {} µs, p95 {} µs", at(50), at(95))
}

/// Twice a write of 200 KiB and a flush, which is what a commit asks of the
/// disk: the part of its time that is not ours.
fn disk_alone() -> String {
    let mut file = tempfile::tempfile().unwrap();
    let times = (0..BLOCKS).map(|_| {
        let start = Instant::now();
        for _ in 0..2 {
            file.write_all(&[7; 200 << 10]).unwrap();
            file.sync_data().unwrap();
        }
        start.elapsed()
    });
    median(times.collect())
}

#[test]
#[ignore = "prints figures"]
fn measure() {
    println!("the disk alone, two flushes: {}", disk_alone());
    for mut bench in [Bench::memory(100), Bench::disk(100)] {
        let name = bench.name;
        let all: Writes = (0..RECORDS).map(|i| (key(i), Some(vec![1; 120]))).collect();
        let start = Instant::now();
        bench.store().init(CHAIN, 0, &all).unwrap();
        println!(
            "{name}: genesis of {RECORDS} records: {:?}",
            start.elapsed()
        );
        let (mut roots, mut commits) = (Vec::new(), Vec::new());
        for height in 1..=BLOCKS {
            let some = writes_at(height);
            let store = bench.store();
            let start = Instant::now();
            let pending = store.root_after(&some).unwrap();
            roots.push(start.elapsed());
            let (block, certificate) = parts(store, &pending);
            let start = Instant::now();
            store.commit(&block, &certificate, pending, b"").unwrap();
            commits.push(start.elapsed());
        }
        println!("{name}: root_after of {WRITES} writes: {}", median(roots));
        println!("{name}: commit of {WRITES} writes: {}", median(commits));
        let mut proofs = Vec::new();
        let mut bytes = 0;
        for i in 0..500 {
            let start = Instant::now();
            let height = Slot(BLOCKS - i % 50);
            let proven = bench
                .store()
                .prove(&key(i * 17 % RECORDS), height)
                .unwrap()
                .unwrap();
            proofs.push(start.elapsed());
            bytes = proven.proof.len();
        }
        println!("{name}: prove: {}, {bytes} bytes", median(proofs));
        let start = Instant::now();
        bench.reopen();
        println!("{name}: reopen: {:?}", start.elapsed());
        let start = Instant::now();
        let report = bench.store().audit().unwrap();
        println!("{name}: audit: {:?}, {report:?}", start.elapsed());
    }
}
