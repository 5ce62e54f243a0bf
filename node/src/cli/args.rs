//! Every command and flag, with its help. Nothing here does anything.
//!
//! Precedence: flag, then environment (`AETHER_*`), then file (`node run`
//! only), then default.

use crate::rpc::RpcAddress;
use aether_mesh::{Account, Amount, JobId};
use aether_tee::EvidenceKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  aether demo                          everything on this machine, narrated
  aether job post --model m.onnx --input x.json --payment 2 --wait
  aether receipt export JOB r.receipt
  aether receipt verify r.receipt --network testnet/dev
  aether node status --json

Exit codes: 0 ok, 1 a check or verdict failed or the node refused, 2 usage,
3 no node answers, 4 configuration (files, keys, ports, network folders).";

/// AI inference that can be checked: run a node, post jobs, verify receipts.
#[derive(Clone, Debug, Parser)]
#[command(name = "aether", version, after_help = EXAMPLES, disable_help_subcommand = true)]
#[command(arg_required_else_help = true, max_term_width = 80)]
pub struct Cli {
    /// Of every command.
    #[command(flatten)]
    pub global: Global,
    /// Which one.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// The node's RPC [default: 127.0.0.1:8770]; with `node run`, where to serve it
    #[arg(long, global = true, env = "AETHER_RPC", value_name = "ADDRESS")]
    pub rpc: Option<RpcAddress>,
    /// Folder of the network: its genesis.toml says whom to trust
    #[arg(long, global = true, env = "AETHER_NETWORK", value_name = "DIR")]
    pub network: Option<PathBuf>,
    /// Key file that signs (see `aether key new`)
    #[arg(long, global = true, env = "AETHER_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Everything on this machine, narrated: a network, a job, a cheat, a receipt
    Demo(DemoArgs),
    /// A local network that stays until Ctrl-C
    Dev(DevArgs),
    /// Run a node, or ask a running one
    #[command(subcommand)]
    Node(NodeCommand),
    /// Introduce nodes to each other
    Bootnode(BootnodeArgs),
    /// Post jobs and get results
    #[command(subcommand)]
    Job(JobCommand),
    /// Receipts that anybody can verify offline
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Balances, transfers, bonds
    #[command(subcommand)]
    Account(AccountCommand),
    /// Key files
    #[command(subcommand)]
    Key(KeyCommand),
    /// ONNX models
    #[command(subcommand)]
    Model(ModelCommand),
    /// Workers of the network
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// Challenges of receipts
    #[command(subcommand)]
    Challenge(ChallengeCommand),
    /// The network's beginning
    #[command(subcommand)]
    Genesis(GenesisCommand),
    /// What this program is
    Version,
}

/// `aether demo`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  aether demo --seed 7 --summary demo.json")]
pub struct DemoArgs {
    /// Decides keys, inputs and order, so that a run can be repeated
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
  aether node run --network testnet/dev
  aether node run --network testnet/dev --role worker --key w.key \\
      --model m.onnx --bootnode /ip4/192.0.2.1/udp/30770/quic-v1/p2p/12D3Koo…
  aether node run --config node.toml

A config file has the flags' names as keys (role = [\"worker\"], vote-key = …);
flags and AETHER_* variables win over it, unknown keys are refused, and paths
are relative to the file.";

/// `aether node run`; the network, RPC and key are [`Global`]'s. Settings that
/// combine all sources are [`NodeSettings`](super::NodeSettings).
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
    #[arg(long, env = "AETHER_LISTEN", value_delimiter = ',', value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// Address of a node to join by; may be repeated or a comma list
    #[arg(long, env = "AETHER_BOOTNODE", value_delimiter = ',', value_name = "MULTIADDR")]
    pub bootnode: Vec<String>,
    /// Key file of the votes (validators)
    #[arg(long, env = "AETHER_VOTE_KEY", value_name = "FILE")]
    pub vote_key: Option<PathBuf>,
    /// Model to offer (workers); may be repeated or a comma list
    #[arg(long, env = "AETHER_MODEL", value_delimiter = ',', value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// Simulated TEE platform (workers of dev networks)
    #[arg(long, env = "AETHER_TEE_PLATFORM", value_name = "FILE")]
    pub tee_platform: Option<PathBuf>,
    /// File with settings
    #[arg(long, env = "AETHER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `aether bootnode`; its identity is [`Global::key`], the network
/// [`Global::network`].
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  aether bootnode --key boot.key --network testnet/dev")]
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

/// `aether job …`
#[derive(Clone, Debug, Subcommand)]
pub enum JobCommand {
    /// Post a job and lock its payment
    Post(Box<JobPostArgs>),
    /// One job
    Get(JobGetArgs),
    /// The newest jobs
    List(JobListArgs),
    /// Take back a job that nobody was assigned
    Cancel {
        /// The job
        job: JobId,
    },
}

const JOB_POST_EXAMPLES: &str = "\
Examples:
  aether job post --model m.onnx --input x.json --payment 2 --wait
  aether job post --model MODEL_ID --input a=a.pb --input b=b.pb --payment 0.5

An input file is JSON, {\"name\": {\"shape\": [1, 2], \"data\": [0.5, 1]}}, an ONNX
TensorProto (.pb), or our own encoded tensors. The gas limit is measured by
running the model here once; --gas says it without.";

/// `aether job post`
#[derive(Args, Clone, Debug)]
#[command(after_help = JOB_POST_EXAMPLES)]
pub struct JobPostArgs {
    /// ONNX file, or the id of a registered model
    #[arg(long, value_name = "FILE|ID")]
    pub model: String,
    /// Input tensors; NAME=FILE gives one tensor its name; may be repeated
    #[arg(long, required = true, value_name = "[NAME=]FILE")]
    pub input: Vec<String>,
    /// What the job may cost, AIC
    #[arg(long, value_name = "AIC")]
    pub payment: Amount,
    /// Gas limit [default: what a run here takes]
    #[arg(long, value_name = "N")]
    pub gas: Option<u64>,
    /// Slots until the result must be there
    #[arg(long, default_value_t = 300, value_name = "SLOTS")]
    pub deadline: u64,
    /// Seed of the run
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Least reputation of the worker
    #[arg(long, default_value_t = 0, value_name = "N", allow_negative_numbers = true)]
    pub min_reputation: i64,
    /// Accepted TEE; may be repeated [default: any of the network's]
    #[arg(long, value_name = "KIND")]
    pub tee: Vec<EvidenceKind>,
    /// Wait until the job has ended, and print its outputs
    #[arg(long)]
    pub wait: bool,
    /// With --wait: also write the outputs as JSON
    #[arg(long, requires = "wait", value_name = "FILE")]
    pub save: Option<PathBuf>,
}

/// `aether job get`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  aether job get JOB --wait --output")]
pub struct JobGetArgs {
    /// The job
    pub job: JobId,
    /// Also print the outputs
    #[arg(long)]
    pub output: bool,
    /// Wait until the job has ended
    #[arg(long)]
    pub wait: bool,
}

/// `aether job list`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  aether job list --status submitted --limit 5")]
pub struct JobListArgs {
    /// Only in this status
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(crate::rpc::views::JOB_STATUSES))]
    pub status: Option<String>,
    /// Only posted by this account
    #[arg(long, value_name = "ACCOUNT")]
    pub requester: Option<Account>,
    /// Only assigned to this worker
    #[arg(long, value_name = "ACCOUNT")]
    pub worker: Option<Account>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: usize,
}

/// `aether receipt …`
#[derive(Clone, Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Write the receipt of a settled job to a file
    #[command(after_help = "Example:\n  aether receipt export JOB r.receipt")]
    Export {
        /// The job
        job: JobId,
        /// The file; not overwritten
        file: PathBuf,
    },
    /// Verify a receipt offline, trusting only --network DIR
    #[command(after_help = "Example:\n  aether receipt verify r.receipt --network testnet/dev\n\nExit code 1 and a stable code say why a receipt is refused.")]
    Verify {
        /// The receipt
        file: PathBuf,
    },
}

/// `aether account …`
#[derive(Clone, Debug, Subcommand)]
pub enum AccountCommand {
    /// What an account has
    Balance {
        /// The account [default: the key's]
        account: Option<Account>,
    },
    /// Pay somebody
    #[command(after_help = "Example:\n  aether account transfer ACCOUNT 12.5 --key me.key")]
    Transfer {
        /// Receiver
        to: Account,
        /// AIC
        amount: Amount,
    },
    /// Bond stake for a role
    #[command(after_help = "Example:\n  aether account bond worker 1000 --key w.key")]
    Bond {
        /// For what
        role: BondRole,
        /// AIC, added to what is bonded
        amount: Amount,
    },
}

/// Roles that bond by a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BondRole {
    /// Runs jobs.
    Worker,
    /// Assigns jobs.
    Coordinator,
}

/// `aether key …`
#[derive(Clone, Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key file, readable by its owner only
    #[command(after_help = "Example:\n  aether key new me.key")]
    New {
        /// The file; never overwritten
        file: PathBuf,
        /// For a validator's votes (BLS) instead of an account (ed25519)
        #[arg(long)]
        vote: bool,
    },
    /// The public half of a key file
    Show {
        /// The file
        file: PathBuf,
        /// It is a validator's vote key
        #[arg(long)]
        vote: bool,
    },
}

/// `aether model …`
#[derive(Clone, Debug, Subcommand)]
pub enum ModelCommand {
    /// Registered models
    List {
        /// At most so many
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
    /// What an ONNX file takes and gives, and its id
    #[command(after_help = "Example:\n  aether model inspect m.onnx")]
    Inspect {
        /// The file
        file: PathBuf,
    },
}

/// `aether worker …`
#[derive(Clone, Debug, Subcommand)]
pub enum WorkerCommand {
    /// Bonded workers
    List {
        /// At most so many
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
    /// One worker
    Show {
        /// Its account, or the beginning of it [default: the key's]
        worker: Option<String>,
    },
}

/// `aether challenge …`
#[derive(Clone, Debug, Subcommand)]
pub enum ChallengeCommand {
    /// The newest challenges
    List {
        /// Only of this job
        #[arg(long)]
        job: Option<JobId>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
}

/// `aether genesis …`
#[derive(Clone, Debug, Subcommand)]
pub enum GenesisCommand {
    /// The genesis of --network DIR, or else of the node
    Show,
}
