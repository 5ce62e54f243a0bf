//! Headers and blocks as they travel and are stored.
//!
//! - A block id is a domain-separated hash of the header's exact bytes; the
//!   header binds everything else (parent, its certificate, transactions,
//!   the state after them, both validator sets, proposer, time).
//! - [`Block::check_shape`] holds what needs no state: roots over the body,
//!   the certificate's place, limits. What needs state is in `apply`.

use crate::certificate::Certificate;
use crate::primitives::{Account, BlockId, ChainId, Slot, hash_parts, merkle_root};
use crate::tx::SignedTx;
use crate::wire::{self, WireError, pb};
use prost::Message;

/// What validators vote on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The network.
    pub chain_id: ChainId,
    /// A slot is a height; the genesis is height 0 and has no block.
    pub height: Slot,
    /// Unix milliseconds, strictly increasing.
    pub time_ms: u64,
    /// The parent's id; at height 1 the chain id.
    pub parent_id: BlockId,
    /// Hash of the parent's certificate in the body; zero at height 1.
    pub parent_certificate_hash: [u8; 32],
    /// Merkle root over the transactions' wire bytes.
    pub txs_root: [u8; 32],
    /// Root of the state after this block's transactions.
    pub state_root: [u8; 32],
    /// Who votes on this block.
    pub validators_hash: [u8; 32],
    /// Who votes on the next one.
    pub next_validators_hash: [u8; 32],
    /// Who made it.
    pub proposer: Account,
}

impl Header {
    /// The block's id.
    pub fn id(&self) -> BlockId {
        BlockId(hash_parts(
            "aether/block/v1",
            &[&self.to_pb().encode_to_vec()],
        ))
    }

    /// To the wire.
    pub fn to_pb(&self) -> pb::Header {
        pb::Header {
            chain_id: self.chain_id.0.to_vec(),
            height: self.height.0,
            time_ms: self.time_ms,
            parent_id: self.parent_id.0.to_vec(),
            parent_certificate_hash: self.parent_certificate_hash.to_vec(),
            txs_root: self.txs_root.to_vec(),
            state_root: self.state_root.to_vec(),
            validators_hash: self.validators_hash.to_vec(),
            next_validators_hash: self.next_validators_hash.to_vec(),
            proposer: self.proposer.0.to_vec(),
        }
    }

    /// From the wire.
    pub fn from_pb(h: &pb::Header) -> Result<Self, WireError> {
        Ok(Self {
            chain_id: ChainId(wire::fixed(&h.chain_id, "header.chain_id")?),
            height: Slot(h.height),
            time_ms: h.time_ms,
            parent_id: BlockId(wire::fixed(&h.parent_id, "header.parent_id")?),
            parent_certificate_hash: wire::fixed(
                &h.parent_certificate_hash,
                "header.parent_certificate_hash",
            )?,
            txs_root: wire::fixed(&h.txs_root, "header.txs_root")?,
            state_root: wire::fixed(&h.state_root, "header.state_root")?,
            validators_hash: wire::fixed(&h.validators_hash, "header.validators_hash")?,
            next_validators_hash: wire::fixed(
                &h.next_validators_hash,
                "header.next_validators_hash",
            )?,
            proposer: Account(wire::fixed(&h.proposer, "header.proposer")?),
        })
    }
}

/// A header with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What is voted on.
    pub header: Header,
    /// Proof that the parent was decided; absent at height 1 only.
    pub parent_certificate: Option<Certificate>,
    /// In order of application.
    pub txs: Vec<SignedTx>,
}

/// Why a block is refused whatever the state is: its proposer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Bytes that are no block.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Another network's block.
    #[error("the block belongs to another chain")]
    OtherChain,
    /// Height 0, or a certificate where none belongs, or none where one does.
    #[error("the parent certificate is missing or misplaced")]
    ParentCertificate,
    /// The transactions are not those the header names.
    #[error("the header's transaction root does not match the body")]
    TxsRoot,
}

impl Block {
    /// The block's id.
    pub fn id(&self) -> BlockId {
        self.header.id()
    }

    /// Root over the transactions' wire bytes.
    pub fn txs_root(txs: &[SignedTx]) -> [u8; 32] {
        let leaves: Vec<[u8; 32]> = txs
            .iter()
            .map(|tx| hash_parts("aether/tx-leaf/v1", &[&tx.to_pb().encode_to_vec()]))
            .collect();
        merkle_root("aether/txs/v1", &leaves)
    }

    /// What a block must satisfy whatever the state is.
    pub fn check_shape(&self, chain: &ChainId) -> Result<(), BlockError> {
        if self.header.chain_id != *chain {
            return Err(BlockError::OtherChain);
        }
        let expected = match (self.header.height.0, &self.parent_certificate) {
            (0, _) => return Err(BlockError::ParentCertificate),
            (1, None) => [0; 32],
            (h, Some(c)) if h > 1 && c.block_id == self.header.parent_id && c.height.0 == h - 1 => {
                c.hash()
            }
            _ => return Err(BlockError::ParentCertificate),
        };
        if expected != self.header.parent_certificate_hash {
            return Err(BlockError::ParentCertificate);
        }
        if Self::txs_root(&self.txs) != self.header.txs_root {
            return Err(BlockError::TxsRoot);
        }
        Ok(())
    }

    /// To the wire.
    pub fn to_pb(&self) -> pb::Block {
        pb::Block {
            header: Some(self.header.to_pb()),
            parent_certificate: self.parent_certificate.as_ref().map(Certificate::to_pb),
            txs: self.txs.iter().map(SignedTx::to_pb).collect(),
        }
    }

    /// Wire bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.to_pb().encode_to_vec()
    }

    /// From the generated type.
    pub fn from_pb(b: &pb::Block) -> Result<Self, WireError> {
        Ok(Self {
            header: Header::from_pb(wire::required(b.header.as_ref(), "block.header")?)?,
            parent_certificate: b
                .parent_certificate
                .as_ref()
                .map(Certificate::from_pb)
                .transpose()?,
            txs: b
                .txs
                .iter()
                .map(SignedTx::from_pb)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Canonical bytes of at most `limit`.
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self, WireError> {
        Self::from_pb(&wire::decode::<pb::Block>(bytes, limit)?)
    }
}
