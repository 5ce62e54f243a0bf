//! The format on disk: every file, table and key of it, in one place.
//!
//! Files in a data directory:
//!
//! | name | what |
//! | --- | --- |
//! | `lock` | held by the one process that uses the directory; holds its pid |
//! | `chain.redb` | the tables below |
//! | `blobs/<2 hex>/<64 hex>` | a blob's manifest, then its bytes |
//! | `blobs/tmp/` | blobs still being written; emptied on opening |
//!
//! Tables, all from bytes to bytes. Numbers in keys are big endian, so that
//! byte order is number order:
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `meta` | a name below | `format`: u32 BE; `chain`: 32; `head`: borsh [`Head`]; `provable_from`: u64 BE |
//! | `state` | a record's key | the record as of the head |
//! | `nodes` | version u64 ‖ nibble count u8 ‖ nibbles, two a byte | borsh `jmt::storage::Node` |
//! | `values` | key hash 32 ‖ height u64 | the record until that height replaced or removed it |
//! | `stale` | height u64 | borsh [`Stale`]: what of `nodes` and `values` no height from this one on needs |
//! | `blocks` | height u64 | the block's wire bytes |
//! | `certificates` | height u64 | a certificate for it, wire bytes |
//! | `block_ids` | block id 32 | height u64 BE |
//! | `events` | height u64 | what the caller kept beside the block |
//!
//! A tree version is a height; the genesis is version 0.
//!
//! [`Head`]: crate::Head

use aether_mesh::Slot;
use borsh::{BorshDeserialize, BorshSerialize};
use jmt::storage::NodeKey;

/// Version of the format described here. Any change to it is a new number and
/// a migration.
pub const FORMAT: u32 = 1;

/// How many heights below and including the head can be proved against, unless
/// the options say otherwise: a bit more than an hour of one-second slots, so
/// that a receipt can be made well after its window has closed.
pub const RETAINED_HEIGHTS: u64 = 4_096;

/// Most heights whose leftovers one commit removes. One keeps pace; the second
/// lets a store catch up after its retention was shortened.
pub(crate) const PRUNED_HEIGHTS_PER_COMMIT: usize = 2;

/// File of the tables.
pub(crate) const CHAIN_FILE: &str = "chain.redb";
/// File whose lock makes the directory ours.
pub(crate) const LOCK_FILE: &str = "lock";
/// Directory of the blobs.
pub(crate) const BLOBS_DIR: &str = "blobs";
/// Directory of unfinished blobs, within [`BLOBS_DIR`].
pub(crate) const BLOBS_TMP_DIR: &str = "tmp";

/// Keys of the `meta` table.
pub(crate) mod meta {
    pub(crate) const FORMAT: &[u8] = b"format";
    pub(crate) const CHAIN: &[u8] = b"chain";
    pub(crate) const HEAD: &[u8] = b"head";
    pub(crate) const PROVABLE_FROM: &[u8] = b"provable_from";
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Meta,
    State,
    Nodes,
    Values,
    Stale,
    Blocks,
    Certificates,
    BlockIds,
    Events,
}

impl Table {
    /// All of them; a table's place here is its `index`.
    pub(crate) const ALL: [Table; 9] = [
        Table::Meta,
        Table::State,
        Table::Nodes,
        Table::Values,
        Table::Stale,
        Table::Blocks,
        Table::Certificates,
        Table::BlockIds,
        Table::Events,
    ];

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::State => "state",
            Table::Nodes => "nodes",
            Table::Values => "values",
            Table::Stale => "stale",
            Table::Blocks => "blocks",
            Table::Certificates => "certificates",
            Table::BlockIds => "block_ids",
            Table::Events => "events",
        }
    }
}

/// What became unreachable at a height: heights below still need it.
#[derive(Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Stale {
    /// Keys of `nodes`.
    pub(crate) nodes: Vec<Vec<u8>>,
    /// Key hashes whose entry in `values` has this height.
    pub(crate) values: Vec<[u8; 32]>,
}

pub(crate) fn height_key(height: Slot) -> Vec<u8> {
    height.0.to_be_bytes().to_vec()
}

pub(crate) fn parse_u64(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

pub(crate) fn value_key(key_hash: &[u8; 32], replaced_at: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    out.extend_from_slice(key_hash);
    out.extend_from_slice(&replaced_at.to_be_bytes());
    out
}

/// The key of the tree's root at a version.
pub(crate) fn root_key(version: u64) -> Vec<u8> {
    path_key(version, &[])
}

/// The key of the node at a path of nibbles.
pub(crate) fn path_key(version: u64, nibbles: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 + nibbles.len().div_ceil(2));
    out.extend_from_slice(&version.to_be_bytes());
    // A path has at most 64 nibbles.
    out.push(nibbles.len() as u8);
    for pair in nibbles.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        out.push(pair[0] << 4 | low);
    }
    out
}

pub(crate) fn node_key(key: &NodeKey) -> Vec<u8> {
    let nibbles: Vec<u8> = key.nibble_path().nibbles().map(u8::from).collect();
    path_key(key.version(), &nibbles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tables_place_is_its_index_and_names_are_distinct() {
        for (i, table) in Table::ALL.iter().enumerate() {
            assert_eq!(table.index(), i);
            assert!(
                Table::ALL[..i]
                    .iter()
                    .all(|other| other.name() != table.name())
            );
        }
    }

    #[test]
    fn node_keys_keep_their_bytes() {
        assert_eq!(root_key(258), [0, 0, 0, 0, 0, 0, 1, 2, 0]);
        assert_eq!(
            path_key(1, &[0xa, 0xb, 0xc]),
            [0, 0, 0, 0, 0, 0, 0, 1, 3, 0xab, 0xc0]
        );
        assert_ne!(path_key(1, &[0xa]), path_key(1, &[0xa, 0]));
    }
}
