//! Signing a wish, handing it in, and staying until it is in a block.
//!
//! - A spending transaction carries the account's next nonce. When another one
//!   of the same account was faster, it is signed again with the one after.
//! - Handed in is not done: only a block that holds the transaction is. So the
//!   blocks from then on are looked through, up to its expiry.

use super::console::Console;
use super::exit::{CliError, Exit};
use crate::rpc::views::GenesisView;
use crate::rpc::{Client, ClientError, ErrorCode, found};
use aether_mesh::{Account, Action, ChainId, Params, SignedTx, Slot, TxBody, TxId};
use ed25519_dalek::SigningKey;
use std::time::{Duration, Instant};

/// Slots that a transaction may wait for its block.
const EXPIRY_SLOTS: u64 = 60;
/// Nonces that may be snatched away before we give up.
const ATTEMPTS: u32 = 5;
/// Between two looks at the node.
const POLL: Duration = Duration::from_millis(150);
/// A network without a block for so long has stalled.
const STALLED: Duration = Duration::from_secs(60);

/// An account that hands in transactions of one network.
pub(super) struct Wallet<'c> {
    client: &'c Client,
    key: SigningKey,
    chain: ChainId,
    params: Params,
}

/// A transaction in a block.
#[derive(Clone, Debug)]
pub(super) struct Included {
    pub(super) id: TxId,
    pub(super) slot: Slot,
    /// On the wire: what the fee was paid for, besides its blobs.
    pub(super) bytes: u64,
}

enum Fate {
    Included(Slot),
    /// Another transaction of the account has its nonce.
    Replaced,
}

impl<'c> Wallet<'c> {
    pub(super) fn new(client: &'c Client, key: SigningKey, network: &GenesisView) -> Self {
        Self {
            client,
            key,
            chain: network.chain_id,
            params: network.genesis.params.clone(),
        }
    }

    pub(super) fn account(&self) -> Account {
        Account(self.key.verifying_key().to_bytes())
    }

    /// Signs, hands in and waits for the block.
    pub(super) fn send(
        &self,
        console: &mut Console,
        action: &Action,
    ) -> Result<Included, CliError> {
        let mut at_least = 0;
        for _ in 0..ATTEMPTS {
            let me = self.client.account(&self.account())?;
            let nonce = match action.is_spending() {
                true => at_least.max(me.value.nonce.saturating_add(1)),
                false => 0,
            };
            let expiry = me
                .height
                .after(EXPIRY_SLOTS.min(self.params.deadline_slots_max));
            let body = TxBody {
                nonce,
                expiry_slot: expiry,
                action: action.clone(),
            };
            let tx = body.sign(&self.key, &self.chain);
            let bytes = tx.encoded_len() as u64;
            if bytes > self.params.limits.message_bytes_max {
                return Err(CliError::failed(
                    "too_large",
                    format!("the transaction has {bytes} bytes, more than this network allows"),
                ));
            }
            match self.hand_in(console, &tx)? {
                None => {}
                Some(next) => {
                    at_least = next;
                    continue;
                }
            }
            match self.follow(console, &tx, nonce, me.height, expiry)? {
                Fate::Included(slot) => {
                    return Ok(Included {
                        id: tx.id(),
                        slot,
                        bytes,
                    });
                }
                Fate::Replaced => console.stage("the nonce was taken; signing again"),
            }
        }
        Err(CliError::failed(
            "nonce_used",
            "other transactions of this account were faster each time; try again alone",
        ))
    }

    /// `Some` is the next nonce to try.
    fn hand_in(&self, console: &mut Console, tx: &SignedTx) -> Result<Option<u64>, CliError> {
        for wait in 0..ATTEMPTS {
            match self.client.submit(tx) {
                Ok(_) => return Ok(None),
                Err(ClientError::Refused(e)) if e.code == ErrorCode::NonceUsed => {
                    return Ok(Some(e.next_nonce.unwrap_or(0)));
                }
                Err(e) if e.code() == Some(ErrorCode::Busy) && wait + 1 < ATTEMPTS => {
                    console.stage("the node is busy; trying again");
                    std::thread::sleep(POLL * (1 << wait));
                }
                Err(e) => return Err(e.into()),
            }
        }
        Err(CliError::failed(
            "busy",
            "the node takes no transactions right now",
        ))
    }

    fn follow(
        &self,
        console: &mut Console,
        tx: &SignedTx,
        nonce: u64,
        submitted_at: Slot,
        expiry: Slot,
    ) -> Result<Fate, CliError> {
        let id = tx.id();
        let mut seen = submitted_at;
        let mut moved = Instant::now();
        let mut warned = false;
        loop {
            let me = self.client.account(&tx.signer)?;
            while seen < me.height {
                let next = seen.after(1);
                // A block that is not readable yet is asked for again.
                let Some(block) = found(self.client.block(next))? else {
                    break;
                };
                if block.txs.iter().any(|t| t.id == id) {
                    return Ok(Fate::Included(next));
                }
                seen = next;
                moved = Instant::now();
            }
            if seen >= me.height && nonce > 0 && me.value.nonce >= nonce {
                return Ok(Fate::Replaced);
            }
            if seen >= expiry {
                return Err(CliError::failed(
                    "expired",
                    format!(
                        "transaction {id} was in no block until its expiry at slot {expiry}; \
                     nothing was paid"
                    ),
                ));
            }
            let still = moved.elapsed();
            if still > STALLED * 5 {
                return Err(CliError::new(
                    Exit::Unreachable,
                    "stalled",
                    format!(
                        "the network has made no block for {} s; transaction {id} may still be \
                     included until slot {expiry}",
                        still.as_secs()
                    ),
                ));
            }
            if still > STALLED && !warned {
                warned = true;
                console.stage("no new block for a minute: the network may have stalled");
            }
            std::thread::sleep(POLL);
        }
    }
}
