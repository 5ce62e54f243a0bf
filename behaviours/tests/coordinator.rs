//! The coordinator: when it acts, whom it chooses, and when it stays silent.

use crate::scene::{Scene, account};
use crate::stage::{capability, deeds, nothing, says, show, tell, tell_with};
use aether_behaviours::coordinator::Coordinator;
use aether_behaviours::{Action, Event, Submission};
use aether_mesh::{Action as TxAction, *};
use aether_tee::EvidenceKind;

fn coordinator(who: &str) -> Coordinator {
    Coordinator::new(account(who))
}

fn searches(actions: &[Action]) -> usize {
    actions
        .iter()
        .filter(|a| matches!(a, Action::FindWorkers { .. }))
        .count()
}

/// Whom it assigned, if anybody.
fn chosen(actions: &[Action]) -> Option<Account> {
    actions.iter().find_map(|a| match a {
        Action::Submit {
            action: TxAction::Assign { worker, .. },
            ..
        } => Some(*worker),
        _ => None,
    })
}

#[test]
fn it_acts_only_when_its_rank_may() {
    let mut s = Scene::new();
    let amount = s.rules.params().coordinator_stake_min;
    s.block(&[s.tx(
        "stranger",
        TxAction::Bond {
            role: Role::Coordinator,
            amount,
        },
    )]);
    let job = s.post();
    let posted = s.slot;
    let events = vec![StateEvent::JobPosted { job }];
    let mut roles: Vec<Coordinator> = s.coordinators(&job).into_iter().map(coordinator).collect();
    assert_eq!(roles.len(), 3);
    // What a coordinator sends now enters a block with the next slot.
    for (rank, role) in roles.iter_mut().enumerate() {
        let found = searches(&show(&s, role, events.clone()));
        assert_eq!(found == 1, rank <= 1, "rank {rank}");
    }
    s.pass();
    assert_eq!(s.slot, posted.after(1));
    for (rank, role) in roles.iter_mut().enumerate() {
        assert_eq!(searches(&nothing(&s, role)), 1, "rank {rank}");
    }
}

#[test]
fn it_looks_once_a_slot() {
    let mut s = Scene::new();
    let job = s.post();
    let mut role = coordinator(s.first_coordinator(&job));
    assert_eq!(
        searches(&show(&s, &mut role, vec![StateEvent::JobPosted { job }])),
        1
    );
    assert_eq!(searches(&nothing(&s, &mut role)), 0, "the same slot");
    s.pass();
    assert_eq!(searches(&nothing(&s, &mut role)), 1);
}

#[test]
fn without_candidates_nothing_is_assigned() {
    let mut s = Scene::new();
    let job = s.post();
    let mut role = coordinator(s.first_coordinator(&job));
    show(&s, &mut role, vec![StateEvent::JobPosted { job }]);
    let actions = tell(
        &s,
        &mut role,
        Event::WorkersFound {
            job,
            candidates: vec![],
        },
    );
    assert!(says(&actions, "none of 0 workers"));
    assert!(deeds(actions).is_empty());
    assert_eq!(role.open_jobs(), 1, "it is still to be assigned");
}

/// A candidate with one thing against it.
type Unfit = (&'static str, fn(&mut Scene, &mut Capability));

#[test]
fn candidates_that_the_chain_would_refuse_are_not_chosen() {
    let table: &[Unfit] = &[
        ("has another model", |_, c| {
            c.models = vec![ModelId([1; 32])]
        }),
        ("has no room", |_, c| c.slots_free = 0),
        ("is too dear", |_, c| c.price_min = Amount::aic(11)),
        ("has another TEE", |_, c| c.tee_kind = EvidenceKind::Nitro),
        ("is nobody", |_, c| c.worker = account("stranger")),
        ("is banned", |s, _| {
            s.edit_worker("worker", |w| w.reputation = -100)
        }),
        ("is not good enough", |s, _| {
            s.edit_worker("worker", |w| w.reputation = -1)
        }),
        ("is full", |s, _| {
            s.edit_worker("worker", |w| w.jobs_running = 4)
        }),
        ("is too poor", |s, _| {
            s.edit_worker("worker", |w| w.stake = Amount::aic(999))
        }),
        ("has too much open", |s, _| {
            s.edit_worker("worker", |w| w.open_payments = Amount::aic(20));
        }),
    ];
    for (what, spoil) in table {
        let mut s = Scene::new();
        let job = s.post_with(|t| t.tee_kinds = vec![EvidenceKind::Simulated]);
        let mut role = coordinator(s.first_coordinator(&job));
        show(&s, &mut role, vec![StateEvent::JobPosted { job }]);
        let mut candidate = capability(&s, "worker");
        spoil(&mut s, &mut candidate);
        let candidates = vec![candidate];
        let actions = tell(&s, &mut role, Event::WorkersFound { job, candidates });
        assert_eq!(chosen(&actions), None, "{what}");
        assert!(says(&actions, "none of 1 workers"), "{what}");
    }
}

#[test]
fn its_choice_is_one_that_the_chain_takes() {
    let mut s = Scene::new();
    let job = s.post();
    let who = s.first_coordinator(&job);
    let mut role = coordinator(who);
    show(&s, &mut role, vec![StateEvent::JobPosted { job }]);
    let candidates = vec![capability(&s, "worker"), capability(&s, "worker-2")];
    let actions = tell(&s, &mut role, Event::WorkersFound { job, candidates });
    let [
        Action::Submit {
            what: Submission::Assign(of),
            action,
            expiry,
        },
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(*of, job);
    let body = TxBody {
        nonce: 0,
        expiry_slot: *expiry,
        action: action.clone(),
    };
    s.block(&[s.tx_of(who, body)]);
    assert_eq!(s.status(&job), JobStatus::Assigned);
}

#[test]
fn it_makes_one_choice_at_a_time() {
    let mut s = Scene::new();
    let job = s.post();
    let mut role = coordinator(s.first_coordinator(&job));
    show(&s, &mut role, vec![StateEvent::JobPosted { job }]);
    let found = |s: &Scene| Event::WorkersFound {
        job,
        candidates: vec![capability(s, "worker")],
    };
    assert!(chosen(&tell(&s, &mut role, found(&s))).is_some());
    // A second answer from the DHT, and the next blocks without it.
    assert_eq!(chosen(&tell(&s, &mut role, found(&s))), None);
    for _ in 0..2 {
        s.pass();
        assert_eq!(
            searches(&nothing(&s, &mut role)),
            0,
            "it may still enter a block"
        );
    }
    s.pass();
    assert_eq!(
        searches(&nothing(&s, &mut role)),
        1,
        "it has expired: once more"
    );
    assert!(chosen(&tell(&s, &mut role, found(&s))).is_some());
    // Refused for good: once more at once.
    let what = Submission::Assign(job);
    tell(&s, &mut role, Event::SubmissionFailed { what });
    s.pass();
    assert_eq!(searches(&nothing(&s, &mut role)), 1);
}

#[test]
fn a_silent_worker_is_replaced_and_chosen_again_only_if_nobody_else_is_there() {
    let mut s = Scene::new();
    let job = s.post();
    let mut role = coordinator(s.first_coordinator(&job));
    show(&s, &mut role, vec![StateEvent::JobPosted { job }]);
    let found = Event::WorkersFound {
        job,
        candidates: vec![capability(&s, "worker")],
    };
    assert!(chosen(&tell(&s, &mut role, found)).is_some());
    s.assign(&job, "worker");
    let events = vec![StateEvent::JobAssigned {
        job,
        worker: account("worker"),
        coordinator: account(s.first_coordinator(&job)),
    }];
    assert_eq!(
        searches(&show(&s, &mut role, events)),
        0,
        "now the worker has its time"
    );
    s.pass();
    assert_eq!(searches(&nothing(&s, &mut role)), 0);
    s.pass();
    assert_eq!(
        searches(&nothing(&s, &mut role)),
        1,
        "two slots are over with the next block"
    );
    let both = vec![capability(&s, "worker"), capability(&s, "worker-2")];
    for entropy in 0..50 {
        let mut again = coordinator(s.first_coordinator(&job));
        show(&s, &mut again, vec![]);
        let found = Event::WorkersFound {
            job,
            candidates: both.clone(),
        };
        let actions = tell_with(&s, &mut again, found, [entropy; 32]);
        assert_eq!(chosen(&actions), Some(account("worker-2")));
    }
    let found = Event::WorkersFound {
        job,
        candidates: vec![capability(&s, "worker")],
    };
    assert_eq!(chosen(&tell(&s, &mut role, found)), Some(account("worker")));
}

#[test]
fn the_better_worker_gets_more_and_the_newcomer_some() {
    let mut s = Scene::new();
    let job = s.post();
    s.edit_worker("worker", |w| w.reputation = 80);
    let candidates = vec![capability(&s, "worker"), capability(&s, "worker-2")];
    let mut better = 0;
    for n in 0..500u32 {
        let mut role = coordinator(s.first_coordinator(&job));
        show(&s, &mut role, vec![StateEvent::JobPosted { job }]);
        let found = Event::WorkersFound {
            job,
            candidates: candidates.clone(),
        };
        let entropy = hash_parts("test/draw", &[&n.to_be_bytes()]);
        let actions = tell_with(&s, &mut role, found, entropy);
        better += u32::from(chosen(&actions) == Some(account("worker")));
    }
    // 100 against 20.
    assert!((380..455).contains(&better), "{better} of 500");
}

#[test]
fn it_bonds_once_and_again_only_when_that_failed() {
    let mut s = Scene::new();
    let bonds = |actions: &[Action]| {
        let bond = |a: &&Action| {
            matches!(a, Action::Submit { what: Submission::Bond, action: TxAction::Bond {
                role: Role::Coordinator, amount }, .. } if *amount == Amount::aic(500))
        };
        actions.iter().filter(bond).count()
    };
    let mut role = coordinator("stranger");
    assert_eq!(bonds(&nothing(&s, &mut role)), 1);
    s.pass();
    assert_eq!(bonds(&nothing(&s, &mut role)), 0);
    tell(
        &s,
        &mut role,
        Event::SubmissionFailed {
            what: Submission::Bond,
        },
    );
    assert_eq!(bonds(&nothing(&s, &mut role)), 1);
    assert_eq!(
        bonds(&nothing(&s, &mut coordinator("coordinator"))),
        0,
        "bonded already"
    );
    // Unbonded, it has no rank and chooses nobody.
    let job = s.post();
    let mut role = coordinator("owner");
    assert_eq!(
        searches(&show(&s, &mut role, vec![StateEvent::JobPosted { job }])),
        0
    );
}

#[test]
fn accepted_and_ended_jobs_are_let_go() {
    let mut s = Scene::new();
    let job = s.post();
    let other = s.post_with(|t| t.seed = 3);
    let mut role = coordinator(s.first_coordinator(&job));
    let posted = [job, other].map(|job| StateEvent::JobPosted { job });
    show(&s, &mut role, posted.to_vec());
    assert_eq!(role.open_jobs(), 2);
    s.accept_job(&job, "worker");
    s.block(&[s.tx("requester", TxAction::CancelJob { job: other })]);
    // Without having heard of either.
    nothing(&s, &mut role);
    assert_eq!(role.open_jobs(), 0);
}

#[test]
fn begun_again_it_finds_open_jobs_in_the_state() {
    let mut s = Scene::new();
    let open = s.post();
    let _running = s.accepted();
    s.pass_slots(2);
    let mut role = coordinator(s.first_coordinator(&open));
    let actions = nothing(&s, &mut role);
    assert_eq!(role.open_jobs(), 1);
    assert!(matches!(actions[..], [Action::FindWorkers { job, .. }] if job == open));
    // A job that it missed later is found when it looks around again.
    let missed = s.post_with(|t| t.seed = 5);
    nothing(&s, &mut role);
    assert_eq!(role.open_jobs(), 1);
    s.pass_slots(30);
    nothing(&s, &mut role);
    assert_eq!(role.open_jobs(), 2, "{missed}");
}
