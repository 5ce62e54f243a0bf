//! The worker: silent without bytes, never over its room, on time.

use crate::scene::{Scene, account, digits_onnx};
use crate::stage::{deeds, nothing, says, show, tell};
use aether_behaviours::worker::{ADVERTISE_SLOTS, Worker, WorkerConfig};
use aether_behaviours::{Action, Event, RunResult, Submission};
use aether_mesh::{Action as TxAction, *};

fn worker(s: &Scene, who: &str) -> Worker {
    worker_with(s, who, |_| {})
}

fn worker_with(s: &Scene, who: &str, change: impl FnOnce(&mut WorkerConfig)) -> Worker {
    let mut config = WorkerConfig {
        stake: Amount::aic(1_000),
        price_min: Amount::aic(1),
        models: vec![s.model],
        jobs_max: 4,
    };
    change(&mut config);
    Worker::new(account(who), config)
}

fn result() -> RunResult {
    RunResult {
        trace: vec![[1; 31]; 2],
        final_state: vec![],
        output: vec![],
        gas: 5,
    }
}

fn assigned(job: JobId, who: &str) -> StateEvent {
    StateEvent::JobAssigned {
        job,
        worker: account(who),
        coordinator: account("coordinator"),
    }
}

fn accepted(job: JobId, who: &str) -> StateEvent {
    StateEvent::JobAccepted {
        job,
        worker: account(who),
    }
}

/// Everything but advertising.
fn work(actions: Vec<Action>) -> Vec<Action> {
    deeds(actions)
        .into_iter()
        .filter(|a| !matches!(a, Action::Advertise { .. }))
        .collect()
}

fn advertised(actions: &[Action]) -> Option<u32> {
    actions.iter().find_map(|a| match a {
        Action::Advertise { slots_free, .. } => Some(*slots_free),
        _ => None,
    })
}

#[test]
fn it_fetches_first_then_accepts_and_stays_silent_without_the_bytes() {
    let mut s = Scene::new();
    let mut role = worker(&s, "worker");
    let job = s.post();
    s.assign(&job, "worker");
    let actions = work(show(&s, &mut role, vec![assigned(job, "worker")]));
    let [Action::FetchBlobs { job: of, blobs }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(*of, job);
    assert_eq!(*blobs, [BlobRef::of(&digits_onnx()), s.job(&job).input]);
    // The bytes do not come: not a word, however long it takes.
    for _ in 0..5 {
        s.pass();
        assert!(work(nothing(&s, &mut role)).is_empty());
    }
    let actions = work(tell(&s, &mut role, Event::BlobsReady { job }));
    let [Action::Accept { job: of, expiry }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((*of, *expiry), (job, s.slot.after(3)));
    // Told twice, it accepts once.
    assert!(work(tell(&s, &mut role, Event::BlobsReady { job })).is_empty());
    let unknown = JobId([1; 32]);
    assert!(work(tell(&s, &mut role, Event::BlobsReady { job: unknown })).is_empty());
}

#[test]
fn an_accept_is_not_valid_beyond_the_deadline() {
    let mut s = Scene::new();
    let mut role = worker(&s, "worker");
    let job = s.post_with(|t| t.deadline_slots = 2);
    s.assign(&job, "worker");
    show(&s, &mut role, vec![assigned(job, "worker")]);
    let actions = work(tell(&s, &mut role, Event::BlobsReady { job }));
    let [Action::Accept { expiry, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(*expiry, s.job(&job).deadline);
}

#[test]
fn it_runs_once_the_accept_is_in_a_block_and_publishes_in_time() {
    let mut s = Scene::new();
    let mut role = worker(&s, "worker");
    let job = s.post();
    s.assign(&job, "worker");
    show(&s, &mut role, vec![assigned(job, "worker")]);
    tell(&s, &mut role, Event::BlobsReady { job });
    s.block(&[s.accept_tx(&job, "worker")]);
    let actions = work(show(&s, &mut role, vec![accepted(job, "worker")]));
    assert!(matches!(actions[..], [Action::Run { job: of }] if of == job));
    assert!(
        work(show(&s, &mut role, vec![accepted(job, "worker")])).is_empty(),
        "one run"
    );
    let finished = Event::RunFinished {
        job,
        result: Ok(result()),
    };
    let actions = work(tell(&s, &mut role, finished.clone()));
    let [
        Action::PublishVcr {
            expiry,
            result: run,
            ..
        },
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!((*expiry, run), (s.job(&job).deadline, &result()));
    assert!(work(tell(&s, &mut role, finished)).is_empty(), "one VCR");
}

#[test]
fn a_run_that_failed_or_came_too_late_is_not_published() {
    for late in [false, true] {
        let mut s = Scene::new();
        let mut role = worker(&s, "worker");
        let job = s.post_with(|t| t.deadline_slots = 8);
        s.accept_job(&job, "worker");
        show(&s, &mut role, vec![accepted(job, "worker")]);
        let result = if late {
            Ok(result())
        } else {
            Err("no memory".to_owned())
        };
        if late {
            let deadline = s.job(&job).deadline;
            s.pass_to(deadline);
        }
        let actions = tell(&s, &mut role, Event::RunFinished { job, result });
        assert!(says(&actions, if late { "too late" } else { "no memory" }));
        assert!(work(actions).is_empty());
        assert_eq!(advertised(&nothing(&s, &mut role)), Some(4), "room again");
    }
}

#[test]
fn it_takes_no_more_than_it_has_room_for() {
    let mut s = Scene::new();
    let mut role = worker_with(&s, "worker", |c| c.jobs_max = 1);
    let one = s.post();
    let two = s.post_with(|t| t.seed = 2);
    s.assign(&one, "worker");
    s.assign(&two, "worker");
    let actions = show(
        &s,
        &mut role,
        vec![assigned(one, "worker"), assigned(two, "worker")],
    );
    assert!(says(&actions, "no room"));
    let fetches: Vec<JobId> = actions
        .iter()
        .filter_map(|a| match a {
            Action::FetchBlobs { job, .. } => Some(*job),
            _ => None,
        })
        .collect();
    assert_eq!(fetches, [one]);
    assert!(work(tell(&s, &mut role, Event::BlobsReady { job: two })).is_empty());
    // Chosen again for what it is at already, it does not take that for another.
    s.pass_slots(3);
    s.assign(&one, "worker");
    let actions = work(show(&s, &mut role, vec![assigned(one, "worker")]));
    assert!(matches!(actions[..], [Action::FetchBlobs { job, .. }] if job == one));
    // The network's bound counts too.
    let greedy = worker_with(&s, "worker", |c| c.jobs_max = 100);
    let mut greedy = greedy;
    assert_eq!(
        advertised(&nothing(&s, &mut greedy)).map(|free| free <= 4),
        Some(true)
    );
}

#[test]
fn a_job_below_its_price_is_not_taken() {
    let mut s = Scene::new();
    let mut role = worker_with(&s, "worker", |c| c.price_min = Amount::aic(11));
    let job = s.post();
    s.assign(&job, "worker");
    let actions = show(&s, &mut role, vec![assigned(job, "worker")]);
    assert!(says(&actions, "pays too little"));
    assert!(work(actions).is_empty());
}

#[test]
fn what_is_no_longer_its_own_is_let_go() {
    let ends: [fn(JobId) -> StateEvent; 3] = [
        |job| assigned(job, "worker-2"),
        |job| StateEvent::JobExpired {
            job,
            outcome: Outcome::default(),
        },
        |job| StateEvent::JobCancelled { job },
    ];
    for end in ends {
        let mut s = Scene::new();
        let mut role = worker_with(&s, "worker", |c| c.jobs_max = 1);
        let job = s.post();
        s.assign(&job, "worker");
        let actions = show(&s, &mut role, vec![assigned(job, "worker")]);
        assert_eq!(advertised(&actions), Some(0));
        assert_eq!(advertised(&show(&s, &mut role, vec![end(job)])), Some(1));
        assert!(work(tell(&s, &mut role, Event::BlobsReady { job })).is_empty());
    }
}

#[test]
fn refused_accepts_and_vcrs_make_room() {
    let mut s = Scene::new();
    let mut role = worker_with(&s, "worker", |c| c.jobs_max = 1);
    let job = s.post();
    s.assign(&job, "worker");
    for what in [Submission::Accept(job), Submission::Vcr(job)] {
        assert_eq!(
            advertised(&show(&s, &mut role, vec![assigned(job, "worker")])),
            Some(0)
        );
        tell(&s, &mut role, Event::SubmissionFailed { what });
        assert_eq!(advertised(&nothing(&s, &mut role)), Some(1));
    }
}

#[test]
fn it_advertises_when_something_changes_and_from_time_to_time() {
    let mut s = Scene::new();
    let mut role = worker(&s, "worker");
    assert_eq!(advertised(&nothing(&s, &mut role)), Some(4));
    assert_eq!(advertised(&nothing(&s, &mut role)), None, "nothing new");
    let job = s.post();
    s.assign(&job, "worker");
    assert_eq!(
        advertised(&show(&s, &mut role, vec![assigned(job, "worker")])),
        Some(3)
    );
    s.pass_slots(ADVERTISE_SLOTS - 1);
    assert_eq!(advertised(&nothing(&s, &mut role)), None);
    s.pass();
    assert_eq!(advertised(&nothing(&s, &mut role)), Some(3), "records fade");
    // A model that nobody registered cannot be asked for.
    let mut other = worker_with(&s, "worker", |c| c.models = vec![ModelId([1; 32])]);
    assert_eq!(advertised(&nothing(&s, &mut other)), None);
}

#[test]
fn it_bonds_once_and_at_least_the_least() {
    let s = Scene::new();
    let bond = |actions: &[Action]| {
        actions.iter().find_map(|a| match a {
            Action::Submit {
                action:
                    TxAction::Bond {
                        role: Role::Worker,
                        amount,
                    },
                ..
            } => Some(*amount),
            _ => None,
        })
    };
    let mut role = worker_with(&s, "stranger", |c| c.stake = Amount::aic(5));
    assert_eq!(bond(&nothing(&s, &mut role)), Some(Amount::aic(1_000)));
    assert_eq!(bond(&nothing(&s, &mut role)), None);
    tell(
        &s,
        &mut role,
        Event::SubmissionFailed {
            what: Submission::Bond,
        },
    );
    assert_eq!(bond(&nothing(&s, &mut role)), Some(Amount::aic(1_000)));
    let mut rich = worker_with(&s, "owner", |c| c.stake = Amount::aic(3_000));
    assert_eq!(bond(&nothing(&s, &mut rich)), Some(Amount::aic(3_000)));
    assert_eq!(
        bond(&nothing(&s, &mut worker(&s, "worker"))),
        None,
        "bonded already"
    );
}

#[test]
fn begun_again_it_takes_up_what_is_its_own() {
    let mut s = Scene::new();
    let running = s.accepted();
    let chosen = s.post_with(|t| t.seed = 2);
    s.assign(&chosen, "worker");
    let _others = {
        let job = s.post_with(|t| t.seed = 3);
        s.assign(&job, "worker-2");
        job
    };
    let done = {
        let job = s.post_with(|t| {
            t.seed = 4;
            t.payment = Amount::aic(1);
        });
        s.accept_job(&job, "worker");
        s.submit_honest(&job, "worker");
        job
    };
    let mut role = worker(&s, "worker");
    let actions = work(nothing(&s, &mut role));
    let mut runs = Vec::new();
    let mut fetches = Vec::new();
    for action in &actions {
        match action {
            Action::Run { job } => runs.push(*job),
            Action::FetchBlobs { job, .. } => fetches.push(*job),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        (runs, fetches),
        (vec![running], vec![chosen]),
        "and not {done}"
    );
    assert!(work(nothing(&s, &mut role)).is_empty(), "once");
}
