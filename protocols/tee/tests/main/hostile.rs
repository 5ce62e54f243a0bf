//! Input made to exhaust whoever reads it: everything is bounded before it is followed, and
//! what takes long to write must not take longer to refuse.

use std::time::{Duration, Instant};

use aether_tee::{
    Endorsements, Evidence, EvidenceKind, Policy, Refusal, TdxCollateral, TrustAnchors,
    appraise_user_data, canonicalize, is_canonical,
};
use ciborium::Value;

use crate::amd::Amd;
use crate::forger::{Forger, NOW, set};
use crate::intel::Intel;

/// Far more than any of these takes unoptimised on a busy machine, far less than what is
/// quadratic would.
const PATIENCE: Duration = Duration::from_secs(2);

/// A small generator of numbers, the same every time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Changes some bytes, lengths among them, or cuts, repeats and drops stretches.
fn disturb(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = numbers.below(bytes.len());
        let end = (at + 1 + numbers.below(64)).min(bytes.len());
        match numbers.below(6) {
            0 => bytes[at] = numbers.next() as u8,
            1 => bytes[at] = 0xff,
            2 => bytes.truncate(at),
            3 => {
                let stretch = bytes[at..end].to_vec();
                bytes.splice(at..at, stretch);
            }
            4 => drop(bytes.drain(at..end)),
            _ => bytes[at..end].fill(0),
        }
    }
}

fn judge(evidence: &Evidence, endorsements: &Endorsements) -> bool {
    let policy = Policy {
        kinds: EvidenceKind::ALL.to_vec(),
        ..Policy::default()
    };
    let _ = is_canonical(evidence);
    let _ = canonicalize(evidence);
    let anchors = TrustAnchors::vendors();
    appraise_user_data(evidence, endorsements, &anchors, &policy, &[], NOW).is_ok()
}

#[test]
fn no_parser_panics_on_disturbed_input() {
    let mut numbers = Numbers(1);
    let amd = Amd::listed();
    let (report, bundle) = (amd.evidence(), amd.bundle());
    let intel = Intel::td15();
    let (quote, collateral, anchors) = intel.made();
    let forger = Forger::pinned();
    let document = forger.evidence();
    for _ in 0..1_500 {
        let (mut evidence, mut endorsements) = (quote.clone(), collateral.clone());
        match numbers.below(2) {
            0 => disturb(&mut evidence.bytes, &mut numbers),
            _ => disturb(&mut endorsements.0, &mut numbers),
        }
        let _ = intel.judge(&evidence, &endorsements, &anchors);
        let _ = canonicalize(&evidence);

        let (mut evidence, mut endorsements) = (report.clone(), bundle.clone());
        disturb(&mut evidence.bytes, &mut numbers);
        disturb(&mut endorsements.0, &mut numbers);
        assert!(!judge(&evidence, &bundle) && !judge(&report, &endorsements));

        let mut evidence = document.clone();
        disturb(&mut evidence.bytes, &mut numbers);
        let _ = forger.judge(&evidence);
        let _ = canonicalize(&evidence);
    }
}

#[test]
fn noise_of_any_kind_and_size_is_refused() {
    let mut numbers = Numbers(2);
    for round in 0..2_000 {
        let noise: Vec<u8> = (0..numbers.below(2_000))
            .map(|_| numbers.next() as u8)
            .collect();
        let kind = EvidenceKind::ALL[round % EvidenceKind::ALL.len()];
        let endorsements = Endorsements([&[kind.code()], noise.as_slice()].concat());
        let evidence = Evidence { kind, bytes: noise };
        assert!(!judge(&evidence, &endorsements));
    }
}

#[test]
fn ten_thousand_registers_are_refused_at_once() {
    let start = Instant::now();
    let mut forger = Forger::honest();
    let pcr = |index: u32| (Value::from(index), Value::Bytes(vec![1]));
    forger.fields = set("pcrs", Some(Value::Map((0..10_000).map(pcr).collect())));
    assert!(matches!(forger.verdict(), Err(Refusal::TooLarge { .. })));
    // As many as fit.
    let mut forger = Forger::honest();
    forger.fields = set("pcrs", Some(Value::Map((0..2_000).map(pcr).collect())));
    let refusal = Err(Refusal::FieldSize { field: "pcrs" });
    assert_eq!(forger.verdict(), refusal);
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn lengths_beyond_the_input_allocate_nothing() {
    let start = Instant::now();
    for head in [
        // A byte string, a text, an array and a map of 2^60 entries; nested tags.
        [0x5b, 0x10, 0, 0, 0, 0, 0, 0, 0],
        [0x7b, 0x10, 0, 0, 0, 0, 0, 0, 0],
        [0x9b, 0x10, 0, 0, 0, 0, 0, 0, 0],
        [0xbb, 0x10, 0, 0, 0, 0, 0, 0, 0],
        [0xc1; 9],
    ] {
        for kind in [EvidenceKind::Nitro, EvidenceKind::Simulated] {
            let evidence = Evidence {
                kind,
                bytes: head.to_vec(),
            };
            assert!(is_canonical(&evidence).is_err());
        }
    }
    // Arrays in arrays, far deeper than any document.
    for open in [0x81, 0x9f, 0xc1, 0xbf] {
        let evidence = Evidence {
            kind: EvidenceKind::Simulated,
            bytes: vec![open; 16 * 1024],
        };
        let forger = Forger::pinned();
        assert_eq!(forger.judge(&evidence), Err(Refusal::Unreadable));
    }
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn certificate_bombs_are_refused_at_once() {
    let start = Instant::now();
    // 250 KiB of extensions, each another one.
    let mut amd = Amd::honest();
    for number in 0..12_000u16 {
        let [high, low] = number.to_be_bytes();
        let id = [0x2a, 0x01 + (high >> 5), high & 0x1f, low & 0x7f];
        let extension = crate::forger::extension(&id, false, &[5, 0]);
        amd.vek.extensions.push(extension);
    }
    let unreadable = Refusal::CertificateUnreadable { position: 2 };
    assert_eq!(amd.verdict(), Err(unreadable));
    // A hundred certificates where two belong, and a line that never ends.
    let (quote, _, anchors) = Intel::honest().made();
    for chain in [
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".repeat(2_000),
        "A".repeat(200_000),
        format!("-----BEGIN CERTIFICATE-----\n{}", "AAAA\n".repeat(40_000)),
        "-----BEGIN CERTIFICATE-----\n".repeat(7_000),
    ] {
        let collateral = TdxCollateral {
            root_ca_crl: vec![1],
            pck_crl: vec![1],
            pck_crl_issuer_chain: chain.clone(),
            tcb_info: Intel::honest().info.to_string(),
            tcb_info_signature: vec![1],
            tcb_info_issuer_chain: chain.clone(),
            qe_identity: Intel::honest().identity.to_string(),
            qe_identity_signature: vec![1],
            qe_identity_issuer_chain: String::from("x"),
        };
        let verdict = Intel::honest().judge(&quote, &(&collateral).into(), &anchors);
        assert!(verdict.is_err());
    }
    assert!(start.elapsed() < 2 * PATIENCE, "{:?}", start.elapsed());
}

#[test]
fn nested_and_endless_json_is_refused_at_once() {
    let start = Instant::now();
    for text in [
        "[".repeat(60_000),
        "{\"a\":".repeat(12_000),
        format!("{{\"tcbLevels\":[{}]}}", "{},".repeat(20_000)),
    ] {
        let (quote, _, anchors) = Intel::honest().made();
        let mut collateral = TdxCollateral {
            tcb_info: text.clone(),
            ..TdxCollateral::default()
        };
        assert!(TdxCollateral::from_json(text.as_bytes()).is_err());
        for part in [
            &mut collateral.root_ca_crl,
            &mut collateral.pck_crl,
            &mut collateral.tcb_info_signature,
            &mut collateral.qe_identity_signature,
        ] {
            part.push(1);
        }
        for part in [
            &mut collateral.pck_crl_issuer_chain,
            &mut collateral.tcb_info_issuer_chain,
            &mut collateral.qe_identity,
            &mut collateral.qe_identity_issuer_chain,
        ] {
            part.push('x');
        }
        let refusal = Refusal::CollateralUnreadable {
            part: "the TCB info",
        };
        let verdict = Intel::honest().judge(&quote, &(&collateral).into(), &anchors);
        assert_eq!(verdict, Err(refusal));
    }
    assert!(start.elapsed() < PATIENCE);
}
