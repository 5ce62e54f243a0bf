//! Networks that work, more or less.

use super::app::{CHAIN, Sets, account, set_of};
use super::sim::{Packet, Sim};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn all_reach(height: u64) -> impl Fn(&Sim) -> bool {
    move |sim| sim.heights().iter().all(|h| *h >= height)
}

#[test]
fn four_validators_make_twenty_blocks_one_a_second() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    sim.boot_all();
    let began = std::time::Instant::now();
    sim.run_until(MINUTE, all_reach(20));
    eprintln!("{:?} of CPU a height and node", began.elapsed() / 80);
    sim.check();
    // The first block is decided within the first slot.
    assert!(
        sim.now > Duration::from_secs(18) && sim.now < Duration::from_secs(21),
        "{:?}",
        sim.now
    );
    assert!(
        sim.largest_certificate < 200,
        "{} bytes",
        sim.largest_certificate
    );
    let disk = sim.nodes[0].disk.lock().unwrap();
    assert!(
        disk.chain
            .iter()
            .all(|(_, certificate)| certificate.round == 0)
    );
    // Late precommits made certificates complete.
    assert!(
        disk.chain
            .iter()
            .rev()
            .skip(1)
            .all(|(_, c)| c.signers == [0b1111])
    );
    let proposers: std::collections::BTreeSet<_> =
        disk.chain.iter().map(|(b, _)| b.header.proposer).collect();
    assert_eq!(proposers.len(), 4);
    for (block, _) in &disk.chain {
        block.check_shape(&CHAIN).unwrap();
    }
}

#[test]
fn stake_decides_and_not_heads() {
    // Node 0 alone has more than 2/3; the others cannot stop or start anything.
    let mut sim = Sim::new(&[70, 10, 10, 10], 0);
    for i in [0, 1] {
        sim.boot(i);
    }
    sim.run_until(2 * MINUTE, |sim| {
        sim.nodes[0].height() >= 5 && sim.nodes[1].height() >= 5
    });
    sim.check();
}

#[test]
fn three_of_four_go_on_without_the_fourth() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    for i in 0..3 {
        sim.boot(i);
    }
    sim.run_until(2 * MINUTE, |sim| (0..3).all(|i| sim.nodes[i].height() >= 8));
    sim.check();
    let disk = sim.nodes[0].disk.lock().unwrap();
    assert!(
        disk.chain
            .iter()
            .all(|(b, _)| b.header.proposer != account(3))
    );
    assert!(
        disk.chain.iter().any(|(_, c)| c.round > 0),
        "somebody was skipped"
    );
}

#[test]
fn two_of_four_decide_nothing_and_go_on_when_a_third_comes() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    sim.boot(0);
    sim.boot(1);
    sim.run_for(Duration::from_secs(20));
    assert_eq!(sim.heights(), [0, 0, 0, 0]);
    sim.boot(2);
    sim.run_until(MINUTE, |sim| (0..3).all(|i| sim.nodes[i].height() >= 2));
    sim.check();
}

#[test]
fn a_late_full_node_catches_up_and_follows() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 1);
    for i in 0..4 {
        sim.boot(i);
    }
    sim.run_until(MINUTE, |sim| sim.nodes[0].height() >= 10);
    sim.boot(4);
    sim.run_until(Duration::from_secs(5), |sim| {
        sim.nodes[4].height() >= sim.nodes[0].height()
    });
    assert!(sim.nodes[4].height() >= 10);
    let caught_up = sim.nodes[4].height();
    sim.run_for(Duration::from_secs(4));
    assert!(sim.nodes[4].height() >= caught_up + 3);
    sim.check();
    assert!(sim.published.iter().all(|(node, _)| *node != 4));
}

#[test]
fn a_validator_cut_off_for_a_while_comes_back() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    sim.passes = Box::new(|now, from, to, _| {
        let cut = now > Duration::from_secs(3) && now < Duration::from_secs(15);
        !(cut && (from == 3 || to == 3))
    });
    sim.boot_all();
    sim.run_until(MINUTE, |sim| sim.now > Duration::from_secs(15));
    assert!(sim.nodes[3].height() < sim.nodes[0].height());
    sim.run_for(Duration::from_secs(10));
    let heights = sim.heights();
    assert!(heights[3] + 1 >= heights[0], "{heights:?}");
    sim.check();
    let own = sim.nodes[0].disk.lock().unwrap();
    let last = own.chain.iter().rev().take(6);
    assert!(
        last.clone().any(|(b, _)| b.header.proposer == account(3)),
        "it proposes again"
    );
}

#[test]
fn a_lost_vote_is_sent_again() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    sim.passes = Box::new(|now, _, _, p| !(p.is_vote() && now < Duration::from_millis(1_500)));
    sim.boot_all();
    sim.run_until(Duration::from_secs(4), all_reach(1));
    sim.check();
    // By repetition, not by another round.
    assert_eq!(sim.nodes[0].disk.lock().unwrap().chain[0].1.round, 0);
}

#[test]
fn a_lost_block_is_asked_for() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    // Blocks are never gossiped to node 2; asking works: requests are answered
    // by a second block packet.
    let mut first = std::collections::BTreeSet::new();
    sim.passes = Box::new(move |_, _, to, packet| match packet {
        Packet::Block(block) if to == 2 => !first.insert(block.id()),
        _ => true,
    });
    sim.boot_all();
    sim.run_until(MINUTE, all_reach(4));
    sim.check();
    assert!(sim.now < Duration::from_secs(6), "{:?}", sim.now);
}

#[test]
fn whoever_missed_the_decision_learns_it_from_the_next_block() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    // Node 3 sees no votes at all, and nobody tells it more than gossip does.
    sim.passes = Box::new(|_, _, to, packet| {
        !(to == 3 && (packet.is_vote() || matches!(packet, Packet::Synced(_))))
    });
    sim.boot_all();
    sim.run_until(MINUTE, |sim| sim.nodes[3].height() >= 5);
    sim.check();
}

#[test]
fn a_proposer_of_invalid_blocks_is_passed_over() {
    let mut sim = Sim::new(&[10, 10, 10, 10], 0);
    sim.nodes[2].lies = true;
    sim.boot_all();
    sim.run_until(2 * MINUTE, all_reach(8));
    sim.check();
    let disk = sim.nodes[0].disk.lock().unwrap();
    assert!(
        disk.chain
            .iter()
            .all(|(b, _)| b.header.proposer != account(2))
    );
    assert!(disk.chain.iter().any(|(_, c)| c.round == 1));
}

#[test]
fn a_new_set_takes_over_at_its_height() {
    // From height 4 on, the fifth validator votes and the first does not.
    let five = set_of(&[10, 10, 10, 10, 10]);
    let later = five.validators()[1..].to_vec();
    let later = std::sync::Arc::new(aether_mesh::ValidatorSet::new(later).unwrap());
    let sets = Sets::one(&[10, 10, 10, 10]).then(4, later);
    let mut sim = Sim::with_sets(sets, 5, 0);
    sim.boot_all();
    sim.run_until(MINUTE, all_reach(9));
    sim.check();
    assert!(
        sim.published
            .iter()
            .all(|(i, v)| *i != 4 || v.height.0 >= 4)
    );
    assert!(sim.published.iter().all(|(i, v)| *i != 0 || v.height.0 < 4));
    let disk = sim.nodes[0].disk.lock().unwrap();
    assert!(
        disk.chain
            .iter()
            .any(|(b, _)| b.header.proposer == account(4))
    );
}

#[test]
fn a_network_that_loses_every_fifth_packet_is_slow_and_safe() {
    for seed in [1u64, 2, 3] {
        let mut sim = Sim::new(&[10, 20, 30, 40], 1);
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        sim.passes = Box::new(move |_, _, _, _| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % 5 != 0
        });
        sim.boot_all();
        sim.run_until(3 * MINUTE, all_reach(10));
        sim.check();
    }
}
