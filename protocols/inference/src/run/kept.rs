//! What instructions make of constants alone, kept from one run to the next.
//!
//! Rule: a value is *fixed* if an operator made it from constants and fixed
//! values only; it is then the same in every run, and computing it once is
//! enough. Planning, gas, limits, steps and digests take their course as if it
//! were computed again. Values that control instructions move are not fixed:
//! a body sees others in its next round. Kept values take at most twice the
//! constants' memory, and at most [`MOST`].

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::live::Slot;
use crate::tensor::{Digest, Tensor};

/// Most bytes that a program's kept values take.
const MOST: u64 = 64 << 20;

/// The kept outputs of a program's instructions.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Bytes that all may take.
    most: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    /// Values and digests, by instruction.
    outputs: BTreeMap<u32, Vec<(Tensor, Digest)>>,
}

impl Kept {
    /// For a program with so many bytes of constants.
    pub(crate) fn new(constants: u64) -> Self {
        Self {
            most: constants.saturating_mul(2).min(MOST),
            held: Mutex::default(),
        }
    }

    /// The outputs of an instruction, if they are kept.
    pub(super) fn get(&self, instruction: u32) -> Option<Vec<Slot>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Some(slots(held.outputs.get(&instruction)?))
    }

    /// Slots for the outputs, which are kept, with packed forms, if there is room.
    pub(super) fn put(&self, instruction: u32, outputs: Vec<Tensor>) -> Vec<Slot> {
        let bytes = outputs.iter().map(Tensor::byte_len).sum::<u64>();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.bytes.saturating_add(bytes) > self.most {
            return outputs.into_iter().map(Slot::new).collect();
        }
        let mut all = Vec::new();
        for mut tensor in outputs {
            tensor.keep_prepared();
            let digest = tensor.digest();
            all.push((tensor, digest));
        }
        let slots = slots(&all);
        if held.outputs.insert(instruction, all).is_none() {
            held.bytes += bytes;
        }
        slots
    }
}

fn slots(outputs: &[(Tensor, Digest)]) -> Vec<Slot> {
    let one = |(tensor, digest): &(Tensor, Digest)| Slot::fixed(tensor.clone(), *digest);
    outputs.iter().map(one).collect()
}
