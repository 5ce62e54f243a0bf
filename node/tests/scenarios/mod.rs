//! One file a story; `cluster.rs` is the stage.

mod bad_vcr;
mod cluster;
mod follower;
mod magika;
mod records;
mod startup;
