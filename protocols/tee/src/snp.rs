//! AMD SEV-SNP reports, signed by a chip's own key (VCEK) or a cloud's (VLEK).
//!
//! The rules, in the order in which they are applied:
//!
//! 1. Length, version, algorithm, zero padding, known signing key and processor (`report`).
//! 2. The policy's cheap demands: guest policy, VMPL, platform, host data, identity keys.
//! 3. The measurement is on the policy's list, `report_data` is the expected binding.
//! 4. VEK and issuer have AMD's shapes and names, the VEK is for the report's product and kind
//!    of key, both are valid at the trusted time; the root is pinned for just that product
//!    (`x509`, `vek`).
//! 5. The policy's minimum TCB versions.
//! 6. The issuer signed the VEK, whose version numbers and hardware id are the report's. This
//!    first, since RSA is verified in a seventh of the time of P-384, and nobody forges it.
//! 7. The root has AMD's shape and name, and the whole line keeps the rules.
//! 8. The revocation list, where there is one or the policy asks for it, is the root's,
//!    current, and names no certificate of the chain.
//! 9. Signatures: issuer, list, and by the VEK the report.
//!
//! Every VCEK has serial number 0, so a list can only revoke an issuer or a VLEK: what
//! revokes a chip's firmware in practice is a raised minimum TCB.

mod report;
mod vek;

use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use crate::anchors::{RootFingerprint, TrustAnchors};
use crate::appraisal::{Appraisal, Details, PlatformId, SnpDetails, signed_digest};
use crate::endorsements::{Endorsements, SnpParts};
use crate::evidence::{EvidenceKind, UnixTime};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::tcb::SnpProduct;
use crate::x509::certificate::{KeyShape, Link, Scheme, Shape};
use crate::x509::crl::Crl;
use crate::x509::line::{self, LeafUsage};
use report::SigningKey;
pub(crate) use report::{REPORT_BYTES, Report, SCALAR_BYTES, SCALAR_FIELD, SIGNED_BYTES, read_tcb};

const AUTHORITY: Shape = Shape {
    signed: Scheme::RsaPss,
    key: KeyShape::Rsa4096,
};
const VEK: Shape = Shape {
    signed: Scheme::RsaPss,
    key: KeyShape::P384,
};

/// The domain of a platform's id.
const PLATFORM_DOMAIN: &[u8] = b"aether/tee/snp-platform/v1";
/// What refusals call the root's revocation list.
const LIST: &str = "AMD";

/// Root and VCEK issuer of a product, as AMD publishes them.
const fn known(product: SnpProduct) -> (&'static [u8], &'static [u8]) {
    match product {
        SnpProduct::Milan => (
            include_bytes!("../roots/amd/milan_ark.der"),
            include_bytes!("../roots/amd/milan_ask.der"),
        ),
        SnpProduct::Genoa => (
            include_bytes!("../roots/amd/genoa_ark.der"),
            include_bytes!("../roots/amd/genoa_ask.der"),
        ),
        SnpProduct::Turin => (
            include_bytes!("../roots/amd/turin_ark.der"),
            include_bytes!("../roots/amd/turin_ask.der"),
        ),
    }
}

/// Whether these bytes have the shape of a report.
pub(crate) fn check_form(bytes: &[u8]) -> Result<[u8; 2 * SCALAR_BYTES], Refusal> {
    Report::parse(bytes).map(|report| report.signature)
}

/// Whether a cloud's key signed.
#[cfg(feature = "fetch")]
pub(crate) fn signed_by_vlek(report: &Report<'_>) -> bool {
    report.signing_key == SigningKey::Vlek
}

/// Whether a certificate is the one for this report's key, chip and firmware; its product.
#[cfg(feature = "fetch")]
pub(crate) fn check_vek(der: &[u8], report: &Report<'_>) -> Result<SnpProduct, Refusal> {
    let vek = Link::parse(der, 2, VEK)?;
    let product = vek::product(&vek)?;
    if report.product.is_some_and(|named| named != product) {
        return Err(Refusal::ProductMismatch);
    }
    vek::check_kind(&vek, report.signing_key)?;
    vek::check_tcb(&vek, report, product)?;
    vek::check_chip(&vek, report, product)?;
    Ok(product)
}

/// Until when a revocation list is current; refused where it is not.
#[cfg(feature = "fetch")]
pub(crate) fn check_list(der: &[u8], at: UnixTime) -> Result<UnixTime, Refusal> {
    let crl = Crl::parse(der, LIST, Scheme::RsaPss)?;
    crl.check_window(at)?;
    Ok(crl.next_update)
}

/// Appraises a report.
pub(crate) fn appraise(
    bytes: &[u8],
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    policy: &Policy,
    report_data: &[u8],
    at: UnixTime,
) -> Result<Appraisal, Refusal> {
    let report = Report::parse(bytes)?;
    report.check(&policy.snp)?;
    let measured = policy.check_measurement(&report.measurement)?;
    if report.report_data != report_data {
        return Err(Refusal::BindingMismatch);
    }

    let parts = SnpParts::of(endorsements)?;
    let vek = Link::parse(parts.vek, 2, VEK)?;
    let certified = vek::product(&vek)?;
    let product = report.product.unwrap_or(certified);
    if product != certified {
        return Err(Refusal::ProductMismatch);
    }
    let (known_root, known_issuer) = known(product);
    let root_der = match parts.root {
        [] => known_root,
        given => given,
    };
    let pinned = (product, RootFingerprint::of(root_der));
    if !anchors.snp_roots.contains(&pinned) {
        return Err(Refusal::RootNotPinned);
    }
    let issuer_der = match (parts.issuer, report.signing_key) {
        ([], SigningKey::Vlek) => {
            return Err(Refusal::EndorsementsMissing(EvidenceKind::SevSnp));
        }
        ([], SigningKey::Vcek) => known_issuer,
        (given, _) => given,
    };
    let issuer = Link::parse(issuer_der, 1, AUTHORITY)?;
    vek::check_issuer(&issuer, report.signing_key, product)?;
    vek::check_kind(&vek, report.signing_key)?;
    line::check_dates(&[&issuer, &vek], at)?;
    report.check_tcb(&policy.snp, product)?;
    line::signatures(&[&issuer, &vek])?;
    vek::check_tcb(&vek, &report, product)?;
    vek::check_chip(&vek, &report, product)?;

    let root = Link::parse(root_der, 0, AUTHORITY)?;
    let links = [&root, &issuer, &vek];
    vek::check_root(&root, product)?;
    line::check(&links, at, LeafUsage::Optional)?;

    let crl = match parts.crl {
        [] if policy.snp.require_crl => return Err(Refusal::CrlMissing),
        [] => None,
        der => {
            let crl = Crl::parse(der, LIST, Scheme::RsaPss)?;
            crl.check(&root, at, policy.snp.least_crl_number)?;
            for link in links {
                crl.check_absent(link)?;
            }
            Some(crl)
        }
    };

    line::signatures(&[&root, &issuer])?;
    if let Some(crl) = &crl {
        crl.check_signature(&root)?;
    }
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, vek.key())
        .verify(report.signed, &report.signature)
        .map_err(|_| Refusal::EvidenceSignature)?;

    let ends = [line::not_after(&links)].into_iter();
    let ends = ends.chain(crl.as_ref().map(|crl| crl.next_update));
    Ok(Appraisal {
        kind: EvidenceKind::SevSnp,
        measurement: report.measurement,
        measured,
        signed_digest: signed_digest(EvidenceKind::SevSnp, report.signed),
        issued_at: None,
        not_after: ends.min().unwrap_or(at),
        platform_id: match report.signing_key {
            // The chips behind a cloud's key are the cloud's to count.
            SigningKey::Vlek => None,
            SigningKey::Vcek => Some(PlatformId(
                Sha256::new()
                    .chain_update(PLATFORM_DOMAIN)
                    .chain_update(report.chip_id)
                    .finalize()
                    .into(),
            )),
        },
        details: Details::SevSnp(SnpDetails {
            product,
            vlek: report.signing_key == SigningKey::Vlek,
            vmpl: report.vmpl,
            reported_tcb: read_tcb(report.reported_tcb, product),
            crl_number: crl.map(|crl| crl.number),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_certificates_are_the_pinned_ones_and_signed_by_them() {
        for (product, fingerprint) in TrustAnchors::vendors().snp_roots {
            let (root, issuer) = known(product);
            assert_eq!(RootFingerprint::of(root), fingerprint, "{product}");
            let root = Link::parse(root, 0, AUTHORITY).expect("a root");
            let issuer = Link::parse(issuer, 1, AUTHORITY).expect("an issuer");
            assert!(root.signed(&root) && root.signed(&issuer), "{product}");
        }
    }
}
