//! Broadcasting as it was before operator set 7.
//!
//! Rule: the second operand's dimensions are laid against the first's from the
//! attribute `axis` on; without it, from the right as today. PRelu's slope of one
//! dimension lies along dimension 1, the channels. `consumed_inputs` (operator
//! set 1) never had a meaning for results.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use super::{BuildError, Desc, Fault, Input, Inputs, Node, Operator, Plan};
use crate::kernels::Kernels;
use crate::tensor::Tensor;

/// An operator whose input 1 is aligned at a dimension of input 0.
#[derive(Debug)]
struct Aligned {
    inner: Arc<dyn Operator>,
    axis: i64,
}

/// `inner` as the node's operator set has it.
pub(super) fn aligned(
    node: &Node<'_>,
    inner: Arc<dyn Operator>,
) -> Result<Arc<dyn Operator>, BuildError> {
    if node.version >= 7 {
        return Ok(inner);
    }
    node.ignore("consumed_inputs");
    if node.op == "PRelu" {
        return Ok(Arc::new(Aligned { inner, axis: 1 }));
    }
    node.flag("broadcast", false)?;
    Ok(match node.opt_int("axis")? {
        Some(axis) => Arc::new(Aligned { inner, axis }),
        None => inner,
    })
}

impl Aligned {
    /// Input 1's shape with the dimensions of 1 that the alignment adds.
    fn shape(&self, inputs: &Inputs<'_>) -> Result<Vec<usize>, Fault> {
        let rank = inputs.shape(0)?.len();
        let mut shape = inputs.shape(1)?.to_vec();
        // A scalar, or one value, fits anywhere.
        if shape.iter().all(|&d| d == 1) {
            return Ok(shape);
        }
        let start = super::axis(self.axis, rank)?;
        if start + shape.len() > rank {
            return Err(Fault::Trap("shapes do not broadcast"));
        }
        shape.resize(rank - start, 1);
        Ok(shape)
    }

    /// Runs `f` on the inputs with input 1 under its new shape.
    fn with<R>(
        &self,
        inputs: &Inputs<'_>,
        f: impl FnOnce(&Inputs<'_>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let shape = self.shape(inputs)?;
        let value = |i: usize| inputs.slots.get(i).and_then(Option::as_ref)?.value;
        let second = match value(1) {
            Some(t) => Some(
                t.reshaped(&shape)
                    .map_err(|_| Fault::Trap("element counts differ"))?,
            ),
            None => None,
        };
        let input = |desc, value| {
            Some(Input {
                desc: Cow::Owned(desc),
                value,
                node: None,
                touched: Cell::new(false),
            })
        };
        let view = Inputs::new(vec![
            input(inputs.desc(0)?.clone(), value(0)),
            input(Desc::new(inputs.dtype(1)?, shape), second.as_ref()),
        ]);
        let out = f(&view);
        for i in view.touched() {
            if let Some(Some(input)) = inputs.slots.get(i) {
                input.touched.set(true);
            }
        }
        out
    }
}

impl Operator for Aligned {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        self.with(inputs, |view| self.inner.plan(view))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        self.with(inputs, |view| self.inner.eval(view, plan, k))
    }

    fn reads(&self, i: usize) -> bool {
        self.inner.reads(i)
    }
}
