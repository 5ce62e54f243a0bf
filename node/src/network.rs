//! A network is a folder: `genesis.toml`, and `bootnodes` with one multiaddr a
//! line (`#` begins a comment).

use aether_mesh::{Genesis, GenesisError, Rules};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// File names inside the folder.
pub const GENESIS_FILE: &str = "genesis.toml";
/// One multiaddr with `/p2p/` a line.
pub const BOOTNODES_FILE: &str = "bootnodes";

/// Why a folder is no network. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A file is missing or unreadable.
    #[error("{path}: {error}; give the network's folder with --network DIR")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The genesis is wrong.
    #[error("{path}: {error}")]
    Genesis {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: GenesisError,
    },
    /// A bootnode's address is none.
    #[error("{path}, line {line}: not a multiaddr")]
    Bootnode {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
}

/// A network as read from its folder.
#[derive(Clone)]
pub struct Network {
    /// Its rules.
    pub rules: Arc<Rules>,
    /// Where to begin.
    pub bootnodes: Vec<crate::net::Multiaddr>,
}

impl Network {
    /// Reads a folder.
    pub fn load(dir: &Path) -> Result<Self, NetworkError> {
        let path = dir.join(GENESIS_FILE);
        let text = read(&path)?;
        let rules = Genesis::from_toml(&text)
            .and_then(Rules::new)
            .map_err(|error| NetworkError::Genesis { path, error })?;
        let path = dir.join(BOOTNODES_FILE);
        let text = if path.exists() {
            read(&path)?
        } else {
            String::new()
        };
        let mut bootnodes = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let bad = |_| NetworkError::Bootnode {
                path: path.clone(),
                line: at + 1,
            };
            bootnodes.push(line.parse().map_err(bad)?);
        }
        Ok(Self {
            rules: Arc::new(rules),
            bootnodes,
        })
    }
}

fn read(path: &Path) -> Result<String, NetworkError> {
    std::fs::read_to_string(path).map_err(|error| NetworkError::Io {
        path: path.to_owned(),
        error,
    })
}
