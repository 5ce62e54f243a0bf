//! Commands that run nodes: `node`, `bootnode`, `dev`, `demo`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `aether demo`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  aether demo --seed 7 --summary demo.json")]
pub struct DemoArgs {
    /// Chooses the digits and the lie; keys are fresh in every run
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Write what happened as JSON
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// Where the nodes keep their data [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Leave the data where it is at the end
    #[arg(long)]
    pub keep: bool,
}

/// `aether dev`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  aether dev --dir mynet --validators 4 --workers 2")]
pub struct DevArgs {
    /// Where the network, its keys and its data are [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Nodes that vote
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    pub validators: u32,
    /// Nodes that assign jobs
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=16))]
    pub coordinators: u32,
    /// Nodes that run jobs, under a simulated TEE
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=16))]
    pub workers: u32,
    /// Nodes that check receipts
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=16))]
    pub challengers: u32,
}

/// `aether node …`
#[derive(Clone, Debug, Subcommand)]
pub enum NodeCommand {
    /// Join a network
    Run(Box<NodeRunArgs>),
    /// How the running node is
    Status,
    /// Whom it is connected to
    Peers,
}

/// What a node does for the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// Votes on blocks; needs --key and --vote-key.
    Validator,
    /// Assigns jobs to workers; needs --key.
    Coordinator,
    /// Runs jobs; needs --key.
    Worker,
    /// Checks receipts and challenges wrong ones; needs --key.
    Challenger,
    /// Follows the chain and serves the RPC.
    Full,
}

impl NodeRole {
    /// As flags and files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Coordinator => "coordinator",
            Self::Worker => "worker",
            Self::Challenger => "challenger",
            Self::Full => "full",
        }
    }
}

const NODE_RUN_EXAMPLES: &str = "\
Examples:
  aether node run --network mynet/network
  aether node run --network mynet/network --role worker --key w.key \\
      --model m.onnx --bootnode /ip4/192.0.2.1/udp/30770/quic-v1/p2p/12D3Koo…
  aether node run --config node.toml

A config file has the flags' names as keys (role = [\"worker\"], vote-key = …);
flags and AETHER_* variables win over it, unknown keys are refused, and paths
are relative to the file.";

/// `aether node run`; the network, RPC and key are [`Global`](super::Global)'s. Settings that
/// combine all sources are [`NodeSettings`](crate::cli::NodeSettings).
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = NODE_RUN_EXAMPLES)]
pub struct NodeRunArgs {
    /// What to do; may be repeated or a comma list [default: full]
    #[arg(long, env = "AETHER_ROLE", value_delimiter = ',', value_name = "ROLE")]
    pub role: Vec<NodeRole>,
    /// Where to keep data [default: ~/.local/share/aether/NETWORK]
    #[arg(long, env = "AETHER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address to listen on; may be repeated or a comma list [default: port 30770, QUIC and TCP]
    #[arg(
        long,
        env = "AETHER_LISTEN",
        value_delimiter = ',',
        value_name = "MULTIADDR"
    )]
    pub listen: Vec<String>,
    /// Address of a node to join by; may be repeated or a comma list
    #[arg(
        long,
        env = "AETHER_BOOTNODE",
        value_delimiter = ',',
        value_name = "MULTIADDR"
    )]
    pub bootnode: Vec<String>,
    /// Key file of the votes (validators)
    #[arg(long, env = "AETHER_VOTE_KEY", value_name = "FILE")]
    pub vote_key: Option<PathBuf>,
    /// Model to offer (workers); may be repeated or a comma list
    #[arg(long, env = "AETHER_MODEL", value_delimiter = ',', value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// The TEE this machine is (workers)
    #[arg(
        long,
        env = "AETHER_TEE",
        value_name = "KIND",
        conflicts_with = "tee_platform"
    )]
    pub tee: Option<TeeChoice>,
    /// Simulated TEE platform (workers of dev networks)
    #[arg(long, env = "AETHER_TEE_PLATFORM", value_name = "FILE")]
    pub tee_platform: Option<PathBuf>,
    /// File with settings
    #[arg(long, env = "AETHER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which TEE a worker expects to run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TeeChoice {
    /// Whatever is there
    Auto,
    /// AMD SEV-SNP
    SevSnp,
    /// Intel TDX
    Tdx,
    /// AWS Nitro Enclaves
    Nitro,
}

/// `aether bootnode`; its identity is [`Global::key`](super::Global::key), the network
/// [`Global::network`](super::Global::network).
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  aether bootnode --key boot.key --network mynet/network")]
pub struct BootnodeArgs {
    /// Address to listen on; may be repeated or a comma list
    #[arg(
        long,
        env = "AETHER_LISTEN",
        value_delimiter = ',',
        value_name = "MULTIADDR",
        default_values = ["/ip4/0.0.0.0/udp/30770/quic-v1", "/ip4/0.0.0.0/tcp/30770"]
    )]
    pub listen: Vec<String>,
    /// First 8 hex digits of the chain id, instead of --network
    #[arg(long, env = "AETHER_NETWORK_ID", value_name = "HEX8")]
    pub network_id: Option<String>,
    /// Hand out loopback and private addresses (development networks)
    #[arg(long)]
    pub dev: bool,
    /// Connections at most
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub max_connections: u32,
}
