//! The thread that owns the engine, its log and the application.
//!
//! ```text
//!   network tasks ──HostHandle──▶ bounded inbox ──▶ Machine ──▶ Outlet (network)
//!                                                  │     ▲
//!                                               Engine  Application (state)
//! ```
//!
//! - One thread: votes, the log's flushes, execution and the commit of a block
//!   are never concurrent. A handle may be used from any thread or task; it
//!   never blocks. When the inbox is full, messages are dropped (gossip is told
//!   to ignore them): votes are repeated, blocks are asked for again.
//! - Everything but the thread and the clock is in [`Machine`].
//! - Any failure of ours (disk, execution, an assertion of the core) ends the
//!   thread with [`Exit::Fatal`]: the node must stop, since going on could mean
//!   voting twice.

use super::io::{Config, Now, Verdict};
use super::machine::{
    Application, Fatal, Machine, Outlet, Recent, Reply, Status, SyncReport, find,
};
use super::signing::VoteKey;
use super::wal::{FileWal, NoWal, Recovered, Wal, WalError};
use aether_mesh::{Block, BlockId, Certificate};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Messages that may wait. A hundred validators send a few hundred a slot.
const INBOX: usize = 4_096;

enum Inbox {
    Message(Vec<u8>, Reply),
    Block(Box<Block>, Option<Reply>),
    Synced(
        Vec<(Block, Certificate)>,
        Box<dyn FnOnce(SyncReport) + Send>,
    ),
    Shutdown,
}

/// How the consensus thread ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to.
    Shutdown,
    /// Something of ours failed: the node must stop.
    Fatal(String),
}

/// Why consensus cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A setting that cannot work.
    #[error("consensus settings: {0}")]
    Config(&'static str),
    /// The log cannot be used.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// No thread.
    #[error("the consensus thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Access to the consensus thread, for the network and RPC.
#[derive(Clone)]
pub struct HostHandle {
    inbox: SyncSender<Inbox>,
    status: Arc<Mutex<Status>>,
    recent: Recent,
}

impl HostHandle {
    /// Bytes from the consensus topic.
    pub fn message(&self, bytes: Vec<u8>, reply: Reply) {
        if let Err(TrySendError::Full(Inbox::Message(_, reply))) =
            self.inbox.try_send(Inbox::Message(bytes, reply))
        {
            reply(Verdict::Ignore);
        }
    }

    /// A block from gossip (with a reply), or one that was requested.
    pub fn block(&self, block: Block, reply: Option<Reply>) {
        if let Err(TrySendError::Full(Inbox::Block(_, Some(reply)))) =
            self.inbox.try_send(Inbox::Block(Box::new(block), reply))
        {
            reply(Verdict::Ignore);
        }
    }

    /// Committed blocks from a peer, ascending; the report comes when they are
    /// through. False if the inbox is full: then no report comes.
    pub fn synced(
        &self,
        blocks: Vec<(Block, Certificate)>,
        report: Box<dyn FnOnce(SyncReport) + Send>,
    ) -> bool {
        self.inbox.try_send(Inbox::Synced(blocks, report)).is_ok()
    }

    /// Ends the thread; join it afterwards.
    pub fn shutdown(&self) {
        // A blocking send: the inbox drains, or the thread is gone.
        let _ = self.inbox.send(Inbox::Shutdown);
    }

    /// Where consensus is.
    pub fn status(&self) -> Status {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block lately proposed or decided, for a peer that asks.
    pub fn recent_block(&self, id: &BlockId) -> Option<Arc<Block>> {
        find(&self.recent, id)
    }
}

/// The consensus thread.
pub struct Host;

impl Host {
    /// Starts it. With a key it votes where the key stands in the set, keeping
    /// its log at `wal`; without one it follows.
    pub fn spawn<A, O>(
        config: Config,
        key: Option<VoteKey>,
        wal: &Path,
        app: A,
        outlet: O,
    ) -> Result<(HostHandle, JoinHandle<Exit>), HostError>
    where
        A: Application + 'static,
        O: Outlet + 'static,
    {
        if config.epoch_slots == 0 {
            return Err(HostError::Config("an epoch has at least one slot"));
        }
        let t = &config.timeouts;
        if [
            config.slot,
            t.propose,
            t.prevote,
            t.precommit,
            t.rebroadcast,
        ]
        .contains(&Duration::ZERO)
        {
            return Err(HostError::Config(
                "slot and time-outs must be longer than nothing",
            ));
        }
        let (wal, recovered): (Box<dyn Wal>, _) = match &key {
            Some(_) => {
                let (wal, recovered) = FileWal::open(wal)?;
                (Box::new(wal), recovered)
            }
            None => (Box::new(NoWal), Recovered::default()),
        };
        let machine = Machine::new(config, key, app, outlet, wal, recovered);
        let (inbox, receiver) = sync_channel(INBOX);
        let status = Arc::new(Mutex::new(machine.status()));
        let handle = HostHandle {
            inbox,
            status: status.clone(),
            recent: machine.recent.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("consensus".to_owned())
            .spawn(move || {
                // The core asserts what it takes for granted; whatever it finds
                // broken, the node must not vote on.
                let run = AssertUnwindSafe(|| run(machine, &receiver, &status));
                match std::panic::catch_unwind(run) {
                    Ok(Ok(())) => Exit::Shutdown,
                    Ok(Err(Fatal(why))) => Exit::Fatal(why),
                    Err(panic) => {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text =
                            text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                        Exit::Fatal(format!("consensus failed: {}", text.unwrap_or_default()))
                    }
                }
            })?;
        Ok((handle, thread))
    }
}

/// Longest sleep, so that a clock that jumps does no harm.
const NAP: Duration = Duration::from_secs(1);

fn run<A: Application, O: Outlet>(
    mut machine: Machine<A, O>,
    inbox: &Receiver<Inbox>,
    status: &Mutex<Status>,
) -> Result<(), Fatal> {
    let origin = Instant::now();
    let clock = move || Now {
        elapsed: origin.elapsed(),
        unix_ms: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
    };
    machine.start(&clock)?;
    loop {
        *status.lock().unwrap_or_else(PoisonError::into_inner) = machine.status();
        let due = machine.wake_at();
        let wait = due.map_or(NAP, |at| at.saturating_sub(origin.elapsed()).min(NAP));
        match inbox.recv_timeout(wait) {
            Ok(Inbox::Message(bytes, reply)) => reply(machine.message(bytes, &clock)?),
            Ok(Inbox::Block(block, reply)) => machine.block(*block, reply, &clock)?,
            Ok(Inbox::Synced(blocks, report)) => report(machine.synced(blocks, &clock)?),
            Ok(Inbox::Shutdown) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if machine.wake_at().is_some_and(|at| at <= origin.elapsed()) {
            machine.tick(&clock)?;
        }
    }
}
