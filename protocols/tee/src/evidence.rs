//! What travels: the kinds of evidence with their stable codes, evidence as bytes, and the
//! two small values every kind shares (a measurement, an instant).

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha384};

/// Which technology made a piece of evidence.
///
/// The codes are on the wire and in the state; they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum EvidenceKind {
    /// AMD SEV-SNP attestation report.
    SevSnp = 1,
    /// Intel TDX quote.
    Tdx = 2,
    /// AWS Nitro Enclaves attestation document.
    Nitro = 3,
    /// A document of the shape of Nitro's, made by software for a development network.
    Simulated = 0x7f,
}

impl EvidenceKind {
    /// Every kind, in the order of codes.
    pub const ALL: [Self; 4] = [Self::SevSnp, Self::Tdx, Self::Nitro, Self::Simulated];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::SevSnp),
            2 => Some(Self::Tdx),
            3 => Some(Self::Nitro),
            0x7f => Some(Self::Simulated),
            _ => None,
        }
    }

    /// The stable name, as configuration files, command lines and logs write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SevSnp => "sev-snp",
            Self::Tdx => "tdx",
            Self::Nitro => "nitro",
            Self::Simulated => "simulated",
        }
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No kind of evidence has this name. The fault is the configuration's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of evidence {0:?}: expected sev-snp, tdx, nitro or simulated")]
pub struct UnknownKind(pub String);

impl FromStr for EvidenceKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownKind(name.chars().take(32).collect()))
    }
}

/// Evidence as it came from an attester: nothing about it has been checked.
///
/// It has no identity of its own: see [`crate::Appraisal::signed_digest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The technology it claims to be from.
    pub kind: EvidenceKind,
    /// The document, in the vendor's own encoding.
    pub bytes: Vec<u8>,
}

/// What the TEE measured when it started the worker's program: PCR0 of a Nitro document, a
/// launch digest elsewhere. SHA-384 in all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Measurement(pub [u8; 48]);

impl Measurement {
    /// The measurement of `image`: its SHA-384.
    #[must_use]
    pub fn of(image: &[u8]) -> Self {
        Self(Sha384::digest(image).into())
    }

    /// Whether it is the all-zero value by which a platform says "debug mode".
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Measurement({self})")
    }
}

impl FromStr for Measurement {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 48];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// An instant in whole seconds since 1970-01-01T00:00:00Z.
///
/// In a state transition it comes from the block's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}
