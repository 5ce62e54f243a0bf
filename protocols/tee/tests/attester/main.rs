//! The worker's side: evidence from devices, endorsements from the vendors' services.
#![cfg(all(feature = "attester", target_os = "linux"))]

mod device;
#[cfg(feature = "fetch")]
mod server;
#[cfg(feature = "fetch")]
mod services;

// Simulated vendors, shared with the stories of the verifier.
#[cfg(feature = "fetch")]
#[allow(dead_code)]
#[path = "../main/amd.rs"]
mod amd;
#[cfg(feature = "fetch")]
#[allow(dead_code)]
#[path = "../main/forger.rs"]
mod forger;
#[cfg(feature = "fetch")]
#[allow(dead_code)]
#[path = "../main/intel.rs"]
mod intel;
#[cfg(feature = "fetch")]
#[allow(dead_code)]
#[path = "../main/pki.rs"]
mod pki;
