//! Signed transactions: received, then verified, each its own type.
//!
//! - The signature covers `domain ‖ chain id ‖ body`, so a transaction of
//!   another network fails like a forged one.
//! - The id covers signer and body and not the signature.
//! - [`SignedTx`] is bytes that decoded; only [`SignedTx::verify`] makes a
//!   [`VerifiedTx`]: body decoded and checked for shape, signature checked
//!   strictly. Nothing here looks at state.

use crate::action::{Action, ActionError};
use crate::primitives::{Account, ChainId, Slot, TxId, hash_parts};
use crate::wire::{self, WireError, pb};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use prost::Message;

/// Most bytes a transaction's body may have, whatever the genesis says: no
/// decoder allocates more.
pub const TX_BODY_BYTES_MAX: usize = 1 << 20;

/// A transaction as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTx {
    /// The encoded body, exactly as signed.
    pub body: Vec<u8>,
    /// Who signed.
    pub signer: Account,
    /// ed25519, not yet checked.
    pub signature: [u8; 64],
}

/// What a transaction wants, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxBody {
    /// The account's next nonce, from 1, for spending actions; 0 for others.
    pub nonce: u64,
    /// The last slot that may include it.
    pub expiry_slot: Slot,
    /// The wish itself.
    pub action: Action,
}

/// Why a transaction is wrong whatever the state is: its sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// Bytes that are no transaction.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The action is malformed.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// Spending without a nonce, or a nonce where none belongs.
    #[error("spending transactions carry a nonce from 1, others carry 0")]
    Nonce,
    /// Not signed by its signer for this chain.
    #[error("the signature is not the signer's for this chain")]
    Signature,
}

/// A transaction whose signature and shape hold. Only `verify` makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedTx {
    signed: SignedTx,
    id: TxId,
    body: TxBody,
}

fn sign_bytes(chain: &ChainId, body: &[u8]) -> [u8; 32] {
    hash_parts("aether/tx/v1", &[chain.as_bytes(), body])
}

impl TxBody {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        pb::TxBody {
            nonce: self.nonce,
            expiry_slot: self.expiry_slot.0,
            action: Some(self.action.to_pb()),
        }
        .encode_to_vec()
    }

    /// Signs it for a chain.
    pub fn sign(&self, key: &SigningKey, chain: &ChainId) -> SignedTx {
        let body = self.encode();
        let signature = key.sign(&sign_bytes(chain, &body)).to_bytes();
        SignedTx {
            body,
            signer: Account(key.verifying_key().to_bytes()),
            signature,
        }
    }
}

impl SignedTx {
    /// Its id.
    pub fn id(&self) -> TxId {
        TxId(hash_parts(
            "aether/txid/v1",
            &[self.signer.as_bytes(), &self.body],
        ))
    }

    /// Size on the wire and in a block: what fees are paid for.
    pub fn encoded_len(&self) -> usize {
        self.to_pb().encoded_len()
    }

    /// Wire bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.to_pb().encode_to_vec()
    }

    /// Canonical bytes of at most `limit`.
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self, WireError> {
        Self::from_pb(&wire::decode::<pb::SignedTx>(bytes, limit)?)
    }

    /// To the generated type.
    pub fn to_pb(&self) -> pb::SignedTx {
        pb::SignedTx {
            body: self.body.clone(),
            signer: self.signer.0.to_vec(),
            signature: self.signature.to_vec(),
        }
    }

    /// From the generated type.
    pub fn from_pb(tx: &pb::SignedTx) -> Result<Self, WireError> {
        if tx.body.len() > TX_BODY_BYTES_MAX {
            return Err(WireError::TooLong {
                got: tx.body.len(),
                limit: TX_BODY_BYTES_MAX,
            });
        }
        Ok(Self {
            body: tx.body.clone(),
            signer: Account(wire::fixed(&tx.signer, "tx.signer")?),
            signature: wire::fixed(&tx.signature, "tx.signature")?,
        })
    }

    /// Checks everything that needs no state: the body's shape first, because
    /// it is cheap, then the signature.
    pub fn verify(self, chain: &ChainId) -> Result<VerifiedTx, TxError> {
        let pb = wire::decode::<pb::TxBody>(&self.body, TX_BODY_BYTES_MAX)?;
        let action = Action::from_pb(wire::required(pb.action.as_ref(), "tx.action")?)?;
        if action.is_spending() != (pb.nonce != 0) {
            return Err(TxError::Nonce);
        }
        let key =
            VerifyingKey::from_bytes(self.signer.as_bytes()).map_err(|_| TxError::Signature)?;
        key.verify_strict(
            &sign_bytes(chain, &self.body),
            &Signature::from_bytes(&self.signature),
        )
        .map_err(|_| TxError::Signature)?;
        let body = TxBody {
            nonce: pb.nonce,
            expiry_slot: Slot(pb.expiry_slot),
            action,
        };
        Ok(VerifiedTx {
            id: self.id(),
            signed: self,
            body,
        })
    }
}

impl VerifiedTx {
    /// Its id.
    pub fn id(&self) -> TxId {
        self.id
    }

    /// Who signed.
    pub fn signer(&self) -> Account {
        self.signed.signer
    }

    /// What was signed.
    pub fn body(&self) -> &TxBody {
        &self.body
    }

    /// The wish.
    pub fn action(&self) -> &Action {
        &self.body.action
    }

    /// As it travels.
    pub fn signed(&self) -> &SignedTx {
        &self.signed
    }

    /// As it travels, by value.
    pub fn into_signed(self) -> SignedTx {
        self.signed
    }
}
