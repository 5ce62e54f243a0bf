//! `aether attest`: TEE evidence made, judged and looked at.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `file`, `endorse` | evidence and endorsements, in whatever form people have them |
//! | `policy`, `template` | policies as TOML, and what one allows in words |
//! | `verify`, `advice` | the verdict, and what to do about a refusal |
//! | `inspect` | everything that evidence or a certificate says |
//! | `quote` | asking this machine's TEE |
//! | `time` | instants, as people write and read them |
//!
//! Judging needs no node and no network, and never fetches anything: the verdict is a function
//! of the files, the policy and the instant.

mod advice;
mod endorse;
mod file;
mod inspect;
mod policy;
mod quote;
mod template;
mod time;
mod verify;

use super::CommandResult;
use super::args::AttestCommand;
use super::context::Context;
use super::exit::CliError;

pub(super) fn run(context: &mut Context, command: AttestCommand) -> CommandResult {
    match command {
        AttestCommand::Verify(args) => verify::run(context, &args),
        AttestCommand::Inspect { file } => inspect::run(context, &file),
        AttestCommand::Policy(args) => policy::run(context, &args),
        AttestCommand::Quote(args) => quote::run(context, &args),
    }
}

/// Hex of exactly `N` bytes, or a usage error that names the flag.
fn fixed<const N: usize>(flag: &str, text: &str) -> Result<[u8; N], CliError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| {
        CliError::usage(format!(
            "{flag} takes {} hex digits ({N} bytes), not {:?} ({} characters)",
            2 * N,
            text.chars().take(16).collect::<String>(),
            text.chars().count(),
        ))
    })?;
    Ok(bytes)
}
