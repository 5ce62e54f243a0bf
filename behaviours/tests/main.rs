//! Roles as pure machines: what each does with what it is told, and all of them
//! together on a made-up chain.

/// The same small network that the protocol's own tests play on.
#[path = "../../protocols/mesh/tests/scene/mod.rs"]
mod scene;

mod challenger;
mod coordinator;
mod stage;
mod together;
mod validator;
mod worker;
