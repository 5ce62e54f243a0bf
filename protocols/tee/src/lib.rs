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
//! # The checklist
//!
//! What a careful verifier checks, the [`Refusal`] that says so, and the table of stories in
//! `tests/main` that has evidence in which only that is wrong (`amd` is `amd_stories.rs`,
//! `intel` is `intel_stories.rs`, `forgeries` is the folder of that name).
//!
//! | SEV-SNP | refusals | stories |
//! | --- | --- | --- |
//! | length, version, algorithm, padding | `ReportSize`, `ReportVersion`, `ReportAlgorithm`, `SignaturePadding` | amd `REPORT` |
//! | signing key, and a chain that matches it | `SigningKey`, `VekKind` | amd `REPORT`, `VEK` |
//! | root pinned per product, product known and the same | `RootNotPinned`, `UnknownProduct`, `ProductMismatch` | amd `CHAIN`, `VEK` |
//! | RSA-PSS over raw bytes, issuers, validity, use | `CertificateSignature`, `CertificateAlgorithm`, `CertificateKey`, `IssuerMismatch`, `CertificateExpired`, `CertificateNotYetValid`, `NotAnAuthority`, `PathLength`, `KeyUsage`, `LeafIsAnAuthority`, `CertificateExtension`, `CertificateUnreadable` | amd `CHAIN` |
//! | the VEK's versions equal the reported TCB | `VekTcb`, `VekExtension` | amd `VEK` |
//! | the VEK's hardware id is the chip | `VekChip` | amd `VEK` |
//! | the VEK signed the report | `EvidenceSignature` | amd `REPORT` |
//! | debug, migration, bit 17, VMPL, threads, platform, VLEK | `DebugMode`, `MigrationAgent`, `GuestPolicy`, `Vmpl`, `Smt`, `PlatformInfo`, `VlekNotAccepted` | amd `DEMANDS` |
//! | minimum TCB: reported, current, committed, launch | `TcbTooLow` | amd `DEMANDS` |
//! | binding, measurement, host data, identity and author key | `BindingMismatch`, `MeasurementNotListed`, `HostData`, `IdKey`, `AuthorKey` | amd `DEMANDS` |
//! | revocation list | `CrlMissing`, `CrlUnreadable`, `CrlIssuer`, `CrlSignature`, `CrlNotYetValid`, `CrlExpired`, `CrlRolledBack`, `Revoked` | amd `LISTS` |
//! | bundle | `EndorsementsMissing`, `EndorsementsUnreadable` | amd `CHAIN` |
//!
//! | TDX | refusals | stories |
//! | --- | --- | --- |
//! | version, TEE type, key type, QE vendor, lengths, padding | `QuoteVersion`, `TeeType`, `AttestationKeyType`, `QeVendor`, `QuoteUnreadable`, `CertificationData`, `TooLarge`, `TrailingBytes` | intel `QUOTE` |
//! | PCK chain to the pinned root | `RootNotPinned`, the `Certificate…` refusals, `IssuerMismatch`, `KeyUsage`, … | intel `CHAIN` |
//! | both revocation lists | the `Crl…` refusals, `Revoked` | intel `LISTS` |
//! | PCK signs the QE report, which hashes the attestation key | `QeReportSignature`, `QeReportData` | intel `QUOTE` |
//! | QE identity: signature, window, signer, product, masks, version | `CollateralSignature`, `CollateralExpired`, `CollateralId`, `QeIdentity`, `NoTcbLevel` | intel `COLLATERAL`, `LEVELS` |
//! | TCB info: signature, id, window, FMSPC, PCE id | `CollateralSignature`, `CollateralId`, `CollateralExpired`, `CollateralNotYetValid`, `CollateralUnreadable`, `FmspcMismatch`, `PceIdMismatch`, `PckExtension` | intel `COLLATERAL`, `CHAIN` |
//! | level by SGX components, PCE and TDX components; TD 1.5's second TCB; module identity | `NoTcbLevel`, `ModuleIdentity` | intel `LEVELS` |
//! | statuses converge; revoked never; accepted set and grace | `TcbRevoked`, `TcbStatus` | intel `LEVELS` |
//! | debug, profiling, migration, reserved, `SEPT_VE_DISABLE`, service TD, XFAM | `DebugMode`, `Profiling`, `Migratable`, `TdAttributes`, `SeptVe`, `ServiceTd`, `Xfam` | intel `DEMANDS` |
//! | MRTD, RTMRs, configuration, report data | `MeasurementNotListed`, `Rtmr`, `TdConfiguration`, `BindingMismatch` | intel `DEMANDS` |
//! | evaluation number and issue date never go back | `EvaluationNumber`, `CollateralRolledBack`, `CrlRolledBack` | intel `COLLATERAL`, `LISTS` |
//! | the attestation key signed the quote | `EvidenceSignature` | intel `QUOTE` |
//!
//! | Nitro, simulated | refusals | stories |
//! | --- | --- | --- |
//! | untagged COSE_Sign1, ES384, no tail, empty unprotected header | `NotCoseSign1`, `Algorithm`, `TrailingBytes`, `UnprotectedHeader`, `EnvelopeEncoding`, `Unreadable`, `SignatureSize`, `TooLarge` | forgeries `ENVELOPE`, `CIRCUMSTANCES` |
//! | document: keys once, types, sizes, digest, PCRs | `DocumentUnreadable`, `DuplicateField`, `MissingField`, `FieldType`, `FieldSize`, `Digest`, `PcrIndex`, `PcrSize` | forgeries `DOCUMENT` |
//! | root byte for byte, chain at the trusted time | `RootNotPinned`, `CertificateExpired`, `NotAnAuthority`, `PathLength`, … | forgeries `CHAIN` |
//! | COSE signature by the leaf | `EvidenceSignature` | forgeries `CHAIN` |
//! | age, skew, debug, measurement, binding | `Stale`, `FromTheFuture`, `DebugMode`, `MeasurementNotListed`, `BindingMismatch` | forgeries `DEMANDS` |
//! | kinds by type | `KindNotAccepted`, `KindNotTrusted`, `UnexpectedEndorsements` | forgeries `CIRCUMSTANCES` |
//!
//! # Bad evidence is cheap
//!
//! Sizes, structure, the policy's demands and the binding come first. Then comes the one
//! signature whose failure spares most: a Nitro document's own (before five others), a TDX
//! quote's own (before any collateral is read), the VEK's by AMD's issuer (RSA, a seventh of
//! P-384's time). Documents of Nitro's shape may be judged with a [`ChainCache`], which changes
//! no verdict. `tests/peers/tee` measures both.
//!
//! # The other sides
//!
//! | module | for | feature |
//! | --- | --- | --- |
//! | [`inspect`] | people: what evidence and certificates say, unjudged | |
//! | `attester` | workers: evidence from devices | `attester`, Linux |
//! | `fetch` | workers: endorsements from the vendors' services | `fetch`, Linux |
//! | [`sealing`] | workers: files that only the same program on the same platform reads | |
//! | `sim` | development networks | `sim` |
//!
//! # Adding a kind of collateral to a network
//!
//! [`Endorsements`] are bytes with one encoding and a name ([`Endorsements::id`]), so a network
//! carries a bundle once and evidence names it. What must never go back (revocation list
//! numbers, evaluation numbers, issue dates) comes out of an appraisal in [`Details`] and goes
//! into the next through the [`Policy`]: this crate remembers nothing.
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
#[cfg(all(feature = "attester", target_os = "linux"))]
pub mod attester;
mod binding;
mod canonical;
mod chain;
mod cursor;
mod endorsements;
mod evidence;
#[cfg(all(feature = "fetch", target_os = "linux"))]
pub mod fetch;
pub mod inspect;
mod nitro;
mod policy;
mod refusal;
pub mod sealing;
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
    Appraisal, Details, PlatformId, SnpDetails, TdxDetails, appraise, appraise_cached,
    appraise_user_data, appraise_user_data_at_ms,
};
pub use binding::Binding;
pub use canonical::{NonCanonical, canonicalize, is_canonical};
pub use chain::ChainCache;
pub use endorsements::{Endorsements, MAX_ENDORSEMENTS_BYTES, SnpEndorsements, TdxCollateral};
pub use evidence::{Evidence, EvidenceKind, Measurement, UnixTime, UnknownKind};
pub use nitro::MAX_DOCUMENT_BYTES;
pub use policy::{NitroPolicy, Policy, SnpPolicy, TdxPolicy};
pub use refusal::{Refusal, RefusalClass};
pub use tcb::{SnpProduct, SnpTcb, TcbStatus, UnknownStatus};
