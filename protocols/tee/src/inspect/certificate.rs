//! One certificate, as people want to see it.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Tagged};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;

use super::{Field, Said};
use crate::anchors::RootFingerprint;
use crate::evidence::UnixTime;
use crate::tdx::read_pck_extension;
use crate::x509::pem;

/// Larger ones are not looked at.
const MAX_BYTES: usize = 16 * 1024;
/// A root's revocation list has under a kilobyte, Intel's for PCKs some hundred.
const MAX_LIST_BYTES: usize = 256 * 1024;
/// Certificates in one PEM text.
const MAX_CHAIN: usize = 8;

/// What a certificate says. Nothing of it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Who it is for (RFC 4514).
    pub subject: String,
    /// Who says that it issued it.
    pub issuer: String,
    /// The serial number, hex.
    pub serial: String,
    /// The first second of its life.
    pub not_before: UnixTime,
    /// The last.
    pub not_after: UnixTime,
    /// SHA-256 of its bytes, by which roots are pinned.
    pub fingerprint: RootFingerprint,
    /// What AMD or Intel say in extensions of their own.
    pub fields: Vec<Field>,
    /// The bytes.
    pub der: Vec<u8>,
}

/// AMD's extensions, below 1.3.6.1.4.1.3704.1.
const AMD: [(&str, ObjectIdentifier); 8] = [
    ("amd.product", oid("1.3.6.1.4.1.3704.1.2")),
    ("amd.bootloader", oid("1.3.6.1.4.1.3704.1.3.1")),
    ("amd.tee", oid("1.3.6.1.4.1.3704.1.3.2")),
    ("amd.snp", oid("1.3.6.1.4.1.3704.1.3.3")),
    ("amd.microcode", oid("1.3.6.1.4.1.3704.1.3.8")),
    ("amd.fmc", oid("1.3.6.1.4.1.3704.1.3.9")),
    ("amd.hwid", oid("1.3.6.1.4.1.3704.1.4")),
    ("amd.csp_id", oid("1.3.6.1.4.1.3704.1.5")),
];

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// Reads a certificate in DER; `None` where it is none.
#[must_use]
pub fn inspect_certificate(der: &[u8]) -> Option<CertificateInfo> {
    if der.len() > MAX_BYTES {
        return None;
    }
    let certificate = Certificate::from_der(der).ok()?;
    let parsed = certificate.tbs_certificate();
    let seconds = |time: x509_cert::time::Time| UnixTime(time.to_unix_duration().as_secs());
    let extensions = parsed.extensions().map(Vec::as_slice).unwrap_or_default();
    let mut fields = Vec::new();
    for (name, id) in AMD {
        let found = extensions.iter().find(|extension| extension.extn_id == id);
        if let Some(extension) = found {
            fields.push(Field::new(name, amd_value(extension.extn_value.as_bytes())));
        }
    }
    let intel = extensions.iter().find_map(|extension| {
        read_pck_extension(extension.extn_id, extension.extn_value.as_bytes())
    });
    if let Some(platform) = intel {
        let bytes = |name: &str, bytes: &[u8]| Field::new(name, Said::Bytes(bytes.to_vec()));
        fields.push(bytes("intel.ppid", &platform.ppid));
        fields.push(bytes("intel.fmspc", &platform.fmspc));
        fields.push(bytes("intel.pce_id", &platform.pce_id));
        fields.push(bytes("intel.sgx_components", &platform.components));
        let version = Said::Number(platform.pce_svn.into());
        fields.push(Field::new("intel.pce_svn", version));
    }
    Some(CertificateInfo {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        serial: hex::encode(parsed.serial_number().as_bytes()),
        not_before: seconds(parsed.validity().not_before),
        not_after: seconds(parsed.validity().not_after),
        fingerprint: RootFingerprint::of(der),
        fields,
        der: der.to_vec(),
    })
}

/// A number, a text, or the bytes as they are (a hardware id has no wrapping).
fn amd_value(content: &[u8]) -> Said {
    if let Ok(number) = u8::from_der(content) {
        return Said::Number(number.into());
    }
    if let Ok(any) = AnyRef::from_der(content)
        && any.tag() == der::Tag::Ia5String
    {
        return Said::Text(String::from_utf8_lossy(any.value()).into_owned());
    }
    Said::Bytes(content.to_vec())
}

/// The certificates in a file: one in DER, or some in PEM, in order, as DER. `None` where it
/// holds none. More lenient than what evidence may carry: text around blocks is left alone.
#[must_use]
pub fn certificates(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    if bytes.len() > MAX_CHAIN * MAX_BYTES {
        return None;
    }
    if Certificate::from_der(bytes).is_ok() {
        return Some(vec![bytes.to_vec()]);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let begin = text.find("-----BEGIN CERTIFICATE-----")?;
    let mut found = Vec::new();
    for block in text
        .get(begin..)?
        .split_inclusive("-----END CERTIFICATE-----")
    {
        let Some(start) = block.find("-----BEGIN CERTIFICATE-----") else {
            continue;
        };
        if found.len() == MAX_CHAIN {
            return None;
        }
        found.extend(pem::certificates(block.get(start..)?.as_bytes(), 1)?);
    }
    (!found.is_empty()).then_some(found)
}

/// Who says that it made a certificate revocation list (RFC 4514); `None` where bytes are none
/// in DER.
#[must_use]
pub fn revocation_list_issuer(der: &[u8]) -> Option<String> {
    if der.len() > MAX_LIST_BYTES {
        return None;
    }
    let list: CertificateList = CertificateList::from_der(der).ok()?;
    Some(list.tbs_cert_list.issuer.to_string())
}
