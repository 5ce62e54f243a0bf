//! Every command and flag, with its help. Nothing here does anything.
//!
//! Precedence: flag, then environment (`AETHER_*`), then file (`node run`
//! only), then default.

mod attest;
mod job;
mod node;

pub use attest::{
    AttestCommand, AttestPlatform, AttestQuoteArgs, AttestVerifyArgs, PolicyArgs, PolicyTemplate,
};
pub use job::{JobCommand, JobGetArgs, JobListArgs, JobPostArgs};
pub use node::{BootnodeArgs, DemoArgs, DevArgs, NodeCommand, NodeRole, NodeRunArgs, TeeChoice};

use crate::rpc::RpcAddress;
use aether_mesh::{Account, Amount, JobId};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  aether demo                          everything on this machine, narrated
  aether job post --model m.onnx --input x.json --payment 2 --wait
  aether receipt export JOB r.receipt
  aether receipt verify r.receipt --network mynet/network
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
    /// TEE evidence: make it, judge it, look at it
    #[command(subcommand)]
    Attest(AttestCommand),
    /// Workers of the network
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// Which TEE evidence counts
    #[command(subcommand)]
    Tee(TeeCommand),
    /// Challenges of receipts
    #[command(subcommand)]
    Challenge(ChallengeCommand),
    /// The network's beginning
    #[command(subcommand)]
    Genesis(GenesisCommand),
    /// What this program is
    Version,
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
    #[command(
        after_help = "Example:\n  aether receipt verify r.receipt --network mynet/network\n\nExit code 1 and a stable code say why a receipt is refused."
    )]
    Verify {
        /// The receipt
        file: PathBuf,
    },
    /// Prove one step of a receipt's trace against its commitment
    #[command(
        after_help = "Example:\n  aether receipt open r.receipt --step 7 --network mynet/network --json\n\nElements 6 and 7 and one proof for both: whoever has the commitment can check\nthem without the rest of the trace. The receipt is verified first."
    )]
    Open {
        /// The receipt
        file: PathBuf,
        /// The step, from 1: opens the elements before and after it
        #[arg(long)]
        step: u32,
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
    /// What an ONNX file takes, gives, needs and costs; what is not supported
    #[command(after_help = "\
Examples:
  aether model inspect m.onnx
  aether model inspect ocr.onnx --shape x=1,3,48,192")]
    Inspect(ModelRunArgs),
    /// The id of an ONNX file
    #[command(after_help = "Example:\n  aether model hash m.onnx")]
    Hash {
        /// The file
        file: PathBuf,
    },
    /// Run an ONNX file here
    #[command(after_help = "\
Examples:
  aether model run m.onnx --input x.json
  aether model run m.onnx --input image=photo.npy --input mask.pb
  aether model run m.onnx --random 7 --shape x=1,3,48,192 --json")]
    Run(ModelRunArgs),
    /// A run's steps: gas, live bytes, witness bytes
    #[command(after_help = "Example:\n  aether model steps m.onnx --random 7")]
    Steps(ModelRunArgs),
}

/// `aether model inspect|run|steps`
#[derive(Clone, Debug, Args)]
pub struct ModelRunArgs {
    /// The ONNX file; weights beside it are read from its folder only
    pub file: PathBuf,
    /// Inputs: JSON, ONNX TensorProto, .npy, our own encoding, or raw elements
    #[arg(long, value_name = "[NAME=]FILE")]
    pub input: Vec<String>,
    /// Inputs drawn from this seed [default for inspect and steps: 0]
    #[arg(long, value_name = "SEED", conflicts_with = "input")]
    pub random: Option<u64>,
    /// The shape of an input whose dimensions are open
    #[arg(long, value_name = "NAME=1,3,48,192")]
    pub shape: Vec<String>,
    /// Stop after so much gas
    #[arg(long, value_name = "GAS", default_value_t = 1 << 40)]
    pub gas: u64,
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

/// `aether tee …`
#[derive(Clone, Debug, Subcommand)]
pub enum TeeCommand {
    /// Programs, firmware and statuses that count, and votes for others
    Show {
        /// Only the rules, as a file to change and to vote for
        #[arg(long)]
        toml: bool,
    },
    /// Vote, with a validator's key, for the rules in a file
    Vote {
        /// As `aether tee show --toml` prints it: all of the rules
        file: PathBuf,
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
