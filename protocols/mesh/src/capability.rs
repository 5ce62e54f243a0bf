//! What a worker says of itself in the DHT, signed by its key.
//!
//! - A worker's network identity is its account key, so the peer id of a
//!   provider names the account whose record to look up, and nobody can put a
//!   record where another worker's belongs.
//! - Stored under [`capability_key`] of the worker; announced under
//!   [`provider_keys`] of each model it holds. A provider key lists at most
//!   20 peers, so each model has [`PROVIDER_SHARDS`] of them and a worker
//!   announces itself under one.
//! - Accepted only when canonical, signed for this chain, stored under its
//!   worker's key, and neither expired nor valid for longer than
//!   [`LIFETIME_S_MAX`].

use crate::action::{amount_from_pb, amount_pb};
use crate::primitives::{Account, Amount, ChainId, ModelId, hash_parts};
use crate::wire::{self, WireError, pb};
use aether_tee::EvidenceKind;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use prost::Message;

/// Most bytes of a record.
pub const CAPABILITY_BYTES_MAX: usize = 8 * 1024;
/// Most models a worker may list.
pub const MODELS_MAX: usize = 128;
/// A record may be valid for ten minutes: dead workers fade quickly.
pub const LIFETIME_S_MAX: u64 = 600;
/// Provider keys of one model.
pub const PROVIDER_SHARDS: u8 = 16;

/// Who is there, with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The worker's account.
    pub worker: Account,
    /// Its libp2p peer id.
    pub peer_id: Vec<u8>,
    /// Models it holds, strictly ascending.
    pub models: Vec<ModelId>,
    /// What attests its session keys.
    pub tee_kind: EvidenceKind,
    /// Least payment it works for.
    pub price_min: Amount,
    /// Jobs it could take now.
    pub slots_free: u32,
    /// Grows with each record of this worker.
    pub sequence: u64,
    /// Unix seconds.
    pub expiry_unix_s: u64,
}

/// Why a record is not believed. Its sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// Bytes that are no record.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Models not a short ascending list, or no such evidence kind.
    #[error("the capability record has an impossible field")]
    Value,
    /// Not signed by its worker for this chain.
    #[error("the capability record is not signed by its worker")]
    Signature,
    /// Past its expiry, or valid for too long.
    #[error("the capability record has expired, or claims too long a life")]
    Expiry,
    /// Under another worker's key.
    #[error("the capability record stands under another worker's key")]
    Key,
}

/// Where a worker's record stands.
pub fn capability_key(worker: &Account) -> [u8; 32] {
    hash_parts("aether/dht/capability/v1", &[&worker.0])
}

/// Under which keys holders of a model are found.
pub fn provider_keys(model: &ModelId) -> Vec<[u8; 32]> {
    (0..PROVIDER_SHARDS)
        .map(|shard| provider_key(model, shard))
        .collect()
}

/// The one key under which this worker announces itself for a model.
pub fn provider_key_of(model: &ModelId, worker: &Account) -> [u8; 32] {
    provider_key(model, worker.0[0] % PROVIDER_SHARDS)
}

fn provider_key(model: &ModelId, shard: u8) -> [u8; 32] {
    hash_parts("aether/dht/model/v1", &[&model.0, &[shard]])
}

fn sign_bytes(chain: &ChainId, body: &[u8]) -> [u8; 32] {
    hash_parts("aether/capability/v1", &[&chain.0, body])
}

impl Capability {
    /// Signed wire bytes.
    pub fn sign(&self, key: &SigningKey, chain: &ChainId) -> Vec<u8> {
        let body = pb::Capability {
            worker: self.worker.0.to_vec(),
            peer_id: self.peer_id.clone(),
            models: self.models.iter().map(|m| m.0.to_vec()).collect(),
            tee_kind: u32::from(self.tee_kind.code()),
            price_min: Some(amount_pb(self.price_min)),
            slots_free: self.slots_free,
            sequence: self.sequence,
            expiry_unix_s: self.expiry_unix_s,
        }
        .encode_to_vec();
        let signature = key.sign(&sign_bytes(chain, &body)).to_bytes().to_vec();
        pb::SignedCapability { body, signature }.encode_to_vec()
    }

    /// Decodes and checks a record found under `key` (if known) at `now`.
    pub fn verify(
        bytes: &[u8],
        chain: &ChainId,
        key: Option<&[u8]>,
        now_unix_s: u64,
    ) -> Result<Self, CapabilityError> {
        let signed: pb::SignedCapability = wire::decode(bytes, CAPABILITY_BYTES_MAX)?;
        let body: pb::Capability = wire::decode(&signed.body, CAPABILITY_BYTES_MAX)?;
        let worker = Account(wire::fixed(&body.worker, "capability.worker")?);
        if key.is_some_and(|k| k != capability_key(&worker)) {
            return Err(CapabilityError::Key);
        }
        if body.expiry_unix_s < now_unix_s
            || body.expiry_unix_s > now_unix_s.saturating_add(LIFETIME_S_MAX)
        {
            return Err(CapabilityError::Expiry);
        }
        if body.models.len() > MODELS_MAX || body.peer_id.len() > 64 {
            return Err(CapabilityError::Value);
        }
        let models = body
            .models
            .iter()
            .map(|m| ModelId::from_slice(m).ok_or(CapabilityError::Value))
            .collect::<Result<Vec<_>, _>>()?;
        if models.windows(2).any(|w| w[0] >= w[1]) {
            return Err(CapabilityError::Value);
        }
        let tee_kind = u8::try_from(body.tee_kind)
            .ok()
            .and_then(EvidenceKind::from_code)
            .ok_or(CapabilityError::Value)?;
        let signature = wire::fixed(&signed.signature, "capability.signature")?;
        VerifyingKey::from_bytes(&worker.0)
            .and_then(|k| {
                k.verify_strict(
                    &sign_bytes(chain, &signed.body),
                    &Signature::from_bytes(&signature),
                )
            })
            .map_err(|_| CapabilityError::Signature)?;
        Ok(Self {
            worker,
            peer_id: body.peer_id,
            models,
            tee_kind,
            price_min: amount_from_pb(body.price_min.as_ref(), "capability.price_min")?,
            slots_free: body.slots_free,
            sequence: body.sequence,
            expiry_unix_s: body.expiry_unix_s,
        })
    }
}
