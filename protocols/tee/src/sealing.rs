//! Sealed storage: what one program wrote on one platform, and only it reads again.
//!
//! ```text
//!  root key ── HKDF-SHA-384 ("aether/tee/sealing/v1", purpose) ──▶ AES-256-GCM key
//!  (platform, measurement)
//!
//!  sealed:  "AETHSEAL1"  9 bytes, authenticated
//!           nonce       12, random
//!           ciphertext  as long as the content
//!           tag         16
//! ```
//!
//! | platform | where the root key is from |
//! | --- | --- |
//! | SEV-SNP | the security processor, out of the chip's key, the measurement and the guest policy (`SevRoot`, feature `attester`) |
//! | TDX, Nitro | neither derives keys: a service that appraises evidence hands one out (Nitro: KMS under a policy on PCR0). [`ReleasedRoot`] takes what it handed out; no such service is spoken to here |
//! | simulated | a seed beside the network's other secrets, and the measurement ([`SoftwareRoot`], development networks only) |
//!
//! Sealing hides and protects content. It does not keep a host from bringing back an older
//! sealed file: what must not go back belongs on the chain. A session key is never sealed; a
//! restarted worker makes another and attests that.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA384, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::evidence::EvidenceKind;

/// The domain of keys: bumped whenever the derivation changes.
const DOMAIN: &[u8] = b"aether/tee/sealing/v1";
const MAGIC: &[u8] = b"AETHSEAL1";
/// More than a worker keeps; bounds what is read back.
pub const MAX_SEALED_BYTES: usize = 16 << 20;

/// Something cannot be sealed, or was not sealed here.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The platform gives no key. The fault is the platform's or its operator's.
    #[error("no sealing key: {0}")]
    Root(String),
    /// The content is larger than [`MAX_SEALED_BYTES`].
    #[error("{0} bytes are too many to seal")]
    TooLarge(usize),
    /// The system gives no randomness.
    #[error("no randomness from the system")]
    Entropy,
    /// Changed, cut, or sealed by another program, on another platform, or for another purpose;
    /// which of these cannot be told.
    #[error("not sealed by this program on this platform for this purpose, or changed since")]
    Foreign,
}

/// A platform's key that is bound to the program's measurement.
pub trait SealingRoot {
    /// The kind of platform.
    fn kind(&self) -> EvidenceKind;

    /// The key; the same for the same program on the same platform.
    ///
    /// # Errors
    ///
    /// [`SealError::Root`].
    fn root_key(&mut self) -> Result<Zeroizing<[u8; 32]>, SealError>;
}

/// A key that a service released after it had appraised evidence (TDX, Nitro).
pub struct ReleasedRoot {
    kind: EvidenceKind,
    key: Zeroizing<[u8; 32]>,
}

impl ReleasedRoot {
    /// What the service released for this measurement.
    #[must_use]
    pub const fn new(kind: EvidenceKind, key: Zeroizing<[u8; 32]>) -> Self {
        Self { kind, key }
    }
}

impl SealingRoot for ReleasedRoot {
    fn kind(&self) -> EvidenceKind {
        self.kind
    }

    fn root_key(&mut self) -> Result<Zeroizing<[u8; 32]>, SealError> {
        Ok(self.key.clone())
    }
}

/// The stand-in of development networks: whoever has the seed has the key.
#[cfg(feature = "sim")]
pub struct SoftwareRoot {
    seed: Zeroizing<[u8; 32]>,
    measurement: crate::evidence::Measurement,
}

#[cfg(feature = "sim")]
impl SoftwareRoot {
    /// Of a platform with this seed that runs the program with this measurement.
    #[must_use]
    pub const fn new(seed: Zeroizing<[u8; 32]>, measurement: crate::evidence::Measurement) -> Self {
        Self { seed, measurement }
    }
}

#[cfg(feature = "sim")]
impl SealingRoot for SoftwareRoot {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::Simulated
    }

    fn root_key(&mut self) -> Result<Zeroizing<[u8; 32]>, SealError> {
        derive(&self.seed, &[&self.measurement.0])
    }
}

/// SEV-SNP: the security processor derives the key.
#[cfg(all(feature = "attester", target_os = "linux"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct SevRoot;

#[cfg(all(feature = "attester", target_os = "linux"))]
impl SealingRoot for SevRoot {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::SevSnp
    }

    fn root_key(&mut self) -> Result<Zeroizing<[u8; 32]>, SealError> {
        use sev::firmware::guest::{DerivedKey, Firmware, GuestFieldSelect};
        let failed = |error: &dyn fmt::Display| SealError::Root(error.to_string());
        // The measurement, so that another program has another key; the policy, so that a
        // debugged guest has. Not the TCB: firmware is updated and contents must stay readable.
        let mut fields = GuestFieldSelect::default();
        fields.set_measurement(true);
        fields.set_guest_policy(true);
        let request = DerivedKey::new(false, fields, 0, 0, 0, None);
        let mut device = Firmware::open().map_err(|error| failed(&error))?;
        device
            .get_derived_key(Some(1), request)
            .map(Zeroizing::new)
            .map_err(|error| failed(&error))
    }
}

/// 32 bytes out of a key, for what is said.
fn derive(key: &[u8; 32], said: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let failed = |_| SealError::Root("a key cannot be derived".into());
    let mut out = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA384, DOMAIN)
        .extract(key)
        .expand(said, &AES_256_GCM)
        .map_err(failed)?
        // The algorithm stands for its key's length, 32 bytes.
        .fill(out.as_mut())
        .map_err(failed)?;
    Ok(out)
}

/// Seals and unseals for one purpose.
pub struct Sealer(LessSafeKey);

impl Sealer {
    /// For a purpose; contents of different purposes cannot be taken for each other.
    ///
    /// # Errors
    ///
    /// [`SealError::Root`].
    pub fn new(root: &mut dyn SealingRoot, purpose: &str) -> Result<Self, SealError> {
        let root = root.root_key()?;
        let key = derive(&root, &[b"purpose", purpose.as_bytes()])?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref());
        let key = key.map_err(|_| SealError::Root("a key of the wrong length".into()))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Hides and protects content. Sealing the same twice gives different bytes.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLarge`], [`SealError::Entropy`].
    pub fn seal(&self, content: &[u8]) -> Result<Vec<u8>, SealError> {
        let too_large = SealError::TooLarge(content.len());
        if content.len() > MAX_SEALED_BYTES - MAGIC.len() - NONCE_LEN - AES_256_GCM.tag_len() {
            return Err(too_large);
        }
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| SealError::Entropy)?;
        let mut body = content.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(MAGIC),
                &mut body,
            )
            .map_err(|_| too_large)?;
        Ok([MAGIC, &nonce, &body].concat())
    }

    /// The content of what [`Sealer::seal`] made.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLarge`], [`SealError::Foreign`].
    pub fn unseal(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.len() > MAX_SEALED_BYTES {
            return Err(SealError::TooLarge(sealed.len()));
        }
        let rest = sealed.strip_prefix(MAGIC).ok_or(SealError::Foreign)?;
        let (nonce, body) = rest.split_first_chunk().ok_or(SealError::Foreign)?;
        let mut content = Zeroizing::new(body.to_vec());
        let length = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(MAGIC),
                &mut content,
            )
            .map_err(|_| SealError::Foreign)?
            .len();
        content.truncate(length);
        Ok(content)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use crate::evidence::Measurement;

    fn sealer(seed: u8, program: &[u8], purpose: &str) -> Sealer {
        let measurement = Measurement::of(program);
        let mut root = SoftwareRoot::new(Zeroizing::new([seed; 32]), measurement);
        Sealer::new(&mut root, purpose).expect("a key")
    }

    #[test]
    fn the_same_program_on_the_same_platform_reads_it_again() {
        for content in [&b""[..], b"a worker's bookkeeping", &[7; 5000]] {
            let sealed = sealer(1, b"worker", "books").seal(content).expect("sealed");
            assert!(content.is_empty() || !sealed.windows(content.len()).any(|w| w == content));
            let again = sealer(1, b"worker", "books").unseal(&sealed);
            assert_eq!(again.expect("content").as_slice(), content);
            assert_ne!(
                sealer(1, b"worker", "books").seal(content).expect("sealed"),
                sealed
            );
        }
    }

    #[test]
    fn nobody_else_does() {
        let sealed = sealer(1, b"worker", "books")
            .seal(b"secret")
            .expect("sealed");
        for other in [
            sealer(2, b"worker", "books"),
            sealer(1, b"worker 2", "books"),
            sealer(1, b"worker", "keys"),
        ] {
            assert!(matches!(other.unseal(&sealed), Err(SealError::Foreign)));
        }
        let mut released = ReleasedRoot::new(EvidenceKind::Tdx, Zeroizing::new([1; 32]));
        assert_eq!(released.kind(), EvidenceKind::Tdx);
        let released = Sealer::new(&mut released, "books").expect("a key");
        assert!(matches!(released.unseal(&sealed), Err(SealError::Foreign)));
    }

    #[test]
    fn what_was_changed_cut_or_extended_is_not_read() {
        let sealer = sealer(1, b"worker", "books");
        let sealed = sealer.seal(b"secret").expect("sealed");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(
                matches!(sealer.unseal(&changed), Err(SealError::Foreign)),
                "{at}"
            );
            assert!(
                matches!(sealer.unseal(&sealed[..at]), Err(SealError::Foreign)),
                "{at}"
            );
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert!(matches!(sealer.unseal(&longer), Err(SealError::Foreign)));
        let huge = vec![0; MAX_SEALED_BYTES + 1];
        assert!(matches!(sealer.unseal(&huge), Err(SealError::TooLarge(_))));
        assert!(matches!(sealer.seal(&huge), Err(SealError::TooLarge(_))));
    }
}
