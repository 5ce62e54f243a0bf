//! The real host: threads, the clock on the wall, logs on disk.

use super::super::host::{Exit, Host, HostHandle};
use super::super::io::{Config, Verdict};
use super::super::machine::Outlet;
use super::app::{CHAIN, Disk, FakeApp, Plug, Sets, account, key, set_of};
use aether_mesh::{Account, Block, BlockId, Slot};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Hands everything to the other handles.
#[derive(Clone, Default)]
struct Hub(Arc<OnceLock<Vec<HostHandle>>>, usize);

impl Hub {
    fn others(&self) -> impl Iterator<Item = &HostHandle> {
        let handles = self.0.get().map(Vec::as_slice).unwrap_or_default();
        handles
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != self.1)
            .map(|(_, h)| h)
    }
}

impl Outlet for Hub {
    fn publish_consensus(&self, bytes: Vec<u8>) {
        for handle in self.others() {
            handle.message(bytes.clone(), Box::new(|v| assert_ne!(v, Verdict::Reject)));
        }
    }

    fn publish_block(&self, block: &Block) {
        for handle in self.others() {
            handle.block(
                block.clone(),
                Some(Box::new(|v| assert_ne!(v, Verdict::Reject))),
            );
        }
    }

    fn request_block(&self, id: BlockId, _: Slot, _: Account) {
        let me = self.0.get().and_then(|handles| handles.get(self.1));
        if let (Some(me), Some(block)) = (me, self.others().find_map(|h| h.recent_block(&id))) {
            me.block((*block).clone(), None);
        }
    }

    fn behind(&self, _: Slot) {}
}

fn launch(dir: &Path, disks: &[Arc<Mutex<Disk>>]) -> (Vec<HostHandle>, Vec<JoinHandle<Exit>>) {
    let sets = Sets::one(&vec![10; disks.len()]);
    let handles = Arc::new(OnceLock::new());
    let config = Config::new(CHAIN, 600, Duration::from_millis(100));
    let (all, threads): (Vec<_>, Vec<_>) = disks
        .iter()
        .enumerate()
        .map(|(i, disk)| {
            let plug = Plug::after(i64::MAX);
            let (sets, disk) = (sets.clone(), disk.clone());
            let app = FakeApp {
                account: account(i),
                sets,
                disk,
                plug,
                lies: false,
            };
            let wal = dir.join(format!("wal-{i}"));
            Host::spawn(
                config.clone(),
                Some(key(i)),
                &wal,
                app,
                Hub(handles.clone(), i),
            )
            .unwrap()
        })
        .unzip();
    assert!(handles.set(all.clone()).is_ok());
    (all, threads)
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn threads_with_logs_on_disk_make_blocks_and_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let disks: Vec<Arc<Mutex<Disk>>> = (0..4).map(|_| Arc::default()).collect();
    for target in [4, 8] {
        let (handles, threads) = launch(dir.path(), &disks);
        wait_for("blocks", || {
            handles.iter().all(|h| h.status().head.height.0 >= target)
        });
        assert!(handles.iter().all(|h| h.status().voting));
        for handle in &handles {
            handle.shutdown();
        }
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Exit::Shutdown);
        }
    }
    let chains: Vec<Vec<BlockId>> = disks
        .iter()
        .map(|d| {
            d.lock()
                .unwrap()
                .chain
                .iter()
                .take(8)
                .map(|(b, _)| b.id())
                .collect()
        })
        .collect();
    assert!(chains.iter().all(|c| c.len() == 8 && *c == chains[0]));
    let set = set_of(&[10; 4]);
    for (_, certificate) in &disks[0].lock().unwrap().chain {
        certificate.verify(&CHAIN, &set).unwrap();
    }
}

#[test]
fn a_disk_that_fails_ends_the_thread() {
    let dir = tempfile::tempdir().unwrap();
    let app = FakeApp {
        account: account(0),
        sets: Sets::one(&[10]),
        disk: Arc::default(),
        plug: Plug::after(2),
        lies: false,
    };
    let config = Config::new(CHAIN, 600, Duration::from_millis(50));
    let wal = dir.path().join("wal");
    let (_handle, thread) = Host::spawn(config, Some(key(0)), &wal, app, Hub::default()).unwrap();
    assert!(matches!(thread.join().unwrap(), Exit::Fatal(why) if why.contains("plug")));
}
