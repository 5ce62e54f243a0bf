//! Whether what is stored fits together.
//!
//! The root is recomputed from the records alone, by the definition of the
//! tree and not by its implementation: the leaves in order of their hashed
//! keys, split bit by bit until a subtree has one leaf, which then stands for
//! it. So an audit also checks the tree's library.

use crate::backend::Snapshot;
use crate::error::{StoreError, guarded};
use crate::layout::{Table, path_key};
use crate::reads::{Head, load_block, load_chain, load_head, load_lowest};
use crate::tree::{EMPTY_ROOT, load_node, node_hash};
use aether_mesh::{BlockId, Slot, StateHasher, key_hash};
use jmt::proof::{INTERNAL_DOMAIN_SEPARATOR, LEAF_DOMAIN_SEPARATOR};
use jmt::storage::Node;
use jmt::{SimpleHasher, ValueHash};

/// What an audit found in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// The head everything leads to.
    pub head: Head,
    /// Records in the state.
    pub records: u64,
    /// Bytes of their keys and values.
    pub state_bytes: u64,
    /// Blocks that were followed to the head.
    pub blocks: u64,
    /// Tree nodes kept, for the head and the heights that are provable.
    pub tree_nodes: u64,
    /// Records kept as they were at earlier heights.
    pub old_values: u64,
}

struct Leaf {
    place: [u8; 32],
    hash: [u8; 32],
}

pub(crate) fn audit(snapshot: &dyn Snapshot) -> Result<AuditReport, StoreError> {
    let head = load_head(snapshot)?.ok_or(StoreError::NotInitialised)?;
    let mut state_bytes = 0;
    let mut leaves = Vec::new();
    snapshot.scan(Table::State, &[], &mut |key, value| {
        state_bytes += (key.len() + value.len()) as u64;
        leaves.push(leaf(key, value));
        true
    })?;
    leaves.sort_by_key(|leaf| leaf.place);
    if root_of(&leaves, 0) != head.state_root {
        return Err(StoreError::corrupted(
            "the records do not have the head's state root",
        ));
    }
    let nodes = guarded("walking the tree", || {
        walk(snapshot, head.height.0, &mut Vec::new(), &head.state_root)
    })?;
    if nodes != leaves.len() as u64 {
        return Err(StoreError::corrupted(
            "the tree has more or fewer leaves than records",
        ));
    }
    Ok(AuditReport {
        head,
        records: leaves.len() as u64,
        state_bytes,
        blocks: follow(snapshot, &head)?,
        tree_nodes: count(snapshot, Table::Nodes)?,
        old_values: count(snapshot, Table::Values)?,
    })
}

fn count(snapshot: &dyn Snapshot, table: Table) -> Result<u64, StoreError> {
    let mut entries = 0;
    snapshot.scan(table, &[], &mut |_, _| {
        entries += 1;
        true
    })?;
    Ok(entries)
}

fn hash(parts: [&[u8]; 3]) -> [u8; 32] {
    let mut hasher = StateHasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

fn leaf(key: &[u8], value: &[u8]) -> Leaf {
    let place = key_hash(key).0;
    let value = ValueHash::with::<StateHasher>(value).0;
    Leaf {
        place,
        hash: hash([LEAF_DOMAIN_SEPARATOR, &place, &value]),
    }
}

/// Root of leaves in order that share their first `depth` bits.
fn root_of(leaves: &[Leaf], depth: usize) -> [u8; 32] {
    match leaves {
        [] => EMPTY_ROOT,
        [only] => only.hash,
        _ => {
            let bit = |l: &Leaf| {
                l.place
                    .get(depth / 8)
                    .is_some_and(|b| b >> (7 - depth % 8) & 1 == 1)
            };
            let (left, right) = leaves.split_at(leaves.partition_point(|l| !bit(l)));
            let (left, right) = (root_of(left, depth + 1), root_of(right, depth + 1));
            hash([INTERNAL_DOMAIN_SEPARATOR, &left, &right])
        }
    }
}

/// Checks that the node at a path has this hash, and all below it theirs;
/// counts the leaves.
fn walk(
    snapshot: &dyn Snapshot,
    version: u64,
    path: &mut Vec<u8>,
    expected: &[u8; 32],
) -> Result<u64, StoreError> {
    let damaged = |what: &str| StoreError::corrupted(format!("tree node {path:x?}: {what}"));
    let node = load_node(snapshot, &path_key(version, path))?.ok_or_else(|| damaged("missing"))?;
    if node_hash(&node) != *expected {
        return Err(damaged("has another hash than its parent says"));
    }
    match node {
        Node::Null => Ok(0),
        Node::Leaf(_) => Ok(1),
        Node::Internal(_) if path.len() == 64 => Err(damaged("lies too deep")),
        Node::Internal(node) => {
            let mut leaves = 0;
            for (nibble, child) in node.children_sorted() {
                path.push(u8::from(nibble));
                leaves += walk(snapshot, child.version, path, &child.hash)?;
                path.pop();
            }
            Ok(leaves)
        }
    }
}

/// Follows the stored blocks from the lowest to the head.
fn follow(snapshot: &dyn Snapshot, head: &Head) -> Result<u64, StoreError> {
    let chain = load_chain(snapshot)?.ok_or(StoreError::NotInitialised)?;
    let Some(lowest) = load_lowest(snapshot)? else {
        return match head.height {
            Slot(0) => Ok(0),
            _ => Err(StoreError::corrupted("the head's block is missing")),
        };
    };
    let mut parent: Option<BlockId> = (lowest == Slot(1)).then_some(BlockId(chain.0));
    for height in lowest.0..=head.height.0 {
        let damaged = |what| StoreError::corrupted(format!("block {height} {what}"));
        let (block, certificate) =
            load_block(snapshot, Slot(height))?.ok_or_else(|| damaged("is missing"))?;
        let id = block.id();
        if block.header.height.0 != height || block.header.chain_id != chain {
            return Err(damaged("is not what its place says"));
        }
        block
            .check_shape(&chain)
            .map_err(|_| damaged("is not what its header says"))?;
        if parent.is_some_and(|parent| parent != block.header.parent_id) {
            return Err(damaged("does not follow the one before"));
        }
        if certificate.block_id != id || certificate.height.0 != height {
            return Err(damaged("has another block's certificate"));
        }
        let stored = snapshot.get(Table::BlockIds, id.as_bytes())?;
        if stored.as_deref() != Some(&height.to_be_bytes()[..]) {
            return Err(damaged("is not found by its id"));
        }
        if height == head.height.0
            && (id != head.block_id || block.header.state_root != head.state_root)
        {
            return Err(damaged("is not the head"));
        }
        parent = Some(id);
    }
    Ok(head.height.0 - lowest.0 + 1)
}
