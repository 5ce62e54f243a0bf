//! What is kept: blocks, the authenticated state, and blobs.
//!
//! ```text
//!                    ChainStore ── commit: one durable transaction a block
//!                        │ reads()
//!   apply ◄─ StateView ◄─┴─ ChainReads ─► blocks, proofs, audit
//!                        │
//!              tables (layout.rs): redb file, or memory
//!
//!   BlobStore ── one file a blob, checked piece by piece
//!   DataDir ──── one process a directory
//! ```
//!
//! - Either all of a block is stored (its bytes, its certificate, the state
//!   after it, the tree over that state, the head) or nothing of it is,
//!   whenever the process or the machine dies.
//! - The state is a table of records and a Jellyfish Merkle tree over them.
//!   The tree's root after a block stands in its header; [`ChainReads::prove`]
//!   makes proofs that `aether_mesh::verify_inclusion` accepts, for the last
//!   [`RETAINED_HEIGHTS`] heights.
//! - [`ChainReads::root_after`] computes a root without writing, so that a
//!   proposer can name it before anybody has voted.
//! - A store in memory runs the same code over the same tables as one on disk.
//!
//! What is deliberately absent: this crate does not know what a job is, checks
//! no signature, and keeps no consensus log. Only it knows redb.

mod audit;
mod backend;
mod blobs;
mod chain;
mod data_dir;
mod disk;
mod error;
mod layout;
mod memory;
mod reads;
mod tree;

pub use audit::AuditReport;
pub use blobs::{BlobStore, BlobWriter};
pub use chain::ChainStore;
pub use data_dir::DataDir;
pub use disk::StoreOptions;
pub use error::StoreError;
pub use layout::{FORMAT, RETAINED_HEIGHTS};
pub use reads::{ChainReads, Head, PendingRoot, Proven, StateView, StoredBytes};
