//! Stories about evidence: what is accepted, and one forgery for each way of being refused.

mod forger;
mod forgeries;
mod mutations;
#[cfg(feature = "sim")]
mod simulated;
