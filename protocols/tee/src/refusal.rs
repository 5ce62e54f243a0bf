//! Why evidence was refused: one variant for each check, each with a stable code.
//!
//! Certificates are named by their position in the chain: 0 is the root, the last is the
//! leaf whose key signed the document.

use crate::evidence::EvidenceKind;

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
    /// This version of the software cannot appraise the kind.
    #[error("{0} evidence is not supported by this version")]
    UnsupportedKind(EvidenceKind),
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
    /// PCR0 is all zero: the platform runs in debug mode, where the host reads its memory.
    #[error("the platform runs in debug mode (PCR0 is zero)")]
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
    #[error("user_data is not the expected binding")]
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
    /// A certificate is signed with anything but ECDSA with SHA-384.
    #[error("certificate {position} is not signed with ECDSA and SHA-384")]
    CertificateAlgorithm {
        /// Where in the chain.
        position: usize,
    },
    /// A certificate's key is not an uncompressed point on P-384.
    #[error("certificate {position} has no P-384 key")]
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
    /// The leaf's key did not sign this document.
    #[error("the document's signature is wrong")]
    EvidenceSignature,
}

impl Refusal {
    /// A stable name for logs, receipts and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::UnsupportedKind(_) => "unsupported-kind",
            Self::KindNotAccepted(_) => "kind-not-accepted",
            Self::KindNotTrusted(_) => "kind-not-trusted",
            Self::UnexpectedEndorsements(_) => "unexpected-endorsements",
            Self::Unreadable => "unreadable",
            Self::TrailingBytes { .. } => "trailing-bytes",
            Self::NotCoseSign1 => "not-cose-sign1",
            Self::EnvelopeEncoding => "envelope-encoding",
            Self::Algorithm => "algorithm",
            Self::UnprotectedHeader => "unprotected-header",
            Self::SignatureSize { .. } => "signature-size",
            Self::DocumentUnreadable => "document-unreadable",
            Self::DuplicateField { .. } => "duplicate-field",
            Self::MissingField { .. } => "missing-field",
            Self::FieldType { .. } => "field-type",
            Self::FieldSize { .. } => "field-size",
            Self::Digest => "digest",
            Self::PcrIndex => "pcr-index",
            Self::PcrSize { .. } => "pcr-size",
            Self::DebugMode => "debug",
            Self::MeasurementNotListed => "measurement",
            Self::Stale { .. } => "stale",
            Self::FromTheFuture { .. } => "future",
            Self::BindingMismatch => "binding",
            Self::RootNotPinned => "root",
            Self::CertificateUnreadable { .. } => "certificate-unreadable",
            Self::CertificateAlgorithm { .. } => "certificate-algorithm",
            Self::CertificateKey { .. } => "certificate-key",
            Self::CertificateExtension { .. } => "certificate-extension",
            Self::CertificateNotYetValid { .. } => "endorsement-not-yet-valid",
            Self::CertificateExpired { .. } => "endorsement-expired",
            Self::IssuerMismatch { .. } => "issuer",
            Self::NotAnAuthority { .. } => "not-an-authority",
            Self::LeafIsAnAuthority => "leaf-is-an-authority",
            Self::PathLength { .. } => "path-length",
            Self::KeyUsage { .. } => "key-usage",
            Self::CertificateSignature { .. } => "endorsement-signature",
            Self::EvidenceSignature => "evidence-signature",
        }
    }

    /// Whether the evidence is wrong in itself, came at the wrong time, or is merely not
    /// what was asked for. [`Refusal::RootNotPinned`] is of the last class: another
    /// network's root is no forgery.
    #[must_use]
    pub const fn class(&self) -> RefusalClass {
        match self {
            Self::UnsupportedKind(_)
            | Self::KindNotAccepted(_)
            | Self::KindNotTrusted(_)
            | Self::UnexpectedEndorsements(_)
            | Self::DebugMode
            | Self::MeasurementNotListed
            | Self::BindingMismatch
            | Self::RootNotPinned => RefusalClass::Unwanted,
            Self::Stale { .. }
            | Self::FromTheFuture { .. }
            | Self::CertificateNotYetValid { .. }
            | Self::CertificateExpired { .. } => RefusalClass::Untimely,
            _ => RefusalClass::Forged,
        }
    }
}
