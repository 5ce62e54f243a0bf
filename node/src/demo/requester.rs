//! Accounts of the demo that have no node of their own: they sign here and
//! speak to the coordinator's RPC, as any requester would.

use crate::rpc::{Client, ClientError, ErrorCode};
use aether_mesh::{Account, Action, ChainId, Slot, TxBody, TxId};
use ed25519_dalek::SigningKey;
use std::thread::sleep;
use std::time::Duration;

/// A key with a node to speak to.
pub(super) struct Requester {
    key: SigningKey,
    chain: ChainId,
    client: Client,
    nonce: u64,
}

/// How often a busy node is asked again.
const TRIES: u32 = 40;
const BETWEEN: Duration = Duration::from_millis(250);
/// Slots a transaction stays valid.
const VALID_SLOTS: u64 = 60;

impl Requester {
    /// An account and the node it speaks to.
    pub(super) fn new(key: SigningKey, chain: ChainId, client: Client) -> Self {
        Self {
            key,
            chain,
            client,
            nonce: 0,
        }
    }

    /// The account.
    pub(super) fn account(&self) -> Account {
        Account(self.key.verifying_key().to_bytes())
    }

    /// Signs and submits; tries again while the node says "not now".
    pub(super) fn submit(&mut self, action: Action) -> Result<TxId, ClientError> {
        let mut tries = 0;
        loop {
            let account = self.client.account(&self.account())?;
            let spending = action.is_spending();
            let next = self.nonce.max(account.value.nonce) + 1;
            let body = TxBody {
                nonce: if spending { next } else { 0 },
                expiry_slot: Slot(account.height.0 + VALID_SLOTS),
                action: action.clone(),
            };
            match self.client.submit(&body.sign(&self.key, &self.chain)) {
                Ok(id) => {
                    if spending {
                        self.nonce = next;
                    }
                    return Ok(id);
                }
                Err(error) if tries < TRIES && is_passing(&error) => {
                    tries += 1;
                    sleep(BETWEEN);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_passing(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::NotNow | ErrorCode::Busy | ErrorCode::NonceUsed)
    )
}
