//! Fiat–Shamir coefficients for checking many statements at once.
//!
//! The construction is described in the crate's documentation, "Transcripts".

use ark_bls12_381::Fr;
use ark_ff::BigInt;
use ark_ff::PrimeField;
use sha2::{Digest, Sha256};

/// Bits of a coefficient.
pub(crate) const COEFFICIENT_BITS: usize = 128;

const COEFFICIENT_DOMAIN: &[u8] = b"aether/kzg/v1/coefficient";

/// Collects the statements of one batch.
pub(crate) struct Transcript(Sha256);

impl Transcript {
    pub(crate) fn new(domain: &[u8], key_id: &[u8; 32], count: usize) -> Self {
        let hash = tagged(domain)
            .chain_update(key_id)
            .chain_update((count as u64).to_be_bytes());
        Self(hash)
    }

    pub(crate) fn absorb(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn absorb_count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    /// Nothing can be absorbed any more.
    pub(crate) fn seed(self) -> Seed {
        Seed(self.0.finalize().into())
    }

    pub(crate) fn coefficients(self) -> Coefficients {
        self.seed().coefficients()
    }
}

/// The digest of a whole transcript.
#[derive(Clone, Copy)]
pub(crate) struct Seed(pub(crate) [u8; 32]);

impl Seed {
    pub(crate) fn coefficients(self) -> Coefficients {
        Coefficients {
            seed: self.0,
            next: 0,
        }
    }
}

/// SHA-256 over a length-prefixed domain tag, to be continued.
pub(crate) fn tagged(domain: &[u8]) -> Sha256 {
    // Domains are short constants of this crate.
    let length = u8::try_from(domain.len()).expect("a domain tag is shorter than 256 bytes");
    Sha256::new().chain_update([length]).chain_update(domain)
}

/// The endless list of coefficients of one batch.
pub(crate) struct Coefficients {
    seed: [u8; 32],
    next: u64,
}

impl Coefficients {
    /// The next coefficient as 16 big-endian bytes.
    pub(crate) fn next_bytes(&mut self) -> [u8; 16] {
        let digest: [u8; 32] = tagged(COEFFICIENT_DOMAIN)
            .chain_update(self.seed)
            .chain_update(self.next.to_be_bytes())
            .finalize()
            .into();
        self.next += 1;
        let mut out = [0; 16];
        out.copy_from_slice(&digest[..16]);
        out
    }

    /// The next coefficient as a scalar.
    pub(crate) fn next_scalar(&mut self) -> Fr {
        let value = u128::from_be_bytes(self.next_bytes());
        let limbs = [value as u64, (value >> 64) as u64, 0, 0];
        Fr::from_bigint(BigInt(limbs)).unwrap_or_default()
    }

    pub(crate) fn take_scalars(mut self, count: usize) -> Vec<Fr> {
        (0..count).map(|_| self.next_scalar()).collect()
    }
}

/// Scalars known to be coefficients, as plain integers.
pub(crate) fn short(coefficients: &[Fr]) -> impl Iterator<Item = u128> {
    coefficients.iter().map(|coefficient| {
        let limbs = coefficient.into_bigint().0;
        u128::from(limbs[0]) | u128::from(limbs[1]) << 64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_the_documented_ones() {
        // Computed from the description with another SHA-256.
        let mut transcript = Transcript::new(b"aether/kzg/v1/openings", &[0x11; 32], 2);
        transcript.absorb(b"first statement");
        transcript.absorb(b"second statement");
        let mut coefficients = transcript.coefficients();
        for expected in [
            "b6be863e1ab8fe45c9895ce5c0be28ff",
            "3c2c9ecb7f2c8e9212e46730d7ee59ef",
        ] {
            assert_eq!(hex::encode(coefficients.next_bytes()), expected);
        }
    }

    #[test]
    fn short_and_full_forms_of_a_coefficient_are_the_same_number() {
        let coefficients = || Transcript::new(b"d", &[0; 32], 1).coefficients();
        let bytes = coefficients().next_bytes();
        let scalars = coefficients().take_scalars(1);
        assert_eq!(
            short(&scalars).collect::<Vec<_>>(),
            [u128::from_be_bytes(bytes)]
        );
        assert_eq!(crate::scalar::le_bytes(&scalars[0])[16..], [0; 16]);
    }
}
