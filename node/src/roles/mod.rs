//! Doing what roles decide.
//!
//! A [`Role`](aether_behaviours::Role) is pure; a [`Driver`] feeds it
//! committed blocks and finished effects, and carries out its actions:
//!
//! | file | carries out |
//! | --- | --- |
//! | `driver.rs` | the loop; submissions and their fate |
//! | `discovery.rs` | capability records in the DHT |
//! | `attest.rs` | evidence from this machine's TEE, session keys |
//! | `run.rs` | inference, commitment, signing |
//! | `recheck.rs` | re-execution of others' VCRs, witnesses, openings |
//!
//! [`Runner`] is the seam at which a test or the demo puts a worker that
//! computes something else; nothing here does.

mod attest;
mod discovery;
mod driver;
mod recheck;
mod run;

#[cfg(all(feature = "attester", target_os = "linux"))]
pub use attest::HardwareTee;
pub use attest::{AttestError, Attested, Attester, SimulatedTee, simulated_measurement};
pub use discovery::Directory;
pub use driver::{Driver, DriverParts};
pub use run::{HonestRunner, JobInputs, Runner, result_of};
