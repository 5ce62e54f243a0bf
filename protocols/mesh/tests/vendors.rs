//! Evidence whose vendor speaks beside it: bundles of endorsements, named by
//! the evidence and carried once, numbers that never go back, and receipts
//! that verify with the bundle in them.

use crate::amd::{self, Amd};
use crate::intel::{self, Intel};
use crate::pki::{List, Signer};
use crate::receipts::receipt;
use crate::scene::{Scene, account, session};
use aether_mesh::*;
use aether_tee::{Binding, Endorsements, Evidence, EvidenceKind, TrustAnchors};
use serde_json::json;

/// A network that also believes this vendor's roots.
fn scene(anchors: TrustAnchors) -> Scene {
    let mut s = Scene::new();
    s.rules.anchors.snp_roots = anchors.snp_roots;
    s.rules.anchors.tdx_roots = anchors.tdx_roots;
    s.rules.policy.kinds = vec![
        EvidenceKind::SevSnp,
        EvidenceKind::Tdx,
        EvidenceKind::Simulated,
    ];
    let listed = &mut s.rules.tee_rules.measurements;
    listed.push(crate::forger::measurement().0);
    listed.sort_unstable();
    s
}

fn amd_scene(bundle: &Endorsements) -> Scene {
    scene(TrustAnchors {
        snp_roots: vec![(aether_tee::SnpProduct::Milan, amd::root_of(bundle))],
        ..TrustAnchors::default()
    })
}

/// What the last block and this worker's session are bound by.
fn binding(s: &Scene, worker: &str) -> Binding {
    Binding::new(
        s.rules.chain_id.as_bytes(),
        account(worker).as_bytes(),
        session(worker).verifying_key().as_bytes(),
        s.slot.0,
        s.ids[&s.slot].as_bytes(),
    )
}

/// AMD's report for this worker, naming this bundle.
fn report(s: &Scene, worker: &str, bundle: &Endorsements) -> BoundEvidence {
    let mut vendor = Amd::listed();
    vendor.put(amd::REPORT_DATA, binding(s, worker).as_bytes());
    BoundEvidence {
        kind: EvidenceKind::SevSnp,
        document: vendor.evidence().bytes,
        slot: s.slot,
        endorsements: Some(BlobRef::of(&bundle.0)),
    }
}

/// As a worker sends what its hardware gave it.
fn canonical(evidence: Evidence) -> Vec<u8> {
    aether_tee::canonicalize(&evidence).expect("a quote").bytes
}

fn registers(s: &Scene, worker: &str, evidence: BoundEvidence) -> VerifiedTx {
    s.attest_with(worker, &session(worker), evidence)
}

/// AMD's bundle with a revocation list of this number.
fn amd_bundle(number: u8) -> Endorsements {
    let mut vendor = Amd::listed();
    vendor.list = Some(List {
        number,
        ..List::new("ARK-Milan", Signer::Ark)
    });
    vendor.bundle()
}

#[test]
fn a_bundle_is_fetched_first_and_paid_for_once() {
    let bundle = Amd::listed().bundle();
    let mut s = amd_scene(&bundle);
    let first = registers(&s, "worker", report(&s, "worker", &bundle));
    let named = BlobRef::of(&bundle.0);
    assert_eq!(first.action().blobs(), vec![named]);
    assert_eq!(s.refusal(&first), Refusal::BlobMissing(named));

    s.library.insert(&bundle.0);
    let paid = |s: &mut Scene, tx: VerifiedTx| {
        let before = s.account_record(&tx.signer()).balance;
        s.block(std::slice::from_ref(&tx));
        let after = s.account_record(&tx.signer()).balance;
        before.checked_sub(after).unwrap()
    };
    let kib = s.rules.params().fee_per_kib;
    let with_bundle = paid(&mut s, first);
    let again = registers(&s, "worker-2", report(&s, "worker-2", &bundle));
    let size = again.signed().encoded_len() as u64;
    assert_eq!(paid(&mut s, again), fee(kib, size).unwrap());
    assert_eq!(with_bundle, fee(kib, size + named.bytes_len).unwrap());
}

#[test]
fn a_quote_travels_with_at_most_a_kibibyte_around_it() {
    let (quote, endorsements, anchors) = Intel::honest().made();
    let s = scene(anchors);
    let evidence = BoundEvidence {
        kind: EvidenceKind::Tdx,
        document: quote.bytes.clone(),
        slot: s.slot,
        endorsements: Some(BlobRef::of(&endorsements.0)),
    };
    let tx = registers(&s, "worker", evidence);
    assert!(tx.signed().encoded_len() <= quote.bytes.len() + 1024);
}

#[test]
fn a_job_on_amd_ends_in_a_receipt_that_carries_the_bundle() {
    let bundle = Amd::listed().bundle();
    let mut s = amd_scene(&bundle);
    s.library.insert(&bundle.0);
    let registration = registers(&s, "worker", report(&s, "worker", &bundle));
    s.block(&[registration]);

    let mut terms = s.terms();
    terms.tee_kinds = vec![EvidenceKind::SevSnp];
    s.keep_inline(&terms.input);
    let posting = s.tx("requester", Action::PostJob(terms));
    let job = JobId(posting.id().0);
    s.block(std::slice::from_ref(&posting));
    s.assign(&job, "worker");
    let accept = s.accept_with(
        &job,
        "worker",
        &session("worker"),
        report(&s, "worker", &bundle),
    );
    s.block(&[accept]);
    let mut vcr = s.vcr_of(&job, "worker", &s.run(&job));
    vcr.evidence = report(&s, "worker", &bundle);
    let vcr = s.vcr_tx("worker", vcr, &session("worker"));
    s.block(std::slice::from_ref(&vcr));
    s.close_window(&job);
    assert_eq!(s.status(&job), JobStatus::Settled);

    let bare = receipt(&s, &job, &posting, &vcr);
    let refused = |r: &Receipt| r.verify(&s.rules).expect_err("refused").code();
    assert_eq!(refused(&bare), "evidence-refused");
    let whole = Receipt {
        endorsements: bundle.0.clone(),
        ..bare.clone()
    };
    let verified = Receipt::decode(&whole.encode()).unwrap().verify(&s.rules);
    assert_eq!(verified.unwrap().appraisal.kind, EvidenceKind::SevSnp);
    for at in (0..bundle.0.len()).step_by(37) {
        let mut other = whole.clone();
        other.endorsements[at] ^= 1;
        assert_eq!(refused(&other), "evidence-refused");
    }
}

#[test]
fn a_revocation_list_never_goes_back() {
    let (seven, nine) = (amd_bundle(7), amd_bundle(9));
    // The certificates in both are signed anew; each names its own root.
    let mut s = amd_scene(&seven);
    s.rules
        .anchors
        .snp_roots
        .push((aether_tee::SnpProduct::Milan, amd::root_of(&nine)));
    for bundle in [&seven, &nine] {
        s.library.insert(&bundle.0);
    }
    for bundle in [&seven, &nine] {
        let tx = registers(&s, "worker", report(&s, "worker", bundle));
        s.block(&[tx]);
    }
    let old = registers(&s, "worker-2", report(&s, "worker-2", &seven));
    let why = s.why(&old);
    assert!(
        why.contains("AMD's revocation list is 7, the network has seen 9"),
        "{why}"
    );
    let new = registers(&s, "worker-2", report(&s, "worker-2", &nine));
    s.block(&[new]);
}

#[test]
fn what_intel_published_later_counts_after_the_grace() {
    // One root for both: the vendor makes its certificates once.
    let vendor_with = |number: u32, s: Option<&Scene>, worker: &str| {
        let mut vendor = Intel::honest();
        vendor.info["tcbEvaluationDataNumber"] = json!(number);
        vendor.identity["tcbEvaluationDataNumber"] = json!(number);
        if let Some(s) = s {
            vendor.put(intel::REPORT_DATA, binding(s, worker).as_bytes());
        }
        vendor.made()
    };
    let mut s = scene(TrustAnchors::default());
    s.rules.genesis.params.collateral_grace_slots = 3;
    let quote = |s: &mut Scene, worker: &'static str, number: u32| {
        let (evidence, endorsements, anchors) = vendor_with(number, Some(s), worker);
        s.rules.anchors.tdx_roots.extend(anchors.tdx_roots);
        s.library.insert(&endorsements.0);
        let bound = BoundEvidence {
            kind: EvidenceKind::Tdx,
            document: canonical(evidence),
            slot: s.slot,
            endorsements: Some(BlobRef::of(&endorsements.0)),
        };
        registers(s, worker, bound)
    };
    let tx = quote(&mut s, "worker", 18);
    s.block(&[tx]);
    s.pass_slots(4);
    let tx = quote(&mut s, "worker", 19);
    s.block(&[tx]);
    // The older still counts for three slots, and then no more.
    let tx = quote(&mut s, "worker-2", 18);
    s.block(&[tx]);
    s.pass_slots(2);
    let tx = quote(&mut s, "worker-2", 18);
    let why = s.why(&tx);
    assert!(
        why.contains("the TCB evaluation number is 18, the network has seen 19"),
        "{why}"
    );
    let tx = quote(&mut s, "worker-2", 19);
    s.block(&[tx]);
}

#[test]
fn statuses_that_count_are_the_rules() {
    let mut vendor = Intel::honest();
    vendor.info["tcbLevels"] = json!([intel::level(
        5,
        [6, 0, 3],
        13,
        "ConfigurationNeeded",
        "2026-01-01T00:00:00Z"
    )]);
    let mut s = scene(TrustAnchors::default());
    vendor.put(intel::REPORT_DATA, binding(&s, "worker").as_bytes());
    let (evidence, endorsements, anchors) = vendor.made();
    s.rules.anchors.tdx_roots = anchors.tdx_roots;
    s.library.insert(&endorsements.0);
    let bound = BoundEvidence {
        kind: EvidenceKind::Tdx,
        document: canonical(evidence),
        slot: s.slot,
        endorsements: Some(BlobRef::of(&endorsements.0)),
    };
    let tx = registers(&s, "worker", bound);
    // Up to date only.
    let usual = std::mem::replace(&mut s.rules.tee_rules.tdx_tcb_statuses, vec![0]);
    assert!(matches!(s.refusal(&tx), Refusal::Evidence(_)));
    s.rules.tee_rules.tdx_tcb_statuses = usual;
    s.block(&[tx]);
}

#[test]
fn least_firmware_is_the_rules() {
    let bundle = Amd::listed().bundle();
    let mut s = amd_scene(&bundle);
    s.library.insert(&bundle.0);
    let tx = registers(&s, "worker", report(&s, "worker", &bundle));
    let least = |snp| SnpTcbMin {
        product: 1,
        fmc: 0,
        bootloader: 3,
        tee: 0,
        snp,
        microcode: 209,
    };
    s.rules.tee_rules.snp_tcb_min = vec![least(21)];
    let why = s.refusal(&tx);
    assert!(matches!(&why, Refusal::Evidence(_)), "{why:?}");
    s.rules.tee_rules.snp_tcb_min = vec![least(20)];
    s.block(&[tx]);
}

#[test]
fn endorsements_beside_evidence_that_needs_none_are_refused() {
    let mut s = Scene::new();
    s.pass();
    let bundle = s.library.insert(b"what the vendor never said");
    let mut evidence = s.evidence("worker", &session("worker"));
    evidence.endorsements = Some(bundle);
    let why = s.why(&registers(&s, "worker", evidence));
    assert!(why.contains("takes no endorsements"), "{why}");
}

#[test]
fn an_impossible_bundle_is_malformed_whatever_the_state() {
    let s = Scene::new();
    let too_long = aether_tee::MAX_ENDORSEMENTS_BYTES as u64 + 1;
    for bytes_len in [0, too_long, u64::MAX] {
        let mut evidence = s.evidence("worker", &session("worker"));
        evidence.endorsements = Some(BlobRef::new(BlobId([1; 32]), bytes_len));
        let body = TxBody {
            nonce: 0,
            expiry_slot: Slot(50),
            action: Action::Attest {
                session_key: session("worker").verifying_key().to_bytes(),
                evidence,
            },
        };
        let signed = body.sign(&crate::scene::key("worker"), &s.rules.chain_id);
        assert!(signed.verify(&s.rules.chain_id).is_err(), "{bytes_len}");
    }
}
