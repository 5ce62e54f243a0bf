//! What the tests share.

pub(crate) mod cases;
// The example of golden digests has no use for it.
#[allow(dead_code)]
pub(crate) mod catalogue;
pub(crate) mod conformance;
// Its other half serves the example of the same name.
#[allow(dead_code)]
pub(crate) mod golden;
pub(crate) mod memory;
pub(crate) mod model;
pub(crate) mod real;
#[allow(dead_code)]
pub(crate) mod sweep;
#[allow(dead_code)]
pub(crate) mod watch;

use std::path::PathBuf;

/// The vectors' folder, if it is there. When `AETHER_VECTORS_REQUIRED=1` its
/// absence fails the test.
pub(crate) fn vectors(name: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");
    let root = std::env::var_os("AETHER_VECTORS").map_or_else(|| default.into(), PathBuf::from);
    let dir = root.join(name);
    if dir.is_dir() {
        return Some(dir);
    }
    println!("SKIPPED: no vectors at {}", dir.display());
    let required = std::env::var("AETHER_VECTORS_REQUIRED").is_ok_and(|v| v == "1");
    assert!(
        !required,
        "vectors are required and missing: {}",
        dir.display()
    );
    None
}
