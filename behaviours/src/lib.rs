//! What a role decides: pure machines, [`Event`] in, [`Action`]s out.
//!
//! ```text
//!  blocks, effects' results          wishes
//!  ───────── Event ─────▶ Role ───── Action ─────▶ the node does it
//! ```
//!
//! A role owns no socket, no disk and no clock. Time (slots, the block's
//! clock) and randomness come with the event; the state is lent for the length
//! of one call. Whatever takes long (finding workers, running a model,
//! re-executing a VCR) is an action whose result comes back as an event. Every
//! map is bounded by what the state allows or by a constant here.
//!
//! | module | decides |
//! | --- | --- |
//! | [`coordinator`] | who runs a job |
//! | [`worker`] | whether to accept, when to run, what to publish |
//! | [`challenger`] | which VCRs to re-execute, when to commit and reveal |
//! | [`validator`] | what to do about a double vote |

pub mod challenger;
pub mod coordinator;
mod machine;
pub mod validator;
pub mod worker;

pub use machine::{Action, Context, Event, Recheck, Role, RunResult, Submission};
