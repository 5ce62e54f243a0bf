//! The validator's part beyond voting: a double vote that consensus saw
//! becomes an evidence transaction, once.
//!
//! Voting itself is the engine's; what a block may hold is the mesh's.

use crate::machine::{Action, Context, Event, Role, Submission};
use aether_mesh::{Account, Action as TxAction, keys};

/// Reports double votes.
pub struct Validator {
    account: Account,
}

impl Validator {
    /// For a validator's account.
    pub fn new(account: Account) -> Self {
        Self { account }
    }
}

impl Role for Validator {
    fn account(&self) -> Account {
        self.account
    }

    fn handle(&mut self, cx: &Context<'_>, event: Event) -> Vec<Action> {
        let Event::DoubleVoteSeen { first, second } = event else {
            return Vec::new();
        };
        // Somebody else may have reported it already.
        if matches!(cx.state.get(&keys::double_vote(&first)), Ok(Some(_))) {
            return Vec::new();
        }
        let said = format!(
            "validator {} voted twice at height {} round {}",
            first.voter.short(),
            first.height,
            first.round
        );
        vec![
            Action::Say(said),
            Action::Submit {
                what: Submission::DoubleVote,
                action: TxAction::DoubleVote { first, second },
                expiry: cx.slot.after(cx.rules.params().unbonding_slots / 2),
            },
        ]
    }
}
