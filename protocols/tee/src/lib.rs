//! TEE evidence in, appraisal or refusal out.
//!
//! The words are those of RFC 9334 (RATS): an attester (the worker's TEE) makes
//! [`Evidence`]; [`Endorsements`] are what a vendor says about that platform;
//! [`TrustAnchors`] are the roots a network trusts; a [`Policy`] says what the network
//! demands; the verdict is an [`Appraisal`] or a [`Refusal`].
//!
//! ```text
//!  evidence ─┐
//!  endorsements ─┤
//!  anchors ──┼─▶ appraise ─▶ Appraisal { measurement, signed_digest, not_after, … }
//!  policy ───┤            └▶ Refusal   (one variant for each check)
//!  binding ──┤
//!  time ─────┘
//! ```
//!
//! [`appraise`] is pure. It knows no clock, file, socket or source of randomness: the same
//! arguments give the same verdict years later, on any machine. That is why time is an
//! argument (in a state transition it is the block's, never the reader's clock) and why no
//! collateral is ever fetched.
//!
//! # Which kinds work
//!
//! | kind | appraised | trusted when |
//! | --- | --- | --- |
//! | [`EvidenceKind::SevSnp`] | yes: Milan, Genoa, Bergamo, Siena, Turin; VCEK and VLEK | the anchors list AMD's root for that product |
//! | [`EvidenceKind::Tdx`] | yes: quotes 4 and 5; TD 1.0, 1.5, 1.5Ex | the anchors list Intel's root |
//! | [`EvidenceKind::Nitro`] | yes | the anchors list the fingerprint of AWS's G1 root |
//! | [`EvidenceKind::Simulated`] | yes, by the very same code | the anchors list a simulated root, as only a development network's genesis does |
//!
//! # What an appraisal proves, and what it does not
//!
//! It proves that a platform certified under a trusted root signed, at the stated time, a
//! document that carries this measurement and this [`Binding`]. It does not prove that the
//! measured program is honest: that is what the list of measurements in the policy is for
//! (an appraisal under an empty list says `measured: false`). Nor does it count ages in
//! slots: the binding names a slot and a block hash, and the caller compares those.
//!
//! # Identity
//!
//! Evidence is malleable: for every ECDSA signature (r, s) the twin (r, n − s) is as valid.
//! Never identify evidence by a hash of its bytes; use [`Appraisal::signed_digest`].
//! Genuine hardware emits either twin, so [`appraise`] takes both, while admission to the
//! mesh asks [`is_canonical`], and a worker calls [`canonicalize`] on what its hardware
//! gave it.
//!
//! # Example
//!
//! A development network's worker makes evidence, and anybody appraises it:
//!
#![cfg_attr(feature = "sim", doc = "```")]
#![cfg_attr(not(feature = "sim"), doc = "```ignore")]
//! use aether_tee::sim::{SimRoot, Validity};
//! use aether_tee::{
//!     Binding, Endorsements, EvidenceKind, Measurement, Policy, TrustAnchors, UnixTime, appraise,
//! };
//!
//! let now = UnixTime(1_772_366_400);
//! let life = Validity { not_before: UnixTime(0), not_after: UnixTime(2_000_000_000) };
//! let root = SimRoot::from_seed(&[7; 32], life)?;
//! let platform = root.issue(&[8; 32], "worker-1", life)?;
//!
//! let binding = Binding::new(&[1; 32], &[2; 32], &[3; 32], 42, &[4; 32]);
//! let program = Measurement::of(b"the worker's image");
//! let evidence = platform.quote(&binding, &program, now);
//!
//! let anchors =
//!     TrustAnchors { simulated_roots: vec![root.fingerprint()], ..TrustAnchors::default() };
//! let policy = Policy { kinds: vec![EvidenceKind::Simulated], ..Policy::default() };
//! let none = Endorsements::none();
//! let appraisal = appraise(&evidence, &none, &anchors, &policy, &binding, now)?;
//! assert_eq!(appraisal.measurement, program);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod anchors;
mod appraisal;
mod binding;
mod canonical;
mod chain;
mod cursor;
mod endorsements;
mod evidence;
mod nitro;
mod policy;
mod refusal;
#[cfg(feature = "sim")]
pub mod sim;
mod snp;
mod tcb;
mod tdx;
mod x509;

pub use anchors::{
    AMD_ARK_GENOA, AMD_ARK_MILAN, AMD_ARK_TURIN, INTEL_SGX_ROOT, NITRO_ROOT_G1, RootFingerprint,
    TrustAnchors,
};
pub use appraisal::{
    Appraisal, Details, PlatformId, SnpDetails, TdxDetails, appraise, appraise_user_data,
    appraise_user_data_at_ms,
};
pub use binding::Binding;
pub use canonical::{NonCanonical, canonicalize, is_canonical};
pub use endorsements::{Endorsements, MAX_ENDORSEMENTS_BYTES, SnpEndorsements, TdxCollateral};
pub use evidence::{Evidence, EvidenceKind, Measurement, UnixTime, UnknownKind};
pub use nitro::MAX_DOCUMENT_BYTES;
pub use policy::{NitroPolicy, Policy, SnpPolicy, TdxPolicy};
pub use refusal::{Refusal, RefusalClass};
pub use tcb::{SnpProduct, SnpTcb, TcbStatus, UnknownStatus};
