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
//! | [`Prover::open_many`], [`Verifier::verify_many`] | `aether/kzg/v1/multi-opening` | [`VerifyingKey::id`] | positions | see below | γ, once |
//! | [`audit_positions`] | `aether/kzg/v1/audit` | the beacon (32) | positions | u64(elements) ‖ chunk points | one a draw |
//! | [`bls::batch_verify`] | `aether/bls/v1/batch` | SHA-256(suite name) | entries | key (48) ‖ signature (96) ‖ SHA-256(message) | one an entry |
//! | [`Setup::verify`] | `aether/kzg/v1/setup-check` | [`VerifyingKey::id`] | 4,096 | the three files (once) | r₀ … r₄₀₉₅ |
//! | [`VerifyingKey::from_ceremony`] | `aether/kzg/v1/setup-check` | [`VerifyingKey::id`] | points in both groups | G1 points ‖ G2 points (once) | one a power |
//!
//! Every input is absorbed before any coefficient is drawn, so a forger's
//! chance is 2^-128 for each hash he computes. Lists of one are checked
//! directly where that is cheaper; the verdict is the same.
//!
//! ## Many positions in one proof
//!
//! The statement "element i of the trace is e", for each of 1 to 256 different
//! positions, is absorbed once, positions ascending:
//!
//! u64(elements in the trace) ‖ for each opened chunk, ascending: u64(number of the
//! chunk) ‖ C (48) ‖ u64(positions opened in it) ‖ for each of those, ascending:
//! u64(index in the trace) ‖ element (31).
//!
//! * γ = coefficient 0 of that seed.
//! * W = commitment to h = Σⱼ γʲ·(fⱼ − rⱼ)/Zⱼ, where j = 0, 1, … counts the opened
//!   chunks, fⱼ is chunk j's polynomial, Zⱼ = ∏ (X − ω) over its opened points, and
//!   rⱼ the polynomial of degree below their number with the elements as values.
//! * z = the integer of SHA-256(`u8(33) ‖ "aether/kzg/v1/multi-opening-point" ‖
//!   seed ‖ W`) modulo r.
//! * W′ = commitment to (Σⱼ cⱼ·(fⱼ − rⱼ(z)) − h)/(X − z), where cⱼ = γʲ/Zⱼ(z).
//! * The proof is W ‖ W′. It holds if e(F + z·W′, G2) = e(W′, τG2) with
//!   F = Σⱼ cⱼCⱼ − (Σⱼ cⱼ·rⱼ(z))·G1 − W. (If some Zⱼ(z) = 0 it does not hold.)
//!
//! The polynomial of a chunk has element i of the chunk as its value at
//! ω^rev(i), where ω = 7^((r−1)/4096) and rev reverses twelve bits; positions
//! behind the trace's end have the value zero.
//!
//! ## Audits
//!
//! The coefficients 0, 1, … of the audit's seed, each modulo the number of
//! elements, are drawn until there are as many different positions as asked for.
//! The beacon must be unknowable until the commitment is fixed: the hash of a
//! later block, for instance.
//!
//! # Trust
//!
//! Decoded points ([`Commitment`], [`Proof`], [`bls::PublicKey`],
//! [`bls::Signature`]) exist only after all checks, so nothing is checked twice
//! or forgotten. Bytes that no honest peer sends are [`Malformed`], never
//! `false`. Everything runs on the calling thread, unless
//! [`Prover::with_threads`] says otherwise.
//!
//! Results do not depend on the CPU: where it has AVX-512 IFMA, sums and decoding
//! run in eight lanes, and the same tests compare both ways of computing.
//! Commitments, openings and votes' verification take time that depends on their
//! inputs, none of which is secret; signing and secret keys are constant-time
//! (blst's), and secrets are wiped when dropped.

pub mod bls;
mod buckets;
mod builder;
mod claims;
mod comb;
mod curve;
mod domain;
pub mod eip4844;
mod engine;
mod error;
mod field;
mod glv;
mod key;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod multi;
mod pairing;
mod points;
mod prover;
mod scalar;
mod setup;
mod trace;
mod transcript;
mod verifier;

pub use builder::CommitmentBuilder;
pub use claims::verify_commitments;
pub use domain::CHUNK_LEN;
pub use error::{KzgError, Malformed};
pub use key::VerifyingKey;
pub use multi::{MAX_OPENED, MultiOpening, audit_positions};
pub use points::{Commitment, POINT_BYTES, Proof};
pub use prover::Prover;
pub use scalar::{Scalar, TRACE_ELEMENT_BYTES, TraceElement};
pub use setup::{SETUP_SHA256, Setup};
pub use trace::{MAX_TRACE_LEN, PairOpening, TraceCommitment};
pub use verifier::{EncodedOpening, Opening, Verifier};
