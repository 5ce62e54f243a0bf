//! The command line: `aether <command>`.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `args`, `config` | flags, environment, file; a node's settings |
//! | `console`, `page`, `exit` | answers, text for people, exit codes |
//! | `keyfile`, `files`, `tensors`, `npy`, `weights` | what people hand in |
//! | `send` | signing, handing in, waiting for the block |
//! | `job`, `job_post`, `job_wait`, `receipt`, `account`, `node`, `model`, `network`, `tee`, `key`, `attest` | the commands |
//!
//! Commands speak to a node through the RPC client only; they know no libp2p
//! and no database. What runs a node is plugged in as [`Hooks`].

mod account;
mod args;
mod attest;
mod config;
mod console;
mod context;
mod exit;
mod files;
mod job;
mod job_post;
mod job_wait;
mod key;
mod keyfile;
mod model;
mod network;
mod node;
mod npy;
mod page;
mod receipt;
mod send;
mod tee;
mod tensors;
#[cfg(test)]
mod tests;
mod weights;

pub use args::{
    AccountCommand, AttestCommand, AttestPlatform, AttestQuoteArgs, AttestVerifyArgs, BondRole,
    BootnodeArgs, ChallengeCommand, Cli, Command, DemoArgs, DevArgs, GenesisCommand, Global,
    JobCommand, JobGetArgs, JobListArgs, JobPostArgs, KeyCommand, ModelCommand, ModelRunArgs,
    NodeCommand, NodeRole, NodeRunArgs, PolicyArgs, PolicyTemplate, ReceiptCommand, TeeChoice,
    TeeCommand, WorkerCommand,
};
pub use config::NodeSettings;
pub use console::Console;
pub use context::Context;
pub use exit::{CliError, Exit};
pub use files::load_genesis;
pub use keyfile::{Seed, create as create_key, load as load_key};
pub use page::{Page, Tone};

use clap::Parser;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// How a command ends: done (with the exit code of a verdict), or not.
pub type CommandResult = Result<Exit, CliError>;

/// What runs nodes: the rest of this crate, handed in.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// `aether node run`
    pub node_run: fn(&mut Context, &NodeSettings) -> CommandResult,
    /// `aether bootnode`
    pub bootnode: fn(&mut Context, &BootnodeArgs) -> CommandResult,
    /// `aether dev`
    pub dev: fn(&mut Context, &DevArgs) -> CommandResult,
    /// `aether demo`
    pub demo: fn(&mut Context, &DemoArgs) -> CommandResult,
}

/// Runs a command line on this process's streams. The first argument is the
/// program's name.
pub fn run(args: impl IntoIterator<Item = OsString>, hooks: Hooks) -> ExitCode {
    let (out, err) = (anstream::stdout(), anstream::stderr());
    run_on(args, hooks, Box::new(out), Box::new(err)).into()
}

/// Runs a command line on given streams.
pub fn run_on(
    args: impl IntoIterator<Item = OsString>,
    hooks: Hooks,
    mut out: Box<dyn Write>,
    mut err: Box<dyn Write>,
) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let _ = write!(out, "{}", e.render().ansi());
            return Exit::Ok;
        }
        Err(e) => {
            let _ = write!(err, "{}", e.render().ansi());
            if args.iter().any(|a| a == "--json") {
                let message = e.render().to_string();
                let usage = CliError::usage(message.trim());
                Console::new(out, Box::new(std::io::sink()), true).failure(&usage);
            }
            return Exit::Usage;
        }
    };
    let console = Console::new(out, err, cli.global.json);
    let mut context = Context::new(cli.global, console);
    match dispatch(&mut context, cli.command, hooks) {
        Ok(exit) => exit,
        Err(e) => {
            context.console.failure(&e);
            e.exit
        }
    }
}

fn dispatch(context: &mut Context, command: Command, hooks: Hooks) -> CommandResult {
    match command {
        Command::Demo(args) => (hooks.demo)(context, &args),
        Command::Dev(args) => (hooks.dev)(context, &args),
        Command::Node(NodeCommand::Run(args)) => {
            let settings = NodeSettings::resolve(&context.global, &args)?;
            (hooks.node_run)(context, &settings)
        }
        Command::Node(NodeCommand::Status) => node::status(context),
        Command::Node(NodeCommand::Peers) => node::peers(context),
        Command::Bootnode(args) => (hooks.bootnode)(context, &args),
        Command::Job(command) => job::run(context, command),
        Command::Receipt(command) => receipt::run(context, command),
        Command::Account(command) => account::run(context, command),
        Command::Key(command) => key::run(context, command),
        Command::Model(command) => model::run(context, command),
        Command::Attest(command) => attest::run(context, command),
        Command::Worker(command) => network::worker(context, command),
        Command::Tee(command) => tee::run(context, command),
        Command::Challenge(command) => network::challenge(context, command),
        Command::Genesis(command) => network::genesis(context, command),
        Command::Version => node::version(context),
    }
}
