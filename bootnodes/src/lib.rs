//! The bootnode: the one address a new node needs to know.
//!
//! A bootnode answers three questions and keeps no secrets: who are you (identify), are you
//! there (ping), and who else is out there (Kademlia, always in server mode). It carries no
//! gossip, stores no records and knows nothing about jobs, blocks or money; a network survives
//! the loss of all its bootnodes as long as its nodes remember each other.
//!
//! ```text
//!   node ──dial──▶ bootnode         identify: the node's addresses enter the routing table
//!   node ◀──FIND_NODE── bootnode    the others' addresses
//!   node ──dial──▶ other nodes
//! ```
//!
//! Rules:
//!
//! - Names ([`names`]): every protocol name carries the network id (the first 8 hex digits of
//!   the genesis hash), so that two networks never mix. A peer of another network is
//!   disconnected as soon as it identifies itself.
//! - Addresses ([`address`]): only addresses that a stranger can dial enter the table; private
//!   and loopback ones only on development networks.
//! - Bounds ([`server`]): connections per peer, in total and pending; addresses per peer; PUT and
//!   ADD_PROVIDER are answered politely and dropped, so nobody can make a bootnode hold anything.
//! - Keys ([`key`]): the identity is an ed25519 seed in a 0600 file, hence a stable peer id.
//!
//! The node crate uses the names and the address rules, and offers the same server as
//! `aether bootnode` through [`cli`]. A relay server (for nodes behind NAT) comes later.

pub mod address;
pub mod cli;
pub mod key;
pub mod names;
pub mod server;

pub use address::{PeerAddressError, is_dialable, split_peer_address};
pub use names::{NetworkId, NetworkIdError};
pub use server::{Bootnode, BootnodeConfig, BootnodeError};
