//! What breaks it: tests that belong to no single crate.
//!
//! | test module | holds |
//! | --- | --- |
//! | `edges` | who may depend on whom |
//! | `sources` | what no file of the project may mention; headers, lengths |
//! | `documents` | docs that still say what the code says |
//!
//! All of it is in one test binary (`tests/main.rs`). Scenarios with real
//! processes get a module of their own there.
