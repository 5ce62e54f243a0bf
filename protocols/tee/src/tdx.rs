//! Intel TDX quotes, versions 4 and 5, of TDs 1.0, 1.5 and 1.5Ex.
//!
//! The rules, in the order in which they are applied:
//!
//! 1. A TD's quote by Intel's quoting enclave, lengths that fit, zero padding (`quote`).
//! 2. The policy's demands on the TD: debug, profiling, migration, `SEPT_VE_DISABLE`,
//!    extended features, runtime registers, configuration, owner.
//! 3. The measurement (MRTD) is on the policy's list, `report_data` the expected binding.
//! 4. The quoting enclave vouches for the attestation key, and that key signed the quote. Both
//!    are in the quote: whatever fails here costs one signature and no collateral is read.
//! 5. The quote's chain is PCK, authority, pinned root; the platform that the PCK names is of
//!    the family that the TCB info is for (`pck`, `collateral`).
//! 6. TCB info and QE identity are TDX's, inside their windows, and not older than the
//!    network has seen.
//! 7. All certificates are valid at the trusted time and issued by the one before (`x509`).
//! 8. Both revocation lists are their authorities', current, not rolled back, and name no
//!    certificate of any chain.
//! 9. The quoting enclave is the listed one (`levels`).
//! 10. Signatures: QE report, PCK, authority, signers, lists, TCB info, QE identity.
//! 11. The platform's level, and what the policy accepts of it (`levels`); no service TD. In
//!     this order, since what a service TD may do depends on the platform.

mod collateral;
mod levels;
mod pck;
mod quote;

use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use crate::anchors::{RootFingerprint, TrustAnchors};
use crate::appraisal::{Appraisal, Details, PlatformId, TdxDetails, signed_digest};
use crate::endorsements::{Endorsements, SignedJson, TdxParts};
use crate::evidence::{EvidenceKind, UnixTime};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::x509::certificate::{KeyShape, Link, Scheme, Shape};
use crate::x509::crl::Crl;
use crate::x509::line::{self, LeafUsage};
use crate::x509::pem;
use collateral::{QE_IDENTITY, QeIdentity, TCB_INFO, TcbInfo, Window};
use pck::Platform;
pub(crate) use pck::read as read_pck_extension;
pub(crate) use quote::{Quote, SIGNATURE_BYTES};

/// Every certificate of Intel's.
const SHAPE: Shape = Shape {
    signed: Scheme::EcdsaP256,
    key: KeyShape::P256,
};

/// The domain of a platform's id.
const PLATFORM_DOMAIN: &[u8] = b"aether/tee/tdx-platform/v1";

/// Appraises a quote.
pub(crate) fn appraise(
    bytes: &[u8],
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    policy: &Policy,
    report_data: &[u8],
    at: UnixTime,
) -> Result<Appraisal, Refusal> {
    let quote = Quote::parse(bytes)?;
    quote.td.check(&policy.tdx)?;
    let measured = policy.check_measurement(&quote.td.measurement)?;
    if quote.td.report_data != report_data {
        return Err(Refusal::BindingMismatch);
    }
    let parts = TdxParts::of(endorsements)?;
    let vouched = Sha256::new()
        .chain_update(quote.attestation_key)
        .chain_update(quote.qe_authentication)
        .finalize();
    if !quote.qe.report_data.starts_with(&vouched) {
        return Err(Refusal::QeReportData);
    }
    // x ‖ y as an uncompressed point.
    let key = [&[0x04], quote.attestation_key.as_slice()].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
        .verify(quote.signed, &quote.signature)
        .map_err(|_| Refusal::EvidenceSignature)?;

    let position = 2;
    let chain =
        pem::certificates(quote.pck_chain, 3).ok_or(Refusal::CertificateUnreadable { position })?;
    let [pck_der, authority_der, root_der] = chain.as_slice() else {
        return Err(Refusal::CertificateUnreadable { position });
    };
    if !anchors.tdx_roots.contains(&RootFingerprint::of(root_der)) {
        return Err(Refusal::RootNotPinned);
    }
    let root = Link::parse(root_der, 0, SHAPE)?;
    let authority = Link::parse(authority_der, 1, SHAPE)?;
    let pck = Link::parse(pck_der, 2, SHAPE)?;
    let platform = Platform::of(&pck)?;

    let info = TcbInfo::parse(parts.tcb_info.text)?;
    let identity = QeIdentity::parse(parts.qe_identity.text)?;
    let windows = check_windows(&info, &identity, policy, at)?;
    if platform.fmspc != info.fmspc.0 {
        return Err(Refusal::FmspcMismatch);
    }
    if platform.pce_id != info.pce_id.0 {
        return Err(Refusal::PceIdMismatch);
    }

    // As a rule one certificate signs both texts, and the list's author is the authority in
    // the quote: what is the same is read and checked once.
    let info_signer_der = issuer_of(parts.tcb_info.chain, root_der, 3)?;
    let identity_signer_der = if parts.qe_identity.chain == parts.tcb_info.chain {
        info_signer_der.clone()
    } else {
        issuer_of(parts.qe_identity.chain, root_der, 4)?
    };
    let list_author_der = issuer_of(parts.pck_crl_chain, root_der, 5)?;
    let info_signer = Link::parse(&info_signer_der, 3, SHAPE)?;
    let other_signer = other(&identity_signer_der, &info_signer, 4)?;
    let identity_signer = other_signer.as_ref().unwrap_or(&info_signer);
    let other_author = other(&list_author_der, &authority, 5)?;
    let pck_line = [&root, &authority, &pck];
    line::check(&pck_line, at, LeafUsage::Stated)?;
    line::check(&[&root, &info_signer], at, LeafUsage::Stated)?;
    if let Some(signer) = &other_signer {
        line::check(&[&root, signer], at, LeafUsage::Stated)?;
    }

    let root_list = Crl::parse(parts.root_ca_crl, "root", Scheme::EcdsaP256)?;
    root_list.check(&root, at, policy.tdx.least_root_crl_number)?;
    let pck_list = Crl::parse(parts.pck_crl, "PCK", Scheme::EcdsaP256)?;
    pck_list.check(&authority, at, policy.tdx.least_pck_crl_number)?;
    for link in [&root, &authority, &info_signer, identity_signer] {
        root_list.check_absent(link)?;
    }
    pck_list.check_absent(&pck)?;

    levels::check_qe(&quote.qe, &identity)?;

    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pck.key())
        .verify(quote.qe.bytes, &quote.qe_signature)
        .map_err(|_| Refusal::QeReportSignature)?;
    line::signatures(&[&authority, &pck])?;
    line::signatures(&[&root, &authority])?;
    line::signatures(&[&root, &info_signer])?;
    if let Some(signer) = &other_signer {
        line::signatures(&[&root, signer])?;
    }
    if let Some(author) = &other_author {
        // The same authority under another certificate, as after a renewal.
        line::check(&[&root, author, &pck], at, LeafUsage::Stated)?;
        line::signatures(&[&root, author])?;
        root_list.check_absent(author)?;
        pck_list.check(author, at, policy.tdx.least_pck_crl_number)?;
    }
    let list_author = other_author.as_ref().unwrap_or(&authority);
    root_list.check_signature(&root)?;
    pck_list.check_signature(list_author)?;
    check_json(&info_signer, parts.tcb_info, TCB_INFO)?;
    check_json(identity_signer, parts.qe_identity, QE_IDENTITY)?;

    let level = levels::judge(
        &quote.td,
        &quote.qe,
        &platform,
        &info,
        &identity,
        &policy.tdx,
        at,
    )?;
    quote.td.check_service_td(&policy.tdx)?;

    let certificates = [&root, &authority, &pck, &info_signer, identity_signer];
    let ends = [
        line::not_after(&certificates),
        list_author.not_after,
        root_list.next_update,
        pck_list.next_update,
    ];
    let ends = ends
        .into_iter()
        .chain(windows.iter().map(|window| window.next_update));
    Ok(Appraisal {
        kind: EvidenceKind::Tdx,
        measurement: quote.td.measurement,
        measured,
        signed_digest: signed_digest(EvidenceKind::Tdx, quote.signed),
        issued_at: None,
        not_after: ends.min().unwrap_or(at),
        platform_id: Some(PlatformId(
            Sha256::new()
                .chain_update(PLATFORM_DOMAIN)
                .chain_update(platform.ppid)
                .finalize()
                .into(),
        )),
        details: Details::Tdx(Box::new(TdxDetails {
            status: level.status,
            advisories: level.advisories,
            fmspc: platform.fmspc,
            rtmrs: quote.td.rtmrs,
            evaluation_number: info.tcb_evaluation_data_number,
            tcb_info_date: info.issue_date.0,
            root_crl_number: root_list.number,
            pck_crl_number: pck_list.number,
        })),
    })
}

/// The platform that a PCK certificate in DER names.
#[cfg(feature = "fetch")]
pub(crate) fn platform_of(pck: &[u8]) -> Option<Platform> {
    let pck = Link::parse(pck, 2, SHAPE).ok()?;
    Platform::of(&pck).ok()
}

/// Until when a TCB info for this platform, or without one a QE identity, is current.
#[cfg(feature = "fetch")]
pub(crate) fn check_collateral(
    text: &[u8],
    platform: Option<&Platform>,
    at: UnixTime,
) -> Result<UnixTime, &'static str> {
    let window = match platform {
        Some(platform) => {
            let info = TcbInfo::parse(text).map_err(|_| "no TCB info for TDX")?;
            if info.fmspc.0 != platform.fmspc || info.pce_id.0 != platform.pce_id {
                return Err("a TCB info for other platforms");
            }
            (info.issue_date.0, info.next_update.0)
        }
        None => {
            let identity = QeIdentity::parse(text).map_err(|_| "no QE identity for TDX")?;
            (identity.issue_date.0, identity.next_update.0)
        }
    };
    if (window.0..=window.1).contains(&at) {
        Ok(window.1)
    } else {
        Err("collateral of another time")
    }
}

/// Until when a revocation list is current.
#[cfg(feature = "fetch")]
pub(crate) fn check_list(der: &[u8], at: UnixTime) -> Option<UnixTime> {
    let list = Crl::parse(der, "PCK", Scheme::EcdsaP256).ok()?;
    list.check_window(at).ok()?;
    Some(list.next_update)
}

/// Rule 6.
fn check_windows(
    info: &TcbInfo,
    identity: &QeIdentity,
    policy: &Policy,
    at: UnixTime,
) -> Result<[Window; 2], Refusal> {
    let windows = [
        Window {
            part: TCB_INFO,
            issued: info.issue_date.0,
            next_update: info.next_update.0,
            evaluation_number: info.tcb_evaluation_data_number,
        },
        Window {
            part: QE_IDENTITY,
            issued: identity.issue_date.0,
            next_update: identity.next_update.0,
            evaluation_number: identity.tcb_evaluation_data_number,
        },
    ];
    for window in &windows {
        window.check(at, policy.tdx.least_evaluation_number)?;
    }
    if info.issue_date.0 < policy.tdx.least_tcb_info_date {
        return Err(Refusal::CollateralRolledBack { part: TCB_INFO });
    }
    Ok(windows)
}

/// The first certificate of a chain of two, the second of which must be the root that the
/// quote's own chain ends in.
fn issuer_of(text: &[u8], root: &[u8], position: usize) -> Result<Vec<u8>, Refusal> {
    let unreadable = Refusal::CertificateUnreadable { position };
    let chain = pem::certificates(text, 2).ok_or_else(|| unreadable.clone())?;
    let [issuer, above] = <[Vec<u8>; 2]>::try_from(chain).map_err(|_| unreadable)?;
    if above != root {
        return Err(Refusal::RootNotPinned);
    }
    Ok(issuer)
}

/// The certificate, where it is another than `known`.
fn other<'a>(
    der: &'a [u8],
    known: &Link<'_>,
    position: usize,
) -> Result<Option<Link<'a>>, Refusal> {
    (der != known.der)
        .then(|| Link::parse(der, position, SHAPE))
        .transpose()
}

/// Whether a text is signed by its signer.
fn check_json(signer: &Link<'_>, json: SignedJson<'_>, part: &'static str) -> Result<(), Refusal> {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, signer.key())
        .verify(json.text, json.signature)
        .map_err(|_| Refusal::CollateralSignature { part })
}
