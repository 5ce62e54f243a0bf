//! What a refusal is called, and whose fault it is.
//!
//! Codes are unique and stable: logs, receipts and tests hold them. Kinds join
//! what vendors' checks say alike; classes tell a forgery from a late arrival.

use super::{Refusal, RefusalClass};

impl Refusal {
    /// A stable name for logs, receipts and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
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
            Self::EndorsementsMissing(_) => "endorsements-missing",
            Self::EndorsementsUnreadable => "endorsements-unreadable",
            Self::ReportSize { .. } => "report-size",
            Self::ReportVersion { .. } => "report-version",
            Self::ReportAlgorithm { .. } => "report-algorithm",
            Self::SignaturePadding => "signature-padding",
            Self::SigningKey { .. } => "signing-key",
            Self::VlekNotAccepted => "vlek-not-accepted",
            Self::UnknownProduct => "product",
            Self::ProductMismatch => "product-mismatch",
            Self::GuestPolicy => "guest-policy",
            Self::MigrationAgent => "migration-agent",
            Self::Vmpl { .. } => "vmpl",
            Self::Smt => "smt",
            Self::PlatformInfo => "platform-info",
            Self::TcbTooLow { .. } => "tcb-too-low",
            Self::HostData => "host-data",
            Self::IdKey => "id-key",
            Self::AuthorKey => "author-key",
            Self::VekKind { .. } => "vek-kind",
            Self::VekExtension => "vek-extension",
            Self::VekTcb => "vek-tcb",
            Self::VekChip => "vek-chip",
            Self::CrlMissing => "crl-missing",
            Self::CrlUnreadable { .. } => "crl-unreadable",
            Self::CrlIssuer { .. } => "crl-issuer",
            Self::CrlSignature { .. } => "crl-signature",
            Self::CrlNotYetValid { .. } => "crl-not-yet-valid",
            Self::CrlExpired { .. } => "crl-expired",
            Self::CrlRolledBack { .. } => "crl-rolled-back",
            Self::Revoked { .. } => "revoked",
            Self::QuoteUnreadable => "quote-unreadable",
            Self::TeeType { .. } => "tee-type",
            Self::QuoteVersion { .. } => "quote-version",
            Self::AttestationKeyType { .. } => "attestation-key-type",
            Self::QeVendor => "qe-vendor",
            Self::CertificationData { .. } => "certification-data",
            Self::Profiling => "profiling",
            Self::Migratable => "migratable",
            Self::TdAttributes => "td-attributes",
            Self::SeptVe => "sept-ve",
            Self::ServiceTd => "service-td",
            Self::Xfam => "xfam",
            Self::Rtmr { .. } => "rtmr",
            Self::TdConfiguration { .. } => "td-configuration",
            Self::PckExtension => "pck-extension",
            Self::CollateralUnreadable { .. } => "collateral-unreadable",
            Self::CollateralId { .. } => "collateral-id",
            Self::CollateralNotYetValid { .. } => "collateral-not-yet-valid",
            Self::CollateralExpired { .. } => "collateral-expired",
            Self::CollateralRolledBack { .. } => "collateral-rolled-back",
            Self::EvaluationNumber { .. } => "evaluation-number",
            Self::CollateralSignature { .. } => "collateral-signature",
            Self::FmspcMismatch => "fmspc-mismatch",
            Self::PceIdMismatch => "pce-id-mismatch",
            Self::QeReportSignature => "qe-report-signature",
            Self::QeReportData => "qe-report-data",
            Self::QeIdentity { .. } => "qe-identity",
            Self::ModuleIdentity { .. } => "module-identity",
            Self::NoTcbLevel { .. } => "no-tcb-level",
            Self::TcbRevoked => "tcb-revoked",
            Self::TcbStatus(_) => "tcb-status",
        }
    }

    /// The group that the refusal belongs to: its [`Refusal::code`], except where vendors'
    /// checks differ in detail and say the same.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::VekTcb | Self::VekChip => "chip-or-tcb-mismatch",
            Self::CrlExpired { .. } => "collateral-expired",
            Self::CrlNotYetValid { .. } => "collateral-not-yet-valid",
            Self::CrlRolledBack { .. } => "collateral-rolled-back",
            other => other.code(),
        }
    }

    /// Whether the evidence is wrong in itself, came at the wrong time, or is merely not
    /// what was asked for. [`Refusal::RootNotPinned`] is of the last class: another
    /// network's root is no forgery.
    #[must_use]
    pub const fn class(&self) -> RefusalClass {
        match self {
            Self::EndorsementsMissing(_)
            | Self::EndorsementsUnreadable
            | Self::VlekNotAccepted
            | Self::MigrationAgent
            | Self::Vmpl { .. }
            | Self::Smt
            | Self::PlatformInfo
            | Self::TcbTooLow { .. }
            | Self::HostData
            | Self::IdKey
            | Self::AuthorKey
            | Self::CrlMissing
            | Self::TeeType { .. }
            | Self::Profiling
            | Self::Migratable
            | Self::SeptVe
            | Self::ServiceTd
            | Self::Xfam
            | Self::Rtmr { .. }
            | Self::TdConfiguration { .. }
            | Self::FmspcMismatch
            | Self::PceIdMismatch
            | Self::NoTcbLevel { .. }
            | Self::TcbStatus(_)
            | Self::KindNotAccepted(_)
            | Self::KindNotTrusted(_)
            | Self::UnexpectedEndorsements(_)
            | Self::DebugMode
            | Self::MeasurementNotListed
            | Self::BindingMismatch
            | Self::RootNotPinned => RefusalClass::Unwanted,
            Self::Stale { .. }
            | Self::CrlNotYetValid { .. }
            | Self::CrlExpired { .. }
            | Self::CrlRolledBack { .. }
            | Self::CollateralNotYetValid { .. }
            | Self::CollateralExpired { .. }
            | Self::CollateralRolledBack { .. }
            | Self::EvaluationNumber { .. }
            | Self::FromTheFuture { .. }
            | Self::CertificateNotYetValid { .. }
            | Self::CertificateExpired { .. } => RefusalClass::Untimely,
            _ => RefusalClass::Forged,
        }
    }
}
