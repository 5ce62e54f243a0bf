//! The bootnode.
fn main() {}
