//! The bootnode's binary: see [`aether_bootnode`].

use std::process::ExitCode;

use aether_bootnode::cli::{Args, execute};
use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        // The first line of stdout is the address; everything else goes elsewhere.
        .with_writer(std::io::stderr)
        .init();
    execute(Args::parse()).await
}
