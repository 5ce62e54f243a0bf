//! For each refusal a document in which only that is wrong. Each row starts from the honest
//! document, which is accepted, and changes one thing.

mod chain;
mod document;
mod envelope;

use std::collections::BTreeSet;

use aether_tee::{
    Endorsements, EvidenceKind, Measurement, Policy, Refusal, RefusalClass, TrustAnchors, UnixTime,
};
use ciborium::Value;

use crate::forger::*;
use chain::CHAIN;
use document::DOCUMENT;
use envelope::ENVELOPE;

pub(crate) type Row = (&'static str, Refusal, fn(&mut Forger));

/// Every row is refused for exactly its reason. Returns the codes that were seen.
pub(crate) fn judge(rows: &[Row]) -> BTreeSet<&'static str> {
    for (story, refusal, change) in rows {
        let mut forger = Forger::honest();
        change(&mut forger);
        assert_eq!(forger.verdict().as_ref(), Err(refusal), "{story}");
    }
    rows.iter().map(|(_, refusal, _)| refusal.code()).collect()
}

#[test]
fn honest_document_by_other_tools_is_accepted() {
    let appraisal = Forger::honest().verdict().expect("accepted");
    assert_eq!(appraisal.kind, EvidenceKind::Simulated);
    assert_eq!(appraisal.measurement, measurement());
    assert!(appraisal.measured);
    assert_eq!(appraisal.issued_at, Some(NOW));
    assert_eq!(appraisal.not_after, UnixTime(NOW.0 + 86_400));
    assert!(appraisal.platform_id.is_some());
}

#[test]
fn document_is_accepted_in_every_form_that_hardware_emits() {
    let mut indefinite = Forger::honest();
    indefinite.payload = Some(Box::new(|payload| {
        payload[0] = 0xbf;
        payload.push(0xff);
    }));
    let mut absent = Forger::honest();
    absent.fields = set("nonce", None);
    let mut unknown = Forger::honest();
    unknown.fields = Some(Box::new(|fields| fields.push(("new".into(), Value::Null))));
    let mut key = Forger::honest();
    key.fields = set("public_key", Some(Value::Bytes(vec![1; 1024])));
    let mut extension_ignored = Forger::honest();
    extension_ignored.chain[2]
        .extensions
        .push(extension(NAME_CONSTRAINTS, false, b""));
    let mut no_constraints = Forger::honest();
    no_constraints.chain[2].extensions.remove(0);
    let mut direct = Forger::honest();
    direct.chain.remove(1);
    direct.chain[1].issuer = "root";
    direct.chain[1].signer = 1;
    for (story, forger) in [
        ("a map of indefinite length", indefinite),
        ("an absent optional field", absent),
        ("an unknown field", unknown),
        ("a public key", key),
        ("an extension that is not critical", extension_ignored),
        ("a leaf without basic constraints", no_constraints),
        ("a leaf issued by the root", direct),
    ] {
        assert!(forger.verdict().is_ok(), "{story}: {:?}", forger.verdict());
    }
}

const CIRCUMSTANCES: &[Row] = &[
    (
        "one byte too many",
        Refusal::TooLarge {
            bytes: 16_385,
            max: 16_384,
        },
        |f| {
            f.bytes = Some(Box::new(|bytes| bytes.resize(16_385, 0)));
        },
    ),
    (
        "a document called an SNP report",
        Refusal::ReportSize { bytes: 1_184 - 1 },
        |f| {
            f.kind = EvidenceKind::SevSnp;
            f.policy.kinds = EvidenceKind::ALL.to_vec();
            f.anchors = Some(TrustAnchors::vendors());
            f.bytes = Some(Box::new(|bytes| bytes.truncate(1_184 - 1)));
        },
    ),
    (
        "a document called a TDX quote",
        Refusal::TeeType {
            tee_type: 0x59a0_2238,
        },
        |f| {
            f.kind = EvidenceKind::Tdx;
            f.policy.kinds = EvidenceKind::ALL.to_vec();
            f.anchors = Some(TrustAnchors::vendors());
        },
    ),
    (
        "a policy for Nitro only",
        Refusal::KindNotAccepted(EvidenceKind::Simulated),
        |f| {
            f.policy.kinds = vec![EvidenceKind::Nitro];
        },
    ),
    (
        "the policy that accepts nothing",
        Refusal::KindNotAccepted(EvidenceKind::Simulated),
        |f| {
            f.policy = Policy::default();
        },
    ),
    (
        "a network without simulated roots",
        Refusal::KindNotTrusted(EvidenceKind::Simulated),
        |f| {
            f.anchors = Some(TrustAnchors::vendors());
        },
    ),
    (
        "a gift of endorsements",
        Refusal::UnexpectedEndorsements(EvidenceKind::Simulated),
        |f| {
            f.endorsements = Endorsements(vec![0]);
        },
    ),
    (
        "simulated evidence called Nitro",
        Refusal::RootNotPinned,
        |f| {
            f.kind = EvidenceKind::Nitro;
            f.policy.kinds = EvidenceKind::ALL.to_vec();
            f.anchors = Some(TrustAnchors::vendors());
        },
    ),
];

const DEMANDS: &[Row] = &[
    ("PCR0 of zeros", Refusal::DebugMode, |f| {
        let pcr = (Value::from(0), Value::Bytes(vec![0; 48]));
        f.fields = set("pcrs", Some(Value::Map(vec![pcr])));
        f.policy.measurements = vec![Measurement([0; 48])];
    }),
    ("another program", Refusal::MeasurementNotListed, |f| {
        f.policy.measurements = vec![Measurement::of(b"another program")];
    }),
    (
        "61 s old",
        Refusal::Stale {
            age_ms: 61_000,
            max_ms: 60_000,
        },
        |f| f.at.0 += 61,
    ),
    (
        "a millisecond too old",
        Refusal::Stale {
            age_ms: 60_001,
            max_ms: 60_000,
        },
        |f| {
            f.fields = set("timestamp", Some((NOW.0 * 1000 - 60_001).into()));
        },
    ),
    (
        "six seconds ahead",
        Refusal::FromTheFuture {
            ahead_ms: 6_000,
            max_ms: 5_000,
        },
        |f| {
            f.at.0 -= 6;
        },
    ),
    (
        "at the end of time",
        Refusal::FromTheFuture {
            ahead_ms: u64::MAX - NOW.0 * 1000,
            max_ms: 5_000,
        },
        |f| {
            f.fields = set("timestamp", Some(u64::MAX.into()));
        },
    ),
    ("another worker's evidence", Refusal::BindingMismatch, |f| {
        f.binding.0[0] ^= 1
    }),
    ("no binding", Refusal::BindingMismatch, |f| {
        f.fields = set("user_data", None)
    }),
    (
        "a binding with a byte more",
        Refusal::BindingMismatch,
        |f| {
            let longer = [binding().as_bytes().as_slice(), &[0]].concat();
            f.fields = set("user_data", Some(Value::Bytes(longer)));
        },
    ),
];

#[test]
fn circumstances_that_accept_nothing_refuse_by_type() {
    judge(CIRCUMSTANCES);
}

#[test]
fn demands_of_the_policy_are_kept() {
    judge(DEMANDS);
}

#[test]
fn ages_and_lives_include_their_ends() {
    for change in [
        (|f| f.at.0 += 60) as fn(&mut Forger),
        |f| f.at.0 -= 5,
        |f| f.chain[2].not_after = "260301120000Z",
        |f| f.chain[2].not_before = "260301120000Z",
    ] {
        let mut forger = Forger::honest();
        change(&mut forger);
        assert!(forger.verdict().is_ok(), "{:?}", forger.verdict());
    }
}

#[test]
fn without_a_list_any_program_is_accepted_and_called_unmeasured() {
    let mut forger = Forger::honest();
    forger.policy.measurements.clear();
    let appraisal = forger.verdict().expect("accepted");
    assert!(!appraisal.measured);
    assert_eq!(appraisal.measurement, measurement());
}

#[test]
fn every_refusal_has_a_forgery() {
    let mut codes = BTreeSet::from(["missing-field", "field-type", "field-size"]);
    for rows in [CIRCUMSTANCES, ENVELOPE, DOCUMENT, DEMANDS, CHAIN] {
        codes.extend(rows.iter().map(|(_, refusal, _)| refusal.code()));
    }
    // One for each variant of `Refusal`, codes being distinct.
    assert_eq!(codes.len(), 40, "{codes:?}");
}

#[test]
fn late_and_unwanted_evidence_is_not_called_forged() {
    let class = |rows: &[Row], code| {
        rows.iter()
            .find(|(_, refusal, _)| refusal.code() == code)
            .map(|(_, r, _)| r.class())
    };
    assert_eq!(class(DEMANDS, "stale"), Some(RefusalClass::Untimely));
    assert_eq!(
        class(CHAIN, "endorsement-expired"),
        Some(RefusalClass::Untimely)
    );
    assert_eq!(class(CHAIN, "root"), Some(RefusalClass::Unwanted));
    assert_eq!(class(DEMANDS, "binding"), Some(RefusalClass::Unwanted));
    assert_eq!(
        class(CHAIN, "evidence-signature"),
        Some(RefusalClass::Forged)
    );
    assert_eq!(
        class(ENVELOPE, "unprotected-header"),
        Some(RefusalClass::Forged)
    );
}
