//! A running node: who owns what, and how it is wired.
//!
//! ```text
//!              net task (libp2p)
//!                │ NetEvent                ▲ publish, report, respond, request
//!                ▼                         │
//!   intake ── gossip ─▶ verify, check ─▶ mempool, verdict
//!     │  └─── consensus bytes, blocks ─▶ consensus thread ─▶ Chain ─▶ storage
//!     └────── requests ─▶ serve (blocks, blobs)      │
//!   sync ──── certified blocks ─▶ consensus thread   │ Committed (broadcast)
//!   fetch ─── blobs by piece                         ▼
//!                                        roles, RPC, log line per slot
//! ```
//!
//! | file | owns |
//! | --- | --- |
//! | `intake.rs` | the network's events |
//! | `serve.rs` | answers to peers |
//! | `fetch.rs` | blobs on their way here |
//! | `sync.rs` | catching up, following |
//! | `submit.rs` | this node's own transactions |
//! | `engine.rs` | the seam to the consensus thread |
//! | `node.rs` | start and stop |

mod engine;
mod fetch;
mod intake;
mod node;
mod peer;
mod proposals;
mod rpc;
mod serve;
mod submit;
mod sync;

pub use fetch::Fetcher;
pub use node::{Node, NodeConfig, NodeError, RoleKind};
pub use peer::{account_of_peer, peer_of_account};
pub use submit::{Admitted, SubmitError, Submitter, now_ms};
