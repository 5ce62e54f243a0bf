//! The Jellyfish Merkle tree over the state: what a block changes in it, and
//! proofs out of it.
//!
//! - Versions are heights. A block always makes a new root, also when it
//!   changes nothing, and the old root always becomes stale.
//! - Writes that change nothing are left out before the tree sees them.
//! - The tree takes a missing root for an empty tree; so the root is loaded
//!   and hashed against the head before anything is computed on it.

use crate::backend::{Change, Snapshot};
use crate::error::{StoreError, guarded};
use crate::layout::{Stale, Table, height_key, node_key, root_key, value_key};
use crate::reads::{Head, Proven};
use aether_mesh::{Slot, StateHasher, Writes, key_hash, verify_inclusion};
use borsh::BorshDeserialize;
use jmt::storage::{LeafNode, Node, NodeKey, TreeReader};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, Version};
use std::collections::BTreeSet;

type Tree<'a> = JellyfishMerkleTree<'a, Nodes<'a>, StateHasher>;

/// Root of a state without records.
pub(crate) const EMPTY_ROOT: [u8; 32] = Tree::EMPTY_ROOT.0;

/// The tree as jmt wants to read it. `value` answers the one question for a
/// value that making a proof asks.
struct Nodes<'a> {
    snapshot: &'a dyn Snapshot,
    value: Option<Vec<u8>>,
}

impl TreeReader for Nodes<'_> {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(load_node(self.snapshot, &node_key(key))?)
    }

    fn get_value_option(&self, _: Version, _: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        Ok(self.value.clone())
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("only restoring asks for the rightmost leaf")
    }
}

pub(crate) fn load_node(snapshot: &dyn Snapshot, key: &[u8]) -> Result<Option<Node>, StoreError> {
    let Some(bytes) = snapshot.get(Table::Nodes, key)? else {
        return Ok(None);
    };
    Node::try_from_slice(&bytes)
        .map(Some)
        .map_err(|e| StoreError::corrupted(format!("a tree node does not decode: {e}")))
}

pub(crate) fn node_hash(node: &Node) -> [u8; 32] {
    match node {
        Node::Null => EMPTY_ROOT,
        Node::Internal(node) => node.hash::<StateHasher>(),
        Node::Leaf(leaf) => leaf.hash::<StateHasher>(),
    }
}

/// The root of the tree at a height, from its root node.
pub(crate) fn root_at(snapshot: &dyn Snapshot, height: Slot) -> Result<[u8; 32], StoreError> {
    guarded("hashing a root", || {
        match load_node(snapshot, &root_key(height.0))? {
            Some(node) => Ok(node_hash(&node)),
            None => Err(StoreError::corrupted(format!(
                "the tree's root at {height} is missing"
            ))),
        }
    })
}

/// The root after `writes` on top of `parent` (`None`: the genesis), and every
/// change to the tables that brings it about.
pub(crate) fn plan(
    snapshot: &dyn Snapshot,
    parent: Option<&Head>,
    writes: &Writes,
) -> Result<([u8; 32], Vec<Change>), StoreError> {
    let version = match parent {
        Some(head) => {
            if root_at(snapshot, head.height)? != head.state_root {
                return Err(StoreError::corrupted("the tree's root is not the head's"));
            }
            head.height.0 + 1
        }
        None => 0,
    };
    let mut changes = Vec::with_capacity(writes.len() * 8);
    let mut stale = Stale::default();
    let mut puts = Vec::with_capacity(writes.len());
    for (key, value) in writes {
        let old = snapshot.get(Table::State, key)?;
        if old == *value {
            continue;
        }
        let place = key_hash(key);
        if let Some(old) = old {
            changes.push(Change::put(
                Table::Values,
                value_key(&place.0, version),
                old,
            ));
            stale.values.push(place.0);
        }
        changes.push(Change {
            table: Table::State,
            key: key.clone(),
            value: value.clone(),
        });
        puts.push((place, value.clone()));
    }
    let nodes = Nodes {
        snapshot,
        value: None,
    };
    let (root, batch) = guarded("computing the state root", || {
        Tree::new(&nodes)
            .put_value_set(puts, version)
            .map_err(StoreError::corrupted)
    })?;
    for (key, node) in batch.node_batch.nodes() {
        let bytes = borsh::to_vec(node).map_err(StoreError::corrupted)?;
        changes.push(Change::put(Table::Nodes, node_key(key), bytes));
    }
    if version > 0 {
        let mut keys: BTreeSet<Vec<u8>> = batch
            .stale_node_index_batch
            .iter()
            .map(|s| node_key(&s.node_key))
            .collect();
        // jmt forgets it when the block changed nothing or the tree was empty.
        keys.insert(root_key(version - 1));
        stale.nodes = keys.into_iter().collect();
        let bytes = borsh::to_vec(&stale).map_err(StoreError::corrupted)?;
        changes.push(Change::put(Table::Stale, height_key(Slot(version)), bytes));
    }
    Ok((root.0, changes))
}

/// The record under `key` at `height` with its proof, checked once more before
/// it leaves; `None` when there was none.
pub(crate) fn prove(
    snapshot: &dyn Snapshot,
    key: &[u8],
    height: Slot,
) -> Result<Option<Proven>, StoreError> {
    let root = root_at(snapshot, height)?;
    let place = key_hash(key);
    let nodes = Nodes {
        snapshot,
        value: value_at(snapshot, key, &place.0, height)?,
    };
    let (value, proof) = guarded("making a proof", || {
        Tree::new(&nodes)
            .get_with_proof(place, height.0)
            .map_err(StoreError::corrupted)
    })?;
    let Some(value) = value else { return Ok(None) };
    let proof = borsh::to_vec(&proof).map_err(StoreError::corrupted)?;
    verify_inclusion(&root, key, &value, &proof).map_err(StoreError::corrupted)?;
    Ok(Some(Proven {
        value,
        proof,
        state_root: root,
    }))
}

/// What the record was at `height`, if the tree of that height has it: the
/// oldest copy that a later height put aside, or the record as it is.
fn value_at(
    snapshot: &dyn Snapshot,
    key: &[u8],
    place: &[u8; 32],
    height: Slot,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut found = None;
    snapshot.scan(
        Table::Values,
        &value_key(place, height.after(1).0),
        &mut |k, v| {
            if k.starts_with(place) {
                found = Some(v.to_vec());
            }
            false
        },
    )?;
    match found {
        Some(value) => Ok(Some(value)),
        None => snapshot.get(Table::State, key),
    }
}
