//! Fraud, false alarms, and everything that can go wrong between commit and
//! verdict.

use crate::scene::{Scene, VALIDATOR_STAKE, account, validator};
use aether_mesh::*;

/// A job with a refutable VCR: its id, the VCR, and the step that is wrong.
fn lied(s: &mut Scene) -> (JobId, VerifiedTx, u32) {
    let job = s.accepted();
    let outcome = s.cheat(&job, 4);
    let honest = s.run(&job);
    assert_eq!(outcome.trace[..4], honest.trace[..4]);
    assert_ne!(outcome.trace[4], honest.trace[4]);
    assert_ne!(
        outcome.outputs, honest.outputs,
        "the lie reaches the output"
    );
    let vcr = s.submit(&job, "worker", &outcome);
    (job, vcr, 4)
}

/// An honest job with its VCR.
fn honest(s: &mut Scene) -> (JobId, VerifiedTx) {
    let job = s.accepted();
    let vcr = s.submit_honest(&job, "worker");
    (job, vcr)
}

#[test]
fn fraud_is_refuted_by_re_executing_one_step() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    let start = s.supply();
    let requester = s.balance("requester");
    let challenger = s.balance("challenger");

    let commit = s.commit_tx("challenger", &job, &challenge);
    let commit_fee = s.fee(&commit);
    s.block(std::slice::from_ref(&commit));
    assert_eq!(s.supply().bonds, Amount::aic(1));

    let closed = s.close_window(&job);
    let reveal_until = s.slot.after(5);
    assert_eq!(closed, [StateEvent::WindowClosed { job, reveal_until }]);
    let reveal = s.reveal_tx("challenger", &job, &challenge);
    let reveal_fee = s.fee(&reveal);
    s.block(std::slice::from_ref(&reveal));
    assert_eq!(
        s.status(&job),
        JobStatus::Submitted,
        "the verdict comes with the next block"
    );

    let events = s.pass();
    let (first, second) = (&events[0], &events[1]);
    assert!(
        matches!(
            first,
            StateEvent::ChallengeJudged {
                upheld: true,
                step: 4,
                reason: None,
                ..
            }
        ),
        "{first:?}"
    );
    let outcome = Outcome {
        slot: s.slot,
        refunded: Amount::aic(10),
        slashed: Amount::aic(50),
        challengers_reward: Amount::aic(25),
        ..Outcome::default()
    };
    let expected = StateEvent::JobRefuted {
        job,
        worker: account("worker"),
        outcome: outcome.clone(),
    };
    assert_eq!(*second, expected);
    assert_eq!(s.status(&job), JobStatus::Refuted);
    assert_eq!(s.outcome(&job), outcome);

    let worker = s.worker("worker");
    assert_eq!(worker.stake, Amount::aic(950));
    assert_eq!((worker.reputation, worker.refuted), (-50, 1));
    assert_eq!(worker.open_payments, Amount::ZERO);
    assert_eq!(
        s.balance("requester"),
        requester.checked_add(Amount::aic(10)).unwrap()
    );
    let fees = commit_fee.checked_add(reveal_fee).unwrap();
    let poorer = challenger.checked_sub(fees).unwrap();
    assert_eq!(s.balance("challenger"), poorer, "the bond came back");
    let now = s.supply();
    assert_eq!((now.vesting, now.bonds), (Amount::aic(25), Amount::ZERO));
    assert_eq!(now.minted, start.minted, "nobody was paid");

    // The reward is free after the unbonding period, and not before.
    let free_at = s.slot.after(s.rules.params().unbonding_slots);
    s.pass_to(Slot(free_at.0 - 1));
    assert_eq!(s.balance("challenger"), poorer);
    s.pass();
    assert_eq!(
        s.balance("challenger"),
        poorer.checked_add(Amount::aic(25)).unwrap()
    );
    assert_eq!(s.supply().vesting, Amount::ZERO);
}

#[test]
fn the_first_and_the_last_step_can_be_refuted_too() {
    for last in [false, true] {
        let mut s = Scene::new();
        let job = s.accepted();
        let steps = s.run(&job).final_state.step;
        let step = if last { steps - 1 } else { 1 };
        let outcome = s.cheat(&job, step);
        let vcr = s.submit(&job, "worker", &outcome);
        let challenge = s.challenge_of(&vcr, step);
        s.block(&[s.commit_tx("challenger", &job, &challenge)]);
        s.close_window(&job);
        s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
        s.pass();
        assert_eq!(s.status(&job), JobStatus::Refuted, "step {step} of {steps}");
    }
}

#[test]
fn a_wrong_last_element_is_refuted() {
    // The run is honest but for its very last state, which lists other outputs.
    let mut s = Scene::new();
    let job = s.accepted();
    let mut outcome = s.run(&job);
    let output = outcome.outputs[0].clone();
    let aether_inference::Data::F32(values) = output.data() else {
        panic!("floats")
    };
    let mut values = values.to_vec();
    values.reverse();
    let wrong = aether_inference::Tensor::from_vec(output.shape(), values).unwrap();
    let value = outcome.final_state.live[0].id;
    assert!(outcome.final_state.set_live(value, &wrong));
    outcome.outputs[0] = wrong;
    *outcome.trace.last_mut().unwrap() = outcome.final_state.element();
    let vcr = s.submit(&job, "worker", &outcome);
    let challenge = s.challenge_of(&vcr, outcome.final_state.step);
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Refuted);
}

#[test]
fn a_trace_that_goes_on_after_its_end_is_refuted() {
    let mut s = Scene::new();
    let job = s.accepted();
    let mut outcome = s.run(&job);
    outcome.final_state.step += 1;
    outcome.trace.push(outcome.final_state.element());
    let vcr = s.submit(&job, "worker", &outcome);
    let challenge = s.challenge_past_end(&vcr, outcome.final_state.step);
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Refuted);
}

#[test]
fn a_false_challenge_pays_the_worker_half_its_bond() {
    let mut s = Scene::new();
    let (job, vcr) = honest(&mut s);
    let challenge = s.challenge_of(&vcr, 3);
    let bond = Amount::aic(3);
    s.block(&[s.commit_tx_with("challenger", &job, &challenge.encode(), bond)]);
    s.close_window(&job);
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    let worker = s.balance("worker");
    let burned = s.supply().burned;
    let events = s.pass();
    let judged = &events[0];
    let StateEvent::ChallengeJudged {
        upheld: false,
        reason: Some(why),
        gas,
        ..
    } = judged
    else {
        panic!("{judged:?}")
    };
    assert_eq!(why, "the step is right");
    assert!(*gas > 0);
    assert_eq!(s.status(&job), JobStatus::Settled);
    assert_eq!(
        s.challenge_record(&job, "challenger").status,
        ChallengeStatus::Failed
    );
    // 9 for the job, half of the bond.
    assert_eq!(
        s.balance("worker"),
        worker.checked_add("10.5".parse().unwrap()).unwrap()
    );
    // The payment and the other half.
    assert_eq!(
        s.supply().burned,
        burned.checked_add("11.5".parse().unwrap()).unwrap()
    );
    assert_eq!(
        s.reputation("worker"),
        15,
        "10 for the job, 5 for the defence"
    );
    assert_eq!(s.supply().bonds, Amount::ZERO);
}

#[test]
fn an_odd_bond_loses_no_base_unit() {
    let mut s = Scene::new();
    let (job, vcr) = honest(&mut s);
    let challenge = s.challenge_of(&vcr, 3);
    let bond = Amount(1_000_000_001);
    s.block(&[s.commit_tx_with("challenger", &job, &challenge.encode(), bond)]);
    // The driver counts every base unit after every block.
    s.close_window(&job);
    s.pass_slots(7);
    assert_eq!(s.status(&job), JobStatus::Settled);
}

#[test]
fn late_challenge_is_rejected() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    let commit = s.commit_tx("challenger", &job, &challenge);
    let end = s.job(&job).vcr.unwrap().window_end;
    s.pass_to(Slot(end.0 - 1));
    // The last slot of the window is good enough: this would still apply.
    check(&s.state, &s.rules, &s.library, s.next_context(), &commit).unwrap();
    s.pass_slots(1);
    let why = s.refusal(&commit);
    assert_eq!(why.blame(), Blame::TooLate, "{why}");
    s.pass();
    assert_eq!(
        s.status(&job),
        JobStatus::Settled,
        "nobody said a word in time"
    );
    s.refused(&commit, "the job has ended");
}

#[test]
fn a_commit_after_the_window_closed_is_rejected_although_others_committed() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    let late = s.commit_tx("challenger-2", &job, &challenge);
    s.refused(&late, "window has closed");
}

#[test]
fn a_commit_without_a_reveal_is_forfeited() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    let closed = s.slot;
    s.pass_to(closed.after(5));
    assert_eq!(
        s.status(&job),
        JobStatus::Submitted,
        "reveals may come until here"
    );
    let reveal = s.reveal_tx("challenger", &job, &challenge);
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Settled);
    assert_eq!(
        s.challenge_record(&job, "challenger").status,
        ChallengeStatus::Forfeited
    );
    assert_eq!(s.supply().bonds, Amount::ZERO);
    assert_eq!(s.reputation("worker"), 10, "nothing was defended");
    s.refused(&reveal, "the job has ended");
}

#[test]
fn a_reveal_in_the_last_slot_counts() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    s.pass_slots(4);
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Refuted);
}

#[test]
fn a_reveal_before_the_window_closed_is_not_yet() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    let why = s.refusal(&s.reveal_tx("challenger", &job, &challenge));
    assert_eq!(why.blame(), Blame::NotYet, "{why}");
    assert!(why.to_string().contains("still open"));
}

#[test]
fn a_copied_reveal_helps_nobody_but_its_author() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    // The copier commits to the very same hash that it saw.
    let seen = s.commit_tx("challenger", &job, &challenge);
    let Action::ChallengeCommit {
        vcr: id,
        commitment,
        bond,
        ..
    } = *seen.action()
    else {
        panic!("a commit")
    };
    let copied = s.tx(
        "challenger-2",
        Action::ChallengeCommit {
            job,
            vcr: id,
            commitment,
            bond,
        },
    );
    s.block(&[seen, copied]);
    s.close_window(&job);
    let salt = Scene::salt("challenger");
    let copied = s.reveal_tx_with("challenger-2", &job, &challenge, salt);
    s.refused(&copied, "does not match its commit");
    let nobody = s.reveal_tx_with("stranger", &job, &challenge, salt);
    s.refused(&nobody, "there is no commit");
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    s.pass_slots(6);
    assert_eq!(s.status(&job), JobStatus::Refuted);
    let copier = s.challenge_record(&job, "challenger-2");
    assert_eq!(copier.status, ChallengeStatus::Forfeited);
    assert_eq!(s.outcome(&job).challengers_reward, Amount::aic(25));
    let vested: Vec<(Vec<u8>, Amount)> = s.all(keys::VESTING).collect();
    assert_eq!(vested.len(), 1);
}

#[test]
fn every_valid_reveal_shares_the_reward() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    let commits =
        ["challenger", "challenger-2", "stranger"].map(|who| s.commit_tx(who, &job, &challenge));
    s.block(&commits);
    s.close_window(&job);
    s.block(&["challenger", "challenger-2"].map(|who| s.reveal_tx(who, &job, &challenge)));
    s.block(&[s.reveal_tx("stranger", &job, &challenge)]);
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Refuted);
    let shares: Vec<(Vec<u8>, Amount)> = s.all(keys::VESTING).collect();
    assert_eq!(shares.len(), 3);
    let third = Amount(Amount::aic(25).0 / 3);
    assert!(
        shares.iter().all(|(_, share)| *share == third),
        "{shares:?}"
    );
    // What does not divide stays burned.
    assert_eq!(s.outcome(&job).challengers_reward, Amount(third.0 * 3));
}

#[test]
fn at_most_so_many_share_and_the_first_come_first() {
    let mut s = Scene::with(|g| g.params.challengers_max = 1);
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    s.block(&[s.commit_tx("challenger-2", &job, &challenge)]);
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    s.block(&["challenger", "challenger-2"].map(|who| s.reveal_tx(who, &job, &challenge)));
    s.pass();
    let shares: Vec<(Vec<u8>, Amount)> = s.all(keys::VESTING).collect();
    let [(key, share)] = &shares[..] else {
        panic!("{shares:?}")
    };
    assert_eq!(key[9..41], account("challenger-2").0);
    assert_eq!(*share, Amount::aic(25));
}

#[test]
fn the_reward_is_capped_by_bond_and_payment() {
    let mut s = Scene::with(|g| g.params.challenge_reward_multiple = 2);
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    s.pass();
    assert_eq!(
        s.outcome(&job).challengers_reward,
        Amount::aic(22),
        "2 × (1 + 10)"
    );
}

#[test]
fn the_slash_is_measured_by_the_stake_at_assignment() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    // More stake afterwards makes the slash no larger.
    let more = Action::Bond {
        role: Role::Worker,
        amount: Amount::aic(1_000),
    };
    s.block(&[s.tx("worker", more)]);
    let challenge = s.challenge_of(&vcr, step);
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    s.pass();
    assert_eq!(s.outcome(&job).slashed, Amount::aic(50));
    assert_eq!(s.worker("worker").stake, Amount::aic(1_950));
}

#[test]
fn a_bad_challenge_beside_a_good_one_burns_its_bond() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let good = s.challenge_of(&vcr, step);
    let bad = s.challenge_of(&vcr, step - 1);
    s.block(&[
        s.commit_tx("challenger", &job, &good),
        s.commit_tx("challenger-2", &job, &bad),
    ]);
    s.close_window(&job);
    s.block(&[
        s.reveal_tx("challenger", &job, &good),
        s.reveal_tx("challenger-2", &job, &bad),
    ]);
    let worker = s.balance("worker");
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Refuted);
    assert_eq!(
        s.challenge_record(&job, "challenger").status,
        ChallengeStatus::Upheld
    );
    assert_eq!(
        s.challenge_record(&job, "challenger-2").status,
        ChallengeStatus::Failed
    );
    assert_eq!(s.balance("worker"), worker, "a liar is paid no half");
}

/// What makes a reveal worthless although it matches its commit.
type Spoil = fn(&Scene, &VerifiedTx, &mut Challenge);

#[test]
fn malformed_challenges_forfeit_their_bonds() {
    let table: &[(&str, &str, Spoil)] = &[
        ("no such step", "has no such step", |_, _, c| c.step = 1_000),
        ("opening of nothing", "opening is malformed", |_, _, c| {
            c.opening = vec![1; 48]
        }),
        ("opening too short", "opening is malformed", |_, _, c| {
            c.opening.pop();
        }),
        ("no opening", "opening is malformed", |_, _, c| {
            c.opening.clear()
        }),
        (
            "a value that was not committed to",
            "does not prove",
            |_, _, c| c.after[5] ^= 1,
        ),
        ("another value before", "does not prove", |_, _, c| {
            c.before[5] ^= 1
        }),
        ("opening of another step", "does not prove", |_, _, c| {
            c.step += 1
        }),
        ("witness of another step", "another step", |s, vcr, c| {
            c.witness = s.challenge_of(vcr, c.step - 1).witness;
        }),
        ("garbage for a witness", "", |s, _, c| {
            c.witness = s.library.insert(b"garbage")
        }),
        ("an empty witness", "", |s, _, c| {
            c.witness = s.library.insert(b"")
        }),
    ];
    for (what, because, spoil) in table {
        let mut s = Scene::new();
        let (job, vcr, step) = lied(&mut s);
        let mut challenge = s.challenge_of(&vcr, step);
        spoil(&s, &vcr, &mut challenge);
        s.block(&[s.commit_tx("challenger", &job, &challenge)]);
        s.close_window(&job);
        s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
        let events = s.pass();
        let StateEvent::ChallengeJudged {
            upheld: false,
            reason: Some(why),
            ..
        } = &events[0]
        else {
            panic!("{what}: {events:?}")
        };
        assert!(why.contains(because), "{what}: {why}");
        assert_eq!(s.status(&job), JobStatus::Settled, "{what}");
        let record = s.challenge_record(&job, "challenger");
        assert_eq!(record.status, ChallengeStatus::Forfeited, "{what}");
        assert_eq!(s.supply().bonds, Amount::ZERO, "{what}");
    }
}

#[test]
fn witnesses_with_too_much_or_too_little_are_worth_nothing() {
    use aether_inference::StepWitness;
    let change: [fn(&mut StepWitness); 3] = [
        |w| w.values.clear(),
        |w| {
            let (id, tensor) = w.values[0].clone();
            w.values.push((id + 1_000, tensor));
        },
        |w| {
            let (id, _) = w.values[0];
            w.values[0] = (id, crate::scene::picture(200));
        },
    ];
    for (n, change) in change.iter().enumerate() {
        let mut s = Scene::new();
        let (job, vcr, step) = lied(&mut s);
        let honest = s.challenge_of(&vcr, step);
        let bytes = s.library.blob(&honest.witness).unwrap();
        let mut witness = StepWitness::decode(&bytes, 1 << 30).unwrap();
        change(&mut witness);
        let Action::SubmitVcr { vcr, .. } = vcr.action() else {
            panic!("a VCR")
        };
        let challenge = s.challenge_with(vcr, step, &witness);
        s.block(&[s.commit_tx("challenger", &job, &challenge)]);
        s.close_window(&job);
        s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
        s.pass();
        assert_eq!(s.status(&job), JobStatus::Settled, "{n}");
        let record = s.challenge_record(&job, "challenger");
        assert_eq!(record.status, ChallengeStatus::Forfeited, "{n}");
    }
}

#[test]
fn a_bond_too_small_for_the_witness_is_forfeited() {
    let mut s = Scene::with(|g| g.params.challenge_unit_price = 1_000_000_000);
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    let least = bond_required(s.rules.params(), challenge.witness.bytes_len, 0);
    assert!(least > Amount::aic(1));
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    let events = s.pass();
    let StateEvent::ChallengeJudged {
        upheld: false,
        reason: Some(why),
        ..
    } = &events[0]
    else {
        panic!("{events:?}")
    };
    assert!(why.contains("bond does not cover"), "{why}");
    assert_eq!(s.status(&job), JobStatus::Settled);
}

#[test]
fn a_bond_that_covers_witness_and_gas_is_enough() {
    let mut s = Scene::with(|g| {
        g.params.challenge_unit_price = 1_000_000;
        g.accounts
            .iter_mut()
            .for_each(|a| a.balance = Amount::aic(100_000));
    });
    let (job, vcr, step) = lied(&mut s);
    let gas = s.run(&job).step_gas[step as usize - 1];
    let challenge = s.challenge_of(&vcr, step);
    let exact = bond_required(s.rules.params(), challenge.witness.bytes_len, gas);
    for (bond, status) in [
        (Amount(exact.0 - 1), ChallengeStatus::Forfeited),
        (exact, ChallengeStatus::Upheld),
    ] {
        let mut s = Scene::with(|g| {
            g.params.challenge_unit_price = 1_000_000;
            g.accounts
                .iter_mut()
                .for_each(|a| a.balance = Amount::aic(100_000));
        });
        let (job, vcr, step) = lied(&mut s);
        let challenge = s.challenge_of(&vcr, step);
        s.block(&[s.commit_tx_with("challenger", &job, &challenge.encode(), bond)]);
        s.close_window(&job);
        s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
        s.pass();
        assert_eq!(
            s.challenge_record(&job, "challenger").status,
            status,
            "{bond}"
        );
    }
}

#[test]
fn commits_that_no_state_allows_are_refused() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    let encoded = challenge.encode();
    let cheap = s.commit_tx_with("challenger", &job, &encoded, Amount(999_999_999));
    s.refused(&cheap, "below challenge_bond_min");
    let rich = s.commit_tx_with("challenger", &job, &encoded, Amount::aic(1_000_000));
    s.refused(&rich, "the free balance is");
    let huge = s.commit_tx_with("challenger", &job, &encoded, Amount(u128::MAX));
    s.refused(&huge, "the free balance is");
    let other = TxId([3; 32]);
    let action = Action::ChallengeCommit {
        job,
        vcr: other,
        commitment: [0; 32],
        bond: Amount::aic(1),
    };
    s.refused(&s.tx("challenger", action), "another VCR");
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    let again = s.commit_tx_with("challenger", &job, &encoded, Amount::aic(2));
    s.refused(&again, "has challenged this VCR already");
    s.close_window(&job);
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    assert_eq!(s.status(&job), JobStatus::Submitted);
}

#[test]
fn a_reveal_waits_for_its_witness_to_be_held() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let mut challenge = s.challenge_of(&vcr, step);
    challenge.witness = BlobRef::of(b"nobody has this");
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    let reveal = s.reveal_tx("challenger", &job, &challenge);
    assert_eq!(s.refusal(&reveal), Refusal::BlobMissing(challenge.witness));
    let ctx = s.next_context();
    let error = apply(&s.state, &s.rules, &s.library, ctx, &[reveal]).unwrap_err();
    assert_eq!(error.missing_blob(), Some(challenge.witness));

    let mut huge = s.challenge_of(&vcr, step);
    huge.witness.bytes_len = s.rules.params().limits.witness_bytes_max + 1;
    s.refused(
        &s.reveal_tx("challenger", &job, &huge),
        "does not match its commit",
    );
}

#[test]
fn the_window_does_not_close_while_only_one_small_validator_proposes() {
    let mut s = Scene::new();
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    let end = s.job(&job).vcr.unwrap().window_end;
    s.proposer = Some(validator(0));
    s.pass_to(end.after(20));
    assert_eq!(
        s.job(&job).vcr.unwrap().closed,
        None,
        "one quarter of stake is not enough"
    );
    // The first honest proposer after the censor still gets the commit in: its
    // own block does not close the window before its transactions.
    s.proposer = Some(validator(1));
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    assert_eq!(s.job(&job).vcr.unwrap().closed, None);
    let events = s.pass();
    assert!(
        matches!(events[..], [StateEvent::WindowClosed { .. }]),
        "{events:?}"
    );
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Refuted);
}

#[test]
fn strangers_proposals_do_not_count_toward_the_third() {
    let mut s = Scene::new();
    let (job, _) = honest(&mut s);
    let end = s.job(&job).vcr.unwrap().window_end;
    s.proposer = Some(account("stranger"));
    s.pass_to(end.after(5));
    assert_eq!(s.status(&job), JobStatus::Submitted);
    // Neither does the proposer of the VCR's own block, once more than one
    // third has to have come since.
    s.proposer = Some(validator(2));
    s.pass();
    s.proposer = Some(validator(3));
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Submitted);
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Settled);
}

#[test]
fn a_large_validator_alone_is_more_than_a_third() {
    let mut s = Scene::with(|g| {
        g.validators[0].stake = Amount(VALIDATOR_STAKE.0 * 3);
    });
    let (job, _) = honest(&mut s);
    s.proposer = Some(validator(0));
    s.close_window(&job);
    assert_eq!(s.status(&job), JobStatus::Settled);
}

#[test]
fn verdicts_are_worked_off_within_a_budget_and_settlement_waits() {
    // One verdict uses up the budget of a block.
    let mut s = Scene::with(|g| g.params.verdict_gas_per_block = 1);
    let (job, vcr, step) = lied(&mut s);
    let good = s.challenge_of(&vcr, step);
    let bad = s.challenge_of(&vcr, step - 1);
    let who = ["challenger", "challenger-2", "stranger", "owner"];
    let commits = who.map(|w| s.commit_tx(w, &job, if w == "owner" { &good } else { &bad }));
    s.block(&commits);
    s.close_window(&job);
    let reveals = who.map(|w| s.reveal_tx(w, &job, if w == "owner" { &good } else { &bad }));
    s.block(&reveals);
    for n in 1..=4u32 {
        assert_eq!(s.status(&job), JobStatus::Submitted, "{n}");
        let events = s.pass();
        let judged = events
            .iter()
            .filter(|e| matches!(e, StateEvent::ChallengeJudged { .. }));
        assert_eq!(judged.count(), 1, "{n}");
        assert_eq!(s.job(&job).vcr.map(|v| v.judged), Some(n));
    }
    assert_eq!(s.status(&job), JobStatus::Refuted);
}

#[test]
fn a_network_without_a_verdict_budget_still_judges_one_a_block() {
    let mut s = Scene::with(|g| g.params.verdict_gas_per_block = 0);
    let (job, vcr, step) = lied(&mut s);
    let challenge = s.challenge_of(&vcr, step);
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Refuted);
}

#[test]
fn a_deadline_inside_the_window_changes_nothing() {
    let mut s = Scene::new();
    let job = s.post_with(|t| t.deadline_slots = 5);
    s.accept_job(&job, "worker");
    s.submit_honest(&job, "worker");
    let record = s.job(&job);
    assert!(record.deadline < record.vcr.unwrap().window_end);
    s.close_window(&job);
    assert_eq!(s.status(&job), JobStatus::Settled);
    assert_eq!(s.worker("worker").missed, 0);
}

#[test]
fn a_worker_can_lose_no_more_than_it_has() {
    let mut s = Scene::with(|g| g.params.slash_bps = 5_000);
    let lies: Vec<(JobId, Challenge)> = (0..3)
        .map(|seed| {
            let job = s.post_with(|t| t.seed = seed);
            s.accept_job(&job, "worker");
            let outcome = s.cheat(&job, 4);
            let vcr = s.submit(&job, "worker", &outcome);
            let challenge = s.challenge_of(&vcr, 4);
            s.block(&[s.commit_tx("challenger", &job, &challenge)]);
            (job, challenge)
        })
        .collect();
    for (job, challenge) in &lies {
        s.close_window(job);
        s.block(&[s.reveal_tx("challenger", job, challenge)]);
        s.pass();
    }
    let slashed: Vec<Amount> = lies.iter().map(|(job, _)| s.outcome(job).slashed).collect();
    // Half of the 1,000 AIC at assignment, twice; then nothing is left.
    assert_eq!(slashed, [Amount::aic(500), Amount::aic(500), Amount::ZERO]);
    assert_eq!(s.worker("worker").stake, Amount::ZERO);
    assert_eq!(
        s.status(&lies[2].0),
        JobStatus::Refuted,
        "and the requester is refunded"
    );
    let job = s.post();
    let assign = s.assign_tx(s.first_coordinator(&job), &job, "worker");
    s.refused(&assign, "below worker_stake_min");
    let last = s.pass_slots(s.rules.params().unbonding_slots + 1);
    assert!(
        last.iter()
            .all(|e| matches!(e, StateEvent::JobExpired { .. }))
    );
    assert_eq!(s.supply().vesting, Amount::ZERO);
}
