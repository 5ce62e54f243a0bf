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
//!   state of its own; `io` lists all it can be told and all it can want;
//!   `inbound` and `proposals` say what strangers may do to it, `heights` how a
//!   height begins and ends.
//! - `machine` joins it to the two traits it needs: an [`Application`] that
//!   owns the state, and an [`Outlet`] to the network. `host` is the thread.
//! - `context`, `scheme`, `signing`, `messages`, `record` and `effects` fit our
//!   types to the core; `wal` is the log that keeps a validator from voting
//!   twice.
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
mod io;
mod machine;
mod messages;
mod proposals;
mod record;
mod scheme;
mod signing;
#[cfg(test)]
mod tests;
mod timers;
mod wal;

pub use arc_malachitebft_core_types::LinearTimeouts;
pub use engine::Engine;
pub use host::{Exit, Host, HostError, HostHandle};
pub use io::{Config, Head, Input, Judgement, Now, Output, Verdict};
pub use machine::{Application, Fatal, Machine, Outlet, Reply, Status, SyncReport};
pub use messages::MESSAGE_BYTES_MAX;
pub use signing::VoteKey;
pub use wal::{FileWal, NoWal, Recovered, Wal, WalError};
