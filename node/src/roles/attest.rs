//! Evidence for this worker's session keys.
//!
//! A session key is made when the worker starts and lives in memory only; in
//! a real TEE that memory is the enclave's. Evidence binds it to the chain,
//! the worker and a recent block.

#[cfg(all(feature = "attester", target_os = "linux"))]
mod hardware;
#[cfg(all(feature = "attester", target_os = "linux"))]
pub use hardware::HardwareTee;

use aether_mesh::{Account, BlockId, BoundEvidence, ChainId, Slot};
use aether_tee::{Binding, EvidenceKind, Measurement, UnixTime, sim::SimPlatform};
use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

/// Why there is no evidence. Ours: the platform.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The platform's file does not hold a platform.
    #[error("TEE platform: {0}")]
    Platform(String),
    /// A device or a vendor's service did not answer as it should.
    #[error("{0}")]
    Device(String),
    /// The bundle could not be kept for peers.
    #[error("the endorsements could not be stored: {0}")]
    Store(String),
    /// The system gave no randomness.
    #[error("no randomness from the system")]
    Entropy,
}

/// Evidence, and the bytes that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// As it travels in a transaction.
    pub evidence: BoundEvidence,
    /// The bundle of endorsements, for peers to fetch from us.
    pub bundle: Option<Vec<u8>>,
}

/// A TEE as a worker uses it.
pub trait Attester: Send + Sync {
    /// What kind of evidence it makes.
    fn kind(&self) -> EvidenceKind;

    /// The attested session key's public half.
    fn session_key(&self) -> [u8; 32];

    /// Signs with the session key.
    fn sign(&self, message: &[u8]) -> [u8; 64];

    /// Evidence bound to a recent block; `now_unix_s` is the platform's clock.
    /// May ask a device or a service: call it where that may block.
    fn evidence(
        &self,
        chain: &ChainId,
        worker: &Account,
        slot: Slot,
        block: &BlockId,
        now_unix_s: u64,
    ) -> Result<Attested, AttestError>;
}

/// A session key, made anew at each start and held in memory only.
fn fresh_session() -> Result<SigningKey, AttestError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(|_| AttestError::Entropy)?;
    Ok(SigningKey::from_bytes(&seed))
}

/// The stand-in of dev networks: a platform whose root only their genesis
/// trusts.
pub struct SimulatedTee {
    platform: SimPlatform,
    measurement: Measurement,
    session: SigningKey,
}

/// What the simulated platform says it has measured.
pub fn simulated_measurement() -> Measurement {
    Measurement::of(b"aether simulated worker image 1")
}

impl SimulatedTee {
    /// From a platform file of a dev network; makes a fresh session key.
    pub fn from_pem(pem: &str) -> Result<Self, AttestError> {
        let platform =
            SimPlatform::from_pem(pem).map_err(|e| AttestError::Platform(e.to_string()))?;
        Ok(Self {
            platform,
            measurement: simulated_measurement(),
            session: fresh_session()?,
        })
    }
}

impl Attester for SimulatedTee {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::Simulated
    }

    fn session_key(&self) -> [u8; 32] {
        self.session.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.session.sign(message).to_bytes()
    }

    fn evidence(
        &self,
        chain: &ChainId,
        worker: &Account,
        slot: Slot,
        block: &BlockId,
        now_unix_s: u64,
    ) -> Result<Attested, AttestError> {
        let binding = Binding::new(&chain.0, &worker.0, &self.session_key(), slot.0, &block.0);
        let evidence = self
            .platform
            .quote(&binding, &self.measurement, UnixTime(now_unix_s));
        let evidence = BoundEvidence {
            kind: evidence.kind,
            document: evidence.bytes,
            slot,
            endorsements: None,
        };
        Ok(Attested {
            evidence,
            bundle: None,
        })
    }
}
