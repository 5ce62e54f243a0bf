//! Registration, and room on platforms: who may be assigned, for how long,
//! and how many jobs one machine holds whosever workers share it.

use crate::scene::{Scene, account, session};
use aether_mesh::*;
use aether_tee::EvidenceKind;

fn registration(s: &Scene, who: &str) -> Registration {
    s.worker(who).registration.expect("it is registered")
}

fn choose(s: &Scene, job: &JobId, worker: &str) -> VerifiedTx {
    s.assign_tx(s.first_coordinator(job), job, worker)
}

#[test]
fn a_registered_worker_shows_what_it_runs_in_and_until_when() {
    let s = Scene::new();
    let held = registration(&s, "worker");
    assert_eq!(held.kind, EvidenceKind::Simulated.code());
    assert_eq!(held.slot, Slot(0));
    assert_eq!(held.until, Slot(1 + s.rules.params().registration_slots));
    assert!(held.platform.is_some());
    let told = |e: &StateEvent| {
        *e == StateEvent::WorkerRegistered {
            worker: account("worker"),
            until: held.until,
        }
    };
    assert!(s.events.iter().any(told));
}

#[test]
fn a_worker_that_never_attested_is_not_assigned() {
    let mut s = Scene::with(|g| g.tee.simulated_roots.clear());
    let job = s.post();
    let why = s.refusal(&choose(&s, &job, "worker"));
    assert_eq!(
        why,
        Refusal::NotNow("the worker has not attested what it runs in")
    );
}

#[test]
fn a_registration_lapses_and_is_renewed() {
    let mut s = Scene::with(|g| g.params.registration_slots = 61);
    let until = registration(&s, "worker").until;
    s.pass_to(Slot(until.0 - 2));
    let job = s.post_with(|t| t.deadline_slots = 100);
    // In the block of its last slot it may still be chosen.
    s.pass_to(Slot(until.0 - 1));
    let ctx = s.next_context();
    assert_eq!(ctx.slot, until);
    let tx = choose(&s, &job, "worker");
    check(&s.state, &s.rules, &s.library, ctx, &tx).expect("it counts to the end");
    s.pass();
    let why = s.refusal(&choose(&s, &job, "worker"));
    assert_eq!(why, Refusal::NotNow("the worker's registration has lapsed"));
    assert_eq!(why.blame(), Blame::NotYet);

    let renewal = s.attest_tx("worker");
    s.block(&[renewal]);
    assert_eq!(registration(&s, "worker").until, s.slot.after(61));
    s.accept_job(&job, "worker");
}

#[test]
fn only_newer_evidence_renews_a_registration() {
    let mut s = Scene::new();
    s.pass_slots(10);
    let session = session("worker");
    let older = s.attest_with(
        "worker",
        &session,
        s.evidence_at("worker", &session, Slot(3)),
    );
    let newer = s.attest_with(
        "worker",
        &session,
        s.evidence_at("worker", &session, Slot(5)),
    );
    s.block(std::slice::from_ref(&newer));
    for late in [older, newer] {
        let why = s.refusal(&late);
        assert_eq!(
            why,
            Refusal::Over("the registration rests on newer evidence")
        );
        assert_eq!(why.blame(), Blame::TooLate);
    }
}

#[test]
fn a_registration_needs_a_stake_and_fresh_evidence() {
    let mut s = Scene::new();
    s.pass_slots(65);
    let stranger = s.attest_tx("requester");
    assert_eq!(
        s.refusal(&stranger),
        Refusal::NotNow("the worker has not bonded a stake")
    );
    let session = session("worker");
    let stale = s.evidence_at("worker", &session, Slot(s.slot.0 - 60));
    let stale = s.attest_with("worker", &session, stale);
    assert_eq!(s.refusal(&stale), Refusal::Over("the evidence is too old"));
    // Also where the registration rests on newer evidence.
    let renewal = s.attest_tx("worker");
    s.block(&[renewal]);
    let stale = s.evidence_at("worker", &session, Slot(s.slot.0 - 60));
    let stale = s.attest_with("worker", &session, stale);
    assert_eq!(s.refusal(&stale), Refusal::Over("the evidence is too old"));
    let stolen = s.attest_with("worker", &session, s.evidence("worker-2", &session));
    assert!(matches!(s.refusal(&stolen), Refusal::Evidence(_)));
}

#[test]
fn a_platform_holds_so_many_jobs_whosever_workers_share_it() {
    // Both workers of the scene run on the same simulated platform.
    let mut s = Scene::with(|g| g.params.platform_jobs_max = 2);
    let jobs = [(); 3].map(|()| s.post_with(|t| t.payment = Amount::aic(1)));
    s.accept_job(&jobs[0], "worker");
    s.accept_job(&jobs[1], "worker-2");
    let platform = s.job(&jobs[0]).platform.expect("it is named");
    assert_eq!(s.job(&jobs[1]).platform, Some(platform));
    s.assign(&jobs[2], "worker");
    let third = s.accept_tx(&jobs[2], "worker");
    assert_eq!(
        s.refusal(&third),
        Refusal::NotNow("the worker's platform has no room for another job")
    );
    // A receipt frees its place.
    s.submit_honest(&jobs[1], "worker-2");
    assert_eq!(s.job(&jobs[1]).platform, None);
    let third = s.accept_tx(&jobs[2], "worker");
    s.block(&[third]);
    assert_eq!(s.status(&jobs[2]), JobStatus::Accepted);
}

#[test]
fn a_missed_deadline_frees_the_platform_too() {
    let mut s = Scene::with(|g| g.params.platform_jobs_max = 1);
    let first = s.post_with(|t| t.deadline_slots = 5);
    let second = s.post();
    s.accept_job(&first, "worker");
    s.assign(&second, "worker-2");
    let accept = s.accept_tx(&second, "worker-2");
    assert!(s.why(&accept).contains("no room"));
    let deadline = s.job(&first).deadline;
    s.pass_to(deadline.after(1));
    assert_eq!(s.status(&first), JobStatus::Expired);
    s.assign(&second, "worker-2");
    let accept = s.accept_tx(&second, "worker-2");
    s.block(&[accept]);
}
