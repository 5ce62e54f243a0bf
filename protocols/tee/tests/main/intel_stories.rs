//! For each check of an Intel quote and its collateral, one in which only that is wrong.

use std::collections::BTreeSet;

use aether_tee::{
    Details, Evidence, EvidenceKind, Measurement, NonCanonical, Refusal, TcbStatus, TdxDetails,
    TrustAnchors, UnixTime, canonicalize, is_canonical,
};
use serde_json::json;

use crate::forger::{NOW, constraints, extension};
use crate::intel::*;
use crate::pki::{Signer, usages};

type Row = (&'static str, Refusal, fn() -> Intel);

fn with(mut vendor: Intel, change: impl Fn(&mut Intel)) -> Intel {
    change(&mut vendor);
    vendor
}

fn honest(change: impl Fn(&mut Intel)) -> Intel {
    with(Intel::honest(), change)
}

const INFO: &str = "the TCB info";
const IDENTITY: &str = "the QE identity";

const QUOTE: &[Row] = &[
    ("an SGX quote", Refusal::TeeType { tee_type: 0 }, || {
        honest(|v| v.header[4] = 0)
    }),
    (
        "an SGX report inside version 5",
        Refusal::TeeType { tee_type: 0 },
        || with(Intel::td15(), |v| v.body_type = 1),
    ),
    ("version 3", Refusal::QuoteVersion { version: 3 }, || {
        honest(|v| v.version = 3)
    }),
    ("version 6", Refusal::QuoteVersion { version: 6 }, || {
        honest(|v| v.version = 6)
    }),
    (
        "a key on P-384",
        Refusal::AttestationKeyType { key_type: 3 },
        || honest(|v| v.header[2] = 3),
    ),
    (
        "another quoting enclave's vendor",
        Refusal::QeVendor,
        || honest(|v| v.header[12] ^= 1),
    ),
    ("a TD 1.5 called 1.0", Refusal::QuoteUnreadable, || {
        with(Intel::td15(), |v| v.body_type = 2)
    }),
    ("an unknown body", Refusal::QuoteUnreadable, || {
        with(Intel::td15(), |v| v.body_type = 5)
    }),
    ("nothing", Refusal::QuoteUnreadable, || {
        honest(|v| v.bytes = Some(Vec::clear))
    }),
    ("half a quote", Refusal::QuoteUnreadable, || {
        honest(|v| v.bytes = Some(|bytes| bytes.truncate(1200)))
    }),
    ("a length of 4 GiB", Refusal::QuoteUnreadable, || {
        honest(|v| v.bytes = Some(|bytes| bytes[632..636].fill(0xff)))
    }),
    (
        "a byte too many for any quote",
        Refusal::TooLarge {
            bytes: 32 * 1024 + 1,
            max: 32 * 1024,
        },
        || honest(|v| v.bytes = Some(|bytes| bytes.resize(32 * 1024 + 1, 0))),
    ),
    (
        "something behind the padding",
        Refusal::TrailingBytes { bytes: 3 },
        || honest(|v| v.tail = vec![0, 0, 1]),
    ),
    (
        "no report of the quoting enclave",
        Refusal::CertificationData { found: 5 },
        || honest(|v| v.certification[0] = 5),
    ),
    (
        "an encrypted PPID",
        Refusal::CertificationData { found: 3 },
        || honest(|v| v.certification[1] = 3),
    ),
    (
        "another key's signature",
        Refusal::EvidenceSignature,
        || honest(|v| v.quote_signer = STRANGER),
    ),
    (
        "content changed behind the signature",
        Refusal::EvidenceSignature,
        || honest(|v| v.bytes = Some(|bytes| bytes[48 + 16] ^= 1)),
    ),
    (
        "a quoting enclave by a stranger",
        Refusal::QeReportSignature,
        || honest(|v| v.qe_signer = STRANGER),
    ),
    (
        "an attestation key that nobody vouches for",
        Refusal::QeReportData,
        || honest(|v| v.qe[320..352].fill(1)),
    ),
    ("other authentication data", Refusal::QeReportData, || {
        honest(|v| v.bytes = Some(|bytes| bytes[48 + 584 + 4 + 128 + 6 + 384 + 64 + 2] ^= 1))
    }),
];

fn attributes(vendor: &mut Intel, attributes: u64) {
    vendor.put(ATTRIBUTES, &(attributes | (1 << 28)).to_le_bytes());
}

const DEMANDS: &[Row] = &[
    ("a debugged TD", Refusal::DebugMode, || {
        honest(|v| attributes(v, 1))
    }),
    ("a profiled TD", Refusal::Profiling, || {
        honest(|v| attributes(v, 1 << 5))
    }),
    ("a reserved attribute", Refusal::TdAttributes, || {
        honest(|v| attributes(v, 1 << 8))
    }),
    ("a TD that can move", Refusal::Migratable, || {
        honest(|v| attributes(v, 1 << 29))
    }),
    ("exceptions by the host", Refusal::SeptVe, || {
        honest(|v| v.put(ATTRIBUTES, &[0; 8]))
    }),
    ("a service TD", Refusal::ServiceTd, || {
        with(Intel::td15(), |v| v.put(SERVICE_TD, &[1]))
    }),
    ("a service TD by attribute", Refusal::ServiceTd, || {
        with(Intel::td15(), |v| attributes(v, 1 << 17))
    }),
    ("a service TD bound later", Refusal::ServiceTd, || {
        with(Intel::td15ex(), |v| v.put(CURRENT_SERVICE_TD, &[1]))
    }),
    ("no SSE", Refusal::Xfam, || {
        honest(|v| v.put(XFAM, &1u64.to_le_bytes()))
    }),
    ("an unknown extended feature", Refusal::Xfam, || {
        honest(|v| v.put(XFAM, &(0x0006_02e7u64 | (1 << 40)).to_le_bytes()))
    }),
    ("another kernel", Refusal::Rtmr { index: 2 }, || {
        honest(|v| {
            v.policy.tdx.rtmrs[2] = vec![Measurement([1; 48])];
            v.put(RTMR2, &[2; 48]);
        })
    }),
    (
        "another configuration",
        Refusal::TdConfiguration {
            field: "MRCONFIGID",
        },
        || {
            honest(|v| {
                v.policy.tdx.config_id = Some([1; 48]);
                v.put(CONFIG_ID, &[2; 48]);
            })
        },
    ),
    (
        "another owner",
        Refusal::TdConfiguration { field: "MROWNER" },
        || {
            honest(|v| {
                v.policy.tdx.owner = Some([1; 48]);
                v.put(OWNER, &[2; 48]);
            })
        },
    ),
    (
        "another owner's configuration",
        Refusal::TdConfiguration {
            field: "MROWNERCONFIG",
        },
        || {
            honest(|v| {
                v.policy.tdx.owner_config = Some([1; 48]);
                v.put(OWNER_CONFIG, &[2; 48]);
            })
        },
    ),
    ("another program", Refusal::MeasurementNotListed, || {
        honest(|v| v.policy.measurements = vec![Measurement([7; 48])])
    }),
    ("another worker", Refusal::BindingMismatch, || {
        honest(|v| v.binding.0[0] ^= 1)
    }),
];

const CHAIN: &[Row] = &[
    (
        "no endorsements",
        Refusal::EndorsementsMissing(EvidenceKind::Tdx),
        || honest(|v| v.no_endorsements = true),
    ),
    (
        "no revocation list",
        Refusal::EndorsementsMissing(EvidenceKind::Tdx),
        || honest(|v| v.collateral = Some(|c| c.pck_crl.clear())),
    ),
    ("another root", Refusal::RootNotPinned, || {
        honest(|v| v.anchors = Some(TrustAnchors::vendors()))
    }),
    (
        "text that is no PEM",
        Refusal::CertificateUnreadable { position: 2 },
        || {
            honest(|v| {
                v.bytes = Some(|bytes| {
                    let last = bytes.len() - 2;
                    bytes[last] = b'+';
                })
            })
        },
    ),
    (
        "collateral by nobody",
        Refusal::CertificateUnreadable { position: 3 },
        || honest(|v| v.collateral = Some(|c| c.tcb_info_issuer_chain.push('x'))),
    ),
    (
        "identity by nobody",
        Refusal::CertificateUnreadable { position: 4 },
        || honest(|v| v.collateral = Some(|c| c.qe_identity_issuer_chain.push('x'))),
    ),
    (
        "a list by nobody",
        Refusal::CertificateUnreadable { position: 5 },
        || honest(|v| v.collateral = Some(|c| c.pck_crl_issuer_chain.push('x'))),
    ),
    (
        "an expired PCK",
        Refusal::CertificateExpired { position: 2 },
        || honest(|v| v.pck.not_after = "260301115959Z"),
    ),
    (
        "a PCK of tomorrow",
        Refusal::CertificateNotYetValid { position: 2 },
        || honest(|v| v.pck.not_before = "260301120001Z"),
    ),
    (
        "an expired authority",
        Refusal::CertificateExpired { position: 1 },
        || honest(|v| v.authority.not_after = "260301115959Z"),
    ),
    (
        "an expired root",
        Refusal::CertificateExpired { position: 0 },
        || honest(|v| v.root.not_after = "260301115959Z"),
    ),
    (
        "an expired signer",
        Refusal::CertificateExpired { position: 3 },
        || honest(|v| v.signers[0].not_after = "260301115959Z"),
    ),
    (
        "an authority by somebody else",
        Refusal::CertificateSignature { position: 1 },
        || honest(|v| v.authority.signer = Signer::P256(STRANGER)),
    ),
    (
        "a PCK by somebody else",
        Refusal::CertificateSignature { position: 2 },
        || honest(|v| v.pck.signer = Signer::P256(STRANGER)),
    ),
    (
        "a signer by somebody else",
        Refusal::CertificateSignature { position: 3 },
        || honest(|v| v.signers[0].signer = Signer::P256(STRANGER)),
    ),
    (
        "another signer by somebody else",
        Refusal::CertificateSignature { position: 4 },
        || {
            honest(|v| {
                v.signers[1].serial = 5;
                v.signers[1].signer = Signer::P256(STRANGER);
            })
        },
    ),
    (
        "a PCK with an RSA key",
        Refusal::CertificateKey { position: 2 },
        || honest(|v| v.pck.spki = Signer::Ark.spki()),
    ),
    (
        "another authority's PCK",
        Refusal::IssuerMismatch { position: 2 },
        || honest(|v| v.pck.issuer = "Processor CA"),
    ),
    (
        "a PCK that is an authority",
        Refusal::LeafIsAnAuthority,
        || honest(|v| v.pck.extensions[0] = constraints(true, None)),
    ),
    (
        "an authority without authority",
        Refusal::NotAnAuthority { position: 1 },
        || honest(|v| v.authority.extensions[0] = constraints(false, None)),
    ),
    (
        "a PCK that may not sign",
        Refusal::KeyUsage { position: 2 },
        || honest(|v| v.pck.extensions[1] = usages(&[5])),
    ),
    (
        "an unknown critical extension",
        Refusal::CertificateExtension { position: 2 },
        || {
            honest(|v| {
                v.pck
                    .extensions
                    .push(extension(&[0x2a, 0x03], true, &[5, 0]))
            })
        },
    ),
    ("a family of seven bytes", Refusal::PckExtension, || {
        honest(|v| v.described.fmspc.push(0))
    }),
    (
        "another family's collateral",
        Refusal::FmspcMismatch,
        || honest(|v| v.described.fmspc[0] ^= 1),
    ),
    (
        "another provisioning enclave's",
        Refusal::PceIdMismatch,
        || honest(|v| v.described.pce_id = [1, 0]),
    ),
];

const LISTS: &[Row] = &[
    (
        "not a list",
        Refusal::CrlUnreadable { list: "root" },
        || honest(|v| v.collateral = Some(|c| c.root_ca_crl.push(0))),
    ),
    (
        "an expired root list",
        Refusal::CrlExpired { list: "root" },
        || honest(|v| v.root_list.next_update = Some("260301115959Z")),
    ),
    (
        "an expired PCK list",
        Refusal::CrlExpired { list: "PCK" },
        || honest(|v| v.pck_list.next_update = Some("260301115959Z")),
    ),
    (
        "a list of tomorrow",
        Refusal::CrlNotYetValid { list: "PCK" },
        || honest(|v| v.pck_list.this_update = "260301120001Z"),
    ),
    (
        "another authority's list",
        Refusal::CrlIssuer { list: "PCK" },
        || honest(|v| v.pck_list.issuer = "Processor CA"),
    ),
    (
        "a list by a stranger",
        Refusal::CrlSignature { list: "PCK" },
        || honest(|v| v.pck_list.signer = Signer::P256(STRANGER)),
    ),
    (
        "a root list by a stranger",
        Refusal::CrlSignature { list: "root" },
        || honest(|v| v.root_list.signer = Signer::P256(STRANGER)),
    ),
    (
        "a root list rolled back",
        Refusal::CrlRolledBack { list: "root" },
        || honest(|v| v.policy.tdx.least_root_crl_number = 8),
    ),
    (
        "a PCK list rolled back",
        Refusal::CrlRolledBack { list: "PCK" },
        || honest(|v| v.policy.tdx.least_pck_crl_number = 8),
    ),
    (
        "an authority that signs no lists",
        Refusal::KeyUsage { position: 1 },
        || honest(|v| v.authority.extensions[1] = usages(&[5])),
    ),
    ("a revoked PCK", Refusal::Revoked { position: 2 }, || {
        honest(|v| v.pck_list.revoked = vec![1, 3])
    }),
    (
        "a revoked authority",
        Refusal::Revoked { position: 1 },
        || honest(|v| v.root_list.revoked = vec![2]),
    ),
    ("a revoked signer", Refusal::Revoked { position: 3 }, || {
        honest(|v| v.root_list.revoked = vec![4])
    }),
];

const COLLATERAL: &[Row] = &[
    (
        "no JSON",
        Refusal::CollateralUnreadable { part: INFO },
        || honest(|v| v.collateral = Some(|c| c.tcb_info.push('x'))),
    ),
    (
        "64 KiB of JSON and a byte",
        Refusal::CollateralUnreadable { part: INFO },
        || honest(|v| v.info["padding"] = json!("x".repeat(64 * 1024))),
    ),
    (
        "a field twice",
        Refusal::CollateralUnreadable { part: IDENTITY },
        || {
            honest(|v| {
                v.collateral = Some(|c| {
                    c.qe_identity = c.qe_identity.replacen('{', "{\"isvprodid\":2,", 1);
                });
            })
        },
    ),
    (
        "a date that is none",
        Refusal::CollateralUnreadable { part: INFO },
        || honest(|v| v.info["nextUpdate"] = json!("2026-02-30T12:00:00Z")),
    ),
    (
        "a status that is none",
        Refusal::CollateralUnreadable { part: INFO },
        || honest(|v| v.info["tcbLevels"][0]["tcbStatus"] = json!("Fine")),
    ),
    (
        "collateral for SGX",
        Refusal::CollateralId { part: INFO },
        || honest(|v| v.info["id"] = json!("SGX")),
    ),
    (
        "TCB info of version 2",
        Refusal::CollateralId { part: INFO },
        || honest(|v| v.info["version"] = json!(2)),
    ),
    (
        "another way of comparing",
        Refusal::CollateralId { part: INFO },
        || honest(|v| v.info["tcbType"] = json!(1)),
    ),
    (
        "SGX's quoting enclave",
        Refusal::CollateralId { part: IDENTITY },
        || honest(|v| v.identity["id"] = json!("QE")),
    ),
    (
        "TCB info of tomorrow",
        Refusal::CollateralNotYetValid { part: INFO },
        || honest(|v| v.info["issueDate"] = json!("2026-03-01T12:00:01Z")),
    ),
    (
        "expired TCB info",
        Refusal::CollateralExpired { part: INFO },
        || honest(|v| v.info["nextUpdate"] = json!("2026-03-01T11:59:59Z")),
    ),
    (
        "an expired identity",
        Refusal::CollateralExpired { part: IDENTITY },
        || honest(|v| v.identity["nextUpdate"] = json!("2026-03-01T11:59:59Z")),
    ),
    (
        "older TCB info than was seen",
        Refusal::CollateralRolledBack { part: INFO },
        || honest(|v| v.policy.tdx.least_tcb_info_date = UnixTime(NOW.0 - 86_399)),
    ),
    (
        "too low an evaluation number",
        Refusal::EvaluationNumber {
            part: INFO,
            found: 18,
            least: 19,
        },
        || honest(|v| v.policy.tdx.least_evaluation_number = 19),
    ),
    (
        "too low an identity's evaluation number",
        Refusal::EvaluationNumber {
            part: IDENTITY,
            found: 17,
            least: 18,
        },
        || {
            honest(|v| {
                v.identity["tcbEvaluationDataNumber"] = json!(17);
                v.policy.tdx.least_evaluation_number = 18;
            })
        },
    ),
    (
        "TCB info by a stranger",
        Refusal::CollateralSignature { part: INFO },
        || honest(|v| v.json_signers[0] = STRANGER),
    ),
    (
        "an identity by a stranger",
        Refusal::CollateralSignature { part: IDENTITY },
        || honest(|v| v.json_signers[1] = STRANGER),
    ),
    (
        "a changed space",
        Refusal::CollateralSignature { part: INFO },
        || honest(|v| v.collateral = Some(|c| c.tcb_info.push(' '))),
    ),
];

const LEVELS: &[Row] = &[
    (
        "another enclave's signer",
        Refusal::QeIdentity { field: "signer" },
        || honest(|v| v.qe[QE_SIGNER] ^= 1),
    ),
    (
        "another enclave",
        Refusal::QeIdentity { field: "product" },
        || honest(|v| v.qe[QE_PRODUCT] = 1),
    ),
    (
        "other miscellany",
        Refusal::QeIdentity {
            field: "miscselect",
        },
        || honest(|v| v.qe[QE_MISC] = 1),
    ),
    (
        "other attributes",
        Refusal::QeIdentity {
            field: "attributes",
        },
        || honest(|v| v.qe[QE_ATTRIBUTES] = 0x31),
    ),
    (
        "a debugged enclave",
        Refusal::QeIdentity {
            field: "debug flag",
        },
        || honest(|v| v.qe[QE_ATTRIBUTES] = 0x13),
    ),
    (
        "an ancient enclave",
        Refusal::NoTcbLevel {
            part: "quoting enclave",
        },
        || honest(|v| v.qe[QE_VERSION] = 0),
    ),
    (
        "another module's signer",
        Refusal::ModuleIdentity { field: "signer" },
        || honest(|v| v.put(MODULE_SIGNER, &[1])),
    ),
    (
        "another module's attributes",
        Refusal::ModuleIdentity {
            field: "attributes",
        },
        || honest(|v| v.put(MODULE_ATTRIBUTES, &[1])),
    ),
    (
        "an unlisted module",
        Refusal::ModuleIdentity { field: "version" },
        || honest(|v| v.put(TCB_SVN, &[6, 2, 3])),
    ),
    (
        "a platform without any module",
        Refusal::ModuleIdentity { field: "version" },
        || {
            honest(|v| {
                v.put(TCB_SVN, &[6, 0, 3]);
                v.info.as_object_mut().expect("a map").remove("tdxModule");
            })
        },
    ),
    (
        "an ancient module",
        Refusal::NoTcbLevel { part: "TDX module" },
        || honest(|v| v.put(TCB_SVN, &[1, 1, 3])),
    ),
    (
        "an ancient platform",
        Refusal::NoTcbLevel { part: "platform" },
        || honest(|v| v.described.components[7] = 1),
    ),
    (
        "an ancient provisioning enclave",
        Refusal::NoTcbLevel { part: "platform" },
        || honest(|v| v.described.pce_svn = 4),
    ),
    (
        "an ancient TDX component",
        Refusal::NoTcbLevel { part: "platform" },
        || {
            honest(|v| {
                v.put(TCB_SVN, &[6, 1, 1]);
                v.info["tcbLevels"]
                    .as_array_mut()
                    .expect("levels")
                    .truncate(3);
            })
        },
    ),
    (
        "no level for the TCB of now",
        Refusal::NoTcbLevel { part: "TDX module" },
        || with(Intel::td15(), |v| v.put(CURRENT_TCB_SVN, &[1, 1, 3])),
    ),
    ("a revoked platform", Refusal::TcbRevoked, || {
        honest(|v| v.described.components[0] = 2)
    }),
    ("a revoked module", Refusal::TcbRevoked, || {
        honest(|v| v.put(TCB_SVN, &[2, 1, 3]))
    }),
    ("a revoked quoting enclave", Refusal::TcbRevoked, || {
        honest(|v| v.qe[QE_VERSION] = 1)
    }),
    ("a revoked TCB of now", Refusal::TcbRevoked, || {
        with(Intel::td15(), |v| v.put(CURRENT_TCB_SVN, &[2, 1, 3]))
    }),
    (
        "a revoked platform that a policy lists",
        Refusal::TcbRevoked,
        || {
            honest(|v| {
                v.described.components[0] = 2;
                v.policy.tdx.accepted_tcb_status = TcbStatus::ALL.to_vec();
            })
        },
    ),
    (
        "an outdated platform",
        Refusal::TcbStatus(TcbStatus::OutOfDate),
        || honest(|v| v.described.components[0] = 3),
    ),
    (
        "an outdated module",
        Refusal::TcbStatus(TcbStatus::OutOfDate),
        || honest(|v| v.put(TCB_SVN, &[5, 1, 3])),
    ),
    (
        "an outdated quoting enclave",
        Refusal::TcbStatus(TcbStatus::OutOfDate),
        || honest(|v| v.qe[QE_VERSION] = 3),
    ),
    (
        "an outdated module since updated",
        Refusal::TcbStatus(TcbStatus::TDRelaunchAdvised),
        || with(Intel::td15(), |v| v.put(TCB_SVN, &[5, 1, 3])),
    ),
    (
        "a status that the policy leaves out",
        Refusal::TcbStatus(TcbStatus::UpToDate),
        || honest(|v| v.policy.tdx.accepted_tcb_status.clear()),
    ),
    (
        "an hour after the grace",
        Refusal::TcbStatus(TcbStatus::OutOfDate),
        || {
            honest(|v| {
                v.described.components[0] = 3;
                // Superseded at the beginning of the year, 59.5 days ago.
                v.policy.tdx.out_of_date_grace_seconds = 59 * 86_400 + 11 * 3600;
            })
        },
    ),
];

fn judge(rows: &[Row]) {
    for (story, refusal, make) in rows {
        assert_eq!(make().verdict().as_ref(), Err(refusal), "{story}");
    }
}

#[test]
fn quotes_must_be_well_formed_and_signed() {
    judge(QUOTE);
}

#[test]
fn demands_on_quotes_are_kept() {
    judge(DEMANDS);
}

#[test]
fn chains_of_quotes_keep_the_rules() {
    judge(CHAIN);
}

#[test]
fn both_revocation_lists_are_honoured() {
    judge(LISTS);
}

#[test]
fn collateral_must_be_current_and_signed() {
    judge(COLLATERAL);
}

#[test]
fn platforms_are_judged_by_what_intel_lists() {
    judge(LEVELS);
}

#[test]
fn codes_of_these_stories_are_many() {
    let rows = [QUOTE, DEMANDS, CHAIN, LISTS, COLLATERAL, LEVELS].concat();
    let codes: BTreeSet<_> = rows.iter().map(|(_, refusal, _)| refusal.code()).collect();
    assert!(codes.len() >= 55, "{}: {codes:?}", codes.len());
}

fn details(vendor: &Intel) -> TdxDetails {
    let appraisal = vendor.verdict().expect("accepted");
    assert!(appraisal.measured && appraisal.platform_id.is_some());
    assert_eq!(appraisal.not_after, UnixTime(NOW.0 + 86_400));
    match appraisal.details {
        Details::Tdx(details) => *details,
        other => panic!("no details of a quote: {other:?}"),
    }
}

#[test]
fn honest_quotes_of_every_kind_are_accepted() {
    for vendor in [Intel::honest(), Intel::td15(), Intel::td15ex()] {
        let details = details(&vendor);
        assert_eq!(details.status, TcbStatus::UpToDate);
        assert_eq!((details.root_crl_number, details.pck_crl_number), (7, 7));
        assert_eq!(details.evaluation_number, 18);
        assert_eq!(details.tcb_info_date, UnixTime(NOW.0 - 86_400));
    }
    details(&with(Intel::td15(), |v| {
        v.body_type = 2;
        v.td.truncate(584);
    }));
    // Signers of their own, and a module whose version needs no identity.
    details(&honest(|v| v.signers[1].serial = 5));
    details(&honest(|v| v.put(TCB_SVN, &[6, 0, 3])));
}

#[test]
fn what_a_policy_allows_of_a_td_is_accepted() {
    for (story, vendor) in [
        (
            "debug",
            honest(|v| {
                attributes(v, 1);
                v.policy.tdx.allow_debug = true;
            }),
        ),
        (
            "migration",
            honest(|v| {
                attributes(v, 1 << 29);
                v.policy.tdx.allow_migration = true;
            }),
        ),
        (
            "a service TD",
            with(Intel::td15(), |v| {
                v.put(SERVICE_TD, &[1]);
                v.policy.tdx.allow_service_td = true;
            }),
        ),
        (
            "exceptions by the host",
            honest(|v| {
                v.put(ATTRIBUTES, &[0; 8]);
                v.policy.tdx.require_sept_ve_disable = false;
            }),
        ),
        (
            "a known kernel",
            honest(|v| {
                v.put(RTMR2, &[2; 48]);
                v.policy.tdx.rtmrs[2] = vec![Measurement([1; 48]), Measurement([2; 48])];
            }),
        ),
    ] {
        assert!(vendor.verdict().is_ok(), "{story}: {:?}", vendor.verdict());
    }
}

#[test]
fn statuses_converge_to_the_worst_and_name_their_advisories() {
    let all = |mut vendor: Intel, change: &dyn Fn(&mut Intel)| {
        vendor.policy.tdx.accepted_tcb_status = TcbStatus::ALL.to_vec();
        change(&mut vendor);
        details(&vendor)
    };
    let hardening = all(Intel::honest(), &|v| v.described.components[0] = 4);
    assert_eq!(hardening.status, TcbStatus::SWHardeningNeeded);
    assert_eq!(hardening.advisories, ["SA-SWHardeningNeeded"]);
    let module = all(Intel::honest(), &|v| {
        v.described.components[0] = 4;
        v.put(TCB_SVN, &[5, 1, 3]);
    });
    assert_eq!(module.status, TcbStatus::OutOfDate);
    let configured = all(Intel::honest(), &|v| {
        v.info["tcbLevels"][0]["tcbStatus"] = json!("ConfigurationNeeded");
        v.qe[QE_VERSION] = 3;
    });
    assert_eq!(configured.status, TcbStatus::OutOfDateConfigurationNeeded);
    let relaunch = all(Intel::td15(), &|v| v.put(TCB_SVN, &[5, 1, 3]));
    assert_eq!(relaunch.status, TcbStatus::TDRelaunchAdvised);
    // Levels count from the best, in whatever order they are written.
    let shuffled = all(Intel::honest(), &|v| {
        v.info["tcbLevels"]
            .as_array_mut()
            .expect("levels")
            .reverse();
    });
    assert_eq!(shuffled.status, TcbStatus::UpToDate);
}

#[test]
fn out_of_date_platforms_have_their_grace() {
    let days = 86_400;
    let vendor = honest(|v| {
        v.described.components[0] = 3;
        v.policy.tdx.out_of_date_grace_seconds = 60 * days;
    });
    assert_eq!(details(&vendor).status, TcbStatus::OutOfDate);
    // Being advised to start again is better than being out of date.
    let vendor = with(Intel::td15(), |v| {
        v.put(TCB_SVN, &[5, 1, 3]);
        v.policy.tdx.accepted_tcb_status = vec![TcbStatus::OutOfDate];
    });
    assert_eq!(details(&vendor).status, TcbStatus::TDRelaunchAdvised);
}

#[test]
fn padding_and_other_line_ends_are_the_same_evidence_and_not_admitted() {
    let vendor = honest(|v| v.tail = vec![0; 70]);
    let (padded, endorsements, anchors) = vendor.made();
    let digest = |evidence: &Evidence| {
        let verdict = vendor.judge(evidence, &endorsements, &anchors);
        verdict.expect("accepted").signed_digest
    };
    let canonical = canonicalize(&padded).expect("a canonical form");
    assert_eq!(digest(&canonical), digest(&padded));
    assert_eq!(is_canonical(&canonical), Ok(()));
    assert_eq!(
        is_canonical(&padded),
        Err(NonCanonical::Padding { bytes: 70 })
    );
    assert_eq!(canonicalize(&canonical).as_ref(), Ok(&canonical));

    // The twin of each of the two signatures.
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let order = order.expect("hex");
    for at in [636, 636 + 128 + 6 + 384] {
        let mut high = canonical.clone();
        let mut borrow = 0i32;
        for index in (0..32).rev() {
            let digit = i32::from(order[index]) - i32::from(high.bytes[at + 32 + index]) - borrow;
            borrow = i32::from(digit < 0);
            high.bytes[at + 32 + index] = digit.rem_euclid(256) as u8;
        }
        assert_eq!(digest(&high), digest(&canonical), "the signature at {at}");
        assert_eq!(is_canonical(&high), Err(NonCanonical::HighS));
        assert_eq!(canonicalize(&high).as_ref(), Ok(&canonical));
    }
}

#[test]
fn no_flipped_byte_of_quote_or_collateral_is_accepted() {
    let vendor = Intel::td15();
    let (evidence, endorsements, anchors) = vendor.made();
    let mut bad = evidence.clone();
    for position in 0..evidence.bytes.len() {
        bad.bytes[position] ^= 1 << (position % 8);
        let verdict = vendor.judge(&bad, &endorsements, &anchors);
        assert!(verdict.is_err(), "a flip at byte {position} was accepted");
        let _ = canonicalize(&bad);
        bad.bytes[position] = evidence.bytes[position];
    }
    let mut bad = endorsements.clone();
    for position in 0..endorsements.0.len() {
        bad.0[position] ^= 1 << (position % 8);
        let verdict = vendor.judge(&evidence, &bad, &anchors);
        assert!(verdict.is_err(), "a flip at byte {position} was accepted");
        bad.0[position] = endorsements.0[position];
    }
}
