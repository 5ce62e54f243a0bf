//! Which values die with which instruction.
//!
//! Rules (SPEC.md, "Control flow"): liveness is syntactic. A use inside a body
//! counts as a use by the owner in the scope where the value is defined: a
//! captured value lives until its owner is left. What an owner itself takes and
//! no body captures dies when it starts. A value defined in a body dies in it.
//! Graph outputs never die; inputs that nothing uses die with the first
//! instruction. A body's input that nothing uses is not made.

use std::collections::{BTreeMap, BTreeSet};

use super::control::{CARRIED, Control};
use super::{Code, Instruction, Scope, ValueId, ValueInfo};
use crate::tensor::Tensor;

/// The last use of a value, in the scope that defines it.
#[derive(Clone, Copy)]
struct Last {
    at: u32,
    captured: bool,
}

/// Fills in `frees` and `leave`. `homes` is the scope that defines each value.
pub(super) fn liveness(
    instructions: &mut [Instruction],
    scopes: &[Scope],
    homes: &[u32],
    constants: &BTreeMap<ValueId, Tensor>,
    inputs: usize,
    outputs: &[ValueInfo],
) {
    let kept: BTreeSet<ValueId> = outputs.iter().map(|o| o.id).collect();
    let mut last: BTreeMap<ValueId, Last> = BTreeMap::new();
    for (at, i) in instructions.iter().enumerate() {
        for (place, id) in i.inputs.iter().enumerate() {
            let Some(id) = id else { continue };
            if constants.contains_key(id) {
                continue;
            }
            // Rows of a scan input are taken until the loop is left.
            let row = match &i.code {
                Code::Control(Control::Enter(e)) => place >= CARRIED + e.carried,
                _ => false,
            };
            let home = homes.get(*id as usize).copied().unwrap_or(0);
            let mut used = Last {
                at: at as u32,
                captured: row,
            };
            let mut scope = i.scope;
            // Bounded by the nesting, which is.
            while scope != home {
                let Some(s) = scopes.get(scope as usize).filter(|_| scope != 0) else {
                    break;
                };
                used = Last {
                    at: s.owner,
                    captured: true,
                };
                scope = s.parent;
            }
            let entry = last.entry(*id).or_insert(used);
            if used.at > entry.at {
                *entry = used;
            } else if used.at == entry.at {
                entry.captured |= used.captured;
            }
        }
    }
    let mut frees: BTreeMap<u32, BTreeSet<ValueId>> = BTreeMap::new();
    let mut leaves: BTreeMap<u32, BTreeSet<ValueId>> = BTreeMap::new();
    for (&id, used) in last.iter().filter(|(id, _)| !kept.contains(id)) {
        let list = if used.captured {
            &mut leaves
        } else {
            &mut frees
        };
        list.entry(used.at).or_default().insert(id);
    }
    for (at, i) in instructions.iter_mut().enumerate() {
        let unused = |id: &ValueId| !last.contains_key(id) && !kept.contains(id);
        match &i.code {
            Code::Op(_) => {
                let list = frees.entry(at as u32).or_default();
                list.extend(i.outputs.iter().flatten().filter(|id| unused(id)));
            }
            Code::Control(Control::Enter(_)) => {
                for id in &mut i.outputs {
                    *id = id.filter(|id| !unused(id));
                }
            }
            Code::Control(Control::Branch { .. }) => {}
            Code::Control(Control::Merge { owner } | Control::Next { owner }) => {
                let list = leaves.entry(*owner).or_default();
                list.extend(i.outputs.iter().flatten().filter(|id| unused(id)));
            }
        }
    }
    let idle = (0..inputs as ValueId).filter(|id| !last.contains_key(id) && !kept.contains(id));
    frees.entry(0).or_default().extend(idle);
    for (at, i) in instructions.iter_mut().enumerate() {
        i.frees = take(&mut frees, at);
        if let Code::Control(c) = &mut i.code {
            c.set_leave(take(&mut leaves, at));
        }
    }
}

fn take(map: &mut BTreeMap<u32, BTreeSet<ValueId>>, at: usize) -> Vec<ValueId> {
    map.remove(&(at as u32))
        .map_or_else(Vec::new, |s| s.into_iter().collect())
}
