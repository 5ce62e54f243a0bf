//! A stand-in for TEE hardware, for development networks only.
//!
//! It makes documents of the shape of AWS Nitro's, which the very same code appraises as
//! genuine ones, under a root that nobody but a development network's genesis trusts. It
//! protects nothing: whoever has the platform's file can state any measurement. A network
//! that lists no simulated root refuses this kind by type.
//!
//! ```text
//!  SimRoot ──issue──▶ SimPlatform ──quote(binding, measurement, time)──▶ Evidence
//!  (one per network,  (one per worker,                                  (canonical, < 2 KiB)
//!   its fingerprint    authority + leaf
//!   in the genesis)    + the leaf's key)
//! ```
//!
//! Everything is a pure function of its arguments: keys come from 32-byte seeds, signatures
//! are deterministic (RFC 6979), time is an argument. The same seed gives the same root,
//! certificate for certificate, so a network's folder can be made again.
//!
//! A root and a platform are kept as PEM text, the private key (PKCS #8) first; the folder
//! that holds them should be readable by its owner alone.

mod certificate;
mod pem;

use std::fmt;

use ciborium::Value;
use p384::ecdsa::signature::Signer;
use p384::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha384};
use zeroize::Zeroizing;

use crate::anchors::RootFingerprint;
use crate::binding::Binding;
use crate::evidence::{Evidence, EvidenceKind, Measurement, UnixTime};
use crate::nitro::{encode, seal, to_be_signed};
use certificate::{Role, certify};

/// The domain of keys made from seeds.
const KEY_DOMAIN: &[u8] = b"aether/tee/sim/key/v1";
/// The longest name a platform may have: it goes into its certificates.
const MAX_NAME: usize = 32;

/// Something is wrong with what was given to the simulated TEE. Nothing of this happens on
/// account of a stranger.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The platform's name is empty, too long, or has other characters than `a-z A-Z 0-9 -`.
    #[error("a platform's name has 1 to 32 letters, digits or hyphens")]
    Name,
    /// The certificate's life ends before it begins, or lies outside X.509's calendar.
    #[error("not a period of time that a certificate can have")]
    Validity,
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Certificate(String),
    /// A key or certificate could not be written as PEM.
    #[error("could not be written as PEM: {0}")]
    Encoding(String),
    /// The text is not a private key followed by the certificates that belong there.
    #[error("not a key followed by {expected} certificates in PEM: {reason}")]
    Pem {
        /// How many certificates belong there.
        expected: usize,
        /// What is wrong.
        reason: String,
    },
    /// The private key is not the one that the certificate names.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
}

/// When certificates are valid, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: UnixTime,
    /// The last second.
    pub not_after: UnixTime,
}

/// The root of a development network's simulated platforms: a key and its certificate.
pub struct SimRoot {
    key: SigningKey,
    certificate: Vec<u8>,
}

impl SimRoot {
    /// Makes a root from a seed; the same arguments give the same bytes.
    ///
    /// # Errors
    ///
    /// [`SimError::Validity`].
    pub fn from_seed(seed: &[u8; 32], validity: Validity) -> Result<Self, SimError> {
        let key = key_from_seed(seed, "root");
        let certificate = certify(
            Role::Root,
            "root",
            validity,
            key.verifying_key(),
            None,
            &key,
        )?;
        Ok(Self { key, certificate })
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// What a genesis lists in order to trust this root.
    #[must_use]
    pub fn fingerprint(&self) -> RootFingerprint {
        RootFingerprint::of(&self.certificate)
    }

    /// Makes a platform: its authority, its leaf and the leaf's key. `seed` must differ from
    /// platform to platform; `name` goes into the certificates and the documents.
    ///
    /// # Errors
    ///
    /// [`SimError::Name`], [`SimError::Validity`].
    pub fn issue(
        &self,
        seed: &[u8; 32],
        name: &str,
        validity: Validity,
    ) -> Result<SimPlatform, SimError> {
        let proper = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(proper) {
            return Err(SimError::Name);
        }
        let authority_key = key_from_seed(seed, "authority");
        let leaf_key = key_from_seed(seed, "leaf");
        let authority = certify(
            Role::Authority,
            name,
            validity,
            authority_key.verifying_key(),
            Some(&self.certificate),
            &self.key,
        )?;
        let leaf = certify(
            Role::Leaf,
            name,
            validity,
            leaf_key.verifying_key(),
            Some(&authority),
            &authority_key,
        )?;
        let root = self.certificate.clone();
        Ok(SimPlatform {
            key: leaf_key,
            name: name.into(),
            leaf,
            cabundle: vec![root, authority],
        })
    }

    /// Key and certificate as PEM text.
    ///
    /// # Errors
    ///
    /// [`SimError::Encoding`].
    pub fn to_pem(&self) -> Result<Zeroizing<String>, SimError> {
        pem::write(&self.key, [self.certificate.as_slice()])
    }

    /// Reads what [`SimRoot::to_pem`] wrote.
    ///
    /// # Errors
    ///
    /// [`SimError::Pem`], [`SimError::Certificate`], [`SimError::KeyMismatch`].
    pub fn from_pem(text: &str) -> Result<Self, SimError> {
        let (key, [certificate]) = pem::read(text)?;
        certificate::belongs_to(&certificate, &key)?;
        Ok(Self { key, certificate })
    }
}

impl fmt::Debug for SimRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRoot")
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

/// One simulated platform, able to make evidence.
pub struct SimPlatform {
    key: SigningKey,
    name: String,
    leaf: Vec<u8>,
    /// Root first, then the authority that issued the leaf.
    cabundle: Vec<Vec<u8>>,
}

impl SimPlatform {
    /// The name that it was issued under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fingerprint of the root above it.
    #[must_use]
    pub fn root_fingerprint(&self) -> RootFingerprint {
        RootFingerprint::of(self.cabundle.first().map(Vec::as_slice).unwrap_or_default())
    }

    /// Makes evidence, in canonical form, that the program with this measurement ran at
    /// `at` and committed to `binding`.
    #[must_use]
    pub fn quote(&self, binding: &Binding, measurement: &Measurement, at: UnixTime) -> Evidence {
        let text = |text: &str| Value::Text(text.into());
        let pcr0 = (
            Value::Integer(0.into()),
            Value::Bytes(measurement.0.to_vec()),
        );
        let cabundle = self.cabundle.iter().cloned().map(Value::Bytes).collect();
        // The order in which a genuine platform writes them.
        let payload = encode(&Value::Map(vec![
            (text("module_id"), text(&self.name)),
            (text("digest"), text("SHA384")),
            (
                text("timestamp"),
                Value::Integer(at.0.saturating_mul(1000).into()),
            ),
            (text("pcrs"), Value::Map(vec![pcr0])),
            (text("certificate"), Value::Bytes(self.leaf.clone())),
            (text("cabundle"), Value::Array(cabundle)),
            (text("public_key"), Value::Null),
            (text("user_data"), Value::Bytes(binding.as_bytes().to_vec())),
            (text("nonce"), Value::Null),
        ]));
        let signature: Signature = self.key.sign(&to_be_signed(&payload));
        let signature = signature.normalize_s().to_bytes().into();
        Evidence {
            kind: EvidenceKind::Simulated,
            bytes: seal(payload, &signature),
        }
    }

    /// Key and certificates (leaf, authority, root) as PEM text.
    ///
    /// # Errors
    ///
    /// [`SimError::Encoding`].
    pub fn to_pem(&self) -> Result<Zeroizing<String>, SimError> {
        let authorities = self.cabundle.iter().rev().map(Vec::as_slice);
        pem::write(
            &self.key,
            [self.leaf.as_slice()].into_iter().chain(authorities),
        )
    }

    /// Reads what [`SimPlatform::to_pem`] wrote.
    ///
    /// # Errors
    ///
    /// [`SimError::Pem`], [`SimError::Certificate`], [`SimError::KeyMismatch`].
    pub fn from_pem(text: &str) -> Result<Self, SimError> {
        let (key, [leaf, authority, root]) = pem::read(text)?;
        let name = certificate::belongs_to(&leaf, &key)?;
        Ok(Self {
            key,
            name,
            leaf,
            cabundle: vec![root, authority],
        })
    }
}

impl fmt::Debug for SimPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimPlatform")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A key that is a function of a seed and of what it is for.
fn key_from_seed(seed: &[u8; 32], purpose: &str) -> SigningKey {
    let mut attempt = 0u64;
    loop {
        let scalar: Zeroizing<[u8; 48]> = Zeroizing::new(
            Sha384::new()
                .chain_update(KEY_DOMAIN)
                .chain_update(seed)
                .chain_update(attempt.to_be_bytes())
                .chain_update(purpose)
                .finalize()
                .into(),
        );
        // Zero and what is not below the group's order are no keys: one chance in 2^194.
        if let Ok(key) = SigningKey::from_slice(scalar.as_slice()) {
            return key;
        }
        attempt += 1;
    }
}
