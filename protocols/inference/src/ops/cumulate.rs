//! CumSum: running sums along an axis.
//!
//! Rules: added one after the other from the start (from the end with
//! `reverse`), beginning with the first element itself; `exclusive` shifts the
//! sums by one place and begins with 0.

use std::sync::Arc;

use super::number::{Number, numeric};
use super::order::split;
use super::registry::ok;
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, axis, single};
use crate::gas;
use crate::kernels::Kernels;
use crate::tensor::{DType, Tensor};

#[derive(Debug)]
struct CumSum {
    exclusive: bool,
    reverse: bool,
}

pub(super) fn sum(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    ok(CumSum {
        exclusive: node.flag("exclusive", false)?,
        reverse: node.flag("reverse", false)?,
    })
}

impl Operator for CumSum {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if d.dtype == DType::Bool || inputs.desc(1)?.len() != 1 {
            return Err(Fault::Trap("numbers and one axis are needed here"));
        }
        Ok(super::arith::same(d, 2 * gas::VISIT))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let list = inputs.ints(1)?;
        let a = axis(list.first().copied().unwrap_or(0), plan.shape(0).len())?;
        numeric!(inputs.tensor(0)?, x => self.run(x, plan.shape(0), a))
    }
}

impl CumSum {
    fn run<T: Number>(&self, x: &[T], shape: &[usize], a: usize) -> Result<Vec<Tensor>, Fault> {
        let (outer, n, inner) = split(shape, a);
        let mut v = vec![T::default(); x.len()];
        for o in 0..outer {
            for i in 0..inner {
                let mut sum: Option<T> = None;
                for j in 0..n {
                    let j = if self.reverse { n - 1 - j } else { j };
                    let at = (o * n + j) * inner + i;
                    let next = sum.map_or(x[at].canon(), |s| s.add(x[at]));
                    v[at] = if self.exclusive {
                        sum.unwrap_or_default()
                    } else {
                        next
                    };
                    sum = Some(next);
                }
            }
        }
        single(shape, v)
    }
}
