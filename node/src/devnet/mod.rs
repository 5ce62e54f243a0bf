//! A development network on one machine: keys, genesis, and real node
//! processes that find each other through a bootnode.
//!
//! `setup.rs` makes the folder, `process.rs` runs the processes. `aether dev`
//! keeps such a network until Ctrl-C; the demo adds a script and a cheat.

mod process;
mod run;
mod setup;

pub use process::{Process, ProcessError, RPC_FILE, resident_bytes};
pub use run::{Cast, Devnet, DevnetError, start_dev};
pub use setup::{DevFolder, Member, SetupError};
