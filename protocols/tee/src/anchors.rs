//! Which roots a network trusts, by the SHA-256 of their DER certificates.
//!
//! A document's first certificate must be a trusted root byte for byte; a fingerprint says
//! exactly that and fits into a genesis file. An empty list refuses the kind as a whole
//! ([`crate::Refusal::KindNotTrusted`]) before anything of the evidence is read: a network
//! whose genesis names no simulated root cannot be talked into simulated evidence.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::evidence::EvidenceKind;
use crate::tcb::SnpProduct;

/// SHA-256 of a root certificate's DER bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootFingerprint(pub [u8; 32]);

impl RootFingerprint {
    /// The fingerprint of a certificate in DER.
    #[must_use]
    pub fn of(certificate_der: &[u8]) -> Self {
        Self(Sha256::digest(certificate_der).into())
    }
}

impl fmt::Display for RootFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for RootFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootFingerprint({self})")
    }
}

impl FromStr for RootFingerprint {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// "AWS Nitro Enclaves Root G1" (`CN=aws.nitro-enclaves`), valid 2019-10-28 to 2049-10-28.
pub const NITRO_ROOT_G1: RootFingerprint = RootFingerprint([
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31,
    0x7e, 0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b,
]);

/// AMD's root key of Milan (`CN=ARK-Milan`), valid 2020-10-22 to 2045-10-22.
pub const AMD_ARK_MILAN: RootFingerprint = RootFingerprint([
    0x69, 0xd0, 0x63, 0xb4, 0x53, 0x44, 0xd2, 0x6a, 0x2e, 0x94, 0xe1, 0xf4, 0x21, 0x0d, 0xe4, 0x9e,
    0xf5, 0x55, 0x30, 0x82, 0x87, 0xd4, 0xc1, 0x74, 0x44, 0x5c, 0x95, 0x63, 0x9a, 0x54, 0x0b, 0xcd,
]);

/// AMD's root key of Genoa, Bergamo and Siena (`CN=ARK-Genoa`), valid 2022-01-26 to
/// 2047-01-26.
pub const AMD_ARK_GENOA: RootFingerprint = RootFingerprint([
    0x4c, 0x65, 0x98, 0xd1, 0x9c, 0x18, 0x71, 0x9c, 0x5d, 0xfd, 0x4a, 0x7d, 0x33, 0x5f, 0x67, 0x4e,
    0x5b, 0xfe, 0x1d, 0x8f, 0x80, 0x0c, 0xea, 0x2c, 0xf2, 0x70, 0xc1, 0x0d, 0x10, 0x3d, 0xb2, 0xf1,
]);

/// AMD's root key of Turin (`CN=ARK-Turin`), valid 2023-05-15 to 2048-05-15.
pub const AMD_ARK_TURIN: RootFingerprint = RootFingerprint([
    0x1f, 0x08, 0x41, 0x61, 0xa4, 0x4b, 0xb6, 0xd9, 0x37, 0x78, 0xa9, 0x04, 0x87, 0x7d, 0x48, 0x19,
    0xca, 0xfa, 0x5d, 0x05, 0xef, 0x41, 0x93, 0xb2, 0xde, 0xd9, 0xdd, 0x9c, 0x73, 0xdd, 0x3f, 0x6a,
]);

/// "Intel SGX Root CA", valid 2018-05-21 to 2049-12-31.
pub const INTEL_SGX_ROOT: RootFingerprint = RootFingerprint([
    0x44, 0xa0, 0x19, 0x6b, 0x2b, 0x99, 0xf8, 0x89, 0xb8, 0xe1, 0x49, 0xe9, 0x5b, 0x80, 0x7a, 0x35,
    0x0e, 0x74, 0x24, 0x96, 0x43, 0x99, 0xe8, 0x85, 0xa7, 0xcb, 0xb8, 0xcc, 0xfa, 0xb6, 0x74, 0xd3,
]);

/// The roots a network trusts. The default trusts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustAnchors {
    /// AMD's roots, each for one product only.
    pub snp_roots: Vec<(SnpProduct, RootFingerprint)>,
    /// Intel's roots.
    pub tdx_roots: Vec<RootFingerprint>,
    /// Roots of AWS Nitro Enclaves.
    pub nitro_roots: Vec<RootFingerprint>,
    /// Roots of simulated TEEs: empty on every network that is worth anything.
    pub simulated_roots: Vec<RootFingerprint>,
}

impl TrustAnchors {
    /// The roots of real hardware vendors whose evidence this crate appraises.
    #[must_use]
    pub fn vendors() -> Self {
        Self {
            snp_roots: vec![
                (SnpProduct::Milan, AMD_ARK_MILAN),
                (SnpProduct::Genoa, AMD_ARK_GENOA),
                (SnpProduct::Turin, AMD_ARK_TURIN),
            ],
            tdx_roots: vec![INTEL_SGX_ROOT],
            nitro_roots: vec![NITRO_ROOT_G1],
            simulated_roots: Vec::new(),
        }
    }

    /// Whether any root is trusted for `kind`.
    #[must_use]
    pub fn trusts(&self, kind: EvidenceKind) -> bool {
        match kind {
            EvidenceKind::SevSnp => !self.snp_roots.is_empty(),
            EvidenceKind::Tdx => !self.tdx_roots.is_empty(),
            EvidenceKind::Nitro => !self.nitro_roots.is_empty(),
            EvidenceKind::Simulated => !self.simulated_roots.is_empty(),
        }
    }
}
