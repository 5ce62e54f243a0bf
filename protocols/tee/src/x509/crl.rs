//! Certificate revocation lists (RFC 5280, section 5), complete ones by the authority itself.
//!
//! A list is taken when it is by the expected authority (its name, its `cRLSign`, its
//! signature), inside its window at the trusted time, which must have an end, and not older
//! than the network has already seen. Extensions that are critical, as those of delta lists
//! and of lists by others are, cannot be honoured and are refused.

use der::Decode;
use der::oid::AssociatedOid;
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::{CrlNumber, KeyUsage};
use x509_cert::serial_number::SerialNumber;

use super::certificate::{Link, Scheme};
use super::signed_part;
use crate::evidence::UnixTime;
use crate::refusal::Refusal;

/// A list, named as refusals name it.
pub(crate) struct Crl<'a> {
    name: &'static str,
    scheme: Scheme,
    list: CertificateList,
    signed: &'a [u8],
    /// The list's number; lists without one count as number 0.
    pub(crate) number: u64,
    pub(crate) this_update: UnixTime,
    pub(crate) next_update: UnixTime,
}

impl<'a> Crl<'a> {
    /// Reads a list. The caller has bounded `der`.
    pub(crate) fn parse(
        der: &'a [u8],
        name: &'static str,
        scheme: Scheme,
    ) -> Result<Self, Refusal> {
        let unreadable = || Refusal::CrlUnreadable { list: name };
        let list = CertificateList::from_der(der).map_err(|_| unreadable())?;
        let signed = signed_part(der).map_err(|_| unreadable())?;
        let content = &list.tbs_cert_list;
        if content.signature != list.signature_algorithm
            || !scheme.is_stated_by(&list.signature_algorithm)
            || list.signature.unused_bits() != 0
        {
            return Err(unreadable());
        }
        let mut number = None;
        for extension in content.crl_extensions.iter().flatten() {
            if extension.critical {
                return Err(unreadable());
            }
            if extension.extn_id == CrlNumber::OID {
                let value = CrlNumber::from_der(extension.extn_value.as_bytes());
                let value = value.ok().and_then(|value| small(value.0.as_bytes()));
                let value = value.ok_or_else(unreadable)?;
                if number.replace(value).is_some() {
                    return Err(unreadable());
                }
            }
        }
        let entries = content.revoked_certificates.iter().flatten();
        let mut extensions = entries.flat_map(|entry| entry.crl_entry_extensions.iter().flatten());
        if extensions.any(|extension| extension.critical) {
            return Err(unreadable());
        }
        let seconds = |time: x509_cert::time::Time| UnixTime(time.to_unix_duration().as_secs());
        let this_update = seconds(content.this_update);
        let next_update = seconds(content.next_update.ok_or_else(unreadable)?);
        Ok(Self {
            name,
            scheme,
            signed,
            number: number.unwrap_or(0),
            this_update,
            next_update,
            list,
        })
    }

    /// Whether it is current.
    pub(crate) fn check_window(&self, at: UnixTime) -> Result<(), Refusal> {
        let list = self.name;
        if at < self.this_update {
            return Err(Refusal::CrlNotYetValid { list });
        }
        if at > self.next_update {
            return Err(Refusal::CrlExpired { list });
        }
        Ok(())
    }

    /// All that is cheap: author, window, number.
    pub(crate) fn check(
        &self,
        author: &Link<'_>,
        at: UnixTime,
        least_number: u64,
    ) -> Result<(), Refusal> {
        let list = self.name;
        self.check_window(at)?;
        if &self.list.tbs_cert_list.issuer != author.parsed().subject() {
            return Err(Refusal::CrlIssuer { list });
        }
        if !author.usage.as_ref().is_some_and(KeyUsage::crl_sign) {
            return Err(Refusal::KeyUsage {
                position: author.position,
            });
        }
        if self.number < least_number {
            return Err(Refusal::CrlRolledBack { list });
        }
        Ok(())
    }

    /// Whether the author signed it.
    pub(crate) fn check_signature(&self, author: &Link<'_>) -> Result<(), Refusal> {
        let signature = self.list.signature.raw_bytes();
        if author.signs(self.scheme, self.signed, signature) {
            Ok(())
        } else {
            Err(Refusal::CrlSignature { list: self.name })
        }
    }

    /// Refuses a certificate that the list names.
    pub(crate) fn check_absent(&self, link: &Link<'_>) -> Result<(), Refusal> {
        let serial: &SerialNumber = link.parsed().serial_number();
        let mut entries = self
            .list
            .tbs_cert_list
            .revoked_certificates
            .iter()
            .flatten();
        if entries.any(|entry| &entry.serial_number == serial) {
            return Err(Refusal::Revoked {
                position: link.position,
            });
        }
        Ok(())
    }
}

/// A big-endian number of at most eight bytes.
fn small(bytes: &[u8]) -> Option<u64> {
    if bytes.len() > 8 {
        return None;
    }
    Some(
        bytes
            .iter()
            .fold(0, |number, byte| (number << 8) | u64::from(*byte)),
    )
}
