//! Stories about evidence: what is accepted, and one forgery for each way of being refused.

mod amd;
mod amd_stories;
mod forger;
mod forgeries;
mod hostile;
mod intel;
mod intel_stories;
mod mutations;
mod pki;
#[cfg(feature = "sim")]
mod simulated;
