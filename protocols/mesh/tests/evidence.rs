//! Evidence at the accept and at the VCR: fresh, bound, trusted, canonical.

use crate::scene::{Scene, account, measurement, other_root, platform, session, time_ms};
use aether_mesh::*;
use aether_tee::{Binding, EvidenceKind, Measurement, UnixTime};

/// Evidence with one thing changed, and what the chain says to it.
type Case = (
    &'static str,
    &'static str,
    Blame,
    fn(&Scene) -> BoundEvidence,
);

fn quote(
    s: &Scene,
    chain: &[u8; 32],
    worker: &Account,
    session_key: &[u8; 32],
    slot: Slot,
    block: BlockId,
) -> BoundEvidence {
    let binding = Binding::new(chain, &worker.0, session_key, slot.0, &block.0);
    let at = UnixTime(time_ms(slot) / 1_000);
    let document = s.platform.quote(&binding, &measurement(), at).bytes;
    BoundEvidence {
        kind: EvidenceKind::Simulated,
        document,
        slot,
        endorsements: None,
    }
}

fn table() -> Vec<Case> {
    fn me(who: &str) -> [u8; 32] {
        session(who).verifying_key().to_bytes()
    }
    vec![
        ("too old", "too old", Blame::TooLate, |s| {
            s.evidence_at("worker", &session("worker"), Slot(s.slot.0 - 60))
        }),
        ("of a future slot", "has no block yet", Blame::NotYet, |s| {
            let mut e = s.evidence("worker", &session("worker"));
            e.slot = s.slot.after(1);
            e
        }),
        (
            "of the end of time",
            "has no block yet",
            Blame::NotYet,
            |s| {
                let mut e = s.evidence("worker", &session("worker"));
                e.slot = Slot(u64::MAX);
                e
            },
        ),
        (
            "naming another slot than it binds",
            "evidence refused",
            Blame::NotYet,
            |s| {
                let mut e = s.evidence("worker", &session("worker"));
                e.slot = Slot(s.slot.0 - 1);
                e
            },
        ),
        (
            "of another worker",
            "evidence refused",
            Blame::NotYet,
            |s| s.evidence("worker-2", &session("worker")),
        ),
        (
            "of another session key",
            "evidence refused",
            Blame::NotYet,
            |s| s.evidence("worker", &session("worker-2")),
        ),
        ("of another chain", "evidence refused", Blame::NotYet, |s| {
            quote(
                s,
                &[4; 32],
                &account("worker"),
                &me("worker"),
                s.slot,
                s.ids[&s.slot],
            )
        }),
        ("of another block", "evidence refused", Blame::NotYet, |s| {
            let chain = s.rules.chain_id.0;
            quote(
                s,
                &chain,
                &account("worker"),
                &me("worker"),
                s.slot,
                BlockId([5; 32]),
            )
        }),
        (
            "under another root",
            "evidence refused",
            Blame::NotYet,
            |s| {
                let binding = Binding::new(
                    &s.rules.chain_id.0,
                    &account("worker").0,
                    &me("worker"),
                    s.slot.0,
                    &s.ids[&s.slot].0,
                );
                let at = UnixTime(time_ms(s.slot) / 1_000);
                let document = platform(&other_root())
                    .quote(&binding, &measurement(), at)
                    .bytes;
                BoundEvidence {
                    kind: EvidenceKind::Simulated,
                    document,
                    slot: s.slot,
                    endorsements: None,
                }
            },
        ),
        (
            "of an unlisted measurement",
            "evidence refused",
            Blame::NotYet,
            |s| {
                let binding = Binding::new(
                    &s.rules.chain_id.0,
                    &account("worker").0,
                    &me("worker"),
                    s.slot.0,
                    &s.ids[&s.slot].0,
                );
                let at = UnixTime(time_ms(s.slot) / 1_000);
                let other = Measurement::of(b"somebody's own image");
                let document = s.platform.quote(&binding, &other, at).bytes;
                BoundEvidence {
                    kind: EvidenceKind::Simulated,
                    document,
                    slot: s.slot,
                    endorsements: None,
                }
            },
        ),
        (
            "from the document's own far future",
            "evidence refused",
            Blame::NotYet,
            |s| {
                let binding = Binding::new(
                    &s.rules.chain_id.0,
                    &account("worker").0,
                    &me("worker"),
                    s.slot.0,
                    &s.ids[&s.slot].0,
                );
                let at = UnixTime(time_ms(s.slot) / 1_000 + 3_600);
                let document = s.platform.quote(&binding, &measurement(), at).bytes;
                BoundEvidence {
                    kind: EvidenceKind::Simulated,
                    document,
                    slot: s.slot,
                    endorsements: None,
                }
            },
        ),
        (
            "with its signature's twin",
            "evidence refused",
            Blame::Sender,
            |s| {
                let mut e = s.evidence("worker", &session("worker"));
                negate_s(&mut e.document);
                e
            },
        ),
        (
            "with trailing bytes",
            "evidence refused",
            Blame::Sender,
            |s| {
                let mut e = s.evidence("worker", &session("worker"));
                e.document.push(0);
                e
            },
        ),
        ("truncated", "evidence refused", Blame::Sender, |s| {
            let mut e = s.evidence("worker", &session("worker"));
            e.document.pop();
            e
        }),
        ("that is none", "evidence refused", Blame::Sender, |s| {
            BoundEvidence {
                kind: EvidenceKind::Simulated,
                document: b"believe me".to_vec(),
                slot: s.slot,
                endorsements: None,
            }
        }),
        ("called Nitro", "evidence refused", Blame::NotYet, |s| {
            let mut e = s.evidence("worker", &session("worker"));
            e.kind = EvidenceKind::Nitro;
            e
        }),
        (
            "of a kind that nobody appraises",
            "evidence refused",
            Blame::Sender,
            |s| {
                let mut e = s.evidence("worker", &session("worker"));
                e.kind = EvidenceKind::Tdx;
                e
            },
        ),
    ]
}

/// Replaces the ECDSA signature's s by n − s: as valid, and not canonical.
fn negate_s(document: &mut [u8]) {
    // The order of P-384's group.
    const N: [u8; 48] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37,
        0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc,
        0xc5, 0x29, 0x73,
    ];
    let at = document.len() - 48;
    let mut borrow = 0i16;
    for i in (0..48).rev() {
        let d = i16::from(N[i]) - i16::from(document[at + i]) - borrow;
        borrow = i16::from(d < 0);
        document[at + i] = d.rem_euclid(256) as u8;
    }
}

#[test]
fn an_accept_needs_evidence_that_is_fresh_bound_and_trusted() {
    let mut s = Scene::new();
    s.pass_slots(65);
    let job = s.post();
    s.assign(&job, "worker");
    for (what, because, blame, make) in table() {
        let tx = s.accept_with(&job, "worker", &session("worker"), make(&s));
        let why = s.refusal(&tx);
        assert!(why.to_string().contains(because), "{what}: {why}");
        assert_eq!(why.blame(), blame, "{what}");
    }
    s.block(&[s.accept_tx(&job, "worker")]);
}

#[test]
fn a_vcr_needs_it_too() {
    let mut s = Scene::new();
    s.pass_slots(65);
    let job = s.accepted();
    let outcome = s.run(&job);
    for (what, because, blame, make) in table() {
        let mut vcr = s.vcr_of(&job, "worker", &outcome);
        vcr.evidence = make(&s);
        let why = s.refusal(&s.vcr_tx("worker", vcr, &session("worker")));
        assert!(why.to_string().contains(because), "{what}: {why}");
        assert_eq!(why.blame(), blame, "{what}");
    }
}

#[test]
fn the_oldest_evidence_that_counts_is_sixty_slots_old() {
    let mut s = Scene::new();
    s.pass_slots(65);
    let job = s.post();
    s.assign(&job, "worker");
    let next = s.slot.after(1);
    for (age, fresh) in [(1, true), (59, true), (60, true), (61, false), (64, false)] {
        let evidence = s.evidence_at("worker", &session("worker"), Slot(next.0 - age));
        let tx = s.accept_with(&job, "worker", &session("worker"), evidence);
        let ctx = s.next_context();
        let accepted = check(&s.state, &s.rules, &s.library, ctx, &tx);
        assert_eq!(accepted.is_ok(), fresh, "{age} slots: {accepted:?}");
    }
}

#[test]
fn evidence_that_was_fresh_at_the_accept_may_be_stale_at_the_vcr() {
    let mut s = Scene::new();
    let job = s.post_with(|t| t.deadline_slots = 200);
    s.assign(&job, "worker");
    let bound = s.slot;
    s.block(&[s.accept_tx(&job, "worker")]);
    let outcome = s.run(&job);
    s.pass_to(bound.after(60));
    let mut vcr = s.vcr_of(&job, "worker", &outcome);
    vcr.evidence = s.evidence_at("worker", &session("worker"), bound);
    s.refused(&s.vcr_tx("worker", vcr, &session("worker")), "too old");
    // New evidence for the same run is welcome.
    s.submit(&job, "worker", &outcome);
}

#[test]
fn a_vcr_may_use_another_session_than_the_accept() {
    let mut s = Scene::new();
    let job = s.accepted();
    let outcome = s.run(&job);
    let session = session("worker after a restart");
    let mut vcr = s.vcr_of(&job, "worker", &outcome);
    vcr.session_key = session.verifying_key().to_bytes();
    vcr.evidence = s.evidence("worker", &session);
    s.block(&[s.vcr_tx("worker", vcr, &session)]);
    assert_eq!(s.status(&job), JobStatus::Submitted);
}

#[test]
fn a_job_may_demand_other_evidence_than_the_network_does() {
    let mut s = Scene::new();
    let job = s.post_with(|t| t.tee_kinds = vec![EvidenceKind::SevSnp, EvidenceKind::Nitro]);
    let why = s.refusal(&s.assign_tx(s.first_coordinator(&job), &job, "worker"));
    assert_eq!(
        why,
        Refusal::NotNow("the job does not accept the worker's kind of evidence")
    );

    let job = s.post_with(|t| t.tee_kinds = vec![EvidenceKind::Simulated]);
    s.accept_job(&job, "worker");
}

#[test]
fn a_genesis_without_simulated_roots_refuses_the_simulated_tee_by_type() {
    let s = Scene::with(|g| {
        g.tee.simulated_roots.clear();
        g.tee.nitro = true;
    });
    let why = s.why(&s.attest_tx("worker"));
    let by_type = aether_tee::Refusal::KindNotAccepted(EvidenceKind::Simulated).to_string();
    assert!(why.contains(&by_type), "{why:?}, not {by_type:?}");
}

#[test]
fn a_genesis_that_lists_no_measurement_takes_any_and_says_so() {
    let mut s = Scene::with(|g| g.tee.measurements.clear());
    let job = s.submitted();
    assert!(!s.job(&job).vcr.unwrap().evidence.measured);
}

#[test]
fn evidence_bound_to_the_genesis_itself_counts_while_it_is_young() {
    let s = Scene::new();
    let mut s = s;
    let job = s.post();
    s.assign(&job, "worker");
    let evidence = s.evidence_at("worker", &session("worker"), Slot(0));
    s.block(&[s.accept_with(&job, "worker", &session("worker"), evidence)]);
    assert_eq!(s.status(&job), JobStatus::Accepted);
}
