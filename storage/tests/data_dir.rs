//! Who may open a data directory, and what a damaged one says.

use crate::common::*;
use aether_storage::{ChainStore, DataDir, FORMAT, StoreError, StoreOptions};
use redb::{Database, TableDefinition};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const DIR_VARIABLE: &str = "AETHER_STORAGE_HOLD_DIR";

/// Started again by the test below: holds the directory until stdin closes.
#[test]
#[ignore = "a part of the test below, which starts it"]
fn child() {
    let Ok(dir) = std::env::var(DIR_VARIABLE) else {
        return;
    };
    let _dir = DataDir::open(dir).unwrap();
    println!("holding");
    let _ = std::io::stdin().lines().next();
}

#[test]
fn a_second_process_is_refused_and_told_who_has_it() {
    let dir = TempDir::new().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "data_dir::child", "--ignored", "--nocapture"])
        .env(DIR_VARIABLE, dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(
        lines.any(|line| line.contains("holding")),
        "the child never got the lock"
    );
    let refused = DataDir::open(dir.path()).unwrap_err();
    let StoreError::InUse { pid, .. } = &refused else {
        panic!("{refused}")
    };
    assert_eq!(*pid, Some(child.id()));
    let text = refused.to_string();
    assert!(
        text.contains(&child.id().to_string()) && text.contains("stop"),
        "{text}"
    );
    // Killed, not asked: the lock goes with the process.
    child.kill().unwrap();
    child.wait().unwrap();
    DataDir::open(dir.path()).unwrap();
}

#[test]
fn one_process_opens_a_directory_once_and_an_open_store_keeps_it() {
    let dir = TempDir::new().unwrap();
    let held = DataDir::open(dir.path()).unwrap();
    let store = ChainStore::open(&held, &StoreOptions::default()).unwrap();
    drop(held);
    assert!(matches!(
        DataDir::open(dir.path()),
        Err(StoreError::InUse { .. })
    ));
    let reads = store.reads();
    drop(store);
    assert!(matches!(
        DataDir::open(dir.path()),
        Err(StoreError::InUse { .. })
    ));
    drop(reads);
    DataDir::open(dir.path()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_new_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("deep/data");
    let _held = DataDir::open(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

fn reopen(dir: &Path, check_integrity: bool) -> Result<ChainStore, StoreError> {
    let options = StoreOptions {
        check_integrity,
        ..StoreOptions::default()
    };
    ChainStore::open(&DataDir::open(dir)?, &options)
}

#[test]
fn another_format_is_named_and_refused() {
    const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");
    let dir = TempDir::new().unwrap();
    drop(reopen(dir.path(), false).unwrap());
    for (found, says) in [(FORMAT + 1, "newer version"), (FORMAT - 1, "sync anew")] {
        let db = Database::open(dir.path().join("chain.redb")).unwrap();
        let write = db.begin_write().unwrap();
        write
            .open_table(META)
            .unwrap()
            .insert(&b"format"[..], &found.to_be_bytes()[..])
            .unwrap();
        write.commit().unwrap();
        drop(db);
        let refused = reopen(dir.path(), false).err().unwrap();
        assert!(matches!(refused, StoreError::Format { .. }), "{refused}");
        assert!(refused.to_string().contains(says), "{refused}");
    }
}

/// A store of a few blocks, closed; the bytes of its file.
fn closed(dir: &Path) -> Vec<u8> {
    let mut store = open(dir, 3);
    store.init(CHAIN, 0, &genesis()).unwrap();
    for i in 0..20u8 {
        let some = (0..5u8)
            .map(|k| (vec![b'k', k], Some(vec![i; 300])))
            .collect();
        commit(&mut store, &some);
    }
    drop(store);
    fs::read(dir.join("chain.redb")).unwrap()
}

#[test]
fn a_flipped_byte_is_an_error_or_harmless_and_never_a_panic() {
    let dir = TempDir::new().unwrap();
    let good = closed(dir.path());
    let file = dir.path().join("chain.redb");
    let head = reopen(dir.path(), true).unwrap().head().unwrap();
    let (mut refused, mut harmless) = (0, 0);
    // Every stretch of what is used, wherever it lies, and the file's head.
    let used: Vec<usize> = (0..good.len()).filter(|i| good[*i] != 0).collect();
    let places = (0..64).chain(used.iter().copied().step_by(used.len() / 60));
    for place in places {
        let mut bad = good.clone();
        bad[place] ^= 0x5a;
        fs::write(&file, &bad).unwrap();
        for check_integrity in [true, false] {
            match reopen(dir.path(), check_integrity).and_then(|store| store.audit()) {
                // A page that nothing uses any more, or a spare commit slot.
                Ok(report) => {
                    assert_eq!(Some(report.head), head, "byte {place}");
                    harmless += 1;
                }
                Err(StoreError::Corrupted(_) | StoreError::Disk { .. }) => refused += 1,
                Err(other) => panic!("byte {place}: {other}"),
            }
        }
    }
    println!("{refused} refused, {harmless} harmless");
    assert!(
        refused > 10,
        "only {refused} of {} were noticed",
        refused + harmless
    );
}

#[test]
fn a_cut_or_foreign_file_is_an_error() {
    let dir = TempDir::new().unwrap();
    let good = closed(dir.path());
    let file = dir.path().join("chain.redb");
    for (case, bytes) in [
        ("half of it", &good[..good.len() / 2]),
        ("its first page", &good[..4096]),
        ("something else", &b"this is no database at all"[..]),
    ] {
        fs::write(&file, bytes).unwrap();
        let refused = reopen(dir.path(), false)
            .and_then(|s| s.audit())
            .unwrap_err();
        assert!(
            matches!(refused, StoreError::Corrupted(_) | StoreError::Disk { .. }),
            "{case}: {refused}"
        );
    }
}
