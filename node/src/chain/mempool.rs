//! Transactions that wait for a block, bounded in number, bytes and per
//! signer.
//!
//! What the state does not allow yet waits here too (a VCR may arrive before
//! the block with its accept); what can never be allowed again is removed when
//! a block shows it, and everything leaves at its expiry slot.

use aether_mesh::{Account, BlobRef, Slot, TxId, VerifiedTx};
use std::collections::{BTreeMap, HashMap};

/// Most transactions.
pub(super) const TXS_MAX: usize = 8_192;
/// Most bytes of all of them.
pub(super) const BYTES_MAX: usize = 32 << 20;
/// Most transactions of one signer.
pub(super) const PER_SIGNER_MAX: usize = 256;

/// Why a transaction does not wait here. Nobody's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MempoolError {
    /// It is here already.
    #[error("the transaction waits here already")]
    Known,
    /// No room for it, or for more of its signer.
    #[error("the mempool is full")]
    Full,
}

/// Waiting transactions in order of arrival.
#[derive(Default)]
pub struct Mempool {
    by_arrival: BTreeMap<u64, VerifiedTx>,
    arrival_of: HashMap<TxId, u64>,
    per_signer: HashMap<Account, usize>,
    bytes: usize,
    next: u64,
}

impl Mempool {
    /// Whether it waits here.
    pub fn contains(&self, id: &TxId) -> bool {
        self.arrival_of.contains_key(id)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.by_arrival.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.by_arrival.is_empty()
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds one.
    pub fn insert(&mut self, tx: VerifiedTx) -> Result<(), MempoolError> {
        let id = tx.id();
        if self.contains(&id) {
            return Err(MempoolError::Known);
        }
        let size = tx.signed().encoded_len();
        let of_signer = self.per_signer.entry(tx.signer()).or_default();
        if self.by_arrival.len() >= TXS_MAX
            || self.bytes + size > BYTES_MAX
            || *of_signer >= PER_SIGNER_MAX
        {
            return Err(MempoolError::Full);
        }
        *of_signer += 1;
        self.bytes += size;
        self.arrival_of.insert(id, self.next);
        self.by_arrival.insert(self.next, tx);
        self.next += 1;
        Ok(())
    }

    /// Removes one, if it is here.
    pub fn remove(&mut self, id: &TxId) {
        let Some(tx) = self
            .arrival_of
            .remove(id)
            .and_then(|at| self.by_arrival.remove(&at))
        else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(tx.signed().encoded_len());
        if let Some(count) = self.per_signer.get_mut(&tx.signer()) {
            *count -= 1;
            if *count == 0 {
                self.per_signer.remove(&tx.signer());
            }
        }
    }

    /// Removes what no block after `head` may include.
    pub fn expire(&mut self, head: Slot) {
        let gone: Vec<TxId> = self
            .by_arrival
            .values()
            .filter(|tx| tx.body().expiry_slot <= head)
            .map(VerifiedTx::id)
            .collect();
        for id in gone {
            self.remove(&id);
        }
    }

    /// All of them, first come first.
    pub fn candidates(&self) -> Vec<VerifiedTx> {
        self.by_arrival.values().cloned().collect()
    }

    /// Blobs that they name.
    pub fn blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        self.by_arrival.values().flat_map(|tx| tx.action().blobs())
    }

    /// One of them.
    pub fn get(&self, id: &TxId) -> Option<&VerifiedTx> {
        self.arrival_of
            .get(id)
            .and_then(|at| self.by_arrival.get(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_mesh::{Action, Amount, ChainId, TxBody};
    use ed25519_dalek::SigningKey;

    fn transfer(seed: u8, nonce: u64, expiry: u64) -> VerifiedTx {
        let chain = ChainId([9; 32]);
        let action = Action::Transfer {
            to: Account([1; 32]),
            amount: Amount(1),
        };
        TxBody {
            nonce,
            expiry_slot: Slot(expiry),
            action,
        }
        .sign(&SigningKey::from_bytes(&[seed; 32]), &chain)
        .verify(&chain)
        .unwrap()
    }

    #[test]
    fn one_signer_cannot_fill_it() {
        let mut pool = Mempool::default();
        for nonce in 1..=PER_SIGNER_MAX as u64 {
            pool.insert(transfer(1, nonce, 100)).unwrap();
        }
        assert_eq!(
            pool.insert(transfer(1, 9_999, 100)),
            Err(MempoolError::Full)
        );
        pool.insert(transfer(2, 1, 100)).unwrap();
        assert_eq!(pool.insert(transfer(2, 1, 100)), Err(MempoolError::Known));
    }

    #[test]
    fn the_expired_leave_and_make_room() {
        let mut pool = Mempool::default();
        pool.insert(transfer(1, 1, 5)).unwrap();
        pool.insert(transfer(1, 2, 6)).unwrap();
        pool.expire(Slot(5));
        assert_eq!(pool.len(), 1);
        pool.expire(Slot(6));
        assert!(pool.is_empty() && pool.bytes == 0 && pool.per_signer.is_empty());
    }
}
