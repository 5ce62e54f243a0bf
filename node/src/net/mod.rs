//! The network: who is there, and how messages travel.
//!
//! ```text
//!             ┌──────────────────────── one task ───────────────────────┐
//!  NetHandle ─┤ commands   service.rs   owns the libp2p swarm           ├─ NetEvent ─▶ node
//!  (methods)  │            ├ gossip.rs    publish, hand over, verdicts  │  (bounded)
//!             │            ├ requests.rs  ask, answer, quotas           │
//!             │            ├ dht.rs       records, providers, table     │
//!             │            ├ peers.rs     find, keep                    │
//!             │            └ conduct.rs   part                          │
//!             └─────────────────────────────────────────────────────────┘
//!  parts without a swarm: book.rs (whom to dial), quota.rs (rates), store.rs (records), table.rs
//!  (IP diversity), scoring.rs (what verdicts cost), topic.rs, protocol.rs (frames)
//! ```
//!
//! The network knows no rules of the chain: bytes are opaque, the node judges them. What it does
//! promise:
//!
//! - **Bounded.** Every queue, map, message, stream and query has a limit in [`NetLimits`] or a
//!   constant beside its use. The task never waits for the node: what finds no room is dropped
//!   by the rule of its kind, votes and blocks last.
//! - **Judged.** Gossip is forwarded only after [`Verdict::Accept`]; [`Verdict::Reject`] is held
//!   against whoever forwarded it, and enough of it is a ban: disconnected, refused, nothing
//!   sent, nothing taken (`scoring.rs`).
//! - **Content is identity.** A gossip message is the hash of its topic and content; there are no
//!   authors or sequence numbers outside the application's own signatures.
//! - **One known address.** Only bootnodes are configured; everybody else is found through
//!   identify and Kademlia, and found again after a restart (`peers.rs`).
//! - **One network.** The first 8 hex digits of the genesis hash are part of every name.
//!
//! Worker discovery on top of this: a worker puts its signed capability record under the hash of
//! its key ([`NetHandle::put_record`]) and provides sharded model keys ([`NetHandle::provide`]);
//! a coordinator finds providers of a model, then their records. The [`RecordValidator`] sees
//! every record before it is stored and again when it is read. Rollback is not its business: a
//! reader gets all distinct valid values and picks the newest.
//!
//! Left out for now: AutoNAT, relay, DCUtR, UPnP and mDNS (an operator behind NAT forwards the
//! port and configures `external`), DNS addresses, persistence of the peer book, outbound rate
//! quotas (only concurrency is limited).

mod behaviour;
mod book;
mod conduct;
mod config;
mod dht;
mod error;
mod event;
mod gossip;
mod handle;
mod peers;
mod protocol;
mod quota;
mod requests;
mod scoring;
mod service;
mod store;
mod table;
mod topic;

#[cfg(test)]
mod tests;

pub use config::{NetConfig, NetError, NetLimits};
pub use error::{Blame, CallError, DhtError, RequestError};
pub use event::{MessageId, NetEvent, NetStats, PeerInfo, ReplyToken, Verdict};
pub use handle::NetHandle;
pub use libp2p::{Multiaddr, PeerId};
pub use protocol::Protocol;
pub use service::{RecordValidator, start};
pub use topic::{Topic, VCR_SHARDS};
