//! Why evidence was refused: one variant for each check, each with a stable code.
//!
//! Certificates are named by their position in the chain: 0 is the root, the last is the
//! leaf whose key signed the evidence. Of AMD's, 1 is the ASK or ASVK and 2 the VEK. Of
//! Intel's, 1 is the PCK's authority, 2 the PCK, 3 and 4 are the signers of the TCB info and
//! of the QE identity, 5 is the author of the PCK's revocation list.

use crate::evidence::EvidenceKind;
use crate::tcb::TcbStatus;

mod naming;

/// What a refusal says about the evidence, for callers who must tell a forgery from a late
/// arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalClass {
    /// Wrong at any time and on any network: whoever passed it on should have known.
    Forged,
    /// Genuine as far as was checked, but not at this time (too old, too early).
    Untimely,
    /// Not what this network, or this expectation, asks for.
    Unwanted,
}

/// Evidence was refused.
///
/// The order of checks is: sizes and kinds, structure, cheap demands of the policy, the
/// binding, then certificates and signatures; the first failure is reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    // Before anything is read.
    /// The evidence is larger than any genuine one of its kind.
    #[error("evidence of {bytes} bytes, the most for its kind is {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most allowed.
        max: usize,
    },
    /// The network's policy does not list the kind.
    #[error("{0} evidence is not accepted by this network's policy")]
    KindNotAccepted(EvidenceKind),
    /// The network trusts no root for the kind.
    #[error("this network trusts no root for {0} evidence")]
    KindNotTrusted(EvidenceKind),
    /// The kind takes no endorsements, yet some were given.
    #[error("{0} evidence takes no endorsements")]
    UnexpectedEndorsements(EvidenceKind),

    // The envelope (COSE_Sign1).
    /// The evidence is not one well-formed CBOR item.
    #[error("the evidence is not CBOR")]
    Unreadable,
    /// Bytes follow the evidence.
    #[error("{bytes} bytes follow the evidence")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// Not an untagged array of protected header, unprotected header, payload, signature.
    #[error("the evidence is not an untagged COSE_Sign1")]
    NotCoseSign1,
    /// Lengths in the envelope are not the shortest definite ones.
    #[error("the envelope is not in its shortest definite encoding")]
    EnvelopeEncoding,
    /// The protected header is anything but `{alg: ES384}`.
    #[error("the protected header is not exactly {{alg: ES384}}")]
    Algorithm,
    /// The unprotected header, which nobody signed, is not empty.
    #[error("the unprotected header is not empty")]
    UnprotectedHeader,
    /// The signature is not r ‖ s of 48 bytes each.
    #[error("a signature of {bytes} bytes, ES384 has 96")]
    SignatureSize {
        /// Its size.
        bytes: usize,
    },

    // The document (the signed payload).
    /// The payload is not one CBOR map with text keys.
    #[error("the document is not a map with text keys")]
    DocumentUnreadable,
    /// A field (or a PCR index) occurs twice.
    #[error("{field} occurs twice in the document")]
    DuplicateField {
        /// Which.
        field: &'static str,
    },
    /// A required field is absent.
    #[error("the document has no {field}")]
    MissingField {
        /// Which.
        field: &'static str,
    },
    /// A field has the wrong type.
    #[error("{field} has the wrong type")]
    FieldType {
        /// Which.
        field: &'static str,
    },
    /// A field is empty, too long, or has too many entries.
    #[error("{field} has a wrong size")]
    FieldSize {
        /// Which.
        field: &'static str,
    },
    /// The document's digest is not SHA-384.
    #[error("the document's digest is not SHA384")]
    Digest,
    /// A PCR index is not in 0..32.
    #[error("a PCR index is not below 32")]
    PcrIndex,
    /// A PCR is not a SHA-384 value.
    #[error("PCR {index} has {bytes} bytes, not 48")]
    PcrSize {
        /// Which register.
        index: u8,
        /// Its size.
        bytes: usize,
    },

    // Demands of the policy.
    /// The platform runs in debug mode, where the host reads its memory: PCR0 is all zero, or
    /// the guest policy or the TD's attributes say so.
    #[error("the platform runs in debug mode, where its host reads everything")]
    DebugMode,
    /// The measured program is not one the network accepts.
    #[error("the measurement is not on the network's list")]
    MeasurementNotListed,
    /// The document is older than the policy allows.
    #[error("the document is {age_ms} ms old, at most {max_ms} are allowed")]
    Stale {
        /// Its age at the trusted time, in milliseconds.
        age_ms: u64,
        /// The greatest age allowed, in milliseconds.
        max_ms: u64,
    },
    /// The document's time lies too far ahead of the trusted time.
    #[error("the document's time is {ahead_ms} ms ahead, at most {max_ms} are allowed")]
    FromTheFuture {
        /// By how much, in milliseconds.
        ahead_ms: u64,
        /// The most allowed, in milliseconds.
        max_ms: u64,
    },
    /// The document is bound to something other than what was expected.
    #[error("the evidence is not bound to what was expected")]
    BindingMismatch,

    // The certificates.
    /// The first certificate is not a trusted root, byte for byte.
    #[error("the chain does not begin with a trusted root")]
    RootNotPinned,
    /// A certificate is not a DER-encoded X.509 version 3 certificate.
    #[error("certificate {position} is not an X.509 v3 certificate in DER")]
    CertificateUnreadable {
        /// Where in the chain.
        position: usize,
    },
    /// A certificate is signed with another algorithm than its kind is: ECDSA with SHA-384
    /// (AWS), RSASSA-PSS with SHA-384 (AMD), ECDSA with SHA-256 (Intel).
    #[error("certificate {position} is not signed with the algorithm of its kind")]
    CertificateAlgorithm {
        /// Where in the chain.
        position: usize,
    },
    /// A certificate's key is not of its kind: an uncompressed point on P-384 (AWS, AMD's
    /// leaves), RSA of 4,096 bits (AMD's authorities), a point on P-256 (Intel).
    #[error("certificate {position} has no key of its kind")]
    CertificateKey {
        /// Where in the chain.
        position: usize,
    },
    /// An extension is repeated, unreadable, or critical and unknown.
    #[error("certificate {position} has an extension that cannot be honoured")]
    CertificateExtension {
        /// Where in the chain.
        position: usize,
    },
    /// A certificate is not valid yet at the trusted time.
    #[error("certificate {position} is not valid yet")]
    CertificateNotYetValid {
        /// Where in the chain.
        position: usize,
    },
    /// A certificate has expired at the trusted time.
    #[error("certificate {position} has expired")]
    CertificateExpired {
        /// Where in the chain.
        position: usize,
    },
    /// A certificate's issuer is not the subject of the one before it.
    #[error("certificate {position} names another issuer")]
    IssuerMismatch {
        /// Where in the chain.
        position: usize,
    },
    /// A certificate that issued another is not a certificate authority.
    #[error("certificate {position} is not an authority, yet it issued another")]
    NotAnAuthority {
        /// Where in the chain.
        position: usize,
    },
    /// The leaf is a certificate authority.
    #[error("the leaf certificate is an authority")]
    LeafIsAnAuthority,
    /// More authorities follow a certificate than its path length allows.
    #[error("more authorities follow certificate {position} than it allows")]
    PathLength {
        /// Where in the chain.
        position: usize,
    },
    /// A certificate's key usage does not allow what it was used for.
    #[error("the key usage of certificate {position} does not allow its use")]
    KeyUsage {
        /// Where in the chain.
        position: usize,
    },
    /// A certificate was not signed by the one before it.
    #[error("certificate {position} is not signed by the one before it")]
    CertificateSignature {
        /// Where in the chain.
        position: usize,
    },

    // The evidence itself.
    /// The key that should have signed the evidence did not.
    #[error("the evidence's signature is wrong")]
    EvidenceSignature,

    // Endorsements.
    /// The kind needs endorsements and none, or not all, were given.
    #[error("{0} evidence needs endorsements, and they are not all there")]
    EndorsementsMissing(EvidenceKind),
    /// The endorsements are not a bundle of the kind, or larger than any genuine one.
    #[error("the endorsements are not a bundle of their kind")]
    EndorsementsUnreadable,

    // AMD's report.
    /// The report does not have its one size.
    #[error("a report of {bytes} bytes, an SNP report has 1184")]
    ReportSize {
        /// Its size.
        bytes: usize,
    },
    /// The report's version is none that is understood.
    #[error("report version {version}, understood are 2, 3 and 5")]
    ReportVersion {
        /// What it says.
        version: u32,
    },
    /// The report is not signed with ECDSA on P-384 and SHA-384.
    #[error("report signature algorithm {algorithm}, understood is 1")]
    ReportAlgorithm {
        /// What it says.
        algorithm: u32,
    },
    /// The bytes around the report's signature are not zero.
    #[error("the padding of the report's signature is not zero")]
    SignaturePadding,
    /// The report says that no key, or an unknown one, signed it.
    #[error("the report names signing key {selector}, understood are 0 (VCEK) and 1 (VLEK)")]
    SigningKey {
        /// What it says.
        selector: u32,
    },
    /// The report is signed with a cloud's VLEK and the policy asks for a chip's own key.
    #[error("reports signed with a VLEK are not accepted by this network's policy")]
    VlekNotAccepted,
    /// The processor's family and model, or the certificate's product, are unknown.
    #[error("the processor is of no product that is understood")]
    UnknownProduct,
    /// Report and certificate name different products.
    #[error("the certificate is for another product than the report's")]
    ProductMismatch,
    /// The guest policy lacks the bit that is always set.
    #[error("bit 17 of the guest policy is not set")]
    GuestPolicy,
    /// The guest policy lets a migration agent export the guest.
    #[error("the guest policy allows a migration agent")]
    MigrationAgent,
    /// The report was asked for at too low a privilege.
    #[error("report of VMPL {vmpl}, the highest accepted is {highest}")]
    Vmpl {
        /// The report's level.
        vmpl: u32,
        /// The highest that the policy accepts.
        highest: u32,
    },
    /// Simultaneous multithreading is on or allowed, and the policy forbids it.
    #[error("simultaneous multithreading is not excluded")]
    Smt,
    /// The platform lacks, or has, something that the policy requires or forbids.
    #[error("the platform's settings are not those that the network asks for")]
    PlatformInfo,
    /// A TCB version is below the policy's minimum.
    #[error("the {which} TCB is below the network's minimum")]
    TcbTooLow {
        /// Which of the report's versions.
        which: &'static str,
    },
    /// The host's data are not those that the policy expects.
    #[error("host_data is not what the network asks for")]
    HostData,
    /// The key that signed the guest's identity is not on the policy's list.
    #[error("the identity key is not on the network's list")]
    IdKey,
    /// The key that signed the identity key is not on the policy's list.
    #[error("the author key is not on the network's list")]
    AuthorKey,
    /// A certificate is not the one that belongs to the report's kind of signing key.
    #[error("certificate {position} does not belong to the report's kind of key")]
    VekKind {
        /// Where in the chain.
        position: usize,
    },
    /// An AMD extension of the signing key's certificate is missing or unreadable.
    #[error("an AMD extension of the signing key's certificate is missing or unreadable")]
    VekExtension,
    /// The certificate is for another TCB version than the report states.
    #[error("the certificate is for another TCB than the report's")]
    VekTcb,
    /// The certificate is for another chip than the report names.
    #[error("the certificate is for another chip than the report's")]
    VekChip,

    // Revocation lists.
    /// The policy asks for a revocation list and there is none.
    #[error("the network asks for a revocation list, and there is none")]
    CrlMissing,
    /// A revocation list is not one that can be honoured.
    #[error("the {list} revocation list cannot be read or honoured")]
    CrlUnreadable {
        /// Whose.
        list: &'static str,
    },
    /// A revocation list is by another authority.
    #[error("the {list} revocation list is by another authority")]
    CrlIssuer {
        /// Whose it should be.
        list: &'static str,
    },
    /// A revocation list is not signed by its authority.
    #[error("the {list} revocation list is not signed by its authority")]
    CrlSignature {
        /// Whose it should be.
        list: &'static str,
    },
    /// A revocation list is not valid yet.
    #[error("the {list} revocation list is not valid yet")]
    CrlNotYetValid {
        /// Whose.
        list: &'static str,
    },
    /// A revocation list has expired.
    #[error("the {list} revocation list has expired")]
    CrlExpired {
        /// Whose.
        list: &'static str,
    },
    /// A revocation list is older than one that the network has seen.
    #[error("the {list} revocation list is older than one that was seen")]
    CrlRolledBack {
        /// Whose.
        list: &'static str,
    },
    /// A certificate was revoked.
    #[error("certificate {position} was revoked")]
    Revoked {
        /// Where in the chain.
        position: usize,
    },

    // Intel's quote.
    /// Not a quote of a TD: lengths that contradict each other.
    #[error("the quote's lengths contradict each other")]
    QuoteUnreadable,
    /// The quote is of another technology (an SGX enclave's, as a rule).
    #[error("a quote of TEE type {tee_type:#x}, a TD's has 0x81")]
    TeeType {
        /// What it says.
        tee_type: u32,
    },
    /// The quote's version is none that is understood.
    #[error("quote version {version}, understood are 4 and 5")]
    QuoteVersion {
        /// What it says.
        version: u16,
    },
    /// The quote's attestation key is not on P-256.
    #[error("attestation key of type {key_type}, understood is 2 (P-256)")]
    AttestationKeyType {
        /// What it says.
        key_type: u16,
    },
    /// The quoting enclave is not Intel's.
    #[error("the quoting enclave is not Intel's")]
    QeVendor,
    /// The quote's certification data are not a report of the quoting enclave with a PCK
    /// certificate chain.
    #[error("certification data of type {found}, understood are 6 and in it 5")]
    CertificationData {
        /// What it says.
        found: u16,
    },
    /// The TD is profiled: its performance counters are open to the host.
    #[error("the TD is profiled by its host")]
    Profiling,
    /// The TD can be migrated to another platform.
    #[error("the TD can be migrated")]
    Migratable,
    /// A reserved attribute of the TD is set.
    #[error("a reserved TD attribute is set")]
    TdAttributes,
    /// The host may inject exceptions into the TD's memory accesses.
    #[error("SEPT_VE_DISABLE is not set")]
    SeptVe,
    /// A service TD is bound to the TD.
    #[error("a service TD is bound to the TD")]
    ServiceTd,
    /// The TD's extended features lack a required one or have one that is not accepted.
    #[error("the TD's extended features (XFAM) are not those that the network accepts")]
    Xfam,
    /// A runtime measurement register is not on the policy's list.
    #[error("RTMR{index} is not on the network's list")]
    Rtmr {
        /// Which.
        index: u8,
    },
    /// The TD's configuration or owner is not the one that the policy expects.
    #[error("{field} is not what the network asks for")]
    TdConfiguration {
        /// Which.
        field: &'static str,
    },
    /// The PCK certificate lacks Intel's extension, or it cannot be read.
    #[error("the PCK certificate's SGX extension is missing or unreadable")]
    PckExtension,
    /// A part of the collateral cannot be read.
    #[error("{part} cannot be read")]
    CollateralUnreadable {
        /// Which.
        part: &'static str,
    },
    /// A part of the collateral is for something else (an SGX enclave, as a rule), or of a
    /// version that is not understood.
    #[error("{part} is not one for TDX")]
    CollateralId {
        /// Which.
        part: &'static str,
    },
    /// A part of the collateral is not valid yet.
    #[error("{part} is not valid yet")]
    CollateralNotYetValid {
        /// Which.
        part: &'static str,
    },
    /// A part of the collateral has expired.
    #[error("{part} has expired")]
    CollateralExpired {
        /// Which.
        part: &'static str,
    },
    /// A part of the collateral is older than one that the network has seen.
    #[error("{part} is older than one that was seen")]
    CollateralRolledBack {
        /// Which.
        part: &'static str,
    },
    /// A part of the collateral has too low a TCB evaluation data number.
    #[error("{part} has evaluation number {found}, at least {least} is asked for")]
    EvaluationNumber {
        /// Which.
        part: &'static str,
        /// What it has.
        found: u32,
        /// The least accepted.
        least: u32,
    },
    /// A part of the collateral is not signed by its signer.
    #[error("{part} is not signed by its signer")]
    CollateralSignature {
        /// Which.
        part: &'static str,
    },
    /// The collateral is for another family of platforms.
    #[error("the TCB info is for another family of platforms (FMSPC)")]
    FmspcMismatch,
    /// The collateral is for another provisioning enclave.
    #[error("the TCB info is for another provisioning enclave (PCE id)")]
    PceIdMismatch,
    /// The PCK certificate's key did not sign the quoting enclave's report.
    #[error("the quoting enclave's report is not signed by the PCK certificate's key")]
    QeReportSignature,
    /// The quoting enclave does not vouch for the attestation key.
    #[error("the quoting enclave does not vouch for the attestation key")]
    QeReportData,
    /// The quoting enclave is not the one that Intel describes.
    #[error("the quoting enclave's {field} is not the one that Intel lists")]
    QeIdentity {
        /// What differs.
        field: &'static str,
    },
    /// The TDX module is not one that Intel describes.
    #[error("the TDX module's {field} is not one that Intel lists")]
    ModuleIdentity {
        /// What differs.
        field: &'static str,
    },
    /// The platform reaches none of the TCB levels that Intel lists.
    #[error("the platform reaches no TCB level for its {part}")]
    NoTcbLevel {
        /// Which part of it: platform, TDX module or quoting enclave.
        part: &'static str,
    },
    /// The platform's TCB level was revoked, which no policy accepts.
    #[error("the platform's TCB level was revoked")]
    TcbRevoked,
    /// The platform's TCB status is not one that the policy accepts.
    #[error("the platform's TCB status is {0}, which this network does not accept")]
    TcbStatus(TcbStatus),
}
