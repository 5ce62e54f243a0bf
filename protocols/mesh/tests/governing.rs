//! Rules of evidence change by vote: more than 2/3 of the power, one version
//! after the other, seen coming; and old receipts keep the rules of their time.

use crate::scene::Scene;
use aether_mesh::*;

fn other_rules(s: &Scene) -> TeeRules {
    TeeRules {
        measurements: vec![[7; 48]],
        ..s.rules.tee_rules.clone()
    }
}

/// Validator accounts in the order of their numbers.
const NAMES: [&str; 4] = ["validator-0", "validator-1", "validator-2", "validator-3"];

fn ballot(s: &Scene, n: usize, sequence: u64, rules: &TeeRules) -> VerifiedTx {
    s.tx(
        NAMES[n],
        Action::Govern {
            sequence,
            rules: rules.clone(),
        },
    )
}

/// Validators have money for fees.
fn scene() -> Scene {
    let mut s = Scene::with(|g| g.params.governance_delay_slots = 5);
    for name in NAMES {
        let fund = s.transfer_tx("requester", name, Amount::aic(1));
        s.block(&[fund]);
    }
    s
}

fn newest(s: &Scene) -> Option<u64> {
    load(&s.state, keys::TEE_SEQUENCE, "sequence").unwrap()
}

#[test]
fn three_of_four_validators_change_the_list_and_it_takes_effect_later() {
    let mut s = scene();
    let rules = other_rules(&s);
    let votes = [0, 1].map(|n| ballot(&s, n, 1, &rules));
    s.block(&votes);
    assert_eq!(newest(&s), None, "half is not enough");
    let third = ballot(&s, 2, 1, &rules);
    let events = s.block(&[third]);
    let effective = s.slot.after(5);
    let changed = StateEvent::TeeRulesChanged {
        sequence: 1,
        effective,
    };
    assert!(events.contains(&changed));
    assert_eq!(newest(&s), Some(1));

    // Until then the old list holds; from then on our program is a stranger.
    let job = s.post();
    s.assign(&job, "worker");
    let renewal = s.attest_tx("worker");
    s.block(&[renewal]);
    s.pass_to(Slot(effective.0 - 1));
    let job = s.post_with(|t| t.seed = 8);
    let choice = s.assign_tx(s.first_coordinator(&job), &job, "worker");
    assert!(s.why(&choice).contains("no longer on the network's list"));
    let renewal = s.attest_tx("worker");
    assert!(matches!(s.refusal(&renewal), Refusal::Evidence(_)));
}

#[test]
fn votes_for_different_rules_do_not_add_up_and_may_be_changed() {
    let mut s = scene();
    let rules = other_rules(&s);
    let mut others = rules.clone();
    others.measurements.push([9; 48]);
    let votes = [
        ballot(&s, 0, 1, &rules),
        ballot(&s, 1, 1, &rules),
        ballot(&s, 2, 1, &others),
        ballot(&s, 3, 1, &others),
    ];
    s.block(&votes);
    assert_eq!(newest(&s), None);
    let again = ballot(&s, 2, 1, &others);
    assert_eq!(
        s.refusal(&again),
        Refusal::Over("this validator has voted so")
    );
    let persuaded = ballot(&s, 2, 1, &rules);
    s.block(&[persuaded]);
    assert_eq!(newest(&s), Some(1));
    let late = ballot(&s, 3, 1, &rules);
    assert_eq!(
        s.refusal(&late),
        Refusal::Over("these rules of evidence are decided")
    );
    // Nothing of the count is left behind.
    assert!(s.state.scan(b"g", b"", 1).unwrap().is_empty());
}

#[test]
fn one_version_after_the_other() {
    let mut s = scene();
    let rules = other_rules(&s);
    let early = ballot(&s, 0, 2, &rules);
    assert!(matches!(s.refusal(&early), Refusal::NotNow(_)));
    let votes = [0, 1, 2].map(|n| ballot(&s, n, 1, &rules));
    s.block(&votes);
    let next = ballot(&s, 0, 2, &s.rules.tee_rules.clone());
    assert_eq!(
        s.refusal(&next),
        Refusal::NotNow("the rules voted last have not taken effect yet")
    );
    s.pass_slots(5);
    let back = s.rules.tee_rules.clone();
    let votes = [0, 1, 2].map(|n| ballot(&s, n, 2, &back));
    s.block(&votes);
    assert_eq!(newest(&s), Some(2));
    // While the second waits, the first holds.
    assert!(matches!(
        s.refusal(&s.attest_tx("worker")),
        Refusal::Evidence(_)
    ));
    s.pass_slots(5);
    let renewal = s.attest_tx("worker");
    s.block(&[renewal]);
}

#[test]
fn only_validators_vote() {
    let s = scene();
    let action = Action::Govern {
        sequence: 1,
        rules: other_rules(&s),
    };
    assert_eq!(
        s.refusal(&s.tx("requester", action)),
        Refusal::Never("only validators vote on rules of evidence")
    );
}

#[test]
fn a_vote_travels_and_malformed_rules_do_not() {
    let s = scene();
    let good = ballot(&s, 0, 1, &other_rules(&s));
    assert_eq!(good.action().name(), "govern");
    let mut twice = other_rules(&s);
    twice.measurements.push([7; 48]);
    let body = TxBody {
        nonce: 1,
        expiry_slot: Slot(50),
        action: Action::Govern {
            sequence: 1,
            rules: twice,
        },
    };
    let chain = &s.rules.chain_id;
    let signed = body.sign(&crate::scene::key(NAMES[0]), chain);
    assert!(signed.verify(chain).is_err());
}
