//! The live values and their running totals.
//!
//! Rules: a value keeps its *origin*, the id that it had in the state before the
//! step, as long as its bytes are the same: control instructions rename values,
//! and a witness names them as the state before does.

use std::collections::BTreeMap;

use super::limits::live_weight;
use crate::ops::Desc;
use crate::program::ValueId;
use crate::tensor::{Digest, Tensor};

/// A live value: its description always, its bytes and digest as known.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) desc: Desc,
    pub(super) tensor: Option<Tensor>,
    pub(super) digest: Option<Digest>,
    /// Its id in the state before the step, unless the step has made it.
    origin: Option<ValueId>,
    /// Bytes that it may take besides its elements: a stack grows ahead.
    spare: u64,
    /// Its node, while it waits to be computed (`pending`).
    pub(super) node: Option<usize>,
    /// Whether it is the same in every run (`kept`).
    pub(super) fixed: bool,
}

impl Slot {
    /// A value that has just been made.
    pub(super) fn new(tensor: Tensor) -> Self {
        Self {
            desc: Desc::of(&tensor),
            tensor: Some(tensor),
            digest: None,
            origin: None,
            spare: 0,
            node: None,
            fixed: false,
        }
    }

    /// A value of a state.
    pub(super) fn known(desc: Desc, tensor: Option<Tensor>, digest: Option<Digest>) -> Self {
        Self {
            desc,
            tensor,
            digest,
            origin: None,
            spare: 0,
            node: None,
            fixed: false,
        }
    }

    /// A value that waits to be computed.
    pub(super) fn waiting(desc: Desc, node: usize) -> Self {
        Self {
            node: Some(node),
            ..Self::known(desc, None, None)
        }
    }

    /// A value that is the same in every run.
    pub(super) fn fixed(tensor: Tensor, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            fixed: true,
            ..Self::new(tensor)
        }
    }

    /// The same value, as one that may grow: it counts double.
    pub(super) fn growing(mut self) -> Self {
        self.spare = self.desc.bytes();
        self
    }

    /// The same value under another name: it no longer grows, and another round
    /// may bring another one.
    pub(super) fn settled(mut self) -> Self {
        self.spare = 0;
        self.fixed = false;
        self
    }

    /// Gives back what a stack took ahead.
    pub(super) fn shrink(&mut self) {
        if let Some(tensor) = &mut self.tensor {
            tensor.shrink();
        }
    }

    /// Lets go of the value; its memory may be used again.
    pub(super) fn recycle(self) {
        if let Some(tensor) = self.tensor {
            tensor.recycle();
        }
    }

    fn bytes(&self) -> u64 {
        self.desc.bytes().saturating_add(self.spare)
    }

    fn weight(&self) -> u64 {
        live_weight(self.desc.dtype, &self.desc.shape)
    }
}

/// The live values.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    pub(super) slots: BTreeMap<ValueId, Slot>,
    /// Memory that they take.
    pub(super) bytes: u64,
    /// What they count for by the step rule.
    pub(super) weight: u64,
}

impl Live {
    pub(super) fn insert(&mut self, id: ValueId, slot: Slot) {
        self.remove(id);
        self.bytes = self.bytes.saturating_add(slot.bytes());
        self.weight = self.weight.saturating_add(slot.weight());
        self.slots.insert(id, slot);
    }

    pub(super) fn remove(&mut self, id: ValueId) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(slot.bytes());
        self.weight = self.weight.saturating_sub(slot.weight());
        Some(slot)
    }

    /// From now on the values here are those of the state before.
    pub(super) fn begin_step(&mut self) {
        for (&id, slot) in &mut self.slots {
            slot.origin = Some(id);
        }
    }

    /// The id that a value had in the state before, if it was there.
    pub(super) fn origin(&self, id: ValueId) -> Option<ValueId> {
        self.slots.get(&id).and_then(|s| s.origin)
    }
}
