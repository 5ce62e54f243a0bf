//! What aether-kzg costs beside other implementations, on the same work, in one
//! process: contenders take turns, thread CPU time is counted, the least of all
//! turns is reported.
//!
//! `cargo run --release -- [--json] [--seconds N] [WORD…]`: N seconds a row
//! (default 3); with words, only the rows whose titles contain one of them.

mod clock;
mod peers;
mod report;

use std::num::NonZeroUsize;
use std::time::Duration;

use aether_kzg::{
    CHUNK_LEN, Commitment, CommitmentBuilder, EncodedOpening, Opening, Proof, Prover, Scalar,
    Setup, TraceCommitment, TraceElement, Verifier, eip4844, verify_commitments,
};
use clock::{Contender, busier, contender, race};
use peers::{Ark, Ckzg, Ekzg, Floor, Sample};
use report::{Goal, Row};

const LAGRANGE: &[u8] = include_bytes!("../../../../protocols/kzg/setup/g1_lagrange.bin");
const G2: &[u8] = include_bytes!("../../../../protocols/kzg/setup/g2_monomial.bin");

const OURS: &str = "aether-kzg";
const FLOOR: &str = "floor A: two Miller loops, final exp (blst)";
const FLOOR_B: &str = "floor B: the same with prepared lines";
const CKZG: &str = "c-kzg";
const EKZG: &str = "rust_eth_kzg";
const ARK: &str = "arkworks";

struct Run {
    budget: Duration,
    words: Vec<String>,
    rows: Vec<Row>,
}

impl Run {
    fn race(
        &mut self,
        title: &str,
        per: u64,
        mut contenders: Vec<Contender<'_>>,
        goals: &[(&'static str, f64)],
    ) {
        if !self.words.is_empty() && !self.words.iter().any(|word| title.contains(word.as_str())) {
            return;
        }
        eprintln!("{title} …");
        let least = race(&mut contenders, self.budget);
        self.rows.push(Row {
            title: title.to_owned(),
            per,
            times: contenders.iter().map(|c| c.name).zip(least).collect(),
            goals: goals
                .iter()
                .map(|(against, at_most)| Goal {
                    against,
                    at_most: *at_most,
                })
                .collect(),
        });
    }
}

/// Bytes that look random and are the same in every run.
fn noise(seed: u64) -> impl FnMut() -> u8 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    }
}

fn trace(seed: u64, len: usize) -> Vec<TraceElement> {
    let mut byte = noise(seed);
    (0..len)
        .map(|_| TraceElement(std::array::from_fn(|_| byte())))
        .collect()
}

/// 4,096 scalars of `bytes` random bytes.
fn blob(seed: u64, bytes: usize) -> Vec<u8> {
    let mut byte = noise(seed);
    let mut out = vec![0; eip4844::BLOB_BYTES];
    for element in out.chunks_exact_mut(32) {
        element[32 - bytes..].fill_with(&mut byte);
        element[0] &= 0x3f;
    }
    out
}

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let json = words
        .iter()
        .position(|w| w == "--json")
        .map(|at| words.remove(at));
    let seconds = words.iter().position(|w| w == "--seconds").map(|at| {
        words.remove(at);
        let number = words.remove(at);
        number.parse().expect("a number of seconds")
    });
    let mut run = Run {
        budget: Duration::from_secs(seconds.unwrap_or(3)),
        words,
        rows: Vec::new(),
    };

    let before = clock::thread();
    let setup = Setup::ethereum();
    let start = clock::thread() - before;
    let before = clock::thread();
    setup.warm_up(CHUNK_LEN);
    let table = clock::thread() - before;
    setup.warm_up(1);

    let tau: [u8; 96] = G2[96..192].try_into().expect("96 bytes");
    let ours = Ours::new(setup);
    let samples = ours.samples(256);
    let floor = Floor::new(&samples[0], &tau);
    let ckzg = Ckzg::new();
    let ekzg = Ekzg::new(&tau);
    let ark = Ark::new(&tau, LAGRANGE);

    verify_rows(&mut run, &ours, &samples, &floor, &ckzg, &ekzg, &ark);
    commit_rows(&mut run, &ours, &ckzg, &ekzg, &ark);
    open_rows(&mut run, &ours, &floor, &ckzg);
    block_rows(&mut run, &ours);

    if json.is_some() {
        report::print_json(&run.rows);
    } else {
        println!(
            "machine load: {}",
            std::fs::read_to_string("/proc/loadavg")
                .unwrap_or_default()
                .trim()
        );
        println!(
            "start-up without proving: {:.2} ms (goal: below 5)",
            start as f64 / 1e6
        );
        println!("the prover's table: {:.0} ms, once", table as f64 / 1e6);
        report::print_table(&run.rows);
    }
}

struct Ours {
    setup: &'static Setup,
    prover: Prover<'static>,
    verifier: Verifier<'static>,
}

impl Ours {
    fn new(setup: &'static Setup) -> Self {
        Self {
            setup,
            prover: Prover::new(setup),
            verifier: Verifier::new(setup.verifying_key()),
        }
    }

    fn samples(&self, count: u64) -> Vec<Sample> {
        (0..count)
            .map(|i| {
                let elements = trace(i, 16);
                let mut byte = noise(i + 1000);
                let mut z: [u8; 32] = std::array::from_fn(|_| byte());
                z[0] &= 0x3f;
                let point = Scalar::from_bytes(&z).expect("below the order");
                let (y, proof) = self.prover.open_at(&elements, 0, &point).expect("chunk 0");
                let commitment = self.prover.commit(&elements).expect("a short trace");
                Sample {
                    commitment: commitment.chunks()[0].to_bytes(),
                    z,
                    y: y.to_bytes(),
                    proof: proof.to_bytes(),
                }
            })
            .collect()
    }
}

fn decode(sample: &Sample) -> Opening {
    Opening {
        commitment: Commitment::from_bytes(&sample.commitment).expect("a sound sample"),
        z: Scalar::from_bytes(&sample.z).expect("a sound sample"),
        y: Scalar::from_bytes(&sample.y).expect("a sound sample"),
        proof: Proof::from_bytes(&sample.proof).expect("a sound sample"),
    }
}

fn verify_rows(
    run: &mut Run,
    ours: &Ours,
    samples: &[Sample],
    floor: &Floor,
    ckzg: &Ckzg,
    ekzg: &Ekzg,
    ark: &Ark,
) {
    let verifier = ours.verifier;
    let sample = &samples[0];
    let one = decode(sample);
    let by_ark = Ark::decode(sample);
    let verify = |o: &Opening| verifier.verify(&o.commitment, &o.z, &o.y, &o.proof);
    assert!(verify(&one) && ckzg.verify(sample) && ark.verify(&by_ark));
    run.race(
        "verify one opening, decoded",
        1,
        vec![
            contender(OURS, || verify(&one)),
            contender(FLOOR, || floor.plain()),
            contender(FLOOR_B, || floor.prepared()),
            contender(ARK, || ark.verify(&by_ark)),
        ],
        &[(FLOOR, 1.06)],
    );
    run.race(
        "verify one opening, from bytes",
        1,
        vec![
            contender(OURS, || verify(&decode(sample))),
            contender(FLOOR, || floor.plain()),
            contender(CKZG, || ckzg.verify(sample)),
            contender(EKZG, || {
                ekzg.context
                    .verify_kzg_proof(&sample.commitment, sample.z, sample.y, &sample.proof)
                    .expect("a sound sample")
            }),
        ],
        &[(FLOOR, 1.20), (CKZG, 0.78)],
    );

    let openings: Vec<Opening> = samples.iter().map(decode).collect();
    let by_ekzg = ekzg.decode(samples);
    assert!(verifier.verify_batch(&openings));
    run.race(
        "verify a batch of 256, decoded, per proof",
        256,
        vec![
            contender(OURS, || verifier.verify_batch(&openings)),
            contender(EKZG, || ekzg.verify_batch(&by_ekzg)),
        ],
        &[(EKZG, 0.76)],
    );
    let encoded: Vec<EncodedOpening> = samples
        .iter()
        .map(|s| EncodedOpening {
            commitment: &s.commitment,
            z: &s.z,
            y: &s.y,
            proof: &s.proof,
        })
        .collect();
    run.race(
        "verify a batch of 256, from bytes, per proof",
        256,
        vec![
            contender(OURS, || {
                assert_eq!(verifier.verify_encoded_batch(&encoded), Ok(true))
            }),
            contender(EKZG, || ekzg.verify_batch(&ekzg.decode(samples))),
        ],
        &[(EKZG, 0.88)],
    );
}

fn commit_rows(run: &mut Run, ours: &Ours, ckzg: &Ckzg, ekzg: &Ekzg, ark: &Ark) {
    let setup = ours.setup;
    for (title, bytes, goals) in [
        ("commit 4,096 full scalars", 32, &[(CKZG, 0.65)][..]),
        ("commit 4,096 elements of 31 bytes", 31, &[(CKZG, 0.65)][..]),
        ("commit 4,096 elements of 8 bytes", 8, &[][..]),
    ] {
        let blob = blob(7, bytes);
        let elements: Vec<TraceElement> = blob
            .chunks_exact(32)
            .map(|e| TraceElement(e[1..].try_into().expect("31 bytes")))
            .collect();
        let scalars: Vec<ark_bls12_381::Fr> = blob
            .chunks_exact(32)
            .map(ark_ff::PrimeField::from_be_bytes_mod_order)
            .collect();
        let c_blob = c_kzg::Blob::from_bytes(&blob).expect("a blob");
        let e_blob: &[u8; eip4844::BLOB_BYTES] = blob.as_slice().try_into().expect("a blob");
        let commit = || match bytes {
            32 => eip4844::blob_to_kzg_commitment(setup, &blob)
                .expect("a blob")
                .to_bytes(),
            _ => ours.prover.commit(&elements).expect("one chunk").chunks()[0].to_bytes(),
        };
        let by_ckzg = || ckzg.0.blob_to_kzg_commitment(&c_blob).expect("a blob");
        assert_eq!(commit().as_slice(), by_ckzg().to_bytes().as_slice());
        run.race(
            title,
            1,
            vec![
                contender(OURS, commit),
                contender(CKZG, by_ckzg),
                contender(EKZG, || {
                    ekzg.context.blob_to_kzg_commitment(e_blob).expect("a blob")
                }),
                contender(ARK, || ark.commit(&scalars)),
            ],
            goals,
        );
    }
    let elements = trace(3, CHUNK_LEN);
    let two = ours
        .prover
        .with_threads(NonZeroUsize::new(2).expect("not zero"));
    run.race(
        "commit 4,096 on two threads, the busier one",
        1,
        vec![
            busier("aether-kzg, two threads", || two.commit(&elements)),
            contender("aether-kzg, one thread", || ours.prover.commit(&elements)),
        ],
        &[("aether-kzg, one thread", 0.58)],
    );
    let builder = {
        let mut builder = CommitmentBuilder::new(ours.setup);
        builder.append(&elements[..3000]).expect("room");
        builder
    };
    run.race(
        "append 16 elements to 3,000",
        1,
        vec![
            contender(OURS, || {
                let mut next = builder.clone();
                next.append(&elements[3000..3016]).expect("room");
                next.commitment()
            }),
            contender("aether-kzg, commit anew", || {
                ours.prover.commit(&elements[..3016])
            }),
        ],
        &[],
    );
}

fn open_rows(run: &mut Run, ours: &Ours, floor: &Floor, ckzg: &Ckzg) {
    let (prover, verifier) = (ours.prover, ours.verifier);
    let commit = "aether-kzg, one commitment of 4,096";
    let elements = trace(5, 2 * CHUNK_LEN);
    let first = &elements[..CHUNK_LEN];
    let commitment = prover.commit(&elements).expect("two chunks");
    let z = Scalar::from(987_654_321);
    let blob: Vec<u8> = first
        .iter()
        .flat_map(|e| [&[0], &e.0[..]].concat())
        .collect();
    let blob = c_kzg::Blob::from_bytes(&blob).expect("a blob");
    let z_bytes = c_kzg::Bytes32::new(z.to_bytes());
    run.race(
        "open one point",
        1,
        vec![
            contender(OURS, || prover.open_at(first, 0, &z)),
            contender(CKZG, || {
                ckzg.0.compute_kzg_proof(&blob, &z_bytes).expect("a blob")
            }),
            contender(commit, || prover.commit(first)),
        ],
        &[(commit, 1.15)],
    );
    run.race(
        "open two neighbours",
        1,
        vec![
            contender(OURS, || prover.open_pair(first, 1234)),
            contender(commit, || prover.commit(first)),
        ],
        &[(commit, 1.15)],
    );
    let positions: Vec<usize> = (0..16).map(|i| i * 509 + i * i).collect();
    let opening = prover
        .open_many(&elements, &commitment, &positions)
        .expect("16 positions");
    let claims: Vec<(usize, TraceElement)> = positions.iter().map(|i| (*i, elements[*i])).collect();
    run.race(
        "open 16 positions of two chunks",
        1,
        vec![
            contender(OURS, || {
                prover.open_many(&elements, &commitment, &positions)
            }),
            contender(commit, || prover.commit(first)),
        ],
        &[(commit, 2.2)],
    );
    let verify = || verifier.verify_many(&commitment, elements.len(), &claims, &opening);
    assert_eq!(verify(), Ok(true));
    run.race(
        "verify 16 positions of two chunks, decoded",
        1,
        vec![contender(OURS, verify), contender(FLOOR, || floor.plain())],
        &[(FLOOR, 1.7)],
    );
    let pair = prover.open_pair(first, 1234).expect("an index inside");
    let trace = TraceCommitment::new(commitment.chunks()[..1].to_vec()).expect("one chunk");
    let verify =
        || verifier.verify_pair(&trace, CHUNK_LEN, 1234, &first[1233], &first[1234], &pair);
    assert_eq!(verify(), Ok(true));
    run.race(
        "verify two neighbours, decoded",
        1,
        vec![contender(OURS, verify), contender(FLOOR, || floor.plain())],
        &[],
    );
}

fn block_rows(run: &mut Run, ours: &Ours) {
    let traces: Vec<Vec<TraceElement>> = (0..1000).map(|i| trace(i, 32)).collect();
    let commitments: Vec<TraceCommitment> = traces
        .iter()
        .map(|t| ours.prover.commit(t).expect("a short trace"))
        .collect();
    let claims: Vec<(&TraceCommitment, &[TraceElement])> = commitments
        .iter()
        .zip(&traces)
        .map(|(c, t)| (c, t.as_slice()))
        .collect();
    let encoded: Vec<Vec<u8>> = commitments.iter().map(TraceCommitment::to_bytes).collect();
    let views: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
    run.race(
        "check 1,000 commitments of 32 elements, each",
        1000,
        vec![
            contender(OURS, || {
                assert_eq!(verify_commitments(ours.setup, &claims), Ok(true))
            }),
            contender("aether-kzg, decoding the commitments too", || {
                let decoded = TraceCommitment::from_bytes_many(&views).expect("sound points");
                let claims: Vec<(&TraceCommitment, &[TraceElement])> = decoded
                    .iter()
                    .zip(&traces)
                    .map(|(c, t)| (c, t.as_slice()))
                    .collect();
                assert_eq!(verify_commitments(ours.setup, &claims), Ok(true));
            }),
            contender("aether-kzg, committing anew", || {
                traces
                    .iter()
                    .map(|t| ours.prover.commit(t))
                    .collect::<Vec<_>>()
            }),
        ],
        &[],
    );
}
