//! `aether-bootnode`, and `aether bootnode`: the command line.
//!
//! The first line of stdout is the full address (`/ip4/…/p2p/<peer id>`), or with `--json` one
//! object with all of them, so that scripts can hand it to the nodes they start next. Exit
//! codes: 0 stopped by a signal, 2 usage, 4 configuration (bad key file, busy port).

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use libp2p::Multiaddr;

use crate::{
    key,
    server::{Bootnode, BootnodeConfig},
};

/// The exit code of a configuration error, the same as the node's.
const EXIT_CONFIGURATION: u8 = 4;

/// Introduce the nodes of a network to each other.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "aether-bootnode", version)]
pub struct Args {
    /// File with the identity's seed (64 hex digits); created if missing
    #[arg(long, env = "AETHER_BOOTNODE_KEY", value_name = "FILE")]
    pub key: PathBuf,
    /// Address to listen on; may be repeated
    #[arg(
        long,
        value_name = "MULTIADDR",
        default_values = ["/ip4/0.0.0.0/udp/30770/quic-v1", "/ip4/0.0.0.0/tcp/30770"]
    )]
    pub listen: Vec<Multiaddr>,
    /// First 8 hex digits of the genesis hash
    #[arg(long, env = "AETHER_NETWORK_ID", value_name = "HEX8")]
    pub network_id: String,
    /// Hand out loopback and private addresses (development networks)
    #[arg(long)]
    pub dev: bool,
    /// Connections at most
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub max_connections: u32,
    /// Print the addresses as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs a bootnode until SIGINT or SIGTERM.
pub async fn execute(args: Args) -> ExitCode {
    let json = args.json;
    let mut bootnode = match prepare(args) {
        Ok(bootnode) => bootnode,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_CONFIGURATION);
        }
    };
    let addresses = bootnode.addresses().await;
    let text = render(&bootnode, &addresses, json);
    let mut stdout = std::io::stdout().lock();
    // Whoever started us may have closed the pipe; serving matters more than printing.
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    drop(stdout);
    bootnode.run(stop_signal()).await;
    ExitCode::SUCCESS
}

fn prepare(args: Args) -> Result<Bootnode, Box<dyn std::error::Error>> {
    let seed = key::load_or_create(&args.key)?;
    Ok(Bootnode::bind(BootnodeConfig {
        seed,
        listen: args.listen,
        network_id: args.network_id,
        allow_private: args.dev,
        connections_max: args.max_connections,
    })?)
}

fn render(bootnode: &Bootnode, addresses: &[Multiaddr], json: bool) -> String {
    if json {
        let object = serde_json::json!({
            "peer_id": bootnode.peer_id().to_string(),
            "addresses": addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        format!("{object}\n")
    } else {
        addresses
            .iter()
            .map(|address| format!("{address}\n"))
            .collect()
    }
}

/// Completes on SIGINT or SIGTERM; never, if signals cannot be watched.
async fn stop_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut stream) => {
                stream.recv().await;
            }
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
