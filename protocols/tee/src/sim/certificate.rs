//! The simulated vendor's certificates: the shape that `crate::chain` asks for.

use der::asn1::ObjectIdentifier;
use der::flagset::FlagSet;
use der::{Decode, Encode};
use p384::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p384::pkcs8::EncodePublicKey;
use sha2::{Digest, Sha256};
use std::str::FromStr;
use std::time::Duration;
use x509_cert::Certificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::Time;

use super::{SimError, Validity};
use crate::evidence::UnixTime;

/// Common name, the attribute by which a platform's name is found again.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// Seen by whoever looks at such a certificate with ordinary tools.
const ORGANISATION: &str = "Aether simulated TEE - no protection";

/// A certificate's place in the chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Root,
    Authority,
    Leaf,
}

impl Role {
    const fn unit(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Authority => "authority",
            Self::Leaf => "leaf",
        }
    }

    /// Basic constraints and key usage.
    fn extensions(self) -> (BasicConstraints, KeyUsage) {
        let (ca, path_len_constraint, usage) = match self {
            Self::Root => (true, Some(1), KeyUsages::KeyCertSign),
            Self::Authority => (true, Some(0), KeyUsages::KeyCertSign),
            Self::Leaf => (false, None, KeyUsages::DigitalSignature),
        };
        (
            BasicConstraints {
                ca,
                path_len_constraint,
            },
            KeyUsage(FlagSet::from(usage)),
        )
    }
}

/// Who a certificate is for and by.
struct Profile {
    role: Role,
    subject: Name,
    issuer: Name,
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let (constraints, usage) = self.role.extensions();
        Ok(vec![
            constraints.to_extension(tbs.subject(), &[])?,
            usage.to_extension(tbs.subject(), &[])?,
        ])
    }
}

/// Makes a certificate for `key`, signed by `signer`. Without an issuer it is self-signed.
pub(super) fn certify(
    role: Role,
    name: &str,
    validity: Validity,
    key: &VerifyingKey,
    issuer: Option<&[u8]>,
    signer: &SigningKey,
) -> Result<Vec<u8>, SimError> {
    if validity.not_before > validity.not_after {
        return Err(SimError::Validity);
    }
    let failed = |error: &dyn std::fmt::Display| SimError::Certificate(error.to_string());

    let subject = format!("CN={name},OU={},O={ORGANISATION}", role.unit());
    let subject = Name::from_str(&subject).map_err(|error| failed(&error))?;
    let issuer = match issuer {
        None => subject.clone(),
        Some(der) => {
            let issuer = Certificate::from_der(der).map_err(|error| failed(&error))?;
            issuer.tbs_certificate().subject().clone()
        }
    };
    let spki = key.to_public_key_der().map_err(|error| failed(&error))?;
    // Different keys have different serial numbers; the leading byte keeps it positive and
    // of full length.
    let mut serial: [u8; 32] = Sha256::digest(spki.as_bytes()).into();
    serial[0] = 0x01;
    let serial = SerialNumber::new(&serial[..16]).map_err(|error| failed(&error))?;
    let spki = SubjectPublicKeyInfo::from_der(spki.as_bytes()).map_err(|error| failed(&error))?;
    let validity =
        x509_cert::time::Validity::new(time(validity.not_before)?, time(validity.not_after)?);

    CertificateBuilder::new(
        Profile {
            role,
            subject,
            issuer,
        },
        serial,
        validity,
        spki,
    )
    .and_then(|builder| builder.build::<_, DerSignature>(signer))
    .map_err(|error| failed(&error))?
    .to_der()
    .map_err(|error| failed(&error))
}

/// Checks that a certificate is `key`'s, and returns the common name of its subject.
pub(super) fn belongs_to(der: &[u8], key: &SigningKey) -> Result<String, SimError> {
    let failed = |error: &dyn std::fmt::Display| SimError::Certificate(error.to_string());
    let certificate = Certificate::from_der(der).map_err(|error| failed(&error))?;
    let parsed = certificate.tbs_certificate();
    let stated = parsed
        .subject_public_key_info()
        .to_der()
        .map_err(|error| failed(&error))?;
    let actual = key
        .verifying_key()
        .to_public_key_der()
        .map_err(|error| failed(&error))?;
    if stated != actual.as_bytes() {
        return Err(SimError::KeyMismatch);
    }
    let names = parsed
        .subject()
        .iter()
        .filter(|attribute| attribute.oid == COMMON_NAME);
    let name = names
        .map(|attribute| attribute.value.value())
        .next()
        .ok_or(SimError::Name)?;
    String::from_utf8(name.to_vec()).map_err(|_| SimError::Name)
}

fn time(at: UnixTime) -> Result<Time, SimError> {
    let date = der::DateTime::from_unix_duration(Duration::from_secs(at.0))
        .map_err(|_| SimError::Validity)?;
    Ok(Time::from(date))
}
