//! The stage: the network, who plays on it, and what every chapter needs.

use super::digits::{self, Digit};
use super::narrator::Narrator;
use super::requester::Requester;
use super::summary::*;
use crate::devnet::{Cast, Devnet};
use crate::network::Network;
use crate::rpc::views::JobView;
use crate::rpc::{Client, ClientError};
use aether_inference::Program;
use aether_mesh::{Account, Genesis, JobId, ModelId, Rules, Slot, runs};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Arguments of `aether demo`.
#[derive(Clone, Debug, Default)]
pub struct DemoArgs {
    /// Chooses the lie and the digits.
    pub seed: u64,
    /// Where to write the summary.
    pub summary: Option<PathBuf>,
    /// Where to work; a temporary folder if none.
    pub dir: Option<PathBuf>,
    /// Whether to leave the folder behind.
    pub keep: bool,
}

/// Why the demo failed: what should have come true and did not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DemoError(pub String);

impl From<ClientError> for DemoError {
    fn from(e: ClientError) -> Self {
        DemoError(e.to_string())
    }
}

impl From<String> for DemoError {
    fn from(why: String) -> Self {
        DemoError(why)
    }
}

pub(super) type Done<T> = Result<T, DemoError>;

pub(super) fn text(e: impl ToString) -> DemoError {
    DemoError(e.to_string())
}

pub(super) const CHEAT: &str = "worker-3";

/// An open window must be at least this long for another transaction to get in.
pub(super) const SLOTS_TO_SPARE: u64 = 4;
pub(super) const POLL: Duration = Duration::from_millis(40);

/// How long any single thing may take on a loaded machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(150);

pub(super) struct Posted {
    pub(super) id: JobId,
    pub(super) digit: Digit,
    pub(super) at: Instant,
    pub(super) result_seconds: Option<f64>,
}

pub(super) struct Stage {
    pub(super) tell: Narrator,
    pub(super) net: Devnet,
    pub(super) rules: Arc<Rules>,
    pub(super) program: Arc<Program>,
    pub(super) model: ModelId,
    pub(super) urls: BTreeMap<String, Client>,
    pub(super) requester: Requester,
    pub(super) sceptic: Requester,
    pub(super) cheat: Account,
    pub(super) names: BTreeMap<Account, String>,
    pub(super) confession: PathBuf,
    /// The first registrations' last slot.
    pub(super) registered_until: Slot,
    pub(super) summary: Summary,
}

pub(super) fn open(args: &DemoArgs, dir: &std::path::Path) -> Done<Stage> {
    let mut tell = Narrator::new();
    tell.chapter("A network on this machine");
    let cast = Cast {
        validators: 4,
        coordinators: 1,
        workers: 3,
        challengers: 1,
        accounts: vec!["requester", "sceptic"],
        params: super::evidence::params(),
    };
    std::fs::create_dir_all(dir).map_err(text)?;
    let model_file = dir.join("digits.onnx");
    std::fs::write(&model_file, digits::MODEL).map_err(text)?;
    let net = Devnet::create(dir, &cast, vec![model_file]).map_err(text)?;
    let network = Network::load(&net.folder.network()).map_err(text)?;
    let rules = network.rules;
    let program = Arc::new(Program::from_onnx(digits::MODEL, &rules.model_limits()).map_err(text)?);
    let genesis: &Genesis = &rules.genesis;
    tell.say(format!(
        "genesis made: network {}, {} validators, slots of {} ms",
        genesis.genesis8(),
        genesis.validators.len(),
        genesis.params.slot_ms
    ));
    let member = |name: &str| {
        net.folder
            .member(name)
            .ok_or_else(|| text(format!("no {name}")))
    };
    let key = |name: &str| -> Done<SigningKey> {
        let seed = crate::cli::load_key(&member(name)?.key()).map_err(text)?;
        Ok(SigningKey::from_bytes(&seed))
    };
    let (requester, sceptic) = (key("requester")?, key("sceptic")?);
    let cheat = member(CHEAT)?.account;
    let names = net
        .folder
        .members
        .iter()
        .map(|m| (m.account, m.name.clone()))
        .collect();
    let nowhere = client("http://127.0.0.1:1")?;
    let chain = rules.chain_id;
    let confession = dir.join("confession.jsonl");
    let summary = Summary {
        seed: args.seed,
        chain_id: chain.to_string(),
        model: runs::model_id(&program).to_string(),
        ..Summary::default()
    };
    Ok(Stage {
        tell,
        model: runs::model_id(&program),
        requester: Requester::new(requester, chain, nowhere.clone()),
        sceptic: Requester::new(sceptic, chain, nowhere),
        net,
        rules,
        program,
        urls: BTreeMap::new(),
        cheat,
        names,
        confession,
        registered_until: Slot(0),
        summary,
    })
}

pub(super) fn client(url: &str) -> Done<Client> {
    Ok(Client::new(&url.parse().map_err(text)?))
}

pub(super) fn coordinator_client(stage: &Stage) -> Done<Client> {
    stage
        .urls
        .get("coordinator-1")
        .cloned()
        .ok_or_else(|| text("no coordinator"))
}

pub(super) fn status(stage: &Stage, name: &str) -> Done<crate::rpc::views::NodeStatus> {
    let client = stage
        .urls
        .get(name)
        .ok_or_else(|| text(format!("{name} does not run")))?;
    Ok(client.status()?)
}

/// Looks until something is there, or patience ends, or a process dies.
pub(super) fn await_that<T>(
    stage: &mut Stage,
    what: &str,
    look: impl FnMut(&mut Stage) -> Done<Option<T>>,
) -> Done<T> {
    await_within(stage, what, PATIENCE, look)
}

pub(super) fn await_within<T>(
    stage: &mut Stage,
    what: &str,
    patience: Duration,
    mut look: impl FnMut(&mut Stage) -> Done<Option<T>>,
) -> Done<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look(stage)? {
            return Ok(found);
        }
        for (name, process) in stage.net.nodes() {
            if stage.urls.contains_key(name) && !process.is_running() {
                return Err(DemoError(format!(
                    "{name} died; its log ends:\n{}",
                    process.tail()
                )));
            }
        }
        if started.elapsed() > patience {
            return Err(DemoError(format!(
                "waited {} s in vain for {what}",
                patience.as_secs()
            )));
        }
        stage.tell.wait(what);
        sleep(POLL);
    }
}

pub(super) fn job(stage: &Stage, id: &JobId) -> Done<JobView> {
    Ok(coordinator_client(stage)?.job(id)?.value)
}

pub(super) fn is_cheats(stage: &Stage, job: &JobView) -> bool {
    job.assignment
        .as_ref()
        .is_some_and(|a| a.worker == stage.cheat)
}
