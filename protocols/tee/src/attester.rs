//! The worker's side: evidence from real hardware. Feature `attester`, Linux only; a verifier
//! is built without it.
//!
//! | way | platforms | by |
//! | --- | --- | --- |
//! | configfs-tsm | SEV-SNP, TDX | `/sys/kernel/config/tsm/report`, Linux 6.7 and later, as root |
//! | `/dev/sev-guest` | SEV-SNP | the crate `sev` |
//! | `/dev/nsm` | Nitro | the crate `aws-nitro-enclaves-nsm-api` |
//!
//! [`detect`] takes the first that is there, in this order. Every way hands out evidence in
//! canonical form and whatever certificates the host attached; what is missing of
//! endorsements is fetched through [`EndorsementSource`]: nothing here opens a connection, but
//! the module `fetch` (a feature of its own) does.

mod configfs;
mod devices;

use std::path::Path;

pub use configfs::{ConfigfsTsm, Files, SystemFiles};
pub use devices::{NITRO_DEVICE, NitroDevice, Nsm, SEV_DEVICE, SevGuest, SystemNsm};

use crate::binding::Binding;
use crate::canonical::{NonCanonical, canonicalize};
use crate::endorsements::Endorsements;
use crate::evidence::{Evidence, EvidenceKind};

/// Evidence with what the host attached to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// In canonical form.
    pub evidence: Evidence,
    /// Certificates as the host attached them, in the vendor's own table; often empty.
    pub attached: Vec<u8>,
}

/// A platform that makes evidence.
pub trait Attester {
    /// What kind of evidence it makes.
    fn kind(&self) -> EvidenceKind;

    /// Makes evidence that carries `binding`.
    ///
    /// # Errors
    ///
    /// [`AttestError`].
    fn attest(&mut self, binding: &Binding) -> Result<Attested, AttestError>;
}

/// Where a worker gets the endorsements of its own platform: the vendor's service, a cache in
/// the data centre, or a file.
pub trait EndorsementSource {
    /// The endorsements for this evidence, to be published or sent along with it.
    ///
    /// # Errors
    ///
    /// [`AttestError::Endorsements`], with the source's own words.
    fn endorsements(&mut self, attested: &Attested) -> Result<Endorsements, AttestError>;
}

/// No evidence could be made. The fault is the platform's or its operator's, never a peer's.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// This machine is no TEE that is understood.
    #[error(
        "no TEE found: neither configfs-tsm, nor /dev/sev-guest, nor /dev/nsm is there \
         (inside the guest, as root?)"
    )]
    NoPlatform,
    /// A file or device could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The kernel's driver is for a platform that is not understood.
    #[error("the kernel's TSM driver {0:?} is none that is understood")]
    Provider(String),
    /// Somebody else asked at the same time; asking again helps.
    #[error("another process asked for evidence at the same time, ask again")]
    Disturbed,
    /// The device refused.
    #[error("the device refused: {0}")]
    Device(String),
    /// What the device handed out is no evidence of its kind.
    #[error("what the device handed out is no evidence: {0}")]
    NotEvidence(#[from] NonCanonical),
    /// The platform's endorsements could not be had.
    #[error("no endorsements: {0}")]
    Endorsements(String),
}

/// Puts what a device handed out into canonical form.
fn canonical(kind: EvidenceKind, bytes: Vec<u8>) -> Result<Evidence, AttestError> {
    Ok(canonicalize(&Evidence { kind, bytes })?)
}

/// The first way of getting evidence that this machine has.
///
/// # Errors
///
/// [`AttestError::NoPlatform`], and [`AttestError::Provider`] where the kernel has a driver
/// for something else.
pub fn detect() -> Result<Box<dyn Attester>, AttestError> {
    if Path::new(configfs::REPORTS).is_dir() {
        return Ok(Box::new(ConfigfsTsm::open(SystemFiles, configfs::REPORTS)?));
    }
    if Path::new(SEV_DEVICE).exists() {
        return Ok(Box::new(SevGuest));
    }
    if Path::new(NITRO_DEVICE).exists() {
        return Ok(Box::new(NitroDevice(SystemNsm)));
    }
    Err(AttestError::NoPlatform)
}
