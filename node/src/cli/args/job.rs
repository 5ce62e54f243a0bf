//! `aether job`

use aether_mesh::{Account, Amount, JobId};
use aether_tee::EvidenceKind;
use clap::{Args, Subcommand};
use std::path::PathBuf;

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
#[command(
    after_help = JOB_POST_EXAMPLES,
    override_usage = "aether job post --model FILE|ID --input FILE --payment AIC [OPTIONS]"
)]
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
    #[arg(
        long,
        default_value_t = 0,
        value_name = "N",
        allow_negative_numbers = true
    )]
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
