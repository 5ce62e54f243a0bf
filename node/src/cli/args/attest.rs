//! `aether attest …`

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What clap makes of it is wider than a terminal.
const VERIFY_USAGE: &str = "\
aether attest verify [OPTIONS] [--report-data <HEX>] <FILE>
       aether attest verify [OPTIONS] --chain <HEX> --worker <HEX> \\
           --session <HEX> --slot <N> --block <HEX> <FILE>";

/// `aether attest …`
#[derive(Clone, Debug, Subcommand)]
pub enum AttestCommand {
    /// Judge evidence: what it proves at an instant under a policy, or why not
    #[command(after_help = "\
Examples:
  aether attest verify report.bin --endorsements vek.der --any-binding
  aether attest verify q.evidence --policy p.toml --report-data HEX64
  aether attest verify doc.cbor --any-binding --at 2026-01-03T20:41:08.4Z

FILE is a vendor's raw bytes (an SNP report, a TDX quote, a Nitro document), the
same as hex, what `aether attest quote` wrote, or evidence out of a transaction.
Without --policy it is judged by --network's genesis, else by the defaults for
real hardware, under which nobody vouches for the program.
Exit code 1 and a stable code say why evidence is refused.")]
    Verify(Box<AttestVerifyArgs>),
    /// What evidence says, unjudged: every field, and its certificates
    #[command(after_help = "\
Examples:
  aether attest inspect report.bin
  aether attest inspect vek.der --json")]
    Inspect {
        /// Evidence as `verify` takes it, or a certificate in DER or PEM
        file: PathBuf,
    },
    /// Print a policy to start from, or say what a policy file allows
    #[command(after_help = "\
Examples:
  aether attest policy --template snp
  aether attest policy p.toml")]
    Policy(PolicyArgs),
    /// Ask this machine's TEE for evidence
    #[command(after_help = "\
Examples:
  aether attest quote --report-data HEX64 --out q.evidence
  aether attest quote --report-data HEX64 --out doc.cbor --raw

Real platforms answer inside the guest only, as root.")]
    Quote(AttestQuoteArgs),
}

/// `aether attest verify`
#[derive(Args, Clone, Debug)]
#[command(override_usage = VERIFY_USAGE)]
#[command(group = clap::ArgGroup::new("bound").args(["report_data", "any_binding", "chain"]))]
pub struct AttestVerifyArgs {
    /// The evidence
    pub file: PathBuf,
    /// The instant: RFC 3339 or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// What is accepted (see `aether attest policy`)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Certificates, revocation lists, Intel's collateral, or a folder of them
    #[arg(long, value_name = "PATH")]
    pub endorsements: Vec<PathBuf>,
    /// A measurement to accept besides the policy's
    #[arg(long, value_name = "HEX")]
    pub measurement: Vec<String>,
    /// What it must be bound to: its report_data or user_data
    #[arg(long, value_name = "HEX")]
    pub report_data: Option<String>,
    /// Say nothing of what it must be bound to, as if none of these were given: it
    /// may be somebody else's, or old
    #[arg(long)]
    pub any_binding: bool,
    /// What it must be bound to, in parts: the chain id
    #[arg(long, value_name = "HEX", requires_all = ["worker", "session", "slot", "block"])]
    pub chain: Option<String>,
    /// The worker's account
    #[arg(long, value_name = "HEX", requires = "chain")]
    pub worker: Option<String>,
    /// The session key
    #[arg(long, value_name = "HEX", requires = "chain")]
    pub session: Option<String>,
    /// The slot
    #[arg(long, value_name = "N", requires = "chain")]
    pub slot: Option<u64>,
    /// The block of that slot
    #[arg(long, value_name = "HEX", requires = "chain")]
    pub block: Option<String>,
}

/// `aether attest policy`
#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["template", "file"]))]
pub struct PolicyArgs {
    /// Print a commented policy for a platform
    #[arg(long, value_name = "PLATFORM")]
    pub template: Option<PolicyTemplate>,
    /// A policy to check and explain
    pub file: Option<PathBuf>,
}

/// Platforms that there is a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyTemplate {
    /// AMD SEV-SNP.
    Snp,
    /// Intel TDX.
    Tdx,
    /// AWS Nitro Enclaves.
    Nitro,
}

/// `aether attest quote`
#[derive(Args, Clone, Debug)]
pub struct AttestQuoteArgs {
    /// What to ask
    #[arg(long, value_name = "PLATFORM", default_value = "auto")]
    pub platform: AttestPlatform,
    /// The 64 bytes that the evidence commits to
    #[arg(long, value_name = "HEX")]
    pub report_data: String,
    /// The file to write; not overwritten
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Write the vendor's bytes alone, without what endorses them
    #[arg(long)]
    pub raw: bool,
    /// Get certificates and collateral from the vendor's service and add them
    #[arg(long, conflicts_with = "raw")]
    pub fetch: bool,
    /// A development network's platform, for `simulated`
    #[arg(long, value_name = "FILE")]
    pub tee_platform: Option<PathBuf>,
}

/// Ways of getting evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AttestPlatform {
    /// The first that is there, in the order below.
    Auto,
    /// SEV-SNP or TDX, by the kernel's configfs-tsm.
    Configfs,
    /// SEV-SNP, by /dev/sev-guest.
    SevGuest,
    /// AWS Nitro, by /dev/nsm.
    Nitro,
    /// A development network's stand-in, which protects nothing.
    Simulated,
}
