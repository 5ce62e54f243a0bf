//! The challenger: hidden first, then revealed, and never at the wrong time.

use crate::scene::{Scene, account};
use crate::stage::{deeds, nothing, says, show, tell};
use aether_behaviours::challenger::{Challenger, RECHECKS_MAX};
use aether_behaviours::{Action, Event, Recheck, Submission};
use aether_mesh::{Action as TxAction, *};

fn challenger() -> Challenger {
    Challenger::new(account("challenger"), [9; 32])
}

/// A job with a lie at step 3: its id, its VCR, what a re-execution finds.
fn lied(s: &mut Scene) -> (JobId, VerifiedTx, Recheck) {
    let job = s.accepted();
    let outcome = s.cheat(&job, 3);
    let vcr = s.submit(&job, "worker", &outcome);
    let challenge = s.challenge_of(&vcr, 3);
    let step_gas = s.run(&job).step_gas[2];
    (
        job,
        vcr,
        Recheck::Differs {
            challenge,
            step_gas,
        },
    )
}

fn submitted(job: JobId, vcr: &VerifiedTx) -> StateEvent {
    let window_end = Slot(99);
    StateEvent::VcrSubmitted {
        job,
        vcr: vcr.id(),
        worker: account("worker"),
        window_end,
    }
}

fn rechecked(job: JobId, found: &Recheck) -> Event {
    Event::Rechecked {
        job,
        result: Ok(found.clone()),
    }
}

/// The one transaction that it wants to send.
fn sent(s: &Scene, actions: &[Action]) -> VerifiedTx {
    let [Action::Submit { action, expiry, .. }] = actions else {
        panic!("{actions:?}")
    };
    s.tx_of(
        "challenger",
        TxBody {
            nonce: 0,
            expiry_slot: *expiry,
            action: action.clone(),
        },
    )
}

#[test]
fn a_lie_is_committed_to_at_once_and_revealed_when_the_window_has_closed() {
    let mut s = Scene::new();
    let mut role = challenger();
    let (job, vcr, found) = lied(&mut s);
    let actions = deeds(show(&s, &mut role, vec![submitted(job, &vcr)]));
    assert!(
        matches!(actions[..], [Action::Recheck { job: of, vcr: id }] if of == job && id == vcr.id())
    );
    let actions = tell(&s, &mut role, rechecked(job, &found));
    assert!(says(&actions, "step 3 is wrong"));
    let commit = sent(&s, &deeds(actions));
    let TxAction::ChallengeCommit { bond, .. } = commit.action() else {
        panic!("a commit")
    };
    let Recheck::Differs {
        challenge,
        step_gas,
    } = &found
    else {
        panic!("a difference")
    };
    let least = bond_required(s.rules.params(), challenge.witness.bytes_len, *step_gas);
    assert_eq!(*bond, least);
    s.block(&[commit]);
    // Not a word more while the window is open, whatever happens.
    let end = s.job(&job).vcr.unwrap().window_end;
    while s.slot < end {
        assert!(deeds(nothing(&s, &mut role)).is_empty(), "{}", s.slot);
        s.pass();
    }
    let events = s.pass();
    assert!(matches!(events[..], [StateEvent::WindowClosed { .. }]));
    let reveal = sent(&s, &deeds(show(&s, &mut role, events)));
    assert_eq!(reveal.body().expiry_slot, s.slot.after(5));
    assert!(deeds(nothing(&s, &mut role)).is_empty(), "revealed once");
    s.block(&[reveal]);
    let events = s.pass();
    assert_eq!(s.status(&job), JobStatus::Refuted);
    assert!(deeds(show(&s, &mut role, events)).is_empty());
}

#[test]
fn an_honest_vcr_is_left_alone() {
    let mut s = Scene::new();
    let mut role = challenger();
    let job = s.accepted();
    let vcr = s.submit_honest(&job, "worker");
    show(&s, &mut role, vec![submitted(job, &vcr)]);
    let actions = tell(&s, &mut role, rechecked(job, &Recheck::Agrees));
    assert!(says(&actions, "every step agrees"));
    assert!(deeds(actions).is_empty());
    let failed = Event::Rechecked {
        job,
        result: Err("no bytes".to_owned()),
    };
    let actions = tell(&s, &mut role, failed);
    assert!(says(&actions, "no bytes"));
    assert!(deeds(actions).is_empty());
}

#[test]
fn each_vcr_is_re_executed_once_and_only_so_many_at_a_time() {
    let mut s = Scene::new();
    let mut role = challenger();
    nothing(&s, &mut role);
    let (job, vcr, _) = lied(&mut s);
    let flood: Vec<StateEvent> = (0..RECHECKS_MAX as u32 + 50)
        .map(|n| submitted(JobId(hash_parts("test/job", &[&n.to_be_bytes()])), &vcr))
        .collect();
    let actions = deeds(show(&s, &mut role, flood));
    assert_eq!(actions.len(), RECHECKS_MAX);
    // Full: this one waits.
    assert!(deeds(show(&s, &mut role, vec![submitted(job, &vcr)])).is_empty());
    let mut role = challenger();
    assert_eq!(
        deeds(show(&s, &mut role, vec![submitted(job, &vcr)])).len(),
        1
    );
    assert!(
        deeds(show(&s, &mut role, vec![submitted(job, &vcr)])).is_empty(),
        "once"
    );
}

#[test]
fn a_commit_that_no_block_took_is_not_revealed() {
    let mut s = Scene::new();
    let mut role = challenger();
    let (job, _, found) = lied(&mut s);
    tell(&s, &mut role, rechecked(job, &found));
    // Somebody else's commit keeps the job open.
    let Recheck::Differs { challenge, .. } = &found else {
        panic!("a difference")
    };
    s.block(&[s.commit_tx("challenger-2", &job, challenge)]);
    let events = s.close_window(&job);
    let actions = show(&s, &mut role, events);
    assert!(says(&actions, "too late"));
    assert!(deeds(actions).is_empty());
}

#[test]
fn a_difference_found_too_late_is_only_said() {
    let mut s = Scene::new();
    let mut role = challenger();
    let (job, _, found) = lied(&mut s);
    let Recheck::Differs { challenge, .. } = &found else {
        panic!("a difference")
    };
    s.block(&[s.commit_tx("challenger-2", &job, challenge)]);
    s.close_window(&job);
    let actions = tell(&s, &mut role, rechecked(job, &found));
    assert!(says(&actions, "the window has closed"));
    assert!(deeds(actions).is_empty());
    let unknown = JobId([1; 32]);
    assert!(tell(&s, &mut role, rechecked(unknown, &found)).is_empty());
}

#[test]
fn salts_differ_so_commits_tell_nothing() {
    let mut s = Scene::new();
    let (job, _, found) = lied(&mut s);
    let mut seen = std::collections::BTreeSet::new();
    for secret in 0..20u8 {
        let mut role = Challenger::new(account("challenger"), [secret; 32]);
        let actions = tell(&s, &mut role, rechecked(job, &found));
        let tx = sent(&s, &deeds(actions));
        let TxAction::ChallengeCommit { commitment, .. } = tx.action() else {
            panic!("a commit")
        };
        assert!(seen.insert(*commitment));
    }
}

#[test]
fn a_refused_commit_is_tried_again_while_the_window_is_open() {
    let mut s = Scene::with(|g| g.params.window_slots = 60);
    let mut role = challenger();
    let (job, vcr, found) = lied(&mut s);
    show(&s, &mut role, vec![submitted(job, &vcr)]);
    tell(&s, &mut role, rechecked(job, &found));
    tell(
        &s,
        &mut role,
        Event::SubmissionFailed {
            what: Submission::Commit(job),
        },
    );
    s.pass_slots(30);
    let actions = deeds(nothing(&s, &mut role));
    assert!(matches!(actions[..], [Action::Recheck { job: of, .. }] if of == job));
}

#[test]
fn a_lost_reveal_is_sent_again() {
    let mut s = Scene::new();
    let mut role = challenger();
    let (job, _, found) = lied(&mut s);
    let commit = sent(&s, &deeds(tell(&s, &mut role, rechecked(job, &found))));
    s.block(&[commit]);
    let events = s.close_window(&job);
    assert_eq!(deeds(show(&s, &mut role, events)).len(), 1);
    s.pass();
    assert!(deeds(nothing(&s, &mut role)).is_empty());
    tell(
        &s,
        &mut role,
        Event::SubmissionFailed {
            what: Submission::Reveal(job),
        },
    );
    let again = sent(&s, &deeds(nothing(&s, &mut role)));
    s.block(&[again]);
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Refuted);
}

#[test]
fn begun_in_the_middle_of_a_window_it_still_looks() {
    let mut s = Scene::new();
    let (job, vcr, _) = lied(&mut s);
    s.pass_slots(4);
    let mut role = challenger();
    let actions = deeds(nothing(&s, &mut role));
    assert!(
        matches!(actions[..], [Action::Recheck { job: of, vcr: id }] if of == job && id == vcr.id())
    );
    assert!(deeds(nothing(&s, &mut role)).is_empty(), "once");
    s.close_window(&job);
    assert!(
        deeds(nothing(&s, &mut challenger())).is_empty(),
        "too late to begin"
    );
}

#[test]
fn a_challenger_that_restarts_between_commit_and_reveal_keeps_its_bond() {
    let mut s = Scene::new();
    let (job, vcr, found) = lied(&mut s);
    let mut first = challenger();
    show(&s, &mut first, vec![submitted(job, &vcr)]);
    let commit = sent(&s, &deeds(tell(&s, &mut first, rechecked(job, &found))));
    s.block(&[commit]);
    drop(first);
    // The second life finds the VCR again, and waits for the window to close.
    let mut second = challenger();
    let actions = deeds(nothing(&s, &mut second));
    assert!(matches!(actions[..], [Action::Recheck { job: of, .. }] if of == job));
    assert!(deeds(tell(&s, &mut second, rechecked(job, &found))).is_empty());
    while s.job(&job).vcr.unwrap().closed.is_none() {
        s.pass();
    }
    drop(second);
    // The third comes only when it has: it finds its commit, and opens it.
    let mut third = challenger();
    let actions = deeds(nothing(&s, &mut third));
    assert!(matches!(actions[..], [Action::Recheck { job: of, .. }] if of == job));
    let reveal = sent(&s, &deeds(tell(&s, &mut third, rechecked(job, &found))));
    s.block(&[reveal]);
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Refuted);
}

#[test]
fn a_commit_that_another_secret_hid_is_not_opened() {
    let mut s = Scene::new();
    let (job, vcr, found) = lied(&mut s);
    let mut stranger = Challenger::new(account("challenger"), [8; 32]);
    show(&s, &mut stranger, vec![submitted(job, &vcr)]);
    let commit = sent(&s, &deeds(tell(&s, &mut stranger, rechecked(job, &found))));
    s.block(&[commit]);
    let mut role = challenger();
    nothing(&s, &mut role);
    let actions = tell(&s, &mut role, rechecked(job, &found));
    assert!(says(&actions, "hides something else"));
    assert!(deeds(actions).is_empty());
}
