//! Consensus: one thread that decides one block a slot.
//!
//! ```text
//!   gossip ─▶ HostHandle ─▶ Machine ─▶ Engine ─▶ Tendermint core
//!                              │          ├─ log (what we said)
//!                              │          └─ signatures, timers, blocks
//!                              ├─▶ Application: build, judge, commit
//!                              └─▶ Outlet: publish, request, behind
//! ```
//!
//! - `engine` decides, with time as an argument and without sockets, disks or
//!   state of its own; `inbound` says what strangers may do to it, `heights`
//!   how a height begins and ends.
//! - `host` is the thread around it, and the two traits it needs: an
//!   [`Application`] that owns the state, and an [`Outlet`] to the network.
//! - `context`, `signing`, `messages` and `record` fit our types to the core;
//!   `wal` is the log that keeps a validator from voting twice.
//!
//! Blocks, certificates and their execution know nothing of this module:
//! another engine could take its place.

mod blocks;
mod context;
mod effects;
mod engine;
mod heights;
mod host;
mod inbound;
mod messages;
mod record;
mod signing;
#[cfg(test)]
mod tests;
mod timers;
mod wal;

pub use arc_malachitebft_core_types::LinearTimeouts;
pub use engine::{Config, Engine, Head, Input, Judgement, Now, Output, Verdict};
pub use host::{
    Application, Exit, Fatal, Host, HostError, HostHandle, Machine, Outlet, Reply, Status,
    SyncReport,
};
pub use messages::MESSAGE_BYTES_MAX;
pub use signing::VoteKey;
pub use wal::{FileWal, NoWal, Recovered, Wal, WalError};
