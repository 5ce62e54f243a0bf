//! What a step has used so far, and what its witness would carry.
//!
//! A witness holds each value of the state before that the step reads, once.

use std::collections::BTreeSet;

use super::live::Live;
use super::state::Status;
use crate::program::ValueId;
use crate::tensor::encoded_len;

/// A step being executed.
pub(super) struct Step {
    pub(super) gas: u64,
    pub(super) executed: u64,
    /// Encoded size of its witness so far, bytes.
    pub(super) witness: u64,
    pub(super) memory: u64,
    /// Values of the state before that it looked at.
    pub(super) reads: BTreeSet<ValueId>,
    /// Values of the state before that `witness` counts.
    pub(super) counted: BTreeSet<ValueId>,
    pub(super) trap: Option<&'static str>,
}

/// What a witness carries if the next instruction is executed.
pub(super) struct Carried {
    pub(super) bytes: u64,
    pub(super) values: BTreeSet<ValueId>,
}

impl Step {
    pub(super) fn new(witness: u64) -> Self {
        Self {
            gas: 0,
            executed: 0,
            witness,
            memory: 0,
            reads: BTreeSet::new(),
            counted: BTreeSet::new(),
            trap: None,
        }
    }

    /// The witness of this step and these values.
    pub(super) fn carried(&self, live: &Live, ids: impl Iterator<Item = ValueId>) -> Carried {
        let mut carried = Carried {
            bytes: self.witness,
            values: BTreeSet::new(),
        };
        for id in ids {
            let Some(origin) = live.origin(id).filter(|o| !self.counted.contains(o)) else {
                continue;
            };
            if let (true, Some(slot)) = (carried.values.insert(origin), live.slots.get(&id)) {
                let len = encoded_len(slot.desc.dtype, &slot.desc.shape).saturating_add(4);
                carried.bytes = carried.bytes.saturating_add(len);
            }
        }
        carried
    }

    pub(super) fn carry(&mut self, carried: Carried) {
        self.witness = carried.bytes;
        self.reads.extend(&carried.values);
        self.counted.extend(carried.values);
    }

    /// A step that holds something closes before an instruction that does not
    /// fit; an instruction that does not fit alone ends the run.
    pub(super) fn too_large(&self) -> Flow {
        if self.executed == 0 {
            Flow::End(Status::StepTooLarge)
        } else {
            Flow::Close
        }
    }

    pub(super) fn trap(&mut self, reason: &'static str) -> Flow {
        self.trap = Some(reason);
        Flow::End(Status::Trapped)
    }
}

/// How a step goes on after an instruction.
#[derive(Clone, Copy)]
pub(super) enum Flow {
    Next,
    Close,
    End(Status),
}
