//! Elementwise instructions that wait to be computed together.
//!
//! Rules. An instruction that has been checked and paid for like any other may
//! *wait*: its output is live, with its description, and its bytes are made when
//! somebody looks at them — another kind of instruction, a control instruction,
//! or the state at the end of the step. What dies before that is never written
//! to memory. Instructions of one length wait at a time. Nothing in a trace,
//! witness, limit or fault depends on who waits: such instructions cannot trap,
//! and one whose operands are not all here (as when re-executing from a witness)
//! does not wait.
//!
//! *Memory*: operands stay until the chain is computed, also those that have
//! died. Where they and what the limit allows the next instruction do not fit
//! together, the chain is computed first.

use crate::kernels::fused::{self, Node, Source};
use crate::ops::{Desc, Plan};
use crate::program::{Instruction, ValueId};
use crate::tensor::{DType, Tensor};

use super::engine::Run;
use super::live::Slot;

/// Shorter tensors are computed at once.
const LEAST: u64 = 4096;
/// Most instructions that wait.
const MOST: usize = 32;

/// Instructions that wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    nodes: Vec<Node>,
    /// Elements of each node.
    len: u64,
    operands: Vec<Tensor>,
    /// Bytes of the operands.
    pub(super) bytes: u64,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether an instruction with this plan is worth waiting with others.
    pub(super) fn takes(plan: &Plan) -> bool {
        matches!(plan.outputs.as_slice(), [d] if d.dtype == DType::F32 && d.len() >= LEAST)
    }

    /// The operand's index; each tensor is held once.
    fn operand(&mut self, tensor: &Tensor) -> usize {
        let same =
            |t: &Tensor| t.view::<f32>().map(<[f32]>::as_ptr) == tensor.view().map(<[f32]>::as_ptr);
        self.operands.iter().position(same).unwrap_or_else(|| {
            self.bytes = self.bytes.saturating_add(tensor.byte_len());
            self.operands.push(tensor.clone());
            self.operands.len() - 1
        })
    }
}

impl Run<'_> {
    /// Whether an instruction reads what waits.
    pub(super) fn waits(&self, i: &Instruction) -> bool {
        let waits = |id: &ValueId| self.live.slots.get(id).is_some_and(|s| s.node.is_some());
        !self.pending.is_empty() && i.inputs.iter().flatten().any(waits)
    }

    /// Lets an instruction wait, if it can: `node` names slices by input places.
    /// Its output, to be made live.
    pub(super) fn wait(&mut self, i: &Instruction, mut node: Node, out: &Desc) -> Option<Slot> {
        let len = out.len();
        if self.pending.nodes.len() == MOST {
            return None;
        }
        if self.pending.len != len {
            if [node.a, node.b]
                .iter()
                .any(|s| matches!(s, Source::Node(_)))
            {
                return None;
            }
            self.settle();
            self.pending.len = len;
        }
        for source in [&mut node.a, &mut node.b] {
            let Source::Slice { at, .. } = source else {
                continue;
            };
            let id = i.inputs.get(*at).copied().flatten()?;
            let tensor = match self.program.constants.get(&id) {
                Some(tensor) => tensor,
                None => self.live.slots.get(&id)?.tensor.as_ref()?,
            };
            *at = self.pending.operand(tensor);
        }
        self.pending.nodes.push(node);
        Some(Slot::waiting(out.clone(), self.pending.nodes.len() - 1))
    }

    /// Computes what waits.
    pub(super) fn settle(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let waiting = self.live.slots.values_mut();
        let mut waiting: Vec<(usize, &mut Slot)> = waiting
            .filter_map(|slot| Some((slot.node.take()?, slot)))
            .collect();
        if !waiting.is_empty() {
            let wanted: Vec<usize> = waiting.iter().map(|(node, _)| *node).collect();
            let slices = pending.operands.iter().filter_map(Tensor::view);
            let slices: Vec<&[f32]> = slices.collect();
            let len = pending.len as usize;
            let made = fused::run(self.kernels, &pending.nodes, &wanted, &slices, len);
            for ((_, slot), v) in waiting.iter_mut().zip(made) {
                slot.tensor = Tensor::from_vec(&slot.desc.shape, v).ok();
            }
        }
        pending.operands.into_iter().for_each(Tensor::recycle);
    }
}
