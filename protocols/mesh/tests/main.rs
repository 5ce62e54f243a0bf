//! The protocol, told in stories: a small network on a plain map, one block
//! after the other, the books audited after each.

mod scene;

// Simulated vendors: the same that judge the appraisal itself.
#[allow(dead_code)]
#[path = "../../tee/tests/main/amd.rs"]
mod amd;
#[allow(dead_code)]
#[path = "../../tee/tests/main/forger.rs"]
mod forger;
#[allow(dead_code)]
#[path = "../../tee/tests/main/intel.rs"]
mod intel;
#[allow(dead_code)]
#[path = "../../tee/tests/main/pki.rs"]
mod pki;

mod assigning;
mod blocks;
mod certificates;
mod challenging;
mod evidence;
mod genesis;
mod governing;
mod honest;
mod money;
mod posting;
mod random;
mod receipts;
mod records;
mod registering;
mod vcrs;
mod vendors;
mod wires;
