//! For each check of an AMD report, one report in which only that is wrong.

use std::collections::BTreeSet;

use aether_tee::{
    Details, Endorsements, EvidenceKind, Measurement, NonCanonical, Refusal, SnpProduct, SnpTcb,
    TrustAnchors, UnixTime, canonicalize, is_canonical,
};

use crate::amd::*;
use crate::forger::{NOW, constraints, extension};
use crate::pki::{List, Signer, pss, usages};

type Row = (&'static str, Refusal, fn() -> Amd);

/// An honest vendor with one change.
fn with(mut vendor: Amd, change: impl Fn(&mut Amd)) -> Amd {
    change(&mut vendor);
    vendor
}

fn honest(change: impl Fn(&mut Amd)) -> Amd {
    with(Amd::honest(), change)
}

fn listed(change: impl Fn(&mut Amd, &mut List)) -> Amd {
    let mut vendor = Amd::listed();
    let mut list = vendor.list.take().expect("a list");
    change(&mut vendor, &mut list);
    vendor.list = Some(list);
    vendor
}

const LEAST: SnpTcb = SnpTcb {
    fmc: 0,
    bootloader: 3,
    tee: 1,
    snp: 20,
    microcode: 209,
};

const REPORT: &[Row] = &[
    (
        "a byte too few",
        Refusal::ReportSize { bytes: 1183 },
        || honest(|v| v.bytes = Some(|bytes| bytes.truncate(1183))),
    ),
    (
        "a zero too many",
        Refusal::ReportSize { bytes: 1185 },
        || honest(|v| v.bytes = Some(|bytes| bytes.push(0))),
    ),
    ("version 1", Refusal::ReportVersion { version: 1 }, || {
        honest(|v| v.put(VERSION, &[1]))
    }),
    ("version 4", Refusal::ReportVersion { version: 4 }, || {
        honest(|v| v.put(VERSION, &[4]))
    }),
    (
        "another algorithm",
        Refusal::ReportAlgorithm { algorithm: 2 },
        || honest(|v| v.put(ALGORITHM, &[2])),
    ),
    ("a scalar of 49 bytes", Refusal::SignaturePadding, || {
        honest(|v| v.bytes = Some(|bytes| bytes[SIGNATURE + 48] = 1))
    }),
    (
        "something behind the signature",
        Refusal::SignaturePadding,
        || honest(|v| v.bytes = Some(|bytes| bytes[0x49f] = 1)),
    ),
    ("nobody's key", Refusal::SigningKey { selector: 7 }, || {
        honest(|v| v.put(KEY_INFO, &[7 << 2]))
    }),
    (
        "an unknown key",
        Refusal::SigningKey { selector: 2 },
        || honest(|v| v.put(KEY_INFO, &[2 << 2])),
    ),
    ("an unknown processor", Refusal::UnknownProduct, || {
        honest(|v| v.put(FAMILY, &[0x19, 0x20]))
    }),
    ("an older processor", Refusal::UnknownProduct, || {
        honest(|v| v.put(FAMILY, &[0x17, 0x01]))
    }),
    ("Genoa's processor", Refusal::ProductMismatch, || {
        honest(|v| v.put(FAMILY, &[0x19, 0x11]))
    }),
    (
        "another key's signature",
        Refusal::EvidenceSignature,
        || honest(|v| v.signer = 8),
    ),
    ("a changed signature", Refusal::EvidenceSignature, || {
        honest(|v| v.bytes = Some(|bytes| bytes[SIGNATURE + 80] ^= 1))
    }),
    (
        "content changed behind the signature",
        Refusal::EvidenceSignature,
        || honest(|v| v.bytes = Some(|bytes| bytes[0x10] ^= 1)),
    ),
];

const DEMANDS: &[Row] = &[
    ("a debugged guest", Refusal::DebugMode, || {
        honest(|v| v.put(GUEST_POLICY, &0xb_0000u64.to_le_bytes()))
    }),
    ("a migration agent", Refusal::MigrationAgent, || {
        honest(|v| v.put(GUEST_POLICY, &0x7_0000u64.to_le_bytes()))
    }),
    ("no bit 17", Refusal::GuestPolicy, || {
        honest(|v| v.put(GUEST_POLICY, &0x1_0000u64.to_le_bytes()))
    }),
    ("threads where none may be", Refusal::Smt, || {
        honest(|v| v.policy.snp.allow_smt = false)
    }),
    (
        "a report for VMPL 1",
        Refusal::Vmpl {
            vmpl: 1,
            highest: 0,
        },
        || honest(|v| v.put(VMPL, &[1])),
    ),
    (
        "a report for the host",
        Refusal::Vmpl {
            vmpl: u32::MAX,
            highest: 3,
        },
        || {
            honest(|v| {
                v.put(VMPL, &[0xff; 4]);
                v.policy.snp.highest_vmpl = 3;
            })
        },
    ),
    ("no alias check", Refusal::PlatformInfo, || {
        honest(|v| v.policy.snp.platform_info_required = 1 << 5)
    }),
    ("threads on the platform", Refusal::PlatformInfo, || {
        honest(|v| v.policy.snp.platform_info_forbidden = 1)
    }),
    ("other host data", Refusal::HostData, || {
        honest(|v| {
            v.policy.snp.host_data = Some([1; 32]);
            v.put(HOST_DATA, &[2; 32]);
        })
    }),
    ("another identity key", Refusal::IdKey, || {
        honest(|v| {
            v.policy.snp.id_keys = vec![[1; 48]];
            v.put(ID_KEY, &[2; 48]);
        })
    }),
    ("another author key", Refusal::AuthorKey, || {
        honest(|v| {
            v.policy.snp.author_keys = vec![[1; 48]];
            v.put(AUTHOR_KEY, &[2; 48]);
        })
    }),
    (
        "a cloud's key where none may be",
        Refusal::VlekNotAccepted,
        || with(Amd::vlek(), |v| v.policy.snp.allow_vlek = false),
    ),
    ("another program", Refusal::MeasurementNotListed, || {
        honest(|v| v.policy.measurements = vec![Measurement([7; 48])])
    }),
    ("another worker", Refusal::BindingMismatch, || {
        honest(|v| v.binding.0[63] ^= 1)
    }),
    (
        "too old a boot loader",
        Refusal::TcbTooLow { which: "reported" },
        || {
            honest(|v| {
                let least = SnpTcb {
                    bootloader: 4,
                    ..LEAST
                };
                v.policy.snp.least_tcb = vec![(SnpProduct::Milan, least)];
            })
        },
    ),
    (
        "too old microcode",
        Refusal::TcbTooLow { which: "reported" },
        || {
            honest(|v| {
                let least = SnpTcb {
                    microcode: 210,
                    ..LEAST
                };
                v.policy.snp.least_tcb = vec![(SnpProduct::Milan, least)];
            })
        },
    ),
    (
        "firmware rolled back since",
        Refusal::TcbTooLow { which: "current" },
        || {
            honest(|v| {
                v.policy.snp.least_tcb = vec![(SnpProduct::Milan, LEAST)];
                v.put(CURRENT_TCB + 6, &[19]);
            })
        },
    ),
    (
        "firmware that may be rolled back",
        Refusal::TcbTooLow { which: "committed" },
        || {
            honest(|v| {
                v.policy.snp.least_committed_tcb = vec![(SnpProduct::Milan, LEAST)];
                v.put(COMMITTED_TCB + 6, &[19]);
            })
        },
    ),
    (
        "a start on old firmware",
        Refusal::TcbTooLow { which: "launch" },
        || {
            honest(|v| {
                v.policy.snp.least_launch_tcb = vec![(SnpProduct::Milan, LEAST)];
                v.put(LAUNCH_TCB + 1, &[0]);
            })
        },
    ),
];

const CHAIN: &[Row] = &[
    (
        "no endorsements",
        Refusal::EndorsementsMissing(EvidenceKind::SevSnp),
        || honest(|v| v.bundle = Some(|bundle| bundle.0.clear())),
    ),
    (
        "no VEK",
        Refusal::EndorsementsMissing(EvidenceKind::SevSnp),
        || honest(|v| v.endorsements = Some(|parts| parts.vek.clear())),
    ),
    (
        "a VLEK without its issuer",
        Refusal::EndorsementsMissing(EvidenceKind::SevSnp),
        || {
            with(Amd::vlek(), |v| {
                v.endorsements = Some(|parts| parts.issuer.clear())
            })
        },
    ),
    ("Intel's bundle", Refusal::EndorsementsUnreadable, || {
        honest(|v| v.bundle = Some(|bundle| bundle.0[0] = EvidenceKind::Tdx.code()))
    }),
    ("a part twice", Refusal::EndorsementsUnreadable, || {
        honest(|v| v.bundle = Some(|bundle| bundle.0.extend([3, 0, 0, 0, 1, 0])))
    }),
    ("an unknown part", Refusal::EndorsementsUnreadable, || {
        honest(|v| v.bundle = Some(|bundle| bundle.0.extend([5, 0, 0, 0, 1, 0])))
    }),
    (
        "a part longer than the bundle",
        Refusal::EndorsementsUnreadable,
        || honest(|v| v.bundle = Some(|bundle| bundle.0.extend([4, 0xff, 0xff, 0xff, 0xff, 0]))),
    ),
    (
        "a bundle of 256 KiB and a byte",
        Refusal::EndorsementsUnreadable,
        || honest(|v| v.bundle = Some(|bundle| bundle.0.resize(256 * 1024 + 1, 0))),
    ),
    ("another root", Refusal::RootNotPinned, || {
        honest(|v| v.anchors = Some(TrustAnchors::vendors()))
    }),
    (
        "a VEK that is no certificate",
        Refusal::CertificateUnreadable { position: 2 },
        || honest(|v| v.endorsements = Some(|parts| parts.vek.push(0))),
    ),
    (
        "a short salt",
        Refusal::CertificateAlgorithm { position: 2 },
        || honest(|v| v.vek.algorithm = Some(pss(32))),
    ),
    (
        "a VEK with an RSA key",
        Refusal::CertificateKey { position: 2 },
        || honest(|v| v.vek.spki = Signer::Ask.spki()),
    ),
    (
        "a critical extension",
        Refusal::CertificateExtension { position: 2 },
        || {
            honest(|v| {
                v.vek
                    .extensions
                    .push(extension(&[0x2a, 0x03], true, &[5, 0]))
            })
        },
    ),
    (
        "an extension twice",
        Refusal::CertificateExtension { position: 2 },
        || honest(|v| v.vek.extensions.push(number(1, 3))),
    ),
    (
        "a VEK of tomorrow",
        Refusal::CertificateNotYetValid { position: 2 },
        || honest(|v| v.vek.not_before = "260301120001Z"),
    ),
    (
        "an expired VEK",
        Refusal::CertificateExpired { position: 2 },
        || honest(|v| v.vek.not_after = "260301115959Z"),
    ),
    (
        "an expired issuer",
        Refusal::CertificateExpired { position: 1 },
        || honest(|v| v.issuer.not_after = "260301115959Z"),
    ),
    (
        "an expired root",
        Refusal::CertificateExpired { position: 0 },
        || honest(|v| v.root.not_after = "260301115959Z"),
    ),
    (
        "another issuer's name",
        Refusal::IssuerMismatch { position: 2 },
        || honest(|v| v.vek.issuer = "SEV-Genoa"),
    ),
    (
        "an issuer without authority",
        Refusal::NotAnAuthority { position: 1 },
        || honest(|v| v.issuer.extensions[0] = constraints(false, None)),
    ),
    (
        "a root for no more than itself",
        Refusal::PathLength { position: 0 },
        || honest(|v| v.root.extensions[0] = constraints(true, Some(0))),
    ),
    (
        "an issuer that may not issue",
        Refusal::KeyUsage { position: 1 },
        || honest(|v| v.issuer.extensions[1] = usages(&[0])),
    ),
    (
        "a VEK that is an authority",
        Refusal::LeafIsAnAuthority,
        || honest(|v| v.vek.extensions.push(constraints(true, None))),
    ),
    (
        "an issuer by somebody else",
        Refusal::CertificateSignature { position: 1 },
        || honest(|v| v.issuer.signer = Signer::Ask),
    ),
    (
        "a VEK by the root",
        Refusal::CertificateSignature { position: 2 },
        || honest(|v| v.vek.signer = Signer::Ark),
    ),
    (
        "a spoilt signature",
        Refusal::CertificateSignature { position: 2 },
        || honest(|v| v.vek.spoil = 1),
    ),
];

const VEK: &[Row] = &[
    (
        "a VLEK's certificate",
        Refusal::VekKind { position: 2 },
        || honest(|v| v.vek.subject = "SEV-VLEK"),
    ),
    ("a VLEK's issuer", Refusal::VekKind { position: 1 }, || {
        honest(|v| {
            v.issuer.subject = "SEV-VLEK-Milan";
            v.vek.issuer = "SEV-VLEK-Milan";
        })
    }),
    (
        "a VCEK's issuer for a VLEK",
        Refusal::VekKind { position: 1 },
        || {
            with(Amd::vlek(), |v| {
                v.issuer.subject = "SEV-Milan";
                v.vek.issuer = "SEV-Milan";
            })
        },
    ),
    (
        "another product's root",
        Refusal::VekKind { position: 0 },
        || {
            honest(|v| {
                (v.root.subject, v.root.issuer) = ("ARK-Genoa", "ARK-Genoa");
                v.issuer.issuer = "ARK-Genoa";
            })
        },
    ),
    (
        "a VCEK without hardware id",
        Refusal::VekKind { position: 2 },
        || honest(|v| drop(v.vek.extensions.remove(AT_ID))),
    ),
    ("a VLEK with one", Refusal::VekKind { position: 2 }, || {
        with(Amd::vlek(), |v| {
            v.vek.extensions.push(hardware(&[0xc4; 64]))
        })
    }),
    (
        "a VCEK for another product",
        Refusal::ProductMismatch,
        || honest(|v| v.vek.extensions[AT_PRODUCT] = product_extension("Genoa-B0")),
    ),
    ("a VCEK for no product", Refusal::VekExtension, || {
        honest(|v| drop(v.vek.extensions.remove(AT_PRODUCT)))
    }),
    (
        "a VCEK for an unknown product",
        Refusal::UnknownProduct,
        || honest(|v| v.vek.extensions[AT_PRODUCT] = product_extension("Venice")),
    ),
    ("no boot loader's version", Refusal::VekExtension, || {
        honest(|v| drop(v.vek.extensions.remove(AT_BOOTLOADER)))
    }),
    ("Turin without its version 9", Refusal::VekExtension, || {
        with(Amd::turin(), |v| drop(v.vek.extensions.remove(AT_UNUSED)))
    }),
    ("another boot loader", Refusal::VekTcb, || {
        honest(|v| v.vek.extensions[AT_BOOTLOADER] = number(1, 2))
    }),
    ("a report for an older TCB", Refusal::VekTcb, || {
        honest(|v| v.put(REPORTED_TCB + 7, &[208]))
    }),
    ("a reserved version", Refusal::VekTcb, || {
        honest(|v| v.put(REPORTED_TCB + 3, &[1]))
    }),
    ("a certified reserved version", Refusal::VekTcb, || {
        honest(|v| v.vek.extensions[AT_UNUSED] = number(4, 1))
    }),
    ("Milan's layout on Turin", Refusal::VekTcb, || {
        with(Amd::turin(), |v| {
            v.put(REPORTED_TCB, &[3, 1, 0, 0, 0, 0, 20, 209])
        })
    }),
    ("another chip", Refusal::VekChip, || {
        honest(|v| v.put(CHIP + 63, &[0]))
    }),
    ("a chip that hides", Refusal::VekChip, || {
        honest(|v| {
            v.put(CHIP, &[0; 64]);
            v.vek.extensions[AT_ID] = hardware(&[0; 64]);
        })
    }),
    ("a long id on Turin", Refusal::VekChip, || {
        with(Amd::turin(), |v| v.put(CHIP + 8, &[1]))
    }),
];

const LISTS: &[Row] = &[
    ("no list where one must be", Refusal::CrlMissing, || {
        honest(|v| v.policy.snp.require_crl = true)
    }),
    ("not a list", Refusal::CrlUnreadable { list: "AMD" }, || {
        with(Amd::listed(), |v| {
            v.endorsements = Some(|parts| parts.crl.push(0))
        })
    }),
    (
        "a list without an end",
        Refusal::CrlUnreadable { list: "AMD" },
        || listed(|_, list| list.next_update = None),
    ),
    (
        "a list with a critical extension",
        Refusal::CrlUnreadable { list: "AMD" },
        || listed(|_, list| list.critical = true),
    ),
    (
        "another authority's list",
        Refusal::CrlIssuer { list: "AMD" },
        || listed(|_, list| list.issuer = "ARK-Genoa"),
    ),
    (
        "a list by the issuer",
        Refusal::CrlSignature { list: "AMD" },
        || listed(|_, list| list.signer = Signer::Ask),
    ),
    (
        "a spoilt list",
        Refusal::CrlSignature { list: "AMD" },
        || listed(|_, list| list.spoil = 1),
    ),
    (
        "a list of tomorrow",
        Refusal::CrlNotYetValid { list: "AMD" },
        || listed(|_, list| list.this_update = "260301120001Z"),
    ),
    (
        "an expired list",
        Refusal::CrlExpired { list: "AMD" },
        || listed(|_, list| list.next_update = Some("260301115959Z")),
    ),
    (
        "a list rolled back",
        Refusal::CrlRolledBack { list: "AMD" },
        || listed(|v, _| v.policy.snp.least_crl_number = 8),
    ),
    (
        "a root that signs no lists",
        Refusal::KeyUsage { position: 0 },
        || listed(|v, _| v.root.extensions[1] = usages(&[5])),
    ),
    ("a revoked issuer", Refusal::Revoked { position: 1 }, || {
        listed(|_, list| list.revoked = vec![7, 2])
    }),
    ("a revoked root", Refusal::Revoked { position: 0 }, || {
        listed(|_, list| list.revoked = vec![1])
    }),
    ("a revoked VLEK", Refusal::Revoked { position: 2 }, || {
        with(Amd::vlek(), |v| {
            let mut list = List::new("ARK-Milan", Signer::Ark);
            list.revoked = vec![5];
            v.list = Some(list);
        })
    }),
];

fn judge(rows: &[Row]) {
    for (story, refusal, make) in rows {
        assert_eq!(make().verdict().as_ref(), Err(refusal), "{story}");
    }
}

#[test]
fn reports_must_be_well_formed_and_signed() {
    judge(REPORT);
}

#[test]
fn demands_on_reports_are_kept() {
    judge(DEMANDS);
}

#[test]
fn chains_of_reports_keep_the_rules() {
    judge(CHAIN);
}

#[test]
fn signing_keys_must_fit_their_reports() {
    judge(VEK);
}

#[test]
fn revocation_lists_are_honoured() {
    judge(LISTS);
}

#[test]
fn codes_of_these_stories_are_many() {
    let rows = [REPORT, DEMANDS, CHAIN, VEK, LISTS].concat();
    let codes: BTreeSet<_> = rows.iter().map(|(_, refusal, _)| refusal.code()).collect();
    assert!(codes.len() >= 45, "{}: {codes:?}", codes.len());
}

#[test]
fn honest_reports_of_every_kind_are_accepted() {
    let details = |vendor: &Amd| {
        let appraisal = vendor.verdict().expect("accepted");
        assert!(appraisal.measured);
        assert_eq!(appraisal.issued_at, None);
        assert_eq!(appraisal.not_after, UnixTime(NOW.0 + 86_400));
        let Details::SevSnp(details) = appraisal.details else {
            panic!("no details of a report");
        };
        (details, appraisal.platform_id)
    };
    let (milan, chip) = details(&Amd::honest());
    assert_eq!((milan.product, milan.vlek), (SnpProduct::Milan, false));
    assert_eq!((milan.reported_tcb, milan.crl_number), (LEAST, None));
    assert!(chip.is_some());
    let (vlek, chip) = details(&Amd::vlek());
    assert!(vlek.vlek && chip.is_none());
    let (turin, _) = details(&Amd::turin());
    assert_eq!(turin.reported_tcb, SnpTcb { fmc: 7, ..LEAST });
    let (listed, _) = details(&Amd::listed());
    assert_eq!(listed.crl_number, Some(7));
    // Version 2 names no processor; the certificate does.
    let old = honest(|v| {
        v.put(VERSION, &[2]);
        v.put(FAMILY, &[0, 0]);
    });
    assert_eq!(details(&old).0.product, SnpProduct::Milan);
    let minima = honest(|v| {
        v.policy.snp.least_tcb = vec![
            (SnpProduct::Milan, LEAST),
            (SnpProduct::Genoa, SnpTcb { snp: 255, ..LEAST }),
        ];
    });
    details(&minima);
}

#[test]
fn what_a_policy_allows_is_accepted() {
    for (story, vendor) in [
        (
            "debug",
            honest(|v| {
                v.put(GUEST_POLICY, &0xb_0000u64.to_le_bytes());
                v.policy.snp.allow_debug = true;
            }),
        ),
        (
            "a migration agent",
            honest(|v| {
                v.put(GUEST_POLICY, &0x7_0000u64.to_le_bytes());
                v.policy.snp.allow_migration_agent = true;
            }),
        ),
        (
            "VMPL 3",
            honest(|v| {
                v.put(VMPL, &[3]);
                v.policy.snp.highest_vmpl = 3;
            }),
        ),
        (
            "no threads",
            honest(|v| {
                v.put(GUEST_POLICY, &0x2_0000u64.to_le_bytes());
                v.policy.snp.allow_smt = false;
            }),
        ),
    ] {
        assert!(vendor.verdict().is_ok(), "{story}: {:?}", vendor.verdict());
    }
}

#[test]
fn twin_of_a_reports_signature_is_the_same_evidence_and_not_admitted() {
    let vendor = Amd::honest();
    let good = vendor.evidence();
    let scalar = |at: usize| -> Vec<u8> { good.bytes[at..at + 48].iter().rev().copied().collect() };
    let both = [scalar(SIGNATURE), scalar(SIGNATURE + 72)].concat();
    let signature = p384::ecdsa::Signature::from_slice(&both).expect("a signature");
    let (r, s) = signature.split_scalars();
    let twin = p384::ecdsa::Signature::from_scalars(r, -s).expect("its twin");
    let mut high = good.clone();
    let s: Vec<u8> = twin.to_bytes()[48..].iter().rev().copied().collect();
    high.bytes[SIGNATURE + 72..SIGNATURE + 120].copy_from_slice(&s);

    let digest = |evidence| vendor.judge(evidence).expect("accepted").signed_digest;
    assert_eq!(digest(&high), digest(&good));
    assert_eq!(is_canonical(&good), Ok(()));
    assert_eq!(is_canonical(&high), Err(NonCanonical::HighS));
    assert_eq!(canonicalize(&high), Ok(good));
}

#[test]
fn bundles_are_named_by_their_content() {
    let bundle = Endorsements(vec![1, 2, 3]);
    assert_eq!(bundle.id(), Endorsements(vec![1, 2, 3]).id());
    assert_ne!(bundle.id(), Endorsements::none().id());
}
