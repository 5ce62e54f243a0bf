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

/// The roots a network trusts. The default trusts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustAnchors {
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
            nitro_roots: vec![NITRO_ROOT_G1],
            simulated_roots: Vec::new(),
        }
    }

    /// The roots trusted for `kind`; empty where the kind is not trusted at all.
    #[must_use]
    pub fn roots(&self, kind: EvidenceKind) -> &[RootFingerprint] {
        match kind {
            EvidenceKind::Nitro => &self.nitro_roots,
            EvidenceKind::Simulated => &self.simulated_roots,
            EvidenceKind::SevSnp | EvidenceKind::Tdx => &[],
        }
    }
}
