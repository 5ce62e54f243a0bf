//! Ways to talk to a role and to read its answers.

use crate::scene::{Scene, account};
use aether_behaviours::{Action, Context, Event, Role};
use aether_mesh::*;
use aether_tee::EvidenceKind;

/// One event to a role; the state is the scene's.
pub(crate) fn tell(s: &Scene, role: &mut dyn Role, event: Event) -> Vec<Action> {
    tell_with(s, role, event, [7; 32])
}

/// The same with this randomness.
pub(crate) fn tell_with(
    s: &Scene,
    role: &mut dyn Role,
    event: Event,
    entropy: [u8; 32],
) -> Vec<Action> {
    let cx = Context {
        rules: &s.rules,
        state: &s.state,
        slot: s.slot,
        entropy,
    };
    role.handle(&cx, event)
}

/// A block's changes to a role.
pub(crate) fn show(s: &Scene, role: &mut dyn Role, events: Vec<StateEvent>) -> Vec<Action> {
    tell(s, role, Event::Block { events })
}

/// A block without changes.
pub(crate) fn nothing(s: &Scene, role: &mut dyn Role) -> Vec<Action> {
    show(s, role, Vec::new())
}

/// Without what it says for the log.
pub(crate) fn deeds(actions: Vec<Action>) -> Vec<Action> {
    actions
        .into_iter()
        .filter(|a| !matches!(a, Action::Say(_)))
        .collect()
}

/// Whether any sentence has these words.
pub(crate) fn says(actions: &[Action], words: &str) -> bool {
    actions
        .iter()
        .any(|a| matches!(a, Action::Say(said) if said.contains(words)))
}

/// A worker's record in the DHT, as it should be.
pub(crate) fn capability(s: &Scene, who: &str) -> Capability {
    Capability {
        worker: account(who),
        peer_id: vec![1; 38],
        models: vec![s.model],
        tee_kind: EvidenceKind::Simulated,
        price_min: Amount::aic(1),
        slots_free: 4,
        sequence: 1,
        expiry_unix_s: u64::MAX,
    }
}
