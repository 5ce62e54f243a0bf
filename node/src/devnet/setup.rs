//! The folder of a development network.
//!
//! ```text
//! DIR/network/genesis.toml, bootnodes        what every node is given
//! DIR/nodes/NAME/key, vote-key, tee.pem      one node's secrets
//! DIR/nodes/NAME/data/, log                  what it makes
//! ```
//!
//! Keys are fresh random ones. The genesis is of kind
//! dev and trusts one simulated TEE root, made for it and thrown away: only
//! the platforms issued here can attest.

use crate::cli::create_key;
use crate::network::{BOOTNODES_FILE, GENESIS_FILE};
use crate::roles::simulated_measurement;
use aether_kzg::bls;
use aether_mesh::{
    Account, Amount, Genesis, GenesisAccount, GenesisTee, GenesisValidator, NetworkKind, Params,
};
use aether_tee::UnixTime;
use aether_tee::sim::{SimRoot, Validity};
use ed25519_dalek::SigningKey;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Why a folder could not be made. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The disk.
    #[error("{path}: {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A key file.
    #[error("{0}")]
    Key(String),
    /// There is a network already.
    #[error("{0} holds a network already; give another folder, or remove it")]
    Exists(PathBuf),
    /// No randomness, or a bug in the genesis.
    #[error("{0}")]
    Other(String),
}

/// One node of the network.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name and folder.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Its account.
    pub account: Account,
}

impl Member {
    /// The key file.
    pub fn key(&self) -> PathBuf {
        self.dir.join("key")
    }

    /// The vote key file of a validator.
    pub fn vote_key(&self) -> PathBuf {
        self.dir.join("vote-key")
    }

    /// The TEE platform of a worker.
    pub fn tee(&self) -> PathBuf {
        self.dir.join("tee.pem")
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
}

/// A network's folder.
#[derive(Clone, Debug)]
pub struct DevFolder {
    /// The folder.
    pub dir: PathBuf,
    /// Everybody in it, in the order given.
    pub members: Vec<Member>,
}

/// Free balance of every account but the validators'.
const BALANCE: Amount = Amount::aic(10_000);
/// Stake of each validator.
const VALIDATOR_STAKE: Amount = Amount::aic(10_000);

impl DevFolder {
    /// Makes keys, TEE platforms and a genesis for `names`: those that begin
    /// with `validator` vote, those that begin with `worker` get a platform,
    /// all get a balance.
    pub fn create(
        dir: &Path,
        names: &[&str],
        params: Params,
        now_ms: u64,
    ) -> Result<Self, SetupError> {
        let network = dir.join("network");
        if network.join(GENESIS_FILE).exists() {
            return Err(SetupError::Exists(dir.to_owned()));
        }
        private_dir(&network)?;
        let day = 86_400;
        let now_s = now_ms / 1_000;
        let validity = Validity {
            not_before: UnixTime(now_s - day),
            not_after: UnixTime(now_s + 365 * day),
        };
        let root = SimRoot::from_seed(&random()?, validity)
            .map_err(|e| SetupError::Other(e.to_string()))?;
        let mut members = Vec::new();
        let mut validators = Vec::new();
        let mut accounts = Vec::new();
        for name in names {
            let member_dir = dir.join("nodes").join(name);
            private_dir(&member_dir)?;
            let key = |e: crate::cli::CliError| SetupError::Key(e.to_string());
            let path = member_dir.join("key");
            let seed = create_key(&path).map_err(key)?;
            let account = Account(SigningKey::from_bytes(&seed).verifying_key().to_bytes());
            let member = Member {
                name: (*name).to_owned(),
                dir: member_dir,
                account,
            };
            accounts.push(GenesisAccount {
                account,
                balance: BALANCE,
            });
            if name.starts_with("validator") {
                let vote_seed = create_key(&member.vote_key()).map_err(key)?;
                let vote = bls::SecretKey::from_key_material(&*vote_seed)
                    .map_err(|e| SetupError::Other(e.to_string()))?;
                validators.push(GenesisValidator {
                    account,
                    vote_key: hex::encode(vote.public_key().to_bytes()),
                    proof_of_possession: hex::encode(vote.prove_possession().to_bytes()),
                    stake: VALIDATOR_STAKE,
                });
            }
            if name.starts_with("worker") {
                let platform = root
                    .issue(&random()?, name, validity)
                    .map_err(|e| SetupError::Other(e.to_string()))?;
                let pem = platform
                    .to_pem()
                    .map_err(|e| SetupError::Other(e.to_string()))?;
                write_private(&member.tee(), pem.as_bytes())?;
            }
            members.push(member);
        }
        let genesis = Genesis {
            name: "dev".to_owned(),
            kind: NetworkKind::Dev,
            time_ms: now_ms,
            params,
            tee: GenesisTee {
                simulated_roots: vec![root.fingerprint().to_string()],
                measurements: vec![simulated_measurement().to_string()],
                ..GenesisTee::default()
            },
            validators,
            accounts,
        };
        genesis
            .check()
            .map_err(|e| SetupError::Other(e.to_string()))?;
        let text =
            toml::to_string_pretty(&genesis).map_err(|e| SetupError::Other(e.to_string()))?;
        let path = network.join(GENESIS_FILE);
        fs::write(&path, text).map_err(|error| SetupError::Io { path, error })?;
        Ok(Self {
            dir: dir.to_owned(),
            members,
        })
    }

    /// The folder that nodes are given.
    pub fn network(&self) -> PathBuf {
        self.dir.join("network")
    }

    /// Says where to begin.
    pub fn set_bootnode(&self, address: &str) -> Result<(), SetupError> {
        let path = self.network().join(BOOTNODES_FILE);
        fs::write(&path, format!("{address}\n")).map_err(|error| SetupError::Io { path, error })
    }

    /// A member by name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.name == name)
    }
}

fn random() -> Result<[u8; 32], SetupError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|_| SetupError::Other("no randomness from the system".to_owned()))?;
    Ok(seed)
}

fn private_dir(path: &Path) -> Result<(), SetupError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| SetupError::Io {
            path: path.to_owned(),
            error,
        })
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), SetupError> {
    use std::io::Write as _;
    let io = |error| SetupError::Io {
        path: path.to_owned(),
        error,
    };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    file.write_all(bytes).map_err(io)
}
