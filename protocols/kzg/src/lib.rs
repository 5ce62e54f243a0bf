//! KZG commitments to execution traces, and BLS signatures for votes.
//!
//! Both live on BLS12-381. This crate knows curves, polynomials and byte
//! strings; it knows no jobs, networks, clocks or sources of randomness.
//!
//! **Traces.** A worker commits to the elements of its trace with a
//! [`Prover`]; a challenger opens two neighbouring elements in one 48-byte
//! proof; anybody checks them with a [`Verifier`], and a validator who holds
//! the published elements checks whole blocks of commitments with
//! [`verify_commitments`].
//!
//! ```
//! use aether_kzg::{Prover, Setup, TraceElement, Verifier};
//!
//! let trace = [TraceElement([1; 31]), TraceElement([2; 31]), TraceElement([3; 31])];
//! let prover = Prover::new(Setup::ethereum());
//! let commitment = prover.commit(&trace)?;
//! let opening = prover.open_pair(&trace, 2)?;
//!
//! let verifier = Verifier::ethereum();
//! assert!(verifier.verify_pair(&commitment, 3, 2, &trace[1], &trace[2], &opening)?);
//! assert!(!verifier.verify_pair(&commitment, 3, 2, &trace[0], &trace[2], &opening)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Votes.** [`bls`] signs, aggregates and verifies in the scheme with proofs
//! of possession.
//!
//! **Compatibility.** A chunk of a trace is an EIP-4844 blob: [`eip4844`] has
//! that standard's functions over the same core, and its published vectors
//! judge both.
//!
//! # Transcripts
//!
//! Checking many statements at once multiplies each with a coefficient that
//! nobody could know when stating them (Fiat–Shamir). All integers here are
//! big-endian, all points compressed, all scalars 32 bytes.
//!
//! * seed = SHA-256(`u8(len(domain)) ‖ domain ‖ key id (32) ‖ u64(count) ‖ statements`)
//! * coefficient i (from 0) = the integer in the first 16 bytes of
//!   SHA-256(`u8(25) ‖ "aether/kzg/v1/coefficient" ‖ seed ‖ u64(i)`)
//!
//! | check | domain | key id | count | one statement | coefficients |
//! | --- | --- | --- | --- | --- | --- |
//! | [`Verifier::verify_batch`] | `aether/kzg/v1/openings` | [`VerifyingKey::id`] | openings | C (48) ‖ z ‖ y ‖ π (48) | one an opening |
//! | [`verify_commitments`] | `aether/kzg/v1/commitments` | [`VerifyingKey::id`] | claims | u64(chunks) ‖ chunk points ‖ u64(elements) ‖ elements of 31 bytes | one a chunk, in order |
//! | [`bls::batch_verify`] | `aether/bls/v1/batch` | SHA-256(suite name) | entries | key (48) ‖ signature (96) ‖ SHA-256(message) | one an entry |
//! | [`Setup::verify`] | `aether/kzg/v1/setup-check` | [`VerifyingKey::id`] | 4,096 | the three files (once) | r₀ … r₄₀₉₅ |
//!
//! Every input is absorbed before any coefficient is drawn, so a forger's
//! chance is 2^-128 for each hash he computes. Lists of one are checked
//! directly where that is cheaper; the verdict is the same.
//!
//! # Trust
//!
//! Decoded points ([`Commitment`], [`Proof`], [`bls::PublicKey`],
//! [`bls::Signature`]) exist only after all checks, so nothing is checked twice
//! or forgotten. Bytes that no honest peer sends are [`Malformed`], never
//! `false`. Everything runs on the calling thread.

pub mod bls;
mod claims;
mod comb;
mod curve;
mod domain;
pub mod eip4844;
mod error;
mod points;
mod prover;
mod scalar;
mod setup;
mod trace;
mod transcript;
mod verifier;

pub use claims::verify_commitments;
pub use domain::CHUNK_LEN;
pub use error::{KzgError, Malformed};
pub use points::{Commitment, POINT_BYTES, Proof};
pub use prover::Prover;
pub use scalar::{Scalar, TRACE_ELEMENT_BYTES, TraceElement};
pub use setup::{SETUP_SHA256, Setup, VerifyingKey};
pub use trace::{MAX_TRACE_LEN, PairOpening, TraceCommitment};
pub use verifier::{Opening, Verifier};
