//! Forged chains of certificates, and what another library says about them.

use aether_tee::{Refusal, RootFingerprint, TrustAnchors};
use ciborium::Value;

use crate::forger::*;
use crate::forgeries::{Row, judge};

pub(crate) const CHAIN: &[Row] = &[
    ("another network's root", Refusal::RootNotPinned, |f| {
        let other = RootFingerprint::of(b"another root");
        f.anchors = Some(TrustAnchors {
            simulated_roots: vec![other],
            ..Default::default()
        });
    }),
    (
        "a trusted root's key under another certificate",
        Refusal::RootNotPinned,
        |f| {
            f.anchors = Some(f.anchors());
            f.chain[0].not_after = YESTERDAY;
        },
    ),
    (
        "authorities in the wrong order",
        Refusal::RootNotPinned,
        |f| {
            f.anchors = Some(f.anchors());
            f.chain.swap(0, 1);
        },
    ),
    (
        "bytes behind the leaf",
        Refusal::CertificateUnreadable { position: 2 },
        |f| {
            f.chain[2].tail = b"\0";
        },
    ),
    (
        "a certificate that is none",
        Refusal::CertificateUnreadable { position: 2 },
        |f| {
            f.fields = set("certificate", Some(Value::Bytes(vec![0x30, 0x00])));
        },
    ),
    (
        "version 1",
        Refusal::CertificateUnreadable { position: 1 },
        |f| {
            f.chain[1].version = Vec::new();
        },
    ),
    (
        "SHA-256 as the signature's hash",
        Refusal::CertificateAlgorithm { position: 1 },
        |f| {
            f.chain[1].inside_algorithm = SHA256;
            f.chain[1].outside_algorithm = SHA256;
        },
    ),
    (
        "one algorithm inside, one outside",
        Refusal::CertificateAlgorithm { position: 2 },
        |f| {
            f.chain[2].inside_algorithm = SHA256;
        },
    ),
    (
        "another curve",
        Refusal::CertificateKey { position: 2 },
        |f| f.chain[2].curve = P521,
    ),
    (
        "a compressed key",
        Refusal::CertificateKey { position: 1 },
        |f| {
            f.chain[1].compressed = true;
        },
    ),
    (
        "an unknown critical extension",
        Refusal::CertificateExtension { position: 1 },
        |f| {
            f.chain[1]
                .extensions
                .push(extension(NAME_CONSTRAINTS, true, b""));
        },
    ),
    (
        "key usage twice",
        Refusal::CertificateExtension { position: 2 },
        |f| {
            f.chain[2].extensions.push(usage(0));
        },
    ),
    (
        "an unknown extension twice",
        Refusal::CertificateExtension { position: 2 },
        |f| {
            let unknown = extension(NAME_CONSTRAINTS, false, b"");
            f.chain[2].extensions.extend([unknown.clone(), unknown]);
        },
    ),
    (
        "basic constraints that are none",
        Refusal::CertificateExtension { position: 2 },
        |f| {
            f.chain[2].extensions[0] = extension(BASIC_CONSTRAINTS, true, b"\x05\x00");
        },
    ),
    (
        "a root of tomorrow",
        Refusal::CertificateNotYetValid { position: 0 },
        |f| {
            f.chain[0].not_before = TOMORROW;
        },
    ),
    (
        "an authority of tomorrow",
        Refusal::CertificateNotYetValid { position: 1 },
        |f| {
            f.chain[1].not_before = TOMORROW;
        },
    ),
    (
        "a leaf of tomorrow",
        Refusal::CertificateNotYetValid { position: 2 },
        |f| {
            f.chain[2].not_before = "260301120001Z";
        },
    ),
    (
        "a root of yesterday",
        Refusal::CertificateExpired { position: 0 },
        |f| {
            f.chain[0].not_after = YESTERDAY;
        },
    ),
    (
        "an authority of yesterday",
        Refusal::CertificateExpired { position: 1 },
        |f| {
            f.chain[1].not_after = YESTERDAY;
        },
    ),
    (
        "a leaf that has just expired",
        Refusal::CertificateExpired { position: 2 },
        |f| {
            f.chain[2].not_after = "260301115959Z";
        },
    ),
    (
        "an authority by another issuer",
        Refusal::IssuerMismatch { position: 1 },
        |f| {
            f.chain[1].issuer = "another root";
        },
    ),
    (
        "a leaf by another issuer",
        Refusal::IssuerMismatch { position: 2 },
        |f| {
            f.chain[2].issuer = "root";
        },
    ),
    (
        "a root that is no authority",
        Refusal::NotAnAuthority { position: 0 },
        |f| {
            f.chain[0].extensions[0] = constraints(false, None);
        },
    ),
    (
        "a leaf that issued a leaf",
        Refusal::NotAnAuthority { position: 1 },
        |f| {
            f.chain[1].extensions[0] = constraints(false, None);
        },
    ),
    (
        "an authority that does not say so",
        Refusal::NotAnAuthority { position: 1 },
        |f| {
            f.chain[1].extensions.remove(0);
        },
    ),
    ("an authority for a leaf", Refusal::LeafIsAnAuthority, |f| {
        f.chain[2].extensions[0] = constraints(true, None);
    }),
    (
        "a root that allows no authority below",
        Refusal::PathLength { position: 0 },
        |f| {
            f.chain[0].extensions[0] = constraints(true, Some(0));
        },
    ),
    (
        "an authority below the last",
        Refusal::PathLength { position: 1 },
        |f| {
            f.chain[0].extensions[0] = constraints(true, None);
            let mut below = f.chain[1].clone();
            (below.issuer, below.signer) = ("authority", 2);
            (below.subject, below.key) = ("below", 4);
            (f.chain[2].issuer, f.chain[2].signer) = ("below", 4);
            f.chain.insert(2, below);
        },
    ),
    (
        "a root that may not issue",
        Refusal::KeyUsage { position: 0 },
        |f| {
            f.chain[0].extensions[1] = usage(0);
        },
    ),
    (
        "an authority without key usage",
        Refusal::KeyUsage { position: 1 },
        |f| {
            f.chain[1].extensions.remove(1);
        },
    ),
    (
        "a leaf that may not sign",
        Refusal::KeyUsage { position: 2 },
        |f| {
            f.chain[2].extensions[1] = usage(5);
        },
    ),
    (
        "an authority signed by another key",
        Refusal::CertificateSignature { position: 1 },
        |f| {
            f.chain[1].signer = 9;
        },
    ),
    (
        "a leaf signed by the root",
        Refusal::CertificateSignature { position: 2 },
        |f| {
            f.chain[2].signer = 1;
        },
    ),
    (
        "a document signed by another key",
        Refusal::EvidenceSignature,
        |f| f.signer = 9,
    ),
    (
        "a document changed after signing",
        Refusal::EvidenceSignature,
        |f| {
            f.envelope = Some(Box::new(|envelope| {
                let payload = envelope.payload.as_mut().expect("a payload");
                let id = payload
                    .windows(6)
                    .position(|six| six == b"forger")
                    .expect("module_id");
                payload[id] = b'F';
            }));
        },
    ),
];

#[test]
fn chain_keeps_every_rule() {
    judge(CHAIN);
}

/// What another library says about the same chain.
fn second_opinion(forger: &Forger) -> Result<(), webpki::Error> {
    use rustls_pki_types::{CertificateDer, UnixTime};
    let ders: Vec<_> = forger
        .ders()
        .into_iter()
        .map(CertificateDer::from)
        .collect();
    let (leaf, authorities) = ders.split_last().expect("a leaf");
    let (root, intermediates) = authorities.split_first().expect("a root");
    let anchors = [webpki::anchor_from_trusted_cert(root)?];
    webpki::EndEntityCert::try_from(leaf)?
        .verify_for_usage(
            &[webpki::ring::ECDSA_P384_SHA384],
            &anchors,
            intermediates,
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(forger.at.0)),
            webpki::KeyUsage::client_auth(),
            None,
            None,
        )
        .map(|_| ())
}

/// Where webpki checks the same thing, it agrees. It looks neither at the root beyond its
/// name and key, nor at key usage.
#[test]
fn webpki_refuses_the_same_chains() {
    assert_eq!(second_opinion(&Forger::honest()), Ok(()));
    let mut compared = 0;
    for (story, refusal, change) in CHAIN {
        let shared = match refusal {
            Refusal::CertificateAlgorithm { .. }
            | Refusal::IssuerMismatch { .. }
            | Refusal::LeafIsAnAuthority
            | Refusal::CertificateSignature { .. } => true,
            Refusal::CertificateKey { position } => *position == 1,
            Refusal::CertificateNotYetValid { position }
            | Refusal::CertificateExpired { position }
            | Refusal::NotAnAuthority { position }
            | Refusal::PathLength { position } => *position > 0,
            _ => false,
        };
        if shared {
            let mut forger = Forger::honest();
            change(&mut forger);
            assert!(second_opinion(&forger).is_err(), "{story}");
            compared += 1;
        }
    }
    assert!(compared >= 14, "only {compared} chains compared");
}
