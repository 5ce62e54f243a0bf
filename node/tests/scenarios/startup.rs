//! What an operator does wrong, and what the program says.

use std::path::Path;
use std::process::{Command, Output};

fn aether(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aether"))
        .args(args)
        .env_clear()
        .env("HOME", "/nonexistent")
        .output()
        .unwrap()
}

struct Net {
    dir: tempfile::TempDir,
}

impl Net {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let names = ["validator-1", "worker-1", "follower"];
        let params = super::cluster::params();
        let now = aether::service::now_ms();
        aether::devnet::DevFolder::create(dir.path(), &names, params, now).unwrap();
        Self { dir }
    }

    fn path(&self, rest: &str) -> String {
        self.dir.path().join(rest).display().to_string()
    }

    fn run(&self, extra: &[&str]) -> Output {
        let network = self.path("network");
        let data = self.path("data");
        let mut args = vec![
            "node",
            "run",
            "--network",
            &network,
            "--data",
            &data,
            "--rpc",
            "127.0.0.1:0",
            "--listen",
            "/ip4/127.0.0.1/udp/0/quic-v1",
        ];
        args.extend(extra);
        aether(&args)
    }
}

fn refused(output: &Output, code: i32, says: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(says), "{stderr:?} does not say {says:?}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_missing_or_broken_network_is_a_clear_error() {
    let net = Net::new();
    refused(
        &aether(&["node", "run", "--network", "/nonexistent"]),
        4,
        "genesis.toml",
    );
    let path = net.dir.path().join("network/genesis.toml");
    let genesis = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("surprise = 1\n{genesis}")).unwrap();
    refused(&net.run(&[]), 4, "surprise");
}

#[test]
fn an_unknown_key_in_the_config_file_is_refused() {
    let net = Net::new();
    let config = net.dir.path().join("node.toml");
    std::fs::write(&config, "netwrok = \"x\"\n").unwrap();
    refused(
        &net.run(&["--config", &net.path("node.toml")]),
        4,
        "netwrok",
    );
}

#[test]
fn an_exposed_or_unreadable_key_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let net = Net::new();
    let key = net.path("nodes/validator-1/key");
    let vote = net.path("nodes/validator-1/vote-key");
    let args = [
        "--role",
        "validator",
        "--key",
        key.as_str(),
        "--vote-key",
        vote.as_str(),
    ];
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&net.run(&args), 4, "chmod 600");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, "rubbish").unwrap();
    refused(&net.run(&args), 4, "key");
    std::fs::remove_file(&key).unwrap();
    refused(&net.run(&args), 4, "key");
}

#[test]
fn a_key_that_is_no_validators_may_not_vote() {
    let net = Net::new();
    let key = net.path("nodes/worker-1/key");
    let vote = net.path("nodes/validator-1/vote-key");
    let args = [
        "--role",
        "validator",
        "--key",
        key.as_str(),
        "--vote-key",
        vote.as_str(),
    ];
    refused(&net.run(&args), 4, "no validator");
}

#[test]
fn a_busy_port_is_named() {
    let net = Net::new();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let rpc = tcp.local_addr().unwrap().to_string();
    let network = net.path("network");
    let data = net.path("data");
    let output = aether(&[
        "node",
        "run",
        "--network",
        &network,
        "--data",
        &data,
        "--rpc",
        &rpc,
        "--listen",
        "/ip4/127.0.0.1/udp/0/quic-v1",
    ]);
    refused(&output, 4, rpc.split(':').next_back().unwrap());

    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = udp.local_addr().unwrap().port();
    let listen = format!("/ip4/127.0.0.1/udp/{port}/quic-v1");
    let output = aether(&[
        "node",
        "run",
        "--network",
        &network,
        "--data",
        &data,
        "--rpc",
        "127.0.0.1:0",
        "--listen",
        &listen,
    ]);
    refused(&output, 4, &port.to_string());
}

#[test]
fn a_second_process_on_the_same_data_directory_is_refused() {
    let net = Net::new();
    let _held = aether_storage::DataDir::open(Path::new(&net.path("data"))).unwrap();
    refused(&net.run(&[]), 4, "in use by process");
}

#[test]
fn the_cheat_refuses_any_network_that_is_not_of_kind_dev() {
    let net = Net::new();
    let path = net.dir.path().join("network/genesis.toml");
    let genesis = std::fs::read_to_string(&path).unwrap();
    // A test network may not trust a simulated TEE, so that goes too.
    let mut table: toml::Table = genesis.parse().unwrap();
    table.insert("kind".into(), "test".into());
    table.remove("tee");
    std::fs::write(&path, toml::to_string(&table).unwrap()).unwrap();
    let (network, data) = (net.path("network"), net.path("data"));
    let output = aether(&[
        "demo-cheat",
        "--seed",
        "1",
        "--confession",
        "/dev/null",
        "--network",
        &network,
        "--data",
        &data,
        "--rpc",
        "127.0.0.1:0",
    ]);
    refused(&output, 4, "not of kind dev");
}
