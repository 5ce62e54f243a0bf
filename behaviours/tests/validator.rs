//! The validator's part beyond voting: telling of double votes.

use crate::scene::{Scene, account};
use crate::stage::{deeds, nothing, says, tell};
use aether_behaviours::validator::Validator;
use aether_behaviours::{Action, Event};
use aether_mesh::*;

#[test]
fn a_double_vote_is_told_once() {
    let mut s = Scene::new();
    s.pass_slots(4);
    let mut role = Validator::new(account("owner"));
    assert!(nothing(&s, &mut role).is_empty());
    let first = s.vote(1, 3, 0, VoteKind::Precommit, Some(BlockId([1; 32])));
    let second = s.vote(1, 3, 0, VoteKind::Precommit, Some(BlockId([2; 32])));
    let seen = || Event::DoubleVoteSeen {
        first: first.clone(),
        second: second.clone(),
    };
    let actions = tell(&s, &mut role, seen());
    assert!(says(&actions, "voted twice at height 3 round 0"));
    let actions = deeds(actions);
    let [Action::Submit { action, expiry, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    let body = TxBody {
        nonce: 0,
        expiry_slot: *expiry,
        action: action.clone(),
    };
    s.block(&[s.tx_of("owner", body)]);
    let record: ValidatorState = load(&s.state, &keys::validator(&first.voter), "validator")
        .unwrap()
        .unwrap();
    assert!(record.jailed);
    assert!(tell(&s, &mut role, seen()).is_empty(), "punished already");
}
