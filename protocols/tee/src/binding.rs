//! What evidence commits to: which worker, which session key, and how recently.
//!
//! The 64 bytes that an attester puts into `report_data` (SEV-SNP, TDX) or `user_data`
//! (Nitro, simulated) are
//!
//! ```text
//! SHA-512( "aether/tee/v1"     13 bytes, ASCII
//!        ‖ chain id            32
//!        ‖ worker key          32  ed25519
//!        ‖ session key         32  ed25519, generated inside the TEE
//!        ‖ slot                 8  big-endian
//!        ‖ block hash          32  of the block at that slot )
//! ```
//!
//! Every field has one length, so no two different inputs share an encoding. The block hash
//! is what makes freshness real where evidence carries no time of its own: nobody knew it
//! before that slot. The age, counted in slots, is the caller's to check.

use std::fmt;

use sha2::{Digest, Sha512};

/// The domain: bumped whenever the layout changes.
const DOMAIN: &[u8; 13] = b"aether/tee/v1";

/// The 64 bytes that evidence must carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Binding(pub [u8; 64]);

impl Binding {
    /// Binds evidence to a worker and one of its sessions at a slot of a chain.
    #[must_use]
    pub fn new(
        chain_id: &[u8; 32],
        worker_key: &[u8; 32],
        session_key: &[u8; 32],
        slot: u64,
        block_hash: &[u8; 32],
    ) -> Self {
        let mut hash = Sha512::new();
        hash.update(DOMAIN);
        hash.update(chain_id);
        hash.update(worker_key);
        hash.update(session_key);
        hash.update(slot.to_be_bytes());
        hash.update(block_hash);
        Self(hash.finalize().into())
    }

    /// The bytes, as they go into `report_data` or `user_data`.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({})", hex::encode(self.0))
    }
}
