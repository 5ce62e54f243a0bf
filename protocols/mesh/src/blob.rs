//! Content-addressed bytes that travel by request-response: models, inputs,
//! outputs and witnesses above the inline limit.
//!
//! - A blob is cut into pieces of 1 MiB; its manifest is its length and the
//!   BLAKE3 of each piece; its id is the BLAKE3 of the manifest. So a fetcher
//!   checks every piece as it arrives and holds at most one unchecked MiB.
//! - A [`BlobRef`] carries the length too, so that the receiver can refuse
//!   before it asks for anything.

use crate::primitives::BlobId;
use crate::wire::{self, WireError, pb};
use borsh::{BorshDeserialize, BorshSerialize};

/// Bytes of every piece but the last.
pub const PIECE_BYTES: usize = 1 << 20;

const PIECE_DOMAIN: &str = "aether 2026-11 blob piece v1";
const MANIFEST_DOMAIN: &str = "aether 2026-11 blob manifest v1";

/// A blob's id and length.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
)]
pub struct BlobRef {
    /// Hash of the manifest.
    pub id: BlobId,
    /// Length of the whole.
    pub bytes_len: u64,
}

/// Why a manifest or piece is not what was asked for: the sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The manifest does not hash to the id, or has the wrong length.
    #[error("the manifest does not match the blob's id")]
    Manifest,
    /// The piece does not hash to its place in the manifest.
    #[error("piece {0} does not match the manifest")]
    Piece(u32),
}

/// Length and piece hashes of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    bytes_len: u64,
    pieces: Vec<[u8; 32]>,
}

impl Manifest {
    /// Of bytes at hand.
    pub fn of(bytes: &[u8]) -> Self {
        let pieces = bytes.chunks(PIECE_BYTES).map(piece_hash).collect();
        Self {
            bytes_len: bytes.len() as u64,
            pieces,
        }
    }

    /// The blob's id and length.
    pub fn blob_ref(&self) -> BlobRef {
        let id = blake3::derive_key(MANIFEST_DOMAIN, &self.encode());
        BlobRef {
            id: BlobId(id),
            bytes_len: self.bytes_len,
        }
    }

    /// `u64 LE length`, then 32 bytes a piece.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 32 * self.pieces.len());
        out.extend_from_slice(&self.bytes_len.to_le_bytes());
        for piece in &self.pieces {
            out.extend_from_slice(piece);
        }
        out
    }

    /// Bytes from a peer that must be the manifest of `wanted`.
    pub fn decode(bytes: &[u8], wanted: &BlobRef) -> Result<Self, BlobError> {
        let pieces = (wanted.bytes_len as usize).div_ceil(PIECE_BYTES);
        if bytes.len() != 8 + 32 * pieces
            || blake3::derive_key(MANIFEST_DOMAIN, bytes) != wanted.id.0
            || bytes[..8] != wanted.bytes_len.to_le_bytes()
        {
            return Err(BlobError::Manifest);
        }
        let pieces = bytes[8..]
            .chunks_exact(32)
            .map(|c| {
                let mut hash = [0; 32];
                hash.copy_from_slice(c);
                hash
            })
            .collect();
        Ok(Self {
            bytes_len: wanted.bytes_len,
            pieces,
        })
    }

    /// How many pieces.
    pub fn piece_count(&self) -> u32 {
        self.pieces.len() as u32
    }

    /// Whether these bytes are piece `index`.
    pub fn check_piece(&self, index: u32, bytes: &[u8]) -> Result<(), BlobError> {
        let start = u64::from(index) * PIECE_BYTES as u64;
        let length = self.bytes_len.saturating_sub(start).min(PIECE_BYTES as u64);
        match self.pieces.get(index as usize) {
            Some(hash) if bytes.len() as u64 == length && *hash == piece_hash(bytes) => Ok(()),
            _ => Err(BlobError::Piece(index)),
        }
    }
}

fn piece_hash(bytes: &[u8]) -> [u8; 32] {
    blake3::derive_key(PIECE_DOMAIN, bytes)
}

impl BlobRef {
    /// Of bytes at hand.
    pub fn of(bytes: &[u8]) -> Self {
        Manifest::of(bytes).blob_ref()
    }

    /// To the wire.
    pub fn to_pb(self) -> pb::BlobRef {
        pb::BlobRef {
            id: self.id.0.to_vec(),
            bytes_len: self.bytes_len,
        }
    }

    /// From the wire.
    pub fn from_pb(b: &pb::BlobRef) -> Result<Self, WireError> {
        Ok(Self {
            id: BlobId(wire::fixed(&b.id, "blob.id")?),
            bytes_len: b.bytes_len,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_checked_one_by_one() {
        let bytes: Vec<u8> = (0..PIECE_BYTES * 2 + 17).map(|i| (i % 251) as u8).collect();
        let blob = BlobRef::of(&bytes);
        let manifest = Manifest::decode(&Manifest::of(&bytes).encode(), &blob).unwrap();
        assert_eq!(manifest.piece_count(), 3);
        for (i, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
            manifest.check_piece(i as u32, piece).unwrap();
            assert_eq!(
                manifest.check_piece(i as u32 + 1, piece),
                Err(BlobError::Piece(i as u32 + 1))
            );
        }
        let mut wrong = bytes[..PIECE_BYTES].to_vec();
        wrong[7] ^= 1;
        assert_eq!(manifest.check_piece(0, &wrong), Err(BlobError::Piece(0)));
        let longer = BlobRef {
            bytes_len: blob.bytes_len + 1,
            ..blob
        };
        assert_eq!(
            Manifest::decode(&Manifest::of(&bytes).encode(), &longer),
            Err(BlobError::Manifest)
        );
    }

    #[test]
    fn the_empty_blob_has_no_pieces() {
        let manifest = Manifest::of(b"");
        assert_eq!(manifest.piece_count(), 0);
        assert_eq!(
            Manifest::decode(&manifest.encode(), &BlobRef::of(b"")),
            Ok(manifest)
        );
    }
}
