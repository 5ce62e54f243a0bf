//! A line of certificates, root first, judged at a given time.
//!
//! The line is in the order in which it is given, and its caller has pinned the first
//! certificate byte for byte, which is why its own signature is not checked. For the others
//! (RFC 5280, section 6.1, cut down to what these shapes can contain):
//!
//! 4. Valid at the given time, the root included.
//! 5. Issuer = subject of the one before, as encoded.
//! 6. Whoever issued another is an authority with `keyCertSign`, and at most as many
//!    authorities follow as its path length allows.
//! 7. The leaf is no authority and has `digitalSignature`; AMD's leaves state no usage.
//! 8. Signed by the key of the one before, over the bytes as received.
//!
//! [`check`] is 4 to 7, all that is cheap; [`signatures`] is 8.

use x509_cert::ext::pkix::KeyUsage;

use super::certificate::Link;
use crate::evidence::UnixTime;
use crate::refusal::Refusal;

/// What a leaf says about its use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeafUsage {
    /// It must state `digitalSignature`.
    Stated,
    /// It may say nothing; what it says must contain `digitalSignature`.
    Optional,
}

/// Rule 4.
pub(crate) fn check_dates(links: &[&Link<'_>], at: UnixTime) -> Result<(), Refusal> {
    for link in links {
        let position = link.position;
        if at < link.not_before {
            return Err(Refusal::CertificateNotYetValid { position });
        }
        if at > link.not_after {
            return Err(Refusal::CertificateExpired { position });
        }
    }
    Ok(())
}

/// Rules 4 to 7.
pub(crate) fn check(
    links: &[&Link<'_>],
    at: UnixTime,
    leaf_usage: LeafUsage,
) -> Result<(), Refusal> {
    check_dates(links, at)?;
    let Some((leaf, authorities)) = links.split_last() else {
        return Ok(());
    };
    for (index, authority) in authorities.iter().enumerate() {
        let position = authority.position;
        let Some(constraints) = authority.constraints.as_ref().filter(|found| found.ca) else {
            return Err(Refusal::NotAnAuthority { position });
        };
        let following = authorities.len() - 1 - index;
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
    let usable = match &leaf.usage {
        Some(usage) => usage.digital_signature(),
        None => leaf_usage == LeafUsage::Optional,
    };
    if !usable {
        return Err(Refusal::KeyUsage {
            position: leaf.position,
        });
    }
    for (before, link) in links.iter().zip(links.iter().skip(1)) {
        if link.parsed().issuer() != before.parsed().subject() {
            return Err(Refusal::IssuerMismatch {
                position: link.position,
            });
        }
    }
    Ok(())
}

/// Rule 8.
pub(crate) fn signatures(links: &[&Link<'_>]) -> Result<(), Refusal> {
    for (before, link) in links.iter().zip(links.iter().skip(1)) {
        if !before.signed(link) {
            return Err(Refusal::CertificateSignature {
                position: link.position,
            });
        }
    }
    Ok(())
}

/// When the first of the certificates expires.
pub(crate) fn not_after(links: &[&Link<'_>]) -> UnixTime {
    let ends = links.iter().map(|link| link.not_after);
    ends.min().unwrap_or(UnixTime(0))
}
