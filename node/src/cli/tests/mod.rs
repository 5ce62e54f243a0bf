//! Whole commands, against a node in memory.

mod attest;
mod commands;
mod jobs;
mod models;
mod parsing;
mod tee;

use super::{BootnodeArgs, CommandResult, Context, DemoArgs, DevArgs, Exit, Hooks, NodeSettings};
use crate::rpc::tests::TestServer;
use serde_json::Value;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What a command did.
pub(super) struct Ran {
    pub(super) exit: Exit,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ran {
    /// Its answer; there must be exactly one document.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e} in {:?}", self.out))
    }

    pub(super) fn ok(self) -> Self {
        assert_eq!(self.exit, Exit::Ok, "{}{}", self.out, self.err);
        self
    }

    pub(super) fn failed(self, exit: Exit, why: &str) -> Self {
        assert_eq!(self.exit, exit, "{}{}", self.out, self.err);
        assert!(self.err.contains(why), "{why:?} is not in {:?}", self.err);
        self
    }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap().clone();
        anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string()
    }
}

fn node_run(context: &mut Context, settings: &NodeSettings) -> CommandResult {
    context.console.answer(
        &serde_json::json!({ "rpc": settings.rpc.to_string() }),
        |page| {
            page.field("rpc", &settings.rpc);
        },
    );
    Ok(Exit::Ok)
}

fn bootnode(_: &mut Context, _: &BootnodeArgs) -> CommandResult {
    Ok(Exit::Ok)
}

fn dev(_: &mut Context, _: &DevArgs) -> CommandResult {
    Ok(Exit::Ok)
}

fn demo(_: &mut Context, args: &DemoArgs) -> CommandResult {
    Ok(if args.seed == 13 {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

pub(super) const HOOKS: Hooks = Hooks {
    node_run,
    bootnode,
    dev,
    demo,
};

/// Runs `aether` with these arguments.
pub(super) fn aether(args: &[&str]) -> Ran {
    let (out, err) = (Buffer::default(), Buffer::default());
    let args = std::iter::once("aether")
        .chain(args.iter().copied())
        .map(OsString::from);
    let exit = super::run_on(args, HOOKS, Box::new(out.clone()), Box::new(err.clone()));
    Ran {
        exit,
        out: out.text(),
        err: err.text(),
    }
}

/// A node, and a folder with the keys of its accounts.
pub(super) struct Desk {
    pub(super) server: TestServer,
    folder: tempfile::TempDir,
    rpc: String,
}

impl Desk {
    pub(super) fn new() -> Self {
        let server = TestServer::start();
        let rpc = server.address.to_string();
        Self {
            server,
            folder: tempfile::tempdir().unwrap(),
            rpc,
        }
    }

    /// A file in the folder.
    pub(super) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The key file of account `n`.
    pub(super) fn key(&self, n: u8) -> PathBuf {
        let path = self.file(&format!("{n}.key"), hex::encode([n; 32]).as_bytes());
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        path
    }

    /// A folder with this network's genesis.
    pub(super) fn network(&self) -> PathBuf {
        let dir = self.path("network");
        std::fs::create_dir_all(&dir).unwrap();
        let text = toml::to_string(&self.server.node.rules.genesis).unwrap();
        std::fs::write(dir.join("genesis.toml"), text).unwrap();
        dir
    }

    /// Runs a command against this node, signing as account 2.
    pub(super) fn run(&self, args: &[&str]) -> Ran {
        let key = self.key(2);
        let mut all = args.to_vec();
        all.extend(["--rpc", &self.rpc, "--key", text(&key)]);
        aether(&all)
    }
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
