//! The chain as this node keeps it: the only writer of state.
//!
//! ```text
//! gossip, RPC ─▶ Mempool ─▶ Chain::build ─▶ proposal
//!                           Chain::judge ◀─ proposed or synced block
//!                           Chain::commit ─▶ storage, Committed ─▶ roles, RPC
//! ```
//!
//! [`Chain`] lives on the consensus thread. Others read through
//! [`ChainReads`](aether_storage::ChainReads), put into the [`Mempool`] and
//! listen to [`Committed`].

mod app;
mod library;
mod mempool;

pub use app::{Chain, ChainError, Committed, Judged, check_next, lock_pool};
pub use library::NodeLibrary;
pub use mempool::{Mempool, MempoolError};
