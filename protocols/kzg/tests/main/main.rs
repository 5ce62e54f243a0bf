//! Everything about this crate that can be said without vectors, from outside.

mod arkworks;
mod claims;
mod decoders;
mod multi;
mod openings;
mod votes;

use aether_kzg::{Commitment, Prover, Setup, TraceElement, Verifier};

fn prover() -> Prover<'static> {
    Prover::new(Setup::ethereum())
}

fn verifier() -> Verifier<'static> {
    Verifier::ethereum()
}

/// A trace that looks random and is determined by its seed.
fn trace(seed: u64, len: usize) -> Vec<TraceElement> {
    let mut state = seed;
    let mut byte = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..len)
        .map(|_| TraceElement(std::array::from_fn(|_| byte())))
        .collect()
}

fn infinity() -> Commitment {
    let mut bytes = [0; 48];
    bytes[0] = 0xc0;
    Commitment::from_bytes(&bytes).unwrap()
}
