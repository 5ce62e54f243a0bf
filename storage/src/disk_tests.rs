//! A disk that forgets: what was not flushed when the power went is lost, kept
//! or kept in part, in any mixture; and a disk that stops working.

use super::*;
use redb::StorageBackend;
use std::sync::{Arc, Mutex};

#[derive(Debug, Default)]
struct Platter {
    flushed: Vec<u8>,
    /// Lengths set and bytes written since the last flush, in order.
    pending: Vec<Write>,
    /// As the running process sees it.
    current: Vec<u8>,
    /// Writes and flushes until the disk fails for good; `None`: never.
    countdown: Option<u32>,
}

#[derive(Clone, Debug)]
enum Write {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

fn do_write(bytes: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Length(len) => bytes.resize(*len as usize, 0),
        Write::Bytes(at, data) => {
            let end = *at as usize + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at as usize..end].copy_from_slice(data);
        }
    }
}

impl Platter {
    fn tick(&mut self) -> io::Result<()> {
        match &mut self.countdown {
            Some(0) => Err(io::Error::other("the disk is gone")),
            Some(n) => {
                *n -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The power goes: each unflushed write made it to the platter or not.
    fn after_power_loss(&self, mut coin: impl FnMut() -> bool) -> Vec<u8> {
        let mut bytes = self.flushed.clone();
        for write in &self.pending {
            if coin() {
                do_write(&mut bytes, write);
            }
        }
        bytes
    }
}

#[derive(Clone, Debug)]
struct Fragile(Arc<Mutex<Platter>>);

impl Fragile {
    fn holding(bytes: Vec<u8>) -> Self {
        let platter = Platter {
            flushed: bytes.clone(),
            current: bytes,
            ..Platter::default()
        };
        Self(Arc::new(Mutex::new(platter)))
    }

    fn open(&self) -> Result<Disk, StoreError> {
        let db = Database::builder()
            .set_cache_size(1 << 20)
            // Walking the whole file is what saving the allocator's state with
            // each commit is to spare us.
            .set_repair_callback(|session| session.abort())
            .create_with_backend(self.clone())
            .map_err(|e| opening(e, Path::new("fragile")))?;
        Disk::checked(db, None)
    }

    fn write(&self, write: Write) -> io::Result<()> {
        let mut p = self.0.lock().unwrap();
        p.tick()?;
        do_write(&mut p.current, &write);
        p.pending.push(write);
        Ok(())
    }
}

impl StorageBackend for Fragile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let p = self.0.lock().unwrap();
        let start = offset as usize;
        let found = p.current.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.write(Write::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut p = self.0.lock().unwrap();
        p.tick()?;
        p.flushed = p.current.clone();
        p.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        Fragile::write(self, Write::Bytes(offset, data.to_vec()))
    }
}

/// A commit that touches several tables, of which all or nothing must be seen.
fn numbered(n: u32) -> Vec<Change> {
    let value = vec![n as u8; 700];
    let mut changes = vec![
        Change::put(Table::Meta, b"n".to_vec(), n.to_be_bytes()),
        Change::put(Table::Blocks, n.to_be_bytes(), value.clone()),
        Change::remove(Table::Nodes, n.saturating_sub(5).to_be_bytes()),
        Change::put(Table::Nodes, n.to_be_bytes(), value.clone()),
    ];
    changes.extend((0..6u8).map(|i| Change::put(Table::State, vec![i], value.clone())));
    changes
}

/// The number of the last commit that is seen whole.
fn seen(disk: &Disk) -> Option<u32> {
    let snapshot = disk.snapshot().unwrap();
    let n = snapshot.get(Table::Meta, b"n").unwrap()?;
    let n = u32::from_be_bytes(n.try_into().unwrap());
    let value = Some(vec![n as u8; 700]);
    for i in 0..6u8 {
        assert_eq!(
            snapshot.get(Table::State, &[i]).unwrap(),
            value,
            "commit {n}"
        );
    }
    assert_eq!(
        snapshot.get(Table::Blocks, &n.to_be_bytes()).unwrap(),
        value
    );
    assert_eq!(
        snapshot.get(Table::Blocks, &(n + 1).to_be_bytes()).unwrap(),
        None
    );
    let mut nodes = Vec::new();
    snapshot
        .scan(Table::Nodes, &[], &mut |key, _| {
            nodes.push(u32::from_be_bytes(key.try_into().unwrap()));
            true
        })
        .unwrap();
    assert_eq!(nodes, (n.saturating_sub(4).max(1)..=n).collect::<Vec<_>>());
    Some(n)
}

/// xorshift: the same coins every time.
fn coins(seed: u64) -> impl FnMut() -> bool {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x & 8 != 0
    }
}

#[test]
fn a_power_cut_at_any_write_leaves_the_last_commit_or_the_one_under_way() {
    // One run without a fault says how many writes there are.
    let start = Fragile::holding(Vec::new());
    let disk = start.open().unwrap();
    (1..=3).for_each(|n| disk.apply(numbered(n)).unwrap());
    drop(disk);
    let good = start.0.lock().unwrap().flushed.clone();

    let mut cuts = 0;
    for countdown in 0.. {
        let platter = Fragile::holding(good.clone());
        let disk = platter.open().unwrap();
        platter.0.lock().unwrap().countdown = Some(countdown);
        let mut done = 3;
        let failed = loop {
            match disk.apply(numbered(done + 1)) {
                Ok(()) if done == 8 => break false,
                Ok(()) => done += 1,
                Err(StoreError::Disk { .. }) => break true,
                Err(other) => panic!("write {countdown}: {other}"),
            }
        };
        if failed {
            // Broken once is broken until it is opened again.
            assert!(matches!(
                disk.apply(numbered(done + 1)),
                Err(StoreError::Disk { .. })
            ));
        }
        for seed in 0..6 {
            // The last two: everything and nothing of what was not flushed.
            let mut coin = coins(u64::from(countdown) * 7 + seed);
            let bytes = platter.0.lock().unwrap().after_power_loss(|| match seed {
                4 => true,
                5 => false,
                _ => coin(),
            });
            let disk = Fragile::holding(bytes).open().unwrap();
            let found = seen(&disk).unwrap();
            assert!(
                (done..=done + 1).contains(&found),
                "write {countdown}: {done}, {found}"
            );
            // And it goes on from there.
            disk.apply(numbered(found + 1)).unwrap();
            assert_eq!(seen(&disk), Some(found + 1));
        }
        cuts += 1;
        if !failed {
            break;
        }
    }
    assert!(cuts > 20, "only {cuts} writes");
}
