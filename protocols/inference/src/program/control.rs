//! Control flow as instructions.
//!
//! Rules (SPEC.md, "Control flow"): a program is one flat list. A control node
//! is an *owner* instruction followed by its bodies; each body ends with an
//! instruction that moves the body's outputs.
//!
//! ```text
//!   If     reads the condition, goes to one branch      Loop   sets up, or skips everything
//!     then …                                              body …
//!   EndIf  then's outputs become the If's; goes on       Next   outputs become the next
//!     else …                                                    iteration's inputs, or the
//!   EndIf  else's outputs become the If's; goes on              Loop's outputs; goes back or on
//! ```
//!
//! Scan is the same instruction as Loop: it takes one row of each scan input per
//! iteration. Moving renames a value, it reads no bytes.

use super::ValueId;
use crate::codec::Writer;
use crate::tensor::DType;

/// Deepest nesting of bodies: also the largest control stack.
pub(crate) const MAX_NESTING: usize = 16;

/// What a control instruction does. Inputs, outputs and `frees` are the
/// instruction's.
#[derive(Debug)]
pub(crate) enum Control {
    /// `If`. Input: the condition. Outputs: the results, set by the branches' ends.
    Branch {
        /// First instruction of the else branch.
        otherwise: u32,
        /// First instruction after the If.
        end: u32,
        /// Values captured (or results unused) that die when the If is left.
        leave: Vec<ValueId>,
    },
    /// The end of a branch. Inputs: the branch's outputs; outputs: the owner's.
    Merge {
        /// Index of the owner.
        owner: u32,
    },
    /// `Loop` or `Scan`. Inputs: greatest number of iterations or absent,
    /// condition or absent, initial values, scan inputs. Outputs: the body's
    /// iteration number, condition, carried values, rows.
    Enter(Box<Enter>),
    /// The end of a loop's body. Inputs: condition or absent, carried values,
    /// elements to append. Outputs: the loop's results.
    Next {
        /// Index of the owner.
        owner: u32,
    },
}

/// A loop's fixed part.
#[derive(Debug)]
pub(crate) struct Enter {
    /// Index of the [`Control::Next`].
    pub(crate) next: u32,
    /// Number of carried values.
    pub(crate) carried: usize,
    /// Number of scan inputs.
    pub(crate) scans: usize,
    /// One per element appended; `None` when nobody wants it.
    pub(crate) stacks: Vec<Option<Stack>>,
    /// Dimensions (0 or 1) of the iteration number and the condition in the body.
    pub(crate) iteration_rank: u8,
    pub(crate) condition_rank: u8,
    /// Values captured (or results unused) that die when the loop is left.
    pub(crate) leave: Vec<ValueId>,
}

/// Elements appended, one per iteration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stack {
    /// Where they are kept while the loop runs.
    pub(crate) id: ValueId,
    /// Declared type of an element, for a loop without iterations.
    pub(crate) dtype: Option<DType>,
    /// Declared dimensions of an element, 0 where open.
    pub(crate) dims: Vec<u64>,
}

/// Places of a loop's inputs.
pub(crate) const TRIPS: usize = 0;
pub(crate) const CONDITION: usize = 1;
pub(crate) const CARRIED: usize = 2;

impl Control {
    /// The fixed part beyond inputs, outputs and frees, for the model id.
    pub(super) fn write(&self, w: &mut Writer) {
        let list = |w: &mut Writer, ids: &[ValueId]| {
            w.count(ids.len());
            ids.iter().for_each(|&id| w.u32(id));
        };
        match self {
            Control::Branch {
                otherwise,
                end,
                leave,
            } => {
                w.u8(1);
                w.u32(*otherwise);
                w.u32(*end);
                list(w, leave);
            }
            Control::Merge { owner } => {
                w.u8(2);
                w.u32(*owner);
            }
            Control::Enter(e) => {
                w.u8(3);
                w.u32(e.next);
                w.count(e.carried);
                w.count(e.scans);
                w.count(e.stacks.len());
                for stack in &e.stacks {
                    // Ids are shifted by one: 0 is "absent".
                    w.u64(stack.as_ref().map_or(0, |s| u64::from(s.id) + 1));
                    if let Some(s) = stack {
                        w.u8(s.dtype.map_or(0, |d| d.code()));
                        w.count(s.dims.len());
                        s.dims.iter().for_each(|&d| w.u64(d));
                    }
                }
                w.u8(e.iteration_rank);
                w.u8(e.condition_rank);
                list(w, &e.leave);
            }
            Control::Next { owner } => {
                w.u8(4);
                w.u32(*owner);
            }
        }
    }

    /// Values that die when this owner is left.
    pub(crate) fn leave(&self) -> &[ValueId] {
        match self {
            Control::Branch { leave, .. } => leave,
            Control::Enter(e) => &e.leave,
            Control::Merge { .. } | Control::Next { .. } => &[],
        }
    }

    pub(super) fn set_leave(&mut self, ids: Vec<ValueId>) {
        match self {
            Control::Branch { leave, .. } => *leave = ids,
            Control::Enter(e) => e.leave = ids,
            Control::Merge { .. } | Control::Next { .. } => {}
        }
    }
}
