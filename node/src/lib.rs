//! The Aether node: what touches the world.
//!
//! ```text
//!  cli ─▶ service ─▶ net (libp2p)      consensus (Tendermint core, own thread)
//!            │  └──▶ rpc (HTTP)            │
//!            ├─────▶ chain (mempool, blocks, storage)
//!            └─────▶ roles (drivers of pure behaviours, TEE, inference)
//!  devnet, demo: networks of real processes on one machine
//! ```
//!
//! The node knows no rules: what is true is asked of `aether-mesh`, what a
//! role decides of `aether-behaviours`, what is kept of `aether-storage`. It
//! is a library with a thin `main`, so that tests drive the same host.

pub mod chain;
pub mod cli;
pub mod commands;
pub mod consensus;
pub mod demo;
pub mod devnet;
pub mod net;
pub mod network;
pub mod roles;
pub mod rpc;
pub mod service;
