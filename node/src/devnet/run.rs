//! A cast of node processes, and the whole network of `aether dev`.

use super::process::{Process, ProcessError};
use super::setup::{DevFolder, Member, SetupError};
use crate::service::now_ms;
use aether_mesh::Params;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a process may take to become ready on a loaded machine.
const READY_PATIENCE: Duration = Duration::from_secs(60);

/// Who is in the network.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Validators.
    pub validators: usize,
    /// Coordinators.
    pub coordinators: usize,
    /// Workers.
    pub workers: usize,
    /// Challengers.
    pub challengers: usize,
    /// Accounts without a node.
    pub accounts: Vec<&'static str>,
    /// The network's rules.
    pub params: Params,
}

impl Cast {
    /// The names of all, in starting order.
    pub fn names(&self) -> Vec<String> {
        let many =
            |word: &str, n: usize| (1..=n).map(|i| format!("{word}-{i}")).collect::<Vec<_>>();
        let mut names = many("validator", self.validators);
        names.extend(many("coordinator", self.coordinators));
        names.extend(many("worker", self.workers));
        names.extend(many("challenger", self.challengers));
        names.extend(self.accounts.iter().map(|a| (*a).to_owned()));
        names
    }
}

/// Why the network does not run.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// Its folder.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// One of its processes.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Node processes of one network.
pub struct Devnet {
    /// Its folder.
    pub folder: DevFolder,
    bootnode: Process,
    nodes: BTreeMap<String, Process>,
    /// Model files the workers hold.
    pub models: Vec<PathBuf>,
    /// Fixed RPC addresses by name; others take a free port.
    pub rpc: BTreeMap<String, String>,
}

impl Devnet {
    /// Makes the folder and starts the bootnode.
    pub fn create(dir: &Path, cast: &Cast, models: Vec<PathBuf>) -> Result<Self, DevnetError> {
        let names = cast.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let folder = DevFolder::create(dir, &names, cast.params.clone(), now_ms())?;
        let bootnode = start_bootnode(&folder)?;
        Ok(Self {
            folder,
            bootnode,
            nodes: BTreeMap::new(),
            models,
            rpc: BTreeMap::new(),
        })
    }

    /// Starts (again) the node of a member; `before` goes before its other
    /// arguments, by default `node run`.
    pub fn start(&mut self, name: &str, before: &[OsString]) -> Result<(), DevnetError> {
        let Some(member) = self.folder.member(name).cloned() else {
            return Err(SetupError::Other(format!("there is no {name}")).into());
        };
        // A stale address must not be taken for the new process'.
        let _ = std::fs::remove_file(member.data().join(super::RPC_FILE));
        let args = self.args(&member, before);
        let process = Process::start(name, &member.log(), &args)?;
        self.nodes.insert(name.to_owned(), process);
        Ok(())
    }

    /// Waits until a node answers.
    pub fn ready(&mut self, name: &str) -> Result<String, DevnetError> {
        let Some(member) = self.folder.member(name).cloned() else {
            return Err(SetupError::Other(format!("there is no {name}")).into());
        };
        let Some(process) = self.nodes.get_mut(name) else {
            return Err(SetupError::Other(format!("{name} was not started")).into());
        };
        process.wait_for_rpc(&member, READY_PATIENCE)?;
        Ok(process.rpc.clone().unwrap_or_default())
    }

    fn args(&self, member: &Member, before: &[OsString]) -> Vec<OsString> {
        let role = member.name.split('-').next().unwrap_or("full");
        let mut args: Vec<OsString> = if before.is_empty() {
            vec!["node".into(), "run".into()]
        } else {
            before.to_vec()
        };
        let mut option = |name: &str, value: OsString| args.extend([name.into(), value]);
        option("--network", self.folder.network().into());
        option("--role", role.into());
        option("--data", member.data().into());
        option("--key", member.key().into());
        option("--listen", "/ip4/127.0.0.1/udp/0/quic-v1".into());
        let rpc = self
            .rpc
            .get(&member.name)
            .map_or("127.0.0.1:0", String::as_str);
        option("--rpc", rpc.into());
        if role == "validator" {
            option("--vote-key", member.vote_key().into());
        }
        if role == "worker" {
            option("--tee-platform", member.tee().into());
            for model in &self.models {
                option("--model", model.into());
            }
        }
        args
    }

    /// A running node.
    pub fn node(&mut self, name: &str) -> Option<&mut Process> {
        self.nodes.get_mut(name)
    }

    /// All running nodes, by name.
    pub fn nodes(&mut self) -> impl Iterator<Item = (&String, &mut Process)> {
        self.nodes.iter_mut()
    }

    /// The bootnode's process id.
    pub fn bootnode_pid(&self) -> u32 {
        self.bootnode.pid()
    }
}

fn start_bootnode(folder: &DevFolder) -> Result<Process, DevnetError> {
    let dir = folder.dir.join("nodes").join("bootnode");
    std::fs::create_dir_all(&dir).map_err(|error| SetupError::Io {
        path: dir.clone(),
        error,
    })?;
    let genesis = crate::network::Network::load(&folder.network())
        .map_err(|e| SetupError::Other(e.to_string()))?;
    let args: Vec<OsString> = vec![
        "bootnode".into(),
        "--key".into(),
        dir.join("key").into(),
        "--listen".into(),
        "/ip4/127.0.0.1/udp/0/quic-v1".into(),
        "--network-id".into(),
        genesis.rules.genesis.genesis8().into(),
        "--dev".into(),
    ];
    let mut process = Process::start("bootnode", &dir.join("log"), &args)?;
    let address = process.wait_for_line(READY_PATIENCE, |line| {
        line.split_whitespace()
            .find(|w| w.starts_with("/ip4/") && w.contains("/p2p/"))
            .map(str::to_owned)
    })?;
    folder.set_bootnode(&address)?;
    Ok(process)
}

/// Starts a whole network and says how to use it. The first coordinator's RPC
/// listens at `rpc`.
pub fn start_dev(dir: &Path, cast: &Cast, rpc: &str) -> Result<Devnet, DevnetError> {
    let model = dir.join("digits.onnx");
    let io = |error| SetupError::Io {
        path: model.clone(),
        error,
    };
    std::fs::create_dir_all(dir).map_err(io)?;
    std::fs::write(&model, crate::demo::DIGITS_MODEL).map_err(io)?;
    let digit = dir.join("digit.json");
    std::fs::write(&digit, crate::demo::first_digit_json())
        .map_err(|error| SetupError::Io { path: digit, error })?;
    let mut net = Devnet::create(dir, cast, vec![model.clone()])?;
    let main = if cast.coordinators > 0 {
        "coordinator-1"
    } else {
        "validator-1"
    };
    net.rpc.insert(
        main.to_owned(),
        rpc.trim_start_matches("http://").to_owned(),
    );
    let nodes: Vec<String> = cast
        .names()
        .into_iter()
        .filter(|n| n.contains('-'))
        .collect();
    for name in &nodes {
        net.start(name, &[])?;
    }
    for name in &nodes {
        let url = net.ready(name)?;
        println!("{name:16} {url}");
    }
    let requester = net
        .folder
        .member("requester")
        .map(Member::key)
        .unwrap_or_default();
    println!(
        "\nA network of {} nodes runs in {}; Ctrl-C ends it.",
        nodes.len(),
        dir.display()
    );
    println!("From another terminal:");
    println!(
        "  export AETHER_RPC={rpc} AETHER_KEY={}",
        requester.display()
    );
    println!("  export AETHER_NETWORK={}", net.folder.network().display());
    println!("  aether node status");
    println!("  aether account balance");
    println!(
        "  aether job post --model {} --input {} --payment 10 --wait",
        model.display(),
        dir.join("digit.json").display()
    );
    Ok(net)
}
