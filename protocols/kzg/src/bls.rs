//! BLS signatures on BLS12-381 with short public keys and proofs of possession.
//!
//! Source: draft-irtf-cfrg-bls-signature, ciphersuite
//! `BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_`: public keys are points of G1
//! (48 bytes), signatures points of G2 (96 bytes), both compressed.
//!
//! * A [`PublicKey`] is checked when decoded (flags, range, curve, subgroup)
//!   and is never infinity: the draft's KeyValidate is done by construction.
//! * A [`Signature`] is checked likewise, but may be infinity, which no key's
//!   signature on any message ever is.
//! * Aggregation of one message's signatures ([`fast_aggregate_verify`]) is
//!   sound only for keys whose [`ProofOfPossession`] was checked, once, when
//!   they were registered. Otherwise one can choose a key as the difference of
//!   others' and sign in their name.
//! * Verdicts are `bool`; only decoding can be [`Malformed`].

use std::fmt;
use std::hash::{Hash, Hasher};

use blst::{BLST_ERROR, blst_scalar, min_pk};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::curve::compressed_flags;
use crate::error::Malformed;
use crate::transcript::{COEFFICIENT_BITS, Transcript};

/// Bytes of a secret key.
pub const SECRET_KEY_BYTES: usize = 32;
/// Bytes of a public key.
pub const PUBLIC_KEY_BYTES: usize = 48;
/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 96;

/// Domain of signatures on messages.
pub const SIGNATURE_SUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// Domain of proofs of possession.
pub const POSSESSION_SUITE: &[u8] = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

const BATCH_DOMAIN: &[u8] = b"aether/bls/v1/batch";

fn refused(error: BLST_ERROR) -> Malformed {
    match error {
        BLST_ERROR::BLST_POINT_NOT_ON_CURVE => Malformed::NotOnCurve,
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => Malformed::NotInSubgroup,
        BLST_ERROR::BLST_PK_IS_INFINITY => Malformed::Infinity,
        _ => Malformed::CoordinateTooLarge,
    }
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], Malformed> {
    bytes.try_into().map_err(|_| Malformed::Length {
        expected: N,
        actual: bytes.len(),
    })
}

/// A secret key: an integer from 1 to r−1. Wiped from memory when dropped;
/// neither printable nor clonable.
pub struct SecretKey(min_pk::SecretKey);

impl SecretKey {
    /// From 32 big-endian bytes; zero and values not below r are refused.
    pub fn from_bytes(bytes: &[u8; SECRET_KEY_BYTES]) -> Result<Self, Malformed> {
        min_pk::SecretKey::from_bytes(bytes).map(Self).map_err(|_| {
            if bytes == &[0; SECRET_KEY_BYTES] {
                Malformed::ZeroSecretKey
            } else {
                Malformed::ScalarTooLarge
            }
        })
    }

    /// The draft's KeyGen (version 4, no key info) from at least 32 bytes of
    /// secret randomness, which the caller supplies.
    pub fn from_key_material(material: &[u8]) -> Result<Self, Malformed> {
        min_pk::SecretKey::key_gen(material, &[])
            .map(Self)
            .map_err(|_| Malformed::Length {
                expected: 32,
                actual: material.len(),
            })
    }

    /// 32 big-endian bytes, wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; SECRET_KEY_BYTES]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key that belongs to this one.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.sk_to_pk())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message, SIGNATURE_SUITE, &[]))
    }

    /// Proves that the holder of the public key knows its secret.
    pub fn prove_possession(&self) -> ProofOfPossession {
        let key = self.public_key().to_bytes();
        ProofOfPossession(Signature(self.0.sign(&key, POSSESSION_SUITE, &[])))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

macro_rules! bytes_identity {
    ($name:ident) => {
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.to_bytes().hash(state);
            }
        }

        /// By the encoded bytes.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.to_bytes().cmp(&other.to_bytes())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    concat!(stringify!($name), "({})"),
                    hex::encode(self.to_bytes())
                )
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.to_bytes()))
            }
        }
    };
}

/// A public key: a finite point of the prime-order subgroup of G1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(min_pk::PublicKey);

bytes_identity!(PublicKey);

impl PublicKey {
    /// Decodes and validates 48 bytes.
    pub fn from_bytes(bytes: &[u8; PUBLIC_KEY_BYTES]) -> Result<Self, Malformed> {
        if compressed_flags(bytes)? {
            return Err(Malformed::Infinity);
        }
        let key = min_pk::PublicKey::uncompress(bytes).map_err(refused)?;
        key.validate().map_err(refused)?;
        Ok(Self(key))
    }

    /// As [`PublicKey::from_bytes`], for a slice, whose length is checked too.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::from_bytes(exact(bytes)?)
    }

    /// The canonical 48 bytes.
    pub fn to_bytes(self) -> [u8; PUBLIC_KEY_BYTES] {
        self.0.compress()
    }
}

/// A signature: a point of the prime-order subgroup of G2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(min_pk::Signature);

bytes_identity!(Signature);

impl Signature {
    /// Decodes and validates 96 bytes.
    pub fn from_bytes(bytes: &[u8; SIGNATURE_BYTES]) -> Result<Self, Malformed> {
        compressed_flags(bytes)?;
        let signature = min_pk::Signature::uncompress(bytes).map_err(refused)?;
        signature.validate(false).map_err(refused)?;
        Ok(Self(signature))
    }

    /// As [`Signature::from_bytes`], for a slice, whose length is checked too.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::from_bytes(exact(bytes)?)
    }

    /// The canonical 96 bytes.
    pub fn to_bytes(self) -> [u8; SIGNATURE_BYTES] {
        self.0.compress()
    }

    /// Whether `key` signed `message`.
    pub fn verify(&self, key: &PublicKey, message: &[u8]) -> bool {
        // Both were validated when decoded.
        let code = self
            .0
            .verify(false, message, SIGNATURE_SUITE, &[], &key.0, false);
        code == BLST_ERROR::BLST_SUCCESS
    }
}

/// Proof that the owner of a public key knows the secret: a signature on the
/// key's own bytes in a domain of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProofOfPossession(Signature);

impl ProofOfPossession {
    /// Decodes and validates 96 bytes.
    pub fn from_bytes(bytes: &[u8; SIGNATURE_BYTES]) -> Result<Self, Malformed> {
        Signature::from_bytes(bytes).map(Self)
    }

    /// As [`ProofOfPossession::from_bytes`], for a slice, whose length is checked too.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::from_bytes(exact(bytes)?)
    }

    /// The canonical 96 bytes.
    pub fn to_bytes(self) -> [u8; SIGNATURE_BYTES] {
        self.0.to_bytes()
    }

    /// Whether this was made with the secret of `key`.
    pub fn verify(&self, key: &PublicKey) -> bool {
        let message = key.to_bytes();
        let code = self
            .0
            .0
            .verify(false, &message, POSSESSION_SUITE, &[], &key.0, false);
        code == BLST_ERROR::BLST_SUCCESS
    }
}

impl fmt::Debug for ProofOfPossession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProofOfPossession({})", self.0)
    }
}

/// The sum of signatures; `None` of none at all.
pub fn aggregate(signatures: &[Signature]) -> Option<Signature> {
    let list: Vec<&min_pk::Signature> = signatures.iter().map(|s| &s.0).collect();
    let sum = min_pk::AggregateSignature::aggregate(&list, false).ok()?;
    Some(Signature(sum.to_signature()))
}

/// Whether `signature` is the sum of signatures of *all* `keys` on one message.
///
/// Every key's possession must have been proven. False for no keys. A key that
/// occurs twice counts as two signers: callers that weigh signers make sure
/// that each occurs once.
pub fn fast_aggregate_verify(keys: &[PublicKey], message: &[u8], signature: &Signature) -> bool {
    let list: Vec<&min_pk::PublicKey> = keys.iter().map(|k| &k.0).collect();
    let code = signature
        .0
        .fast_aggregate_verify(false, message, SIGNATURE_SUITE, &list);
    code == BLST_ERROR::BLST_SUCCESS
}

/// Whether `signature` is the sum of signatures of each key on its own message.
///
/// False for no keys, or if the lists have different lengths. Messages may
/// repeat, since possession of the keys is proven.
pub fn aggregate_verify(keys: &[PublicKey], messages: &[&[u8]], signature: &Signature) -> bool {
    let list: Vec<&min_pk::PublicKey> = keys.iter().map(|k| &k.0).collect();
    let code = signature
        .0
        .aggregate_verify(false, messages, SIGNATURE_SUITE, &list, false);
    code == BLST_ERROR::BLST_SUCCESS
}

/// Whether *every* signature of the list is right: about half the cost of
/// checking each, and errors that would cancel in a sum are caught.
///
/// The pairing equations are added with 128-bit coefficients from a transcript
/// of the whole list: domain `aether/bls/v1/batch`, key id SHA-256 of the suite
/// name, each entry `key (48) ‖ signature (96) ‖ SHA-256(message)`; see the
/// crate's documentation, "Transcripts". True for an empty
/// list; a `false` does not say which one failed.
pub fn batch_verify(entries: &[(PublicKey, &[u8], Signature)]) -> bool {
    if entries.is_empty() {
        return true;
    }
    let suite: [u8; 32] = Sha256::digest(SIGNATURE_SUITE).into();
    let mut transcript = Transcript::new(BATCH_DOMAIN, &suite, entries.len());
    for (key, message, signature) in entries {
        transcript.absorb(&key.to_bytes());
        transcript.absorb(&signature.to_bytes());
        transcript.absorb(&Sha256::digest(message));
    }
    let mut coefficients = transcript.coefficients();
    let scalars: Vec<blst_scalar> = entries
        .iter()
        .map(|_| {
            let mut scalar = blst_scalar::default();
            let bytes = coefficients.next_bytes();
            for (little, big) in scalar.b.iter_mut().zip(bytes.iter().rev()) {
                *little = *big;
            }
            scalar
        })
        .collect();
    let keys: Vec<&min_pk::PublicKey> = entries.iter().map(|(key, _, _)| &key.0).collect();
    let messages: Vec<&[u8]> = entries.iter().map(|(_, message, _)| *message).collect();
    let signatures: Vec<&min_pk::Signature> = entries.iter().map(|(_, _, s)| &s.0).collect();
    let code = min_pk::Signature::verify_multiple_aggregate_signatures(
        &messages,
        SIGNATURE_SUITE,
        &keys,
        false,
        &signatures,
        false,
        &scalars,
        COEFFICIENT_BITS,
    );
    code == BLST_ERROR::BLST_SUCCESS
}
