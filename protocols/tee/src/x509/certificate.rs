//! One certificate of a known shape. The rules that it can keep alone:
//!
//! 1. At most 4 KiB of DER, X.509 version 3.
//! 2. Signed with the algorithm of its shape, the same inside and outside the signed part;
//!    a key of its shape.
//! 3. No extension twice; none critical but basic constraints and key usage.

use der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use der::oid::AssociatedOid;
use der::{Decode, Reader, SliceReader, Tagged};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PSS_2048_8192_SHA384, UnparsedPublicKey,
    VerificationAlgorithm,
};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::{Certificate, certificate::TbsCertificate, certificate::Version};

use super::signed_part;
use crate::evidence::UnixTime;
use crate::refusal::Refusal;

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const PRIME256V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Genuine certificates have 0.6 to 1.7 KB. Extensions are compared pair by pair, which this
/// keeps cheap.
const MAX_CERTIFICATE_BYTES: usize = 4 * 1024;

/// How something is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// ECDSA on P-256 with SHA-256 (Intel).
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384 (AWS, and AMD's reports).
    EcdsaP384,
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384, a salt of 48 bytes (AMD's certificates).
    RsaPss,
}

impl Scheme {
    /// Whether an algorithm identifier states exactly this scheme.
    pub(crate) fn is_stated_by(self, stated: &AlgorithmIdentifierOwned) -> bool {
        match self {
            Self::EcdsaP256 => stated.oid == ECDSA_WITH_SHA256 && stated.parameters.is_none(),
            Self::EcdsaP384 => stated.oid == ECDSA_WITH_SHA384 && stated.parameters.is_none(),
            Self::RsaPss => {
                let parameters = stated.parameters.as_ref();
                stated.oid == RSASSA_PSS
                    && parameters.is_some_and(|any| {
                        any.tag() == der::Tag::Sequence && is_pss_sha384(any.value())
                    })
            }
        }
    }
}

/// The kind of key that a certificate is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyShape {
    P256,
    P384,
    /// A modulus of exactly 4,096 bits.
    Rsa4096,
}

/// What a certificate at a known place looks like.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) signed: Scheme,
    pub(crate) key: KeyShape,
}

/// One certificate that keeps the rules it can keep alone.
pub(crate) struct Link<'a> {
    pub(crate) der: &'a [u8],
    /// Its place, for refusals.
    pub(crate) position: usize,
    pub(crate) shape: Shape,
    certificate: Certificate,
    /// The signed part, as received.
    signed: &'a [u8],
    pub(crate) constraints: Option<BasicConstraints>,
    pub(crate) usage: Option<KeyUsage>,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
}

impl<'a> Link<'a> {
    pub(crate) fn parse(der: &'a [u8], position: usize, shape: Shape) -> Result<Self, Refusal> {
        let unreadable = Refusal::CertificateUnreadable { position };
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(unreadable);
        }
        let certificate = Certificate::from_der(der).map_err(|_| unreadable.clone())?;
        let signed = signed_part(der).map_err(|_| unreadable.clone())?;
        let parsed = certificate.tbs_certificate();
        if parsed.version() != Version::V3 || certificate.signature().unused_bits() != 0 {
            return Err(unreadable);
        }

        let inside = parsed.signature();
        if inside != certificate.signature_algorithm() || !shape.signed.is_stated_by(inside) {
            return Err(Refusal::CertificateAlgorithm { position });
        }
        check_key(parsed, shape.key).ok_or(Refusal::CertificateKey { position })?;

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
            der,
            position,
            shape,
            signed,
            constraints: constraints.map(|(_, found)| found),
            usage: usage.map(|(_, found)| found),
            not_before,
            not_after,
            certificate,
        })
    }

    pub(crate) fn parsed(&self) -> &TbsCertificate {
        self.certificate.tbs_certificate()
    }

    /// The public key: an uncompressed point, or an `RSAPublicKey` in DER.
    pub(crate) fn key(&self) -> &[u8] {
        self.parsed()
            .subject_public_key_info()
            .subject_public_key
            .raw_bytes()
    }

    /// The subject's common name, where it has exactly one.
    pub(crate) fn common_name(&self) -> Option<&[u8]> {
        let mut names = self
            .parsed()
            .subject()
            .iter()
            .filter(|attribute| attribute.oid == COMMON_NAME);
        let name = names.next()?.value.value();
        names.next().is_none().then_some(name)
    }

    /// The content of an extension.
    pub(crate) fn extension(&self, id: ObjectIdentifier) -> Option<&[u8]> {
        let extensions = self.parsed().extensions()?;
        extensions
            .iter()
            .find(|extension| extension.extn_id == id)
            .map(|extension| extension.extn_value.as_bytes())
    }

    /// Whether this certificate's key made `signature` over `message` by `scheme`.
    pub(crate) fn signs(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match (self.shape.key, scheme) {
            (KeyShape::P256, Scheme::EcdsaP256) => &ECDSA_P256_SHA256_ASN1,
            (KeyShape::P384, Scheme::EcdsaP384) => &ECDSA_P384_SHA384_ASN1,
            (KeyShape::Rsa4096, Scheme::RsaPss) => &RSA_PSS_2048_8192_SHA384,
            _ => return false,
        };
        UnparsedPublicKey::new(algorithm, self.key())
            .verify(message, signature)
            .is_ok()
    }

    /// Whether this certificate's key signed `child`, over the bytes as received.
    pub(crate) fn signed(&self, child: &Link<'_>) -> bool {
        let signature = child.certificate.signature().raw_bytes();
        self.signs(child.shape.signed, child.signed, signature)
    }
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

/// Whether the key is of the shape; `None` where it is not.
fn check_key(parsed: &TbsCertificate, shape: KeyShape) -> Option<()> {
    let spki = parsed.subject_public_key_info();
    let bits = &spki.subject_public_key;
    if bits.unused_bits() != 0 {
        return None;
    }
    let parameters = spki.algorithm.parameters.as_ref()?;
    let (curve, point_bytes) = match shape {
        KeyShape::P256 => (PRIME256V1, 65),
        KeyShape::P384 => (SECP384R1, 97),
        KeyShape::Rsa4096 => {
            let right = spki.algorithm.oid == RSA_ENCRYPTION
                && parameters.tag() == der::Tag::Null
                && modulus_bytes(bits.raw_bytes()) == Some(512);
            return right.then_some(());
        }
    };
    let right = spki.algorithm.oid == EC_PUBLIC_KEY
        && parameters.decode_as::<ObjectIdentifier>().ok() == Some(curve)
        && bits.raw_bytes().len() == point_bytes
        && bits.raw_bytes().first() == Some(&0x04);
    right.then_some(())
}

/// How long the modulus of an `RSAPublicKey` is, without leading zeros.
fn modulus_bytes(key: &[u8]) -> Option<usize> {
    let outer = AnyRef::from_der(key).ok()?;
    if outer.tag() != der::Tag::Sequence {
        return None;
    }
    let mut reader = SliceReader::new(outer.value()).ok()?;
    let modulus = UintRef::decode(&mut reader).ok()?;
    UintRef::decode(&mut reader).ok()?;
    (reader.is_finished() && modulus.as_bytes().first().is_some_and(|top| *top >= 0x80))
        .then(|| modulus.as_bytes().len())
}

/// Whether the content of `RSASSA-PSS-params` asks for SHA-384 throughout and a salt of 48
/// bytes. AMD's own certificates differ in whether they spell the default trailer out, and
/// the `NULL` behind a hash's name is optional (RFC 4055).
fn is_pss_sha384(content: &[u8]) -> bool {
    const SHA384: &[u8] = &[
        0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
    ];
    const MGF1: &[u8] = &[
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
    ];
    const SALT_48: &[u8] = &[0xa2, 0x03, 0x02, 0x01, 0x30];
    const TRAILER_1: &[u8] = &[0xa3, 0x03, 0x02, 0x01, 0x01];
    const NULL: &[u8] = &[0x05, 0x00];

    let hashes = [
        [&[0x30, 0x0d], SHA384, NULL].concat(),
        [&[0x30, 0x0b], SHA384].concat(),
    ];
    let wrapped = |tag: u8, inner: &[u8]| {
        let length = u8::try_from(inner.len()).unwrap_or(u8::MAX);
        [&[tag, length], inner].concat()
    };
    hashes.iter().any(|hash| {
        let mgf = wrapped(0x30, &[MGF1, hash].concat());
        let head = [&wrapped(0xa0, hash), &wrapped(0xa1, &mgf), SALT_48].concat();
        content
            .strip_prefix(head.as_slice())
            .is_some_and(|tail| tail.is_empty() || tail == TRAILER_1)
    })
}
