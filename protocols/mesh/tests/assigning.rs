//! Who may assign whom, and what happens when nobody answers or delivers.

use crate::scene::{Scene, account, session};
use aether_mesh::*;

#[test]
fn an_unbonded_coordinator_assigns_nobody() {
    let mut s = Scene::new();
    let job = s.post();
    s.pass_slots(5);
    s.refused(&s.assign_tx("stranger", &job, "worker"), "not bonded");
}

#[test]
fn rank_r_may_not_assign_before_posted_plus_r() {
    let mut s = Scene::new();
    // A third coordinator, so that rank 2 exists.
    let amount = s.rules.params().coordinator_stake_min;
    s.block(&[s.tx(
        "stranger",
        Action::Bond {
            role: Role::Coordinator,
            amount,
        },
    )]);
    let post = s.tx("requester", Action::PostJob(s.terms()));
    let job = JobId(post.id().0);
    let ranked = s.coordinators(&job);
    assert_eq!(ranked.len(), 3);
    for (rank, who) in ranked.iter().enumerate() {
        let assign = s.assign_tx(who, &job, "worker");
        let mut ctx = s.next_context();
        let posted = ctx.slot;
        // In the posting's block only rank 0 may.
        let both = [post.clone(), assign.clone()];
        let now = apply(&s.state, &s.rules, &s.library, ctx, &both);
        assert_eq!(now.is_ok(), rank == 0, "{rank}");
        let mut later = s.state.clone();
        let alone = apply(&s.state, &s.rules, &s.library, ctx, &both[..1]).unwrap();
        later.commit(&alone.writes);
        for wait in 1..=3u64 {
            ctx.slot = posted.after(wait);
            let allowed = apply(&later, &s.rules, &s.library, ctx, &both[1..]).is_ok();
            assert_eq!(
                allowed,
                wait >= rank as u64,
                "rank {rank}, {wait} slots later"
            );
        }
    }
}

#[test]
fn ranking_is_recomputed_by_anybody_and_follows_the_bond() {
    let mut s = Scene::new();
    let mut more = |who: &str, times: u64| {
        let amount = Amount::aic(500 * times);
        s.block(&[s.tx(
            who,
            Action::Bond {
                role: Role::Coordinator,
                amount,
            },
        )]);
    };
    more("coordinator", 7);
    let least = s.rules.params().coordinator_stake_min;
    let mut first = 0;
    for n in 0..400u32 {
        let job = JobId(hash_parts("test/rank", &[&n.to_be_bytes()]));
        let ranking = coordinator_ranking(&s.state, &job, least).unwrap();
        assert_eq!(ranking, coordinator_ranking(&s.state, &job, least).unwrap());
        assert_eq!(ranking.len(), 2);
        first += u32::from(ranking[0] == account("coordinator"));
    }
    // Eight tickets against one.
    assert!((330..=380).contains(&first), "{first} of 400");
    // Below the least bond there is no rank.
    let job = JobId::default();
    assert_eq!(
        coordinator_ranking(&s.state, &job, Amount::aic(501))
            .unwrap()
            .len(),
        1
    );
}

/// Who may not be assigned, and what the chain says.
type Unfit = (&'static str, &'static str, fn(&mut Scene));

#[test]
fn unfit_workers_are_not_assignable() {
    let table: &[Unfit] = &[
        ("banned", "banned", |s| {
            s.edit_worker("worker", |w| w.reputation = -100)
        }),
        ("below the job's demand", "below what the job asks", |s| {
            s.edit_worker("worker", |w| w.reputation = 4);
        }),
        ("full", "no room", |s| {
            s.edit_worker("worker", |w| w.jobs_running = 4)
        }),
        ("poor", "below worker_stake_min", |s| {
            s.edit_worker("worker", |w| w.stake = Amount::aic(999));
        }),
        ("overcommitted", "below twice its open payments", |s| {
            s.edit_worker("worker", |w| w.open_payments = Amount::aic(20));
        }),
    ];
    for (what, because, spoil) in table {
        let mut s = Scene::new();
        let job = s.post_with(|t| t.reputation_min = 5);
        s.edit_worker("worker", |w| w.reputation = 5);
        let assign = s.assign_tx(s.first_coordinator(&job), &job, "worker");
        let ctx = s.next_context();
        check(&s.state, &s.rules, &s.library, ctx, &assign).unwrap();
        spoil(&mut s);
        s.refused(&assign, because);
        assert_eq!(s.refusal(&assign).blame(), Blame::NotYet, "{what}");
    }
    let mut s = Scene::new();
    let job = s.post();
    let nobody = s.assign_tx(s.first_coordinator(&job), &job, "stranger");
    s.refused(&nobody, "not registered");
    let action = Action::Assign {
        job,
        worker: account("worker"),
        worker_epoch: 77,
    };
    s.refused(&s.tx(s.first_coordinator(&job), action), "registered anew");
    let unknown = JobId([1; 32]);
    let action = Action::Assign {
        job: unknown,
        worker: account("worker"),
        worker_epoch: 1,
    };
    s.refused(&s.tx("coordinator", action), "the job is not known");
}

#[test]
fn slashable_stake_bounds_what_a_worker_may_hold_open() {
    let mut s = Scene::new();
    // 5 % of 1,000 is 50, so 25 AIC may be open.
    for (payment, fits) in [(10, true), (10, true), (5, true), (1, false)] {
        let job = s.post_with(|t| t.payment = Amount::aic(payment));
        let assign = s.assign_tx(s.first_coordinator(&job), &job, "worker");
        if fits {
            s.block(&[assign]);
        } else {
            s.refused(&assign, "below twice its open payments");
        }
    }
}

#[test]
fn a_worker_runs_at_most_so_many_jobs_at_once() {
    let mut s = Scene::new();
    let cheap = |t: &mut PostJob| t.payment = Amount::aic(1);
    let jobs: Vec<JobId> = (0..5)
        .map(|n| {
            s.post_with(|t| {
                cheap(t);
                t.seed = n;
            })
        })
        .collect();
    for job in &jobs {
        s.assign(job, "worker");
    }
    // All five were assigned; the fifth accept finds no room.
    for job in &jobs[..4] {
        s.block(&[s.accept_tx(job, "worker")]);
    }
    s.refused(&s.accept_tx(&jobs[4], "worker"), "no room");
    // A VCR makes room.
    s.submit_honest(&jobs[0], "worker");
    s.block(&[s.accept_tx(&jobs[4], "worker")]);
}

#[test]
fn a_deadline_missed_before_the_accept_costs_the_worker_nothing() {
    let mut s = Scene::new();
    let requester = s.balance("requester");
    let job = s.post_with(|t| t.deadline_slots = 10);
    let paid = requester.checked_sub(s.balance("requester")).unwrap();
    s.assign(&job, "worker");
    let deadline = s.job(&job).deadline;
    s.pass_to(deadline);
    assert_eq!(s.status(&job), JobStatus::Assigned);
    let events = s.pass();
    assert!(
        matches!(events[..], [StateEvent::JobExpired { .. }]),
        "{events:?}"
    );
    assert_eq!(s.status(&job), JobStatus::Expired);
    let worker = s.worker("worker");
    assert_eq!((worker.reputation, worker.missed), (0, 0));
    assert_eq!(worker.open_payments, Amount::ZERO);
    let back = s.balance("requester").checked_add(paid).unwrap();
    assert_eq!(
        back,
        requester.checked_add(Amount::aic(10)).unwrap(),
        "all but the fee"
    );
    assert_eq!(s.outcome(&job).refunded, Amount::aic(10));
}

#[test]
fn a_deadline_missed_after_the_accept_costs_standing() {
    let mut s = Scene::new();
    let job = s.post_with(|t| t.deadline_slots = 10);
    s.accept_job(&job, "worker");
    let outcome = s.run(&job);
    let deadline = s.job(&job).deadline;
    s.pass_to(deadline);
    // In the deadline's own block it would have been in time.
    let vcr = s.vcr_of(&job, "worker", &outcome);
    let late = s.vcr_tx("worker", vcr, &session("worker"));
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Expired);
    let worker = s.worker("worker");
    assert_eq!(
        (worker.reputation, worker.missed, worker.jobs_running),
        (-20, 1, 0)
    );
    assert_eq!(s.refusal(&late).blame(), Blame::TooLate);
    let stake = s.rules.params().worker_stake_min;
    assert_eq!(worker.stake, stake, "lateness is no fraud");
}

#[test]
fn a_vcr_in_the_deadlines_own_block_is_in_time() {
    let mut s = Scene::new();
    let job = s.post_with(|t| t.deadline_slots = 10);
    s.accept_job(&job, "worker");
    let outcome = s.run(&job);
    let deadline = s.job(&job).deadline;
    s.pass_to(Slot(deadline.0 - 1));
    s.submit(&job, "worker", &outcome);
    assert_eq!(s.slot, deadline);
}

#[test]
fn nobody_assigned_in_time_means_the_money_back() {
    let mut s = Scene::new();
    let job = s.post_with(|t| t.deadline_slots = 3);
    s.pass_slots(4);
    assert_eq!(s.status(&job), JobStatus::Expired);
    s.refused(
        &s.assign_tx("coordinator", &job, "worker"),
        "past assignment",
    );
}

#[test]
fn a_silent_worker_is_replaced_without_penalty() {
    let mut s = Scene::new();
    let job = s.post();
    s.assign(&job, "worker");
    let chosen = s.slot;
    let coordinator = s.first_coordinator(&job);
    // Two slots are the worker's.
    for _ in 0..2 {
        s.refused(
            &s.assign_tx(coordinator, &job, "worker-2"),
            "still has time to accept",
        );
        s.pass();
    }
    assert_eq!(s.slot, chosen.after(2));
    let second = s.coordinators(&job)[1];
    s.block(&[s.assign_tx(second, &job, "worker-2")]);
    let assignment = s.job(&job).assignment.unwrap();
    assert_eq!(assignment.worker, account("worker-2"));
    assert_eq!(assignment.coordinator, account(second));
    assert_eq!(s.worker("worker").open_payments, Amount::ZERO);
    assert_eq!(s.worker("worker").reputation, 0);
    // The first one's late yes is not wrong whatever the state is: it answered
    // a choice that somebody else's node may still believe in.
    let late = s.accept_tx(&job, "worker");
    s.refused(&late, "assigned to another worker");
    assert_eq!(s.refusal(&late).blame(), Blame::NotYet);
    s.block(&[s.accept_tx(&job, "worker-2")]);
    assert_eq!(s.status(&job), JobStatus::Accepted);
}

#[test]
fn a_slow_worker_may_still_accept_while_nobody_replaced_it() {
    let mut s = Scene::new();
    let job = s.post();
    s.assign(&job, "worker");
    s.pass_slots(10);
    s.block(&[s.accept_tx(&job, "worker")]);
    assert_eq!(s.status(&job), JobStatus::Accepted);
}

#[test]
fn the_same_worker_may_be_chosen_again() {
    let mut s = Scene::new();
    let job = s.post();
    s.assign(&job, "worker");
    s.pass_slots(2);
    s.assign(&job, "worker");
    assert_eq!(
        s.worker("worker").open_payments,
        Amount::aic(10),
        "counted once"
    );
}

#[test]
fn nothing_is_assigned_twice_or_after_an_accept() {
    let mut s = Scene::new();
    let job = s.accepted();
    s.pass_slots(5);
    s.refused(
        &s.assign_tx(s.first_coordinator(&job), &job, "worker-2"),
        "past assignment",
    );
    s.refused(&s.accept_tx(&job, "worker"), "past acceptance");
}

#[test]
fn an_accept_before_the_assignment_is_not_yet() {
    let mut s = Scene::new();
    let job = s.post();
    let why = s.refusal(&s.accept_tx(&job, "worker"));
    assert_eq!(why, Refusal::NotNow("the job is not assigned yet"));
}

#[test]
fn a_job_is_cancelled_only_by_its_requester_and_only_before_an_assignment() {
    let mut s = Scene::new();
    let job = s.post();
    let cancel = |s: &Scene, who: &str| s.tx(who, Action::CancelJob { job });
    s.refused(&cancel(&s, "stranger"), "only the requester");
    let before = s.balance("requester");
    let mut other = Scene::new();
    let other_job = other.post();
    assert_eq!(job, other_job, "the same story so far");

    let tx = cancel(&s, "requester");
    let fee = s.fee(&tx);
    let events = s.block(&[tx]);
    assert_eq!(events, [StateEvent::JobCancelled { job }]);
    let back = before
        .checked_add(Amount::aic(10))
        .unwrap()
        .checked_sub(fee)
        .unwrap();
    assert_eq!(s.balance("requester"), back);
    assert_eq!(s.status(&job), JobStatus::Cancelled);
    s.refused(&cancel(&s, "requester"), "was assigned or has ended");
    s.refused(
        &s.assign_tx(s.first_coordinator(&job), &job, "worker"),
        "past assignment",
    );
    s.pass_slots(70);
    assert_eq!(
        s.status(&job),
        JobStatus::Cancelled,
        "its deadline changes nothing"
    );

    other.assign(&job, "worker");
    other.refused(&cancel(&other, "requester"), "was assigned or has ended");
}

#[test]
fn a_cancel_and_an_assignment_in_one_block_let_the_assignment_win() {
    let mut s = Scene::new();
    let job = s.post();
    let assign = s.assign_tx(s.first_coordinator(&job), &job, "worker");
    let cancel = s.tx("requester", Action::CancelJob { job });
    let refused = s.try_block(&[cancel.clone(), assign.clone()]).unwrap_err();
    assert!(refused.to_string().contains("was assigned"), "{refused}");
    let ctx = s.next_context();
    let built = build(
        &s.state,
        &s.rules,
        &s.library,
        ctx,
        vec![cancel.clone(), assign.clone()],
    )
    .unwrap();
    assert_eq!(built.included, [assign]);
    assert_eq!(built.left_out.len(), 1);
    assert_eq!(built.left_out[0].0, cancel.id());
}

#[test]
fn transactions_out_of_phase_make_a_block_invalid() {
    let mut s = Scene::new();
    let transfer = s.transfer_tx("stranger", "owner", Amount::aic(1));
    let post = s.tx("requester", Action::PostJob(s.terms()));
    let ctx = s.next_context();
    let wrong = [transfer.clone(), post.clone()];
    let error = apply(&s.state, &s.rules, &s.library, ctx, &wrong).unwrap_err();
    assert_eq!(error, ApplyError::Phase(post.id()));
    assert!(!error.is_ours());
    s.block(&[transfer, post]);
}
