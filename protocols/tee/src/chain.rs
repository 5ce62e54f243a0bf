//! A chain of P-384 certificates, root first, judged at a given time.
//!
//! The chain is a line in the order in which it is given: nothing is searched for, so there
//! is one verdict and one reason. The caller has pinned the first certificate byte for byte,
//! which is why its own signature is not checked. For the others (RFC 5280, section 6.1,
//! cut down to what this shape can contain):
//!
//! 1. DER, X.509 version 3.
//! 2. Signed with ECDSA and SHA-384, the same algorithm inside and outside the signed part;
//!    the key an uncompressed point on P-384.
//! 3. No extension twice; none critical but basic constraints and key usage.
//! 4. Valid at the given time, the root included.
//! 5. Issuer = subject of the one before, as encoded.
//! 6. Whoever issued another is an authority with `keyCertSign`, and at most as many
//!    authorities follow as its path length allows.
//! 7. The leaf is no authority and has `digitalSignature`.
//! 8. Signed by the key of the one before, over the bytes as received.
//!
//! Everything cheap is checked for the whole chain before the first signature.

use der::asn1::ObjectIdentifier;
use der::oid::AssociatedOid;
use der::{Decode, Reader, SliceReader};
use ring::signature::{ECDSA_P384_SHA384_ASN1, UnparsedPublicKey};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::{Certificate, certificate::TbsCertificate, certificate::Version};

use crate::evidence::UnixTime;
use crate::refusal::Refusal;

const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// An uncompressed point: 0x04, x, y.
const POINT_BYTES: usize = 97;

/// What a good chain yields.
pub(crate) struct GoodChain {
    /// The leaf's public key, an uncompressed point.
    pub(crate) leaf_key: Vec<u8>,
    /// The public key of the authority that issued the leaf.
    pub(crate) issuer_key: Vec<u8>,
    /// When the first of the certificates expires.
    pub(crate) not_after: UnixTime,
}

/// Judges a chain, root first and leaf last, whose root the caller has pinned.
pub(crate) fn check<'a>(
    ders: impl Iterator<Item = &'a [u8]>,
    at: UnixTime,
) -> Result<GoodChain, Refusal> {
    let links = ders
        .enumerate()
        .map(|(position, der)| Link::parse(der, position))
        .collect::<Result<Vec<_>, _>>()?;
    let Some((leaf, authorities)) = links.split_last() else {
        return Err(Refusal::MissingField {
            field: "certificate",
        });
    };
    let Some(issuer) = authorities.last() else {
        return Err(Refusal::MissingField { field: "cabundle" });
    };

    for (position, link) in links.iter().enumerate() {
        if at < link.not_before {
            return Err(Refusal::CertificateNotYetValid { position });
        }
        if at > link.not_after {
            return Err(Refusal::CertificateExpired { position });
        }
    }
    for (position, authority) in authorities.iter().enumerate() {
        let Some(constraints) = authority.constraints.as_ref().filter(|found| found.ca) else {
            return Err(Refusal::NotAnAuthority { position });
        };
        let following = authorities.len() - 1 - position;
        if constraints
            .path_len_constraint
            .is_some_and(|most| following > usize::from(most))
        {
            return Err(Refusal::PathLength { position });
        }
        if !authority
            .usage
            .as_ref()
            .is_some_and(KeyUsage::key_cert_sign)
        {
            return Err(Refusal::KeyUsage { position });
        }
    }
    if leaf.constraints.as_ref().is_some_and(|found| found.ca) {
        return Err(Refusal::LeafIsAnAuthority);
    }
    if !leaf.usage.as_ref().is_some_and(KeyUsage::digital_signature) {
        return Err(Refusal::KeyUsage {
            position: authorities.len(),
        });
    }
    for (position, (before, link)) in links.iter().zip(links.iter().skip(1)).enumerate() {
        if link.parsed().issuer() != before.parsed().subject() {
            return Err(Refusal::IssuerMismatch {
                position: position + 1,
            });
        }
    }
    for (position, (before, link)) in links.iter().zip(links.iter().skip(1)).enumerate() {
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, before.key())
            .verify(link.signed, link.certificate.signature().raw_bytes())
            .map_err(|_| Refusal::CertificateSignature {
                position: position + 1,
            })?;
    }

    Ok(GoodChain {
        leaf_key: leaf.key().to_vec(),
        issuer_key: issuer.key().to_vec(),
        not_after: links.iter().map(|link| link.not_after).min().unwrap_or(at),
    })
}

/// One certificate that keeps the rules it can keep alone (1, 2 and 3).
struct Link<'a> {
    certificate: Certificate,
    /// The signed part, as received.
    signed: &'a [u8],
    constraints: Option<BasicConstraints>,
    usage: Option<KeyUsage>,
    not_before: UnixTime,
    not_after: UnixTime,
}

impl<'a> Link<'a> {
    fn parse(der: &'a [u8], position: usize) -> Result<Self, Refusal> {
        let unreadable = Refusal::CertificateUnreadable { position };
        let certificate = Certificate::from_der(der).map_err(|_| unreadable.clone())?;
        let signed = signed_part(der).map_err(|_| unreadable.clone())?;
        let parsed = certificate.tbs_certificate();
        if parsed.version() != Version::V3 {
            return Err(unreadable);
        }

        let inside = parsed.signature();
        let outside = certificate.signature_algorithm();
        if inside != outside || inside.oid != ECDSA_WITH_SHA384 || inside.parameters.is_some() {
            return Err(Refusal::CertificateAlgorithm { position });
        }
        let bits = certificate.signature();
        if bits.unused_bits() != 0 {
            return Err(unreadable);
        }

        let spki = parsed.subject_public_key_info();
        let curve = spki
            .algorithm
            .parameters
            .as_ref()
            .and_then(|any| any.decode_as().ok());
        let point = &spki.subject_public_key;
        if spki.algorithm.oid != EC_PUBLIC_KEY
            || curve != Some(SECP384R1)
            || point.unused_bits() != 0
            || point.raw_bytes().len() != POINT_BYTES
            || point.raw_bytes().first() != Some(&0x04)
        {
            return Err(Refusal::CertificateKey { position });
        }

        let extension = Refusal::CertificateExtension { position };
        check_extensions(parsed).ok_or_else(|| extension.clone())?;
        let constraints = parsed.get_extension().map_err(|_| extension.clone())?;
        let usage = parsed.get_extension().map_err(|_| extension)?;
        let seconds = |time: x509_cert::time::Time| UnixTime(time.to_unix_duration().as_secs());
        let (not_before, not_after) = (
            seconds(parsed.validity().not_before),
            seconds(parsed.validity().not_after),
        );
        Ok(Self {
            signed,
            constraints: constraints.map(|(_, found)| found),
            usage: usage.map(|(_, found)| found),
            not_before,
            not_after,
            certificate,
        })
    }

    fn parsed(&self) -> &TbsCertificate {
        self.certificate.tbs_certificate()
    }

    /// The public key, an uncompressed point.
    fn key(&self) -> &[u8] {
        self.parsed()
            .subject_public_key_info()
            .subject_public_key
            .raw_bytes()
    }
}

/// The signed part of a certificate: the first element of its outer sequence, as received.
fn signed_part(der: &[u8]) -> Result<&[u8], der::Error> {
    let mut reader = SliceReader::new(der)?;
    reader.sequence(|inner| {
        let signed = inner.tlv_bytes()?;
        let rest = inner.remaining_len();
        inner.drain(rest)?;
        Ok(signed)
    })
}

/// Rule 3; `None` where it is broken.
fn check_extensions(parsed: &TbsCertificate) -> Option<()> {
    let extensions = parsed.extensions().map(Vec::as_slice).unwrap_or_default();
    for (index, extension) in extensions.iter().enumerate() {
        let id = extension.extn_id;
        if extensions
            .iter()
            .skip(index + 1)
            .any(|other| other.extn_id == id)
        {
            return None;
        }
        if extension.critical && id != BasicConstraints::OID && id != KeyUsage::OID {
            return None;
        }
    }
    Some(())
}
