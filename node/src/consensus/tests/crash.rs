//! Plugs pulled at every effect: the log keeps a validator from voting twice.

use super::app::Plug;
use super::sim::Sim;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Pulls node `victim`'s plug after `effects` effects, starts it again half a
/// second later, and returns whether it died at all before height 2.
fn survives(victim: usize, effects: i64) -> bool {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    sim.nodes[victim].plug = Plug::after(effects);
    sim.boot_all();
    let done = |sim: &Sim| sim.heights().iter().all(|h| *h >= 2);
    sim.run_until(MINUTE, |sim| {
        sim.nodes[victim].machine.is_none() || done(sim)
    });
    if sim.nodes[victim].machine.is_some() {
        return false;
    }
    sim.run_for(Duration::from_millis(500));
    sim.nodes[victim].plug = Plug::after(i64::MAX);
    sim.nodes[victim].fatal = None;
    sim.boot(victim);
    sim.run_until(MINUTE, |sim| sim.heights().iter().all(|h| *h >= 3));
    assert_eq!(sim.nodes[victim].fatal, None);
    sim.check();
    true
}

fn dies_everywhere(victim: usize) {
    let mut effects = 0;
    while survives(victim, effects) {
        effects += 1;
    }
    assert!(effects > 10, "only {effects} effects in two heights");
    eprintln!("node {victim} died in {effects} places");
}

#[test]
fn a_crash_at_any_effect_makes_no_double_vote() {
    // With this set, node 0 and node 1 are among the first proposers.
    dies_everywhere(0);
}

#[test]
fn a_crash_of_another_validator_at_any_effect_makes_no_double_vote() {
    dies_everywhere(1);
}

#[test]
fn all_validators_crash_together_and_go_on() {
    for at in [0u64, 15, 35, 45, 65, 85, 1_030] {
        let mut sim = Sim::new(&[10, 10, 10, 10], 0);
        sim.boot_all();
        sim.run_for(Duration::from_millis(at));
        for node in &mut sim.nodes {
            node.machine = None;
        }
        sim.boot_all();
        sim.run_until(MINUTE, |sim| sim.heights().iter().all(|h| *h >= 3));
        sim.check();
    }
}

#[test]
fn a_log_that_fails_stops_the_node_before_it_says_anything() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    // The reset of the first height works, the first flush does not.
    sim.nodes[0].plug = Plug::after(1);
    sim.boot_all();
    sim.run_until(MINUTE, |sim| sim.nodes[0].machine.is_none());
    let why = sim.nodes[0].fatal.clone().unwrap();
    assert!(why.contains("log cannot be written"), "{why}");
    assert!(sim.published.iter().all(|(node, _)| *node != 0));
}

#[test]
fn a_node_restored_from_an_old_copy_does_not_vote_until_it_is_back() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    sim.boot_all();
    sim.run_until(MINUTE, |sim| sim.heights().iter().all(|h| *h >= 5));
    sim.nodes[3].machine = None;
    // The log is of height 6, the state of height 2.
    sim.nodes[3].disk.lock().unwrap().chain.truncate(2);
    let said = sim.published.len();
    sim.boot(3);
    sim.run_until(MINUTE, |sim| sim.heights().iter().all(|h| *h >= 9));
    sim.check();
    let later = sim.published[said..].iter().filter(|(node, _)| *node == 3);
    assert!(later.clone().all(|(_, vote)| vote.height.0 >= 5));
    assert!(later.count() > 0, "it votes again");
}
