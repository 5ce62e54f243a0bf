//! Models changed at random, with an eye for protobuf's structure: whatever
//! comes of it is refused or runs within its bounds. Nothing panics, nothing
//! hangs, and no run holds more memory than its limit says.
//!
//! Seeds are a node of every operator, the cases of control flow, and every small
//! model of the published suite where it is present. `AETHER_FUZZ_ROUNDS` asks for more rounds,
//! `AETHER_FUZZ_SEED` for other ones. What once failed is kept as bytes below
//! `tests/regressions` and replayed.

use std::path::Path;

use aether_inference::{Limits, Program, RunLimits, Tensor, execute};

use crate::support::conformance::{data_sets, find, header, order, tensors};
use crate::support::watch::{note, watch};
use crate::support::{catalogue, memory, vectors};

struct Dice(u64);

impl Dice {
    fn next(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }
}

/// Where fields begin and end, found by reading the bytes as a message and what
/// is in them, as far as they parse: (start of tag, start of body, end, kind).
fn fields(b: &[u8], base: usize, depth: usize, out: &mut Vec<(usize, usize, usize, u8)>) -> bool {
    let (mut at, first) = (0, out.len());
    while at < b.len() {
        let start = at;
        let Some(tag) = varint(b, &mut at) else {
            out.truncate(first);
            return false;
        };
        let body = at;
        let mut from = at;
        let ok = match tag & 7 {
            0 => varint(b, &mut at).is_some(),
            1 => {
                at += 8;
                true
            }
            5 => {
                at += 4;
                true
            }
            2 => match varint(b, &mut at) {
                Some(n) if n <= b.len() as u64 => {
                    from = at;
                    at += n as usize;
                    true
                }
                _ => false,
            },
            _ => false,
        };
        if !ok || tag >> 3 == 0 || at > b.len() {
            out.truncate(first);
            return false;
        }
        out.push((base + start, base + body, base + at, (tag & 7) as u8));
        if tag & 7 == 2 && depth < 40 && out.len() < 4000 {
            fields(&b[from..at], base + from, depth + 1, out);
        }
    }
    true
}

fn varint(b: &[u8], at: &mut usize) -> Option<u64> {
    let mut v = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *b.get(*at)?;
        *at += 1;
        v |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(v);
        }
    }
    None
}

/// Changes a field without breaking the lengths of those around it, mostly.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let mut list = Vec::new();
    fields(bytes, 0, 0, &mut list);
    if list.is_empty() || bytes.is_empty() {
        return;
    }
    let (start, body, end, kind) = list[dice.next(list.len())];
    const ODD: [u8; 7] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff];
    match (kind, dice.next(8)) {
        // Another number of as many bytes.
        (0, 0..=5) => {
            for (i, at) in (body..end).enumerate() {
                let more = if body + i + 1 < end { 0x80 } else { 0 };
                bytes[at] = (ODD[dice.next(7)] & 0x7f) | more;
            }
        }
        (1 | 5, 0..=5) => bytes[body..end].fill(ODD[dice.next(7)]),
        // Bytes within.
        (_, 0..=2) => {
            let at = body + dice.next(end - body);
            bytes[at] = ODD[dice.next(7)];
        }
        (_, 3) => bytes[start] ^= 8 << dice.next(4),
        // Two fields of one size change places.
        (_, 4) => {
            let same: Vec<_> = list.iter().filter(|f| f.2 - f.0 == end - start).collect();
            let (s, _, e, _) = *same[dice.next(same.len())];
            if s >= end || e <= start {
                let (a, b) = (bytes[start..end].to_vec(), bytes[s..e].to_vec());
                bytes[start..end].copy_from_slice(&b);
                bytes[s..e].copy_from_slice(&a);
            }
        }
        // A whole field goes, or is there twice; lengths around it break unless
        // it is an outermost one.
        (_, 5) => drop(bytes.drain(start..end)),
        (_, 6) => {
            let copy = bytes[start..end].to_vec();
            bytes.splice(end..end, copy);
        }
        _ => {
            let (from, to) = (dice.next(other.len()), 1 + dice.next(24));
            let piece = &other[from..(from + to).min(other.len())];
            let to = (body + piece.len()).min(bytes.len());
            bytes[body..to].copy_from_slice(&piece[..to - body]);
        }
    }
}

fn tight() -> RunLimits {
    RunLimits {
        gas_limit: 20_000_000,
        max_memory_bytes: 48 << 20,
        max_steps: 2000,
        ..RunLimits::default()
    }
}

/// Loads and runs; whether it loaded, and whether it ran.
fn attempt(bytes: &[u8], given: &[(String, Tensor)]) -> (bool, bool) {
    let limits = Limits {
        max_expanded_bytes: 1 << 20,
        ..Limits::default()
    };
    let before = memory::now();
    memory::reset_peak();
    let loaded = Program::from_onnx(bytes, &limits);
    let used = memory::peak().saturating_sub(before);
    // Eight bytes for each byte of packed numbers, and what parts take.
    let bound = (1 << 20) + 2 * limits.max_expanded_bytes + 512 * bytes.len();
    assert!(used <= bound, "{used} bytes to load {}", bytes.len());
    let Ok(program) = loaded else {
        let _ = Program::missing(&mut &*bytes, &limits, None);
        return (false, false);
    };
    let inputs = order(&program, given.to_vec());
    let h = header(&program, &inputs);
    let (before, limits) = (memory::now(), tight());
    memory::reset_peak();
    let started = std::time::Instant::now();
    let out = execute(&program, &h, &inputs, &limits);
    let used = memory::peak().saturating_sub(before);
    let bound =
        limits.max_memory_bytes as usize + (4 << 20) + 8 * program.constant_bytes() as usize;
    assert!(used <= bound, "{used} bytes to run, {bound} allowed");
    assert!(started.elapsed().as_secs() < 20, "a run that hangs");
    if let Ok(out) = &out {
        assert!(out.gas_used <= limits.gas_limit);
    }
    (true, out.is_ok())
}

/// A model and its inputs.
type Seed = (Vec<u8>, Vec<(String, Tensor)>);

/// Small models with their inputs.
fn seeds() -> Vec<Seed> {
    let own = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/generated")).to_path_buf();
    let mut all: Vec<Seed> = Vec::new();
    for row in catalogue::rows() {
        let places = row.inputs.iter().enumerate();
        let given = places.filter_map(|(i, t)| Some((format!("x{i}"), t.clone()?)));
        all.push((row.model(), given.collect()));
    }
    for root in [Some(own), vectors("onnx")].into_iter().flatten() {
        for dir in find(&root) {
            let Ok(bytes) = std::fs::read(dir.join("model.onnx")) else {
                continue;
            };
            let set = data_sets(&dir).into_iter().next();
            let given = set.and_then(|s| tensors(&s, "input").ok());
            let (Some(given), true) = (given, bytes.len() < 20_000) else {
                continue;
            };
            all.push((bytes, given));
        }
    }
    all
}

#[test]
fn changed_models_never_panic_hang_or_take_more_than_their_bounds() {
    let _alone = memory::alone();
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let rounds = number("AETHER_FUZZ_ROUNDS").unwrap_or(4000);
    let mut dice = Dice(
        number("AETHER_FUZZ_SEED")
            .unwrap_or(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            | 1,
    );
    watch();
    let seeds = seeds();
    let (mut loaded, mut ran) = (0, 0);
    for round in 0..rounds {
        let (bytes, given) = &seeds[dice.next(seeds.len())];
        let other = &seeds[dice.next(seeds.len())].0;
        let mut bytes = bytes.clone();
        for _ in 0..=dice.next(4) {
            mutate(&mut bytes, other, &mut dice);
        }
        note(Some(format!("round {round}")));
        let tried = std::panic::catch_unwind(|| attempt(&bytes, given));
        let Ok((l, r)) = tried else {
            let at = std::env::temp_dir().join(format!("aether-fuzz-{round}.onnx"));
            std::fs::write(&at, &bytes).expect("a place to write");
            panic!("round {round}: kept as {}", at.display());
        };
        loaded += u64::from(l);
        ran += u64::from(r);
    }
    note(None);
    println!(
        "fuzz: {rounds} models of {} seeds, {loaded} loaded, {ran} ran",
        seeds.len()
    );
    assert!(
        loaded > rounds / 20 && ran > rounds / 40,
        "changes reach the machine"
    );
}

#[test]
fn what_once_failed_is_refused_or_runs() {
    let _alone = memory::alone();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions"));
    watch();
    let mut count = 0;
    for entry in std::fs::read_dir(root).expect("a folder").flatten() {
        note(Some(entry.path().display().to_string()));
        let bytes = std::fs::read(entry.path()).expect("a file");
        attempt(&bytes, &[]);
        count += 1;
    }
    note(None);
    println!("{count} models that once failed");
    assert!(count >= 14, "the models are gone");
}
