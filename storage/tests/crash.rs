//! Pulling the plug: a process that commits without pause is killed at odd
//! moments, and what it left is opened and audited.
//!
//! The child is this test binary, started again for one test. It prints a
//! height only after its commit has returned; so whatever the parent has read
//! must be there, and at most one block more.

use crate::common::*;
use aether_mesh::{Slot, Writes};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const DIR_VARIABLE: &str = "AETHER_STORAGE_CRASH_DIR";
const ROUNDS: u64 = 12;
const RETAINED: u64 = 6;

/// What the block of a height writes: some new, some again, some removals.
fn writes_at(height: u64) -> Writes {
    let mut out = Writes::new();
    for i in 0..8 {
        let key = format!("k{}", (height * 7 + i * 13) % 97).into_bytes();
        let gone = (height + i).is_multiple_of(5);
        out.insert(
            key,
            (!gone).then(|| vec![height as u8; 30 + (i as usize) * 200]),
        );
    }
    out
}

#[test]
#[ignore = "a part of the test below, which starts it"]
fn child() {
    let Ok(dir) = std::env::var(DIR_VARIABLE) else {
        return;
    };
    let mut store = open(Path::new(&dir), RETAINED);
    let mut head = store.init_or_check(CHAIN, 0, &genesis()).unwrap();
    loop {
        head = commit(&mut store, &writes_at(head.height.0 + 1));
        println!("committed {}", head.height);
    }
}

#[test]
fn a_killed_process_leaves_a_whole_number_of_blocks() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut replay = Bench::memory(RETAINED);
    let mut expected = vec![replay.store().init(CHAIN, 0, &genesis()).unwrap()];
    let mut height = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--ignored", "--nocapture"])
            .env(DIR_VARIABLE, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed a few blocks on, at a moment that differs from round to
        // round and falls anywhere within a commit.
        let blocks = 1 + round % 4;
        let mut seen = 0;
        let mut lines = lines.map_while(Result::ok);
        for line in lines.by_ref() {
            if let Some((_, number)) = line.split_once("committed ") {
                height = number.parse().unwrap();
                seen += 1;
                if seen == blocks {
                    break;
                }
            }
        }
        assert_eq!(seen, blocks, "the child ended by itself");
        std::thread::sleep(Duration::from_micros(round * 1_733 % 9_000));
        child.kill().unwrap();
        // What it had said before it died counts as well.
        for line in lines {
            if let Some((_, number)) = line.split_once("committed ") {
                height = number.trim().parse().unwrap_or(height);
            }
        }
        child.wait().unwrap();

        let store = open(dir.path(), RETAINED);
        let report = store.audit().unwrap();
        let head = report.head;
        assert!(
            (height..=height + 1).contains(&head.height.0),
            "said {height}, kept {head:?}"
        );
        while expected.len() as u64 <= head.height.0 {
            let next = writes_at(expected.len() as u64);
            expected.push(commit(replay.store(), &next));
        }
        assert_eq!(head, expected[head.height.0 as usize]);
        assert_eq!(report.blocks, head.height.0);
        let from = store.provable_from().unwrap();
        for at in from.0..=head.height.0 {
            let proven = store.prove(b"g\x01", Slot(at)).unwrap().unwrap();
            assert_eq!(proven.state_root, expected[at as usize].state_root);
        }
        height = head.height.0;
    }
    println!("{ROUNDS} kills, {height} blocks");
}
