//! What every command has: its global flags, its streams, and from them a
//! client, a key, a network.

use super::args::Global;
use super::console::Console;
use super::exit::CliError;
use super::files::load_genesis;
use super::keyfile;
use crate::rpc::views::GenesisView;
use crate::rpc::{Client, RpcAddress};
use aether_mesh::{Account, Genesis};
use ed25519_dalek::SigningKey;
use std::path::Path;

/// A command's surroundings.
pub struct Context {
    /// Flags of every command.
    pub global: Global,
    /// Where it writes.
    pub console: Console,
}

impl Context {
    /// Of a parsed command line.
    pub fn new(global: Global, console: Console) -> Self {
        Self { global, console }
    }

    /// The node's RPC.
    pub fn rpc(&self) -> RpcAddress {
        self.global.rpc.clone().unwrap_or_default()
    }

    /// A client for it; connects with its first call.
    pub fn client(&self) -> Client {
        Client::new(&self.rpc())
    }

    /// The key that signs.
    ///
    /// # Errors
    /// When none is named, or its file is wrong.
    pub fn key(&self) -> Result<SigningKey, CliError> {
        let path = self.global.key.as_deref().ok_or_else(|| {
            CliError::config(
                "who signs? name a key file with --key or AETHER_KEY (make one with \
                 `aether key new FILE`)",
            )
        })?;
        Ok(SigningKey::from_bytes(&*keyfile::load(path)?))
    }

    /// The account of the key.
    ///
    /// # Errors
    /// As [`Context::key`].
    pub fn account(&self) -> Result<Account, CliError> {
        Ok(Account(self.key()?.verifying_key().to_bytes()))
    }

    /// The network's folder.
    ///
    /// # Errors
    /// When none is named.
    pub fn network_dir(&self) -> Result<&Path, CliError> {
        self.global
            .network
            .as_deref()
            .ok_or_else(|| CliError::config("which network? name its folder with --network DIR"))
    }

    /// The genesis in the network's folder, checked.
    ///
    /// # Errors
    /// When no folder is named, or what is in it is wrong.
    pub fn genesis(&self) -> Result<Genesis, CliError> {
        load_genesis(self.network_dir()?)
    }

    /// The node's genesis. Where a network's folder is named too, they must be
    /// one and the same, so that nothing is signed for another network.
    ///
    /// # Errors
    /// When the node does not answer, or is of another network.
    pub fn network_of(&self, client: &Client) -> Result<GenesisView, CliError> {
        let view = client.genesis()?;
        if self.global.network.is_some() {
            let ours = self.genesis()?;
            if ours.chain_id() != view.chain_id {
                return Err(CliError::config(format!(
                    "the node at {} is of network {:?} (chain {}), not of {:?} (chain {})",
                    client.url(),
                    view.genesis.name,
                    view.chain_id.short(),
                    ours.name,
                    ours.chain_id().short(),
                )));
            }
        }
        Ok(view)
    }
}
