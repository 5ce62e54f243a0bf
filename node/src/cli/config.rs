//! A node's settings out of flags, environment, file and defaults.
//!
//! They are put together once, checked once, and handed down. Unknown keys in
//! the file are refused, and so are roles without the keys they sign with.

use super::args::{Global, NodeRole, NodeRunArgs, TeeChoice};
use super::exit::CliError;
use crate::rpc::RpcAddress;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Most bytes of a config file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Where a node listens unless told otherwise.
const LISTEN: [&str; 2] = ["/ip4/0.0.0.0/udp/30770/quic-v1", "/ip4/0.0.0.0/tcp/30770"];

/// The file's keys are the flags' names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct ConfigFile {
    network: Option<PathBuf>,
    role: Vec<NodeRole>,
    data: Option<PathBuf>,
    listen: Vec<String>,
    bootnode: Vec<String>,
    rpc: Option<String>,
    key: Option<PathBuf>,
    vote_key: Option<PathBuf>,
    model: Vec<PathBuf>,
    tee: Option<TeeChoice>,
    tee_platform: Option<PathBuf>,
}

/// What a node is to do, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// Folder with `genesis.toml`.
    pub network: PathBuf,
    /// At least one; `full` alone means no other.
    pub roles: BTreeSet<NodeRole>,
    /// Where to keep data, if said; see [`NodeSettings::data_dir`].
    pub data: Option<PathBuf>,
    /// Multiaddresses to listen on.
    pub listen: Vec<String>,
    /// Multiaddresses to join by.
    pub bootnodes: Vec<String>,
    /// Where to serve the RPC.
    pub rpc: RpcAddress,
    /// Key file of the account that roles sign with.
    pub key: Option<PathBuf>,
    /// Key file of the votes.
    pub vote_key: Option<PathBuf>,
    /// Models to offer.
    pub models: Vec<PathBuf>,
    /// The TEE that this machine is.
    pub tee: Option<TeeChoice>,
    /// Simulated TEE platform.
    pub tee_platform: Option<PathBuf>,
}

impl NodeSettings {
    /// Puts all sources together.
    ///
    /// # Errors
    /// When the file is wrong, no network is named, or a role lacks its key.
    pub fn resolve(global: &Global, args: &NodeRunArgs) -> Result<Self, CliError> {
        let file = match &args.config {
            Some(path) => read(path)?,
            None => ConfigFile::default(),
        };
        let rpc = match (&global.rpc, &file.rpc) {
            (Some(rpc), _) => rpc.clone(),
            (None, Some(text)) => text
                .parse()
                .map_err(|e| CliError::config(format!("rpc = {text:?}: {e}")))?,
            (None, None) => RpcAddress::default(),
        };
        let network =
            global.network.clone().or(file.network).ok_or_else(|| {
                CliError::config("which network? name its folder with --network DIR")
            })?;
        let roles: BTreeSet<NodeRole> = first_of(&args.role, file.role).into_iter().collect();
        let settings = Self {
            network,
            roles: if roles.is_empty() {
                [NodeRole::Full].into()
            } else {
                roles
            },
            data: args.data.clone().or(file.data),
            listen: match first_of(&args.listen, file.listen) {
                none if none.is_empty() => LISTEN.map(str::to_owned).to_vec(),
                some => some,
            },
            bootnodes: first_of(&args.bootnode, file.bootnode),
            rpc,
            key: global.key.clone().or(file.key),
            vote_key: args.vote_key.clone().or(file.vote_key),
            models: first_of(&args.model, file.model),
            tee: args.tee.or(file.tee),
            tee_platform: args.tee_platform.clone().or(file.tee_platform),
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), CliError> {
        for role in &self.roles {
            if *role != NodeRole::Full && self.key.is_none() {
                return Err(CliError::config(format!(
                    "a {} signs: name its key file with --key (make one with `aether key new`)",
                    role.name()
                )));
            }
        }
        if self.roles.contains(&NodeRole::Validator) && self.vote_key.is_none() {
            return Err(CliError::config(
                "a validator votes: name its vote key file with --vote-key (make one with \
                 `aether key new --vote`)",
            ));
        }
        if self.tee.is_some() && self.tee_platform.is_some() {
            return Err(CliError::config(
                "either the machine's own TEE (tee) or a simulated one (tee-platform)",
            ));
        }
        Ok(())
    }

    /// Where to keep the data of a network of this name.
    ///
    /// # Errors
    /// When nothing was said and there is no home folder.
    pub fn data_dir(&self, network_name: &str) -> Result<PathBuf, CliError> {
        if let Some(data) = &self.data {
            return Ok(data.clone());
        }
        let var = |name| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let base = var("XDG_DATA_HOME")
            .or_else(|| var("HOME").map(|home| home.join(".local/share")))
            .ok_or_else(|| CliError::config("there is no home folder: name one with --data DIR"))?;
        // The name comes out of a file: one folder, whatever it holds.
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        };
        Ok(base
            .join("aether")
            .join(network_name.chars().map(safe).collect::<String>()))
    }
}

fn first_of<T: Clone>(flag: &[T], file: Vec<T>) -> Vec<T> {
    if flag.is_empty() { file } else { flag.to_vec() }
}

fn read(path: &Path) -> Result<ConfigFile, CliError> {
    let text = super::files::read_text(path, FILE_BYTES_MAX)?;
    let mut file: ConfigFile = toml::from_str(&text)
        .map_err(|e| CliError::config(format!("{}: {}", path.display(), e.to_string().trim())))?;
    // Paths are relative to the file, so that a folder can be moved.
    let base = path.parent().unwrap_or(Path::new(""));
    let paths = [
        &mut file.network,
        &mut file.data,
        &mut file.key,
        &mut file.vote_key,
        &mut file.tee_platform,
    ];
    for path in paths.into_iter().flatten().chain(&mut file.model) {
        *path = base.join(&*path);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    fn with_file(text: &str, global: &Global, args: NodeRunArgs) -> Result<NodeSettings, CliError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        std::fs::write(&path, text).unwrap();
        let args = NodeRunArgs {
            config: Some(path),
            ..args
        };
        NodeSettings::resolve(global, &args).map(|mut s| {
            for p in s.key.iter_mut().chain(&mut s.models) {
                *p = p
                    .strip_prefix(folder.path())
                    .map(Path::to_owned)
                    .unwrap_or(p.clone());
            }
            s
        })
    }

    const FILE: &str = r#"
        network = "net"
        role = ["worker", "challenger"]
        rpc = "127.0.0.1:9000"
        key = "w.key"
        model = ["a.onnx"]
    "#;

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let from_file = with_file(FILE, &Global::default(), NodeRunArgs::default()).unwrap();
        assert_eq!(from_file.rpc.to_string(), "http://127.0.0.1:9000");
        assert_eq!(
            from_file.roles,
            [NodeRole::Worker, NodeRole::Challenger].into()
        );
        assert_eq!(from_file.key, Some("w.key".into()));
        assert_eq!(from_file.models, [PathBuf::from("a.onnx")]);
        assert_eq!(from_file.listen, LISTEN);
        let global = Global {
            rpc: Some("127.0.0.1:9001".parse().unwrap()),
            key: Some("/else/x.key".into()),
            ..Global::default()
        };
        let args = NodeRunArgs {
            role: vec![NodeRole::Coordinator],
            ..NodeRunArgs::default()
        };
        let flags = with_file(FILE, &global, args).unwrap();
        assert_eq!(flags.rpc.to_string(), "http://127.0.0.1:9001");
        assert_eq!(flags.roles, [NodeRole::Coordinator].into());
        assert_eq!(flags.key, Some("/else/x.key".into()));
        assert_eq!(flags.models, [PathBuf::from("a.onnx")]);
    }

    #[test]
    fn contradictory_settings_do_not_start() {
        for (file, why) in [
            ("network = \"n\"\nports = 1", "unknown field `ports`"),
            ("network = \"n\"\nrole = [\"miner\"]", "miner"),
            ("network = \"n\"\nrpc = \"https://x:1\"", "plain http"),
            ("network = \"n\"\nrole = [\"worker\"]", "--key"),
            (
                "network = \"n\"\nrole = [\"validator\"]\nkey = \"k\"",
                "--vote-key",
            ),
            ("", "--network"),
        ] {
            let e = with_file(file, &Global::default(), NodeRunArgs::default()).unwrap_err();
            assert_eq!(e.exit, Exit::Config);
            assert!(e.message.contains(why), "{file}: {e}");
        }
    }

    #[test]
    fn a_networks_name_is_one_folder() {
        let settings = with_file(
            "network = \"n\"",
            &Global::default(),
            NodeRunArgs::default(),
        );
        let settings = settings.unwrap();
        let dir = settings.data_dir("../../etc").unwrap();
        assert!(dir.ends_with("aether/______etc"), "{}", dir.display());
        let said = NodeSettings {
            data: Some("/d".into()),
            ..settings
        };
        assert_eq!(said.data_dir("x").unwrap(), PathBuf::from("/d"));
    }
}
