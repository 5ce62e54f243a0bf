//! Tests of the workspace as a whole.
//!
//! None of them builds a network or opens a socket: they read the manifests,
//! the sources and the docs, and take a second together. Scenarios with real
//! processes belong here too, as modules of their own.

mod documents;
mod edges;
mod files;
mod sources;
