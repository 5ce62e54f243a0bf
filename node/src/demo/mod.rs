//! `aether demo`: the main job, end to end, on one machine.
//!
//! Real processes of this program: a bootnode, four validators, a coordinator,
//! three workers of which one cheats, a challenger. The demo itself is a
//! requester and a sceptic with keys of their own, and speaks to the others
//! over RPC only.
//!
//! `script.rs` is the story; `cheat.rs` the only dishonest code there is.

mod cheat;
mod closing;
mod crash;
mod digits;
mod evidence;
mod fraud;
mod narrator;
mod requester;
mod script;
mod skeptic;
mod stage;
mod summary;

pub use cheat::{CHEAT_COMMAND, cheat_main};
pub use digits::{MODEL as DIGITS_MODEL, first_digit_json};
pub use script::run;
pub use stage::{DemoArgs, DemoError};
pub use summary::Summary;
