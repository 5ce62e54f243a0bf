//! Blobs: whole or absent, checked whenever read, bounded.

use aether_mesh::{BlobId, BlobRef, Manifest, PIECE_BYTES};
use aether_storage::{BlobStore, DataDir, StoreError};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ROOM: u64 = 16 << 20;

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 ^ seed).collect()
}

fn open(dir: &Path) -> BlobStore {
    BlobStore::open(&DataDir::open(dir).unwrap(), ROOM).unwrap()
}

fn file_of(dir: &Path, blob: &BlobRef) -> PathBuf {
    let name = blob.id.to_string();
    dir.join("blobs").join(&name[..2]).join(name)
}

#[test]
fn a_blob_is_there_after_reopening_and_gone_after_removal() {
    let dir = TempDir::new().unwrap();
    let lengths = [
        0,
        1,
        4_000,
        PIECE_BYTES,
        PIECE_BYTES + 1,
        3 * PIECE_BYTES - 5,
    ];
    let store = open(dir.path());
    for (i, len) in lengths.into_iter().enumerate() {
        let some = bytes(len, i as u8);
        let blob = store.put(&some).unwrap();
        assert_eq!(blob, BlobRef::of(&some));
        assert_eq!(
            store.put(&some).unwrap(),
            blob,
            "a second time changes nothing"
        );
    }
    let (list, used) = (store.list(), store.used_bytes());
    assert_eq!(list.len(), lengths.len());
    assert!(used > lengths.iter().sum::<usize>() as u64 && used < ROOM);
    drop(store);

    let store = open(dir.path());
    assert_eq!((store.list(), store.used_bytes()), (list, used));
    for (i, len) in lengths.into_iter().enumerate() {
        let some = bytes(len, i as u8);
        let blob = BlobRef::of(&some);
        assert_eq!(store.bytes_len(&blob.id), Some(len as u64));
        assert_eq!(store.get(&blob.id).unwrap().as_deref(), Some(&some[..]));
        assert_eq!(store.manifest(&blob.id).unwrap(), Some(Manifest::of(&some)));
        assert!(store.remove(&blob.id).unwrap());
        assert!(!store.remove(&blob.id).unwrap());
        assert!(!store.has(&blob.id));
        assert_eq!(store.get(&blob.id).unwrap(), None);
    }
    assert_eq!(store.used_bytes(), 0);
}

#[test]
fn ranges_and_pieces_are_what_they_say() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let all = bytes(2 * PIECE_BYTES + 100, 3);
    let id = store.put(&all).unwrap().id;
    let piece = PIECE_BYTES as u64;
    for (offset, len) in [
        (0, 10),
        (piece - 5, 10),
        (piece, piece),
        (5, 2 * piece),
        (2 * piece + 99, 50),
        (2 * piece + 100, 50),
        (u64::MAX, u64::MAX),
        (0, u64::MAX),
        (7, 0),
    ] {
        let from = (offset as usize).min(all.len());
        let to = (offset.saturating_add(len) as usize).min(all.len());
        let found = store.range(&id, offset, len).unwrap().unwrap();
        assert!(found == all[from..to], "{offset} {len}");
    }
    assert_eq!(
        store.piece(&id, 2).unwrap().unwrap(),
        all[2 * PIECE_BYTES..]
    );
    assert_eq!(store.piece(&id, 3).unwrap(), None);
    let unknown = BlobId([1; 32]);
    assert_eq!(store.range(&unknown, 0, 1).unwrap(), None);
    assert_eq!(store.piece(&unknown, 0).unwrap(), None);
}

#[test]
fn pieces_come_in_any_order_and_a_wrong_one_is_its_senders_fault() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let all = bytes(3 * PIECE_BYTES + 1, 9);
    let pieces: Vec<&[u8]> = all.chunks(PIECE_BYTES).collect();
    let mut writer = store.begin(Manifest::of(&all)).unwrap();
    for index in [3, 0, 0, 2] {
        writer.write_piece(index, pieces[index as usize]).unwrap();
    }
    for (index, wrong) in [
        (1, pieces[0]),
        (1, b""),
        (4, pieces[3]),
        (u32::MAX, pieces[3]),
    ] {
        let refused = writer.write_piece(index, wrong).unwrap_err();
        assert!(matches!(refused, StoreError::WrongBlob(_)), "{refused}");
    }
    assert_eq!(writer.missing().collect::<Vec<_>>(), [1]);
    assert!(!store.has(&writer.blob().id), "half a blob is no blob");
    writer.write_piece(1, pieces[1]).unwrap();
    let blob = writer.finish().unwrap();
    assert!(store.get(&blob.id).unwrap().unwrap() == all);
}

#[test]
fn an_unfinished_blob_leaves_neither_file_nor_room() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let all = bytes(PIECE_BYTES + 1, 9);
    let mut writer = store.begin(Manifest::of(&all)).unwrap();
    writer.write_piece(0, &all[..PIECE_BYTES]).unwrap();
    assert!(store.used_bytes() > 0);
    let refused = writer.finish().unwrap_err();
    assert!(matches!(refused, StoreError::Mismatch(_)), "{refused}");
    assert_eq!(store.used_bytes(), 0);
    assert_eq!(
        fs::read_dir(dir.path().join("blobs/tmp")).unwrap().count(),
        0
    );
    drop(store);
    // One that a killed process left.
    fs::write(dir.path().join("blobs/tmp/1"), b"half").unwrap();
    let store = open(dir.path());
    assert_eq!(
        fs::read_dir(dir.path().join("blobs/tmp")).unwrap().count(),
        0
    );
    store.put(&all).unwrap();
}

#[test]
fn a_full_store_refuses_and_takes_again_after_a_removal() {
    let dir = TempDir::new().unwrap();
    let store = BlobStore::open(&DataDir::open(dir.path()).unwrap(), 3 << 20).unwrap();
    let one = store.put(&bytes(2 << 20, 1)).unwrap();
    let two = bytes(1 << 20, 2);
    let refused = store.put(&two).unwrap_err();
    let StoreError::BlobsFull { used, max, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!((used, max), (store.used_bytes(), 3 << 20));
    assert!(refused.to_string().contains("blobs_bytes_max"), "{refused}");
    store.remove(&one.id).unwrap();
    // Room is held from the beginning, so two writers cannot both have it.
    let writer = store.begin(Manifest::of(&bytes(2 << 20, 1))).unwrap();
    assert!(matches!(store.put(&two), Err(StoreError::BlobsFull { .. })));
    drop(writer);
    store.put(&two).unwrap();
    // Small ones count as disk blocks, which bounds their number.
    let mut stored = 0u32;
    while store.put(&stored.to_be_bytes()).is_ok() {
        stored += 1;
        assert!(stored <= 512, "more small blobs than disk blocks");
    }
}

#[test]
fn the_same_blob_written_twice_at_once_takes_room_once() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let all = bytes(100, 1);
    let mut writers = [
        store.begin(Manifest::of(&all)).unwrap(),
        store.begin(Manifest::of(&all)).unwrap(),
    ];
    for writer in &mut writers {
        writer.write_piece(0, &all).unwrap();
    }
    for writer in writers {
        writer.finish().unwrap();
    }
    assert_eq!(store.used_bytes(), 4_096);
    assert_eq!(store.list().len(), 1);
}

#[test]
fn a_damaged_blob_is_noticed_and_never_served() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let all = bytes(PIECE_BYTES + 100, 3);
    let blob = store.put(&all).unwrap();
    let file = file_of(dir.path(), &blob);
    let good = fs::read(&file).unwrap();
    for place in [0, 9, 80, good.len() - 1] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        fs::write(&file, bad).unwrap();
        let refused = store.get(&blob.id).unwrap_err();
        assert!(
            matches!(refused, StoreError::Corrupted(_)),
            "byte {place}: {refused}"
        );
    }
    // A damaged last piece does not spoil the first.
    assert_eq!(
        store.piece(&blob.id, 0).unwrap().unwrap(),
        all[..PIECE_BYTES]
    );
    drop(store);
    // A file cut short is worth nothing, and is not listed after opening.
    fs::write(&file, &good[..good.len() - 1]).unwrap();
    let store = open(dir.path());
    assert!(!store.has(&blob.id) && !file.exists());
    store.put(&all).unwrap();
    assert!(store.get(&blob.id).unwrap().unwrap() == all);
}
