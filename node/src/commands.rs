//! The commands that run nodes, plugged into the command line.

use crate::cli::{
    BootnodeArgs, CliError, CommandResult, Context, DemoArgs, DevArgs, Exit, Hooks, NodeRole,
    NodeSettings, TeeChoice, load_key,
};
use crate::devnet::{Cast, Devnet};
use crate::network::Network;
#[cfg(all(feature = "attester", target_os = "linux"))]
use crate::roles::HardwareTee;
use crate::roles::{Attester, HonestRunner, Runner, SimulatedTee};
use crate::service::{Node, NodeConfig, NodeError, RoleKind};
use aether_kzg::bls;
use aether_mesh::{Amount, NetworkKind, Params};
#[cfg(all(feature = "attester", target_os = "linux"))]
use aether_tee::EvidenceKind;
use ed25519_dalek::SigningKey;
use metrics_exporter_prometheus::PrometheusBuilder;
use std::path::Path;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

/// What the command line is given.
pub const HOOKS: Hooks = Hooks {
    node_run,
    bootnode,
    dev,
    demo,
};

/// Most bytes of a model file read at start.
const MODEL_BYTES_MAX: u64 = 1 << 30;

fn node_run(_: &mut Context, settings: &NodeSettings) -> CommandResult {
    run_node(settings, Arc::new(HonestRunner), |_| Ok(()))
}

/// Runs a node until a signal, or until it has to stop. `allow` may refuse the
/// network it is to run in.
pub fn run_node(
    settings: &NodeSettings,
    runner: Arc<dyn Runner>,
    allow: impl FnOnce(&Network) -> Result<(), CliError>,
) -> CommandResult {
    start_log();
    let network = Network::load(&settings.network).map_err(CliError::config_of)?;
    allow(&network)?;
    let config = node_config(settings, network, runner)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::config_of)?;
    let result = runtime.block_on(async {
        let node = Node::start(config).await.map_err(|e| match e {
            NodeError::Consensus(_) => CliError::failed("consensus", e.to_string()),
            other => CliError::config_of(other),
        })?;
        tokio::select! {
            () = stop_signal() => {
                tracing::info!("stopping");
                node.shutdown().await;
                Ok(Exit::Ok)
            }
            why = node.failed() => {
                node.shutdown().await;
                Err(CliError::failed("consensus", why))
            }
        }
    });
    // What still runs (a long inference, say) must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

fn node_config(
    settings: &NodeSettings,
    network: Network,
    runner: Arc<dyn Runner>,
) -> Result<NodeConfig, CliError> {
    let key = match &settings.key {
        Some(path) => SigningKey::from_bytes(&*load_key(path)?),
        // A follower needs an identity, and no account.
        None => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(CliError::config_of)?;
            SigningKey::from_bytes(&seed)
        }
    };
    let vote_key = match &settings.vote_key {
        Some(path) => {
            let seed = load_key(path)?;
            Some(bls::SecretKey::from_key_material(&*seed).map_err(CliError::config_of)?)
        }
        None => None,
    };
    let data = settings.data_dir(&network.rules.genesis.name)?;
    let multiaddrs = |list: &[String]| {
        list.iter()
            .map(|text| {
                text.parse()
                    .map_err(|e| CliError::config(format!("{text:?} is no multiaddr: {e}")))
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let (listen, bootnodes) = (
        multiaddrs(&settings.listen)?,
        multiaddrs(&settings.bootnodes)?,
    );
    let mut models = Vec::new();
    for path in &settings.models {
        models.push(read_model(path)?);
    }
    let attester: Option<Arc<dyn Attester>> = match &settings.tee_platform {
        Some(path) => {
            if network.rules.genesis.kind != NetworkKind::Dev {
                return Err(CliError::config(
                    "a simulated TEE works on dev networks only",
                ));
            }
            let pem = std::fs::read_to_string(path).map_err(|e| CliError::file(path, &e))?;
            Some(Arc::new(
                SimulatedTee::from_pem(&pem).map_err(CliError::config_of)?,
            ))
        }
        None => settings
            .tee
            .map(|choice| own_tee(choice, &data))
            .transpose()?,
    };
    let recorder = PrometheusBuilder::new().install_recorder().ok();
    let rpc = settings.rpc.socket_addr().map_err(CliError::config_of)?;
    Ok(NodeConfig {
        roles: settings.roles.iter().map(|r| role_kind(*r)).collect(),
        vote_key,
        listen,
        bootnodes,
        rpc,
        models,
        stake: Amount::ZERO,
        attester,
        runner,
        metrics: recorder.map(|handle| {
            let text: crate::rpc::MetricsText = Arc::new(move || handle.render());
            text
        }),
        ..NodeConfig::new(network, data, key)
    })
}

fn role_kind(role: NodeRole) -> RoleKind {
    match role {
        NodeRole::Validator => RoleKind::Validator,
        NodeRole::Coordinator => RoleKind::Coordinator,
        NodeRole::Worker => RoleKind::Worker,
        NodeRole::Challenger => RoleKind::Challenger,
        NodeRole::Full => RoleKind::Full,
    }
}

/// The TEE that this machine is.
#[cfg(all(feature = "attester", target_os = "linux"))]
fn own_tee(choice: TeeChoice, data: &Path) -> Result<Arc<dyn Attester>, CliError> {
    let expected = match choice {
        TeeChoice::Auto => None,
        TeeChoice::SevSnp => Some(EvidenceKind::SevSnp),
        TeeChoice::Tdx => Some(EvidenceKind::Tdx),
        TeeChoice::Nitro => Some(EvidenceKind::Nitro),
    };
    let tee = HardwareTee::detect(expected, data.join("endorsements"));
    Ok(Arc::new(tee.map_err(CliError::config_of)?))
}

/// This program was built without the devices.
#[cfg(not(all(feature = "attester", target_os = "linux")))]
fn own_tee(_: TeeChoice, _: &Path) -> Result<Arc<dyn Attester>, CliError> {
    Err(CliError::config(
        "this program was built without the feature `attester` (Linux only)",
    ))
}

fn read_model(path: &Path) -> Result<Vec<u8>, CliError> {
    let meta = std::fs::metadata(path).map_err(|e| CliError::file(path, &e))?;
    if meta.len() > MODEL_BYTES_MAX {
        return Err(CliError::config(format!(
            "{}: a model of over 1 GiB",
            path.display()
        )));
    }
    std::fs::read(path).map_err(|e| CliError::file(path, &e))
}

fn start_log() {
    let filter = EnvFilter::try_from_env("AETHER_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,aether=info"));
    // Only the first of a process counts; tests start several nodes.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .try_init();
}

/// Completes on SIGINT or SIGTERM.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}

fn bootnode(cx: &mut Context, args: &BootnodeArgs) -> CommandResult {
    let key = cx
        .global
        .key
        .clone()
        .ok_or_else(|| CliError::config("a bootnode has an identity: --key FILE"))?;
    let network = match &cx.global.network {
        Some(dir) => Some(Network::load(dir).map_err(CliError::config_of)?),
        None => None,
    };
    let network_id = args
        .network_id
        .clone()
        .or_else(|| network.as_ref().map(|n| n.rules.genesis.genesis8()))
        .ok_or_else(|| CliError::config("which network? --network DIR or --network-id HEX8"))?;
    let dev = network.is_some_and(|n| n.rules.genesis.kind == NetworkKind::Dev);
    let listen = args
        .listen
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|e| CliError::config(format!("{text:?} is no multiaddr: {e}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let args = aether_bootnode::cli::Args {
        key,
        listen,
        network_id,
        dev: args.dev || dev,
        max_connections: args.max_connections,
        json: cx.global.json,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::config_of)?;
    match runtime.block_on(aether_bootnode::cli::execute(args)) {
        std::process::ExitCode::SUCCESS => Ok(Exit::Ok),
        _ => Ok(Exit::Config),
    }
}

fn demo(_: &mut Context, args: &DemoArgs) -> CommandResult {
    let args = crate::demo::DemoArgs {
        seed: args.seed,
        summary: args.summary.clone(),
        dir: args.dir.clone(),
        keep: args.keep,
    };
    match crate::demo::run(&args) {
        Ok(_) => Ok(Exit::Ok),
        Err(error) => Err(CliError::failed(
            "demo",
            format!("the demo failed: {error}"),
        )),
    }
}

fn dev(cx: &mut Context, args: &DevArgs) -> CommandResult {
    let cast = Cast {
        validators: args.validators as usize,
        coordinators: args.coordinators as usize,
        workers: args.workers as usize,
        challengers: args.challengers as usize,
        accounts: vec!["requester"],
        params: Params::default(),
    };
    let dir = args
        .dir
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("aether-dev-{}", std::process::id())));
    let keep = args.dir.is_some();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::config_of)?;
    let mut net = crate::devnet::start_dev(&dir, &cast, &cx.rpc().to_string())
        .map_err(CliError::config_of)?;
    runtime.block_on(async {
        tokio::select! {
            () = stop_signal() => {}
            why = watch(&mut net) => println!("{why}"),
        }
    });
    println!("stopping");
    drop(net);
    if !keep {
        // Leftovers in a temporary folder harm nobody.
        let _ = std::fs::remove_dir_all(&dir);
    }
    Ok(Exit::Ok)
}

/// Until a process of the network dies.
async fn watch(net: &mut Devnet) -> String {
    loop {
        for (name, process) in net.nodes() {
            if !process.is_running() {
                return format!("{name} died; its log ends:\n{}", process.tail());
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

impl CliError {
    /// Any error that the operator mends in files, keys, ports or folders.
    pub fn config_of(error: impl ToString) -> Self {
        Self::config(error.to_string())
    }
}
