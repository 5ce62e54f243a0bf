//! Nonces, fees, transfers, bonds, expiry, and double votes.

use crate::scene::{BALANCE, Scene, VALIDATOR_STAKE, account, key, validator};
use aether_mesh::*;

fn transfer(to: &str, amount: Amount) -> Action {
    Action::Transfer {
        to: account(to),
        amount,
    }
}

#[test]
fn a_transfer_moves_money_and_burns_its_fee() {
    let mut s = Scene::new();
    let tx = s.transfer_tx("stranger", "owner", Amount::aic(3));
    let (owner, burned) = (s.balance("owner"), s.supply().burned);
    s.block(std::slice::from_ref(&tx));
    assert_eq!(
        s.balance("owner"),
        owner.checked_add(Amount::aic(3)).unwrap()
    );
    let fee = s.fee(&tx);
    assert_eq!(fee, s.rules.params().fee_per_kib, "less than a KiB");
    let left = BALANCE
        .checked_sub(Amount::aic(3))
        .unwrap()
        .checked_sub(fee)
        .unwrap();
    assert_eq!(s.balance("stranger"), left);
    assert_eq!(s.supply().burned, burned.checked_add(fee).unwrap());
}

#[test]
fn a_transfer_to_oneself_conserves() {
    let mut s = Scene::new();
    let tx = s.transfer_tx("stranger", "stranger", Amount::aic(3));
    let fee = s.fee(&tx);
    s.block(&[tx]);
    assert_eq!(s.balance("stranger"), BALANCE.checked_sub(fee).unwrap());
}

#[test]
fn money_that_is_not_there_is_not_moved() {
    let s = Scene::new();
    for amount in [BALANCE, Amount(BALANCE.0 + 1), Amount(u128::MAX)] {
        s.refused(
            &s.transfer_tx("stranger", "owner", amount),
            "the free balance is",
        );
        for role in [Role::Worker, Role::Coordinator] {
            let why = s.refusal(&s.tx("worker", Action::Bond { role, amount }));
            // Whoever sends it: never a fault of ours.
            assert_ne!(why.blame(), Blame::Ours, "{why}");
        }
    }
    s.refused(
        &s.transfer_tx("stranger", "owner", Amount::ZERO),
        "a transfer of nothing",
    );
    let nothing = Action::Bond {
        role: Role::Worker,
        amount: Amount::ZERO,
    };
    s.refused(&s.tx("stranger", nothing), "a bond of nothing");
    // All but the fee can be spent.
    let mut s = s;
    let fee = s.rules.params().fee_per_kib;
    s.block(&[s.transfer_tx("stranger", "owner", BALANCE.checked_sub(fee).unwrap())]);
    assert_eq!(s.balance("stranger"), Amount::ZERO);
    s.refused(
        &s.transfer_tx("stranger", "owner", Amount(1)),
        "the free balance is 0 AIC",
    );
}

#[test]
fn an_account_that_never_was_pays_no_fee_and_so_does_nothing() {
    let s = Scene::new();
    let nobody = TxBody {
        nonce: 1,
        expiry_slot: Slot(50),
        action: transfer("owner", Amount(1)),
    };
    s.refused(&s.tx_of("nobody", nobody), "the free balance is 0 AIC");
}

#[test]
fn nonces_leave_no_gap_and_are_used_once() {
    let mut s = Scene::new();
    let at = |s: &Scene, nonce| {
        let expiry_slot = s.slot.after(10);
        s.tx_of(
            "stranger",
            TxBody {
                nonce,
                expiry_slot,
                action: transfer("owner", Amount(1)),
            },
        )
    };
    assert_eq!(s.refusal(&at(&s, 2)), Refusal::NonceGap { got: 2, next: 1 });
    assert_eq!(
        s.refusal(&at(&s, u64::MAX)),
        Refusal::NonceGap {
            got: u64::MAX,
            next: 1
        }
    );
    let first = at(&s, 1);
    s.block(std::slice::from_ref(&first));
    assert_eq!(s.refusal(&first), Refusal::NonceUsed { got: 1, next: 2 });
    assert_eq!(s.refusal(&first).blame(), Blame::TooLate);
    // Several in one block, in order.
    let (two, three, four) = (at(&s, 2), at(&s, 3), at(&s, 4));
    assert!(s.try_block(&[three.clone(), two.clone()]).is_err());
    let ctx = s.next_context();
    let candidates = vec![four.clone(), two.clone(), three.clone()];
    let built = build(&s.state, &s.rules, &s.library, ctx, candidates).unwrap();
    assert_eq!(built.included, [two.clone(), three.clone(), four.clone()]);
    s.block(&[two, three, four]);
    assert_eq!(s.account_record(&account("stranger")).nonce, 4);
}

#[test]
fn a_refused_transaction_leaves_no_trace() {
    let mut s = Scene::new();
    let before = s.account_record(&account("stranger"));
    let poor = s.transfer_tx("stranger", "owner", Amount(u128::MAX));
    let ctx = s.next_context();
    let built = build(&s.state, &s.rules, &s.library, ctx, vec![poor]).unwrap();
    assert!(built.included.is_empty());
    assert_eq!(
        built.applied,
        apply(&s.state, &s.rules, &s.library, ctx, &[]).unwrap()
    );
    s.pass();
    assert_eq!(s.account_record(&account("stranger")), before);
}

#[test]
fn transactions_expire() {
    let mut s = Scene::new();
    let until = |s: &Scene, slot| {
        let action = transfer("owner", Amount(1));
        s.tx_of(
            "stranger",
            TxBody {
                nonce: 1,
                expiry_slot: slot,
                action,
            },
        )
    };
    let next = s.slot.after(1);
    let furthest = next.after(s.rules.params().deadline_slots_max);
    for (slot, fits) in [
        (next, true),
        (s.slot, false),
        (Slot(0), false),
        (furthest, true),
    ] {
        let ctx = s.next_context();
        let found = check(&s.state, &s.rules, &s.library, ctx, &until(&s, slot));
        assert_eq!(found.is_ok(), fits, "{slot}: {found:?}");
    }
    let far = s.refusal(&until(&s, furthest.after(1)));
    assert_eq!(far, Refusal::ExpiryTooFar(furthest.after(1)));
    // A node that lags behind must not score down who is ahead of it.
    assert_eq!(far.blame(), Blame::NotYet);
    s.refused(&until(&s, Slot(u64::MAX)), "too far ahead");
    let tx = until(&s, next);
    s.pass();
    assert_eq!(s.refusal(&tx), Refusal::Expired(next));
    assert_eq!(s.refusal(&tx).blame(), Blame::TooLate);
}

#[test]
fn fees_count_begun_kibs_and_the_bytes_of_blobs() {
    let per = Amount(1_000_000);
    for (bytes, kibs) in [(0, 0), (1, 1), (1_024, 1), (1_025, 2), (1 << 20, 1_024)] {
        assert_eq!(fee(per, bytes), Ok(Amount(1_000_000 * kibs)));
    }
    assert_eq!(fee(Amount(u128::MAX), 2_000), Err(Refusal::Overflow));

    let mut s = Scene::new();
    let before = s.balance("owner");
    let mut other = crate::scene::digits_onnx();
    other.truncate(0);
    other.extend(crate::posting::identity_onnx());
    let onnx = s.library.insert(&other);
    let tx = s.tx("owner", Action::RegisterModel { onnx });
    let bytes = tx.signed().encoded_len() as u64 + onnx.bytes_len;
    s.block(&[tx]);
    let paid = before.checked_sub(s.balance("owner")).unwrap();
    assert_eq!(paid, fee(s.rules.params().fee_per_kib, bytes).unwrap());
}

#[test]
fn bonds_must_reach_the_least_and_add_up() {
    let mut s = Scene::new();
    let bond = |role, amount| Action::Bond { role, amount };
    s.refused(
        &s.tx("stranger", bond(Role::Worker, Amount::aic(999))),
        "below worker_stake_min",
    );
    let low = s.tx("stranger", bond(Role::Coordinator, Amount::aic(499)));
    s.refused(&low, "below coordinator_stake_min");
    s.block(&[s.tx("stranger", bond(Role::Worker, Amount::aic(1_000)))]);
    let epoch = s.worker("stranger").registration_epoch;
    assert_eq!(epoch, s.slot.0);
    // More later, however little, and no new registration.
    s.block(&[s.tx("stranger", bond(Role::Worker, Amount(1)))]);
    let worker = s.worker("stranger");
    assert_eq!(
        (worker.stake, worker.registration_epoch),
        (Amount(Amount::aic(1_000).0 + 1), epoch)
    );
    // One account may be both.
    s.block(&[s.tx("stranger", bond(Role::Coordinator, Amount::aic(500)))]);
}

#[test]
fn spending_carries_a_nonce_and_the_rest_does_not() {
    let s = Scene::new();
    let job = JobId([1; 32]);
    for (action, nonce) in [
        (transfer("owner", Amount(1)), 0),
        (Action::CancelJob { job }, 1),
    ] {
        let body = TxBody {
            nonce,
            expiry_slot: Slot(50),
            action,
        };
        let signed = body.sign(&key("stranger"), &s.rules.chain_id);
        assert_eq!(signed.verify(&s.rules.chain_id), Err(TxError::Nonce));
    }
}

#[test]
fn a_transaction_of_another_chain_does_not_verify() {
    let s = Scene::new();
    let body = TxBody {
        nonce: 1,
        expiry_slot: Slot(50),
        action: transfer("owner", Amount(1)),
    };
    let signed = body.sign(&key("stranger"), &ChainId([1; 32]));
    assert_eq!(
        signed.clone().verify(&s.rules.chain_id),
        Err(TxError::Signature)
    );
    assert!(signed.verify(&ChainId([1; 32])).is_ok());
}

#[test]
fn a_double_vote_is_slashed_once() {
    let mut s = Scene::new();
    s.pass_slots(5);
    let one = s.vote(1, 3, 0, VoteKind::Precommit, Some(BlockId([1; 32])));
    let two = s.vote(1, 3, 0, VoteKind::Precommit, Some(BlockId([2; 32])));
    let tell = |s: &Scene, who: &str, first: &Vote, second: &Vote| {
        s.tx(
            who,
            Action::DoubleVote {
                first: first.clone(),
                second: second.clone(),
            },
        )
    };
    let before = s.supply();
    let told = tell(&s, "stranger", &one, &two);
    let fee = s.fee(&told);
    let events = s.block(&[told]);
    let slashed = Amount::aic(500);
    assert_eq!(
        events,
        [StateEvent::ValidatorSlashed {
            validator: validator(1),
            slashed
        }]
    );
    let now = s.supply();
    assert_eq!(now.stakes, before.stakes.checked_sub(slashed).unwrap());
    let burned = before
        .burned
        .checked_add(slashed)
        .unwrap()
        .checked_add(fee)
        .unwrap();
    assert_eq!(now.burned, burned);
    let record: ValidatorState = load(&s.state, &keys::validator(&validator(1)), "")
        .unwrap()
        .unwrap();
    assert!(record.jailed);
    assert_eq!(record.stake, VALIDATOR_STAKE.checked_sub(slashed).unwrap());
    // The same two, turned round, or a third one for the same place.
    let three = s.vote(1, 3, 0, VoteKind::Precommit, None);
    for (a, b) in [(&one, &two), (&two, &one), (&one, &three), (&three, &two)] {
        let again = s.refusal(&tell(&s, "owner", a, b));
        assert_eq!(
            again,
            Refusal::Over("this double vote was punished already")
        );
    }
    // Another round is another crime.
    let one = s.vote(1, 3, 1, VoteKind::Precommit, Some(BlockId([1; 32])));
    let two = s.vote(1, 3, 1, VoteKind::Precommit, None);
    s.block(&[tell(&s, "stranger", &one, &two)]);
    let record: ValidatorState = load(&s.state, &keys::validator(&validator(1)), "")
        .unwrap()
        .unwrap();
    assert_eq!(record.stake, Amount::aic(9_025), "5 % of what was left");
}

#[test]
fn votes_that_prove_nothing_punish_nobody() {
    let mut s = Scene::new();
    s.pass_slots(5);
    let (a, b) = (Some(BlockId([1; 32])), Some(BlockId([2; 32])));
    let pre = VoteKind::Precommit;
    let mut forged = s.vote(1, 3, 0, pre, b);
    forged.signature = s.vote(2, 3, 0, pre, b).signature;
    let mut garbage = s.vote(1, 3, 0, pre, b);
    garbage.signature = [0x77; 96];
    let mut stranger = s.vote(1, 3, 0, pre, b);
    stranger.voter = account("stranger");
    let mut stranger_too = s.vote(1, 3, 0, pre, a);
    stranger_too.voter = account("stranger");
    let one = s.vote(1, 3, 0, pre, a);
    let table: Vec<(&str, Vote, Vote, &str)> = vec![
        (
            "the same block",
            one.clone(),
            one.clone(),
            "do not contradict",
        ),
        (
            "another height",
            one.clone(),
            s.vote(1, 4, 0, pre, b),
            "do not contradict",
        ),
        (
            "another round",
            one.clone(),
            s.vote(1, 3, 1, pre, b),
            "do not contradict",
        ),
        (
            "another kind",
            one.clone(),
            s.vote(1, 3, 0, VoteKind::Prevote, b),
            "do not contradict",
        ),
        (
            "another voter",
            one.clone(),
            s.vote(2, 3, 0, pre, b),
            "do not contradict",
        ),
        (
            "nil twice",
            s.vote(1, 3, 0, pre, None),
            s.vote(1, 3, 0, pre, None),
            "do not contradict",
        ),
        (
            "forged",
            one.clone(),
            forged.clone(),
            "not signed by its voter",
        ),
        (
            "forged, first",
            forged,
            one.clone(),
            "not signed by its voter",
        ),
        ("garbage", one.clone(), garbage, "not signed by its voter"),
        (
            "no validator",
            stranger_too,
            stranger,
            "not signed by its voter",
        ),
        (
            "of the future",
            s.vote(1, 99, 0, pre, a),
            s.vote(1, 99, 0, pre, b),
            "future height",
        ),
    ];
    let stakes = s.supply().stakes;
    for (what, first, second, because) in table {
        let tx = s.tx("owner", Action::DoubleVote { first, second });
        let why = s.why(&tx);
        assert!(why.contains(because), "{what}: {why}");
    }
    let two = s.vote(1, 3, 0, pre, b);
    s.pass_slots(s.rules.params().unbonding_slots);
    let tx = s.tx(
        "owner",
        Action::DoubleVote {
            first: one,
            second: two,
        },
    );
    s.refused(&tx, "older than the unbonding period");
    assert_eq!(s.supply().stakes, stakes);
}

#[test]
fn a_message_over_the_limit_is_refused_whatever_it_wants() {
    let s = Scene::with(|g| {
        g.params.limits.message_bytes_max = 8 << 10;
        g.params.limits.inline_bytes_max = 2 << 10;
        g.params.limits.trace_elements_max = 64;
    });
    let mut terms = s.terms();
    terms.input = Payload::Inline(vec![0; 9 << 10]);
    s.refused(
        &s.tx("requester", Action::PostJob(terms)),
        "larger than a message may be",
    );
}
