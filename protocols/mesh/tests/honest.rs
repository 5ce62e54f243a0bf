//! Jobs that end well, and what they earn.

use crate::scene::{BALANCE, Scene, account};
use aether_mesh::*;

#[test]
fn an_honest_job_is_paid_by_burning_and_minting() {
    let mut s = Scene::new();
    let before = s.supply();
    let mut fees = Vec::new();
    let mut requester_paid = Amount::ZERO;

    let terms = s.terms();
    s.keep_inline(&terms.input);
    let post = s.tx("requester", Action::PostJob(terms));
    let job = JobId(post.id().0);
    fees.push(s.fee(&post));
    requester_paid = requester_paid.checked_add(s.fee(&post)).unwrap();
    let events = s.block(std::slice::from_ref(&post));
    assert_eq!(events, [StateEvent::JobPosted { job }]);
    let record = s.job(&job);
    assert_eq!(record.status, JobStatus::Posted);
    assert_eq!((record.posted, record.deadline), (Slot(2), Slot(62)));
    assert_eq!(record.window_slots, 10);
    assert_eq!(s.supply().escrows, Amount::aic(10));

    let coordinator = s.first_coordinator(&job);
    let assign = s.assign_tx(coordinator, &job, "worker");
    fees.push(s.fee(&assign));
    s.block(std::slice::from_ref(&assign));
    assert_eq!(s.status(&job), JobStatus::Assigned);
    assert_eq!(s.worker("worker").open_payments, Amount::aic(10));

    let accept = s.accept_tx(&job, "worker");
    fees.push(s.fee(&accept));
    s.block(std::slice::from_ref(&accept));
    assert_eq!(s.worker("worker").jobs_running, 1);

    let outcome = s.run(&job);
    assert_eq!(outcome.outputs.len(), 1, "digits in, probabilities out");
    let vcr = s.vcr_of(&job, "worker", &outcome);
    let vcr = s.vcr_tx("worker", vcr, &crate::scene::session("worker"));
    fees.push(s.fee(&vcr));
    let events = s.block(std::slice::from_ref(&vcr));
    let (now, end) = (s.slot, s.slot.after(10));
    let expected = StateEvent::VcrSubmitted {
        job,
        vcr: vcr.id(),
        worker: account("worker"),
        window_end: end,
    };
    assert_eq!(events, [expected]);
    assert_eq!(
        s.worker("worker").jobs_running,
        0,
        "room again as soon as the VCR is there"
    );
    let recorded = s.job(&job).vcr.unwrap();
    assert_eq!((recorded.slot, recorded.run_status), (now, 1));
    assert!(recorded.evidence.measured);
    assert_eq!(u64::from(recorded.elements), outcome.trace.len() as u64);

    s.pass_to(end);
    assert_eq!(
        s.status(&job),
        JobStatus::Submitted,
        "the window's last slot is still open"
    );
    let events = s.pass();
    let outcome = Outcome {
        slot: end.after(1),
        burned: Amount::aic(10),
        worker_reward: Amount::aic(9),
        coordinator_reward: "0.2".parse().unwrap(),
        ..Outcome::default()
    };
    assert_eq!(
        events,
        [StateEvent::JobSettled {
            job,
            outcome: outcome.clone()
        }]
    );
    assert_eq!(s.outcome(&job), outcome);

    // The money, to the last base unit.
    let sub = |a: Amount, b: Amount| a.checked_sub(b).unwrap();
    let paid = Amount::aic(10).checked_add(requester_paid).unwrap();
    assert_eq!(s.balance("requester"), sub(BALANCE, paid));
    let all: Amount = fees
        .iter()
        .fold(Amount::ZERO, |a, f| a.checked_add(*f).unwrap());
    let after = s.supply();
    assert_eq!(
        sub(after.burned, before.burned),
        Amount::aic(10).checked_add(all).unwrap()
    );
    assert_eq!(sub(after.minted, before.minted), "9.2".parse().unwrap());
    assert_eq!(after.escrows, Amount::ZERO);
    assert_eq!((after.stakes, after.bonds), (before.stakes, Amount::ZERO));
    let worker = s.worker("worker");
    assert_eq!((worker.reputation, worker.settled), (10, 1));
    assert_eq!(worker.open_payments, Amount::ZERO);
}

#[test]
fn posting_and_assignment_fit_into_one_block() {
    let mut s = Scene::new();
    let post = s.tx("requester", Action::PostJob(s.terms()));
    let job = JobId(post.id().0);
    let assign = s.assign_tx(s.first_coordinator(&job), &job, "worker");
    // In whatever order they are given, the block has them in its own.
    s.block(&[assign, post]);
    assert_eq!(s.status(&job), JobStatus::Assigned);
}

#[test]
fn only_who_comes_first_in_rank_may_assign_at_once() {
    let mut s = Scene::new();
    let post = s.tx("requester", Action::PostJob(s.terms()));
    let job = JobId(post.id().0);
    s.block(std::slice::from_ref(&post));
    let [_, second] = s.coordinators(&job)[..] else {
        panic!("two coordinators")
    };
    // Rank 1 may assign from posted + 1, which is the next block's slot.
    s.block(&[s.assign_tx(second, &job, "worker")]);
    assert_eq!(s.job(&job).assignment.unwrap().coordinator, account(second));

    let post = s.tx(
        "requester",
        Action::PostJob(PostJob {
            seed: 8,
            ..s.terms()
        }),
    );
    let job = JobId(post.id().0);
    let [first_now, second_now] = s.coordinators(&job)[..] else {
        panic!("two coordinators")
    };
    let early = s.assign_tx(second_now, &job, "worker");
    let refused = s.try_block(&[post.clone(), early]).unwrap_err();
    assert!(
        refused.to_string().contains("rank may not assign yet"),
        "{refused}"
    );
    s.block(&[post, s.assign_tx(first_now, &job, "worker")]);
}

#[test]
fn reputation_counts_once_per_requester_and_epoch_and_fades() {
    let mut s = Scene::new();
    let one = s.submitted();
    let two = s.submitted();
    s.close_window(&two);
    assert_eq!(s.status(&one), JobStatus::Settled);
    assert_eq!(s.status(&two), JobStatus::Settled);
    assert_eq!(
        (s.reputation("worker"), s.worker("worker").settled),
        (10, 2)
    );

    // Another requester's job counts.
    let mut terms = s.terms();
    terms.seed = 99;
    let post = s.tx("stranger", Action::PostJob(terms));
    let job = JobId(post.id().0);
    s.block(&[post]);
    s.accept_job(&job, "worker");
    s.submit_honest(&job, "worker");
    s.close_window(&job);
    assert_eq!(s.reputation("worker"), 20);

    // A point is gone with each epoch.
    let worker = s.worker("worker");
    let epoch = s.rules.params().epoch_slots;
    for (epochs, left) in [(0, 20), (1, 19), (19, 1), (20, 0), (1_000, 0)] {
        assert_eq!(reputation_now(&worker, Slot(epochs * epoch), epoch), left);
    }
    let banned = WorkerRecord {
        reputation: -100,
        ..WorkerRecord::default()
    };
    for (epochs, left) in [(0, -100), (1, -99), (100, 0), (u64::MAX / epoch, 0)] {
        assert_eq!(reputation_now(&banned, Slot(epochs * epoch), epoch), left);
    }
}

#[test]
fn gains_are_capped_per_epoch_and_need_a_real_burn() {
    let mut s = Scene::with(|g| g.params.reputation_gain_per_epoch_max = 4);
    let job = s.submitted();
    s.close_window(&job);
    assert_eq!(s.reputation("worker"), 4);

    let mut s = Scene::with(|g| g.params.reputation_burn_floor = Amount::aic(1));
    let job = s.submitted();
    s.close_window(&job);
    assert_eq!(s.status(&job), JobStatus::Settled);
    assert_eq!(
        s.reputation("worker"),
        0,
        "0.8 AIC were burned, less than the floor"
    );
}

#[test]
fn a_network_may_burn_everything() {
    let mut s = Scene::with(|g| {
        g.params.worker_reward_bps = 0;
        g.params.coordinator_reward_bps = 0;
    });
    let job = s.submitted();
    s.close_window(&job);
    assert_eq!(s.status(&job), JobStatus::Settled);
    assert_eq!(s.supply().minted, Amount::ZERO);
}

#[test]
fn a_run_out_of_gas_is_a_result_like_any_other() {
    let mut s = Scene::new();
    let whole = {
        let job = s.accepted();
        s.run(&job).gas_used
    };
    let job = s.post_with(|t| {
        t.gas_limit = whole / 2;
        t.seed = 8;
    });
    s.accept_job(&job, "worker");
    let outcome = s.run(&job);
    assert!(outcome.outputs.is_empty());
    s.submit(&job, "worker", &outcome);
    s.close_window(&job);
    assert_eq!(s.status(&job), JobStatus::Settled);
    assert_eq!(s.job(&job).vcr.unwrap().run_status, 2);
}

#[test]
fn longer_jobs_get_longer_windows() {
    let s = Scene::new();
    let g = &s.rules.genesis;
    let (gas, bytes) = (
        g.params.reference_gas_per_slot,
        g.params.reference_bytes_per_slot,
    );
    for (gas_limit, blobs, slots) in [
        (1, 0, 10),
        (gas, bytes, 10),
        (gas * 4, bytes, 10),
        (gas * 5, bytes, 11),
        (gas * 20, bytes, 26),
        (gas, bytes * 20, 26),
        (gas * 20, bytes * 20, 45),
        (u64::MAX, u64::MAX, g.window_slots(u64::MAX, u64::MAX)),
    ] {
        assert_eq!(
            g.window_slots(gas_limit, blobs),
            slots,
            "{gas_limit} gas, {blobs} bytes"
        );
    }
}
