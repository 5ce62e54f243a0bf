//! The node as its users meet it: whole networks of real nodes on loopback,
//! QUIC and all, in one process or in several.

mod scenarios;
