//! What the store promises, told over a store in memory and one on disk.

mod blobs;
mod chain;
mod common;
mod crash;
mod data_dir;
mod measure;
mod random;
