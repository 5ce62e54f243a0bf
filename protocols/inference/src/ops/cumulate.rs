//! CumSum and CumProd: running sums and products along an axis.
//!
//! Rules: one after the other from the start (from the end with `reverse`),
//! beginning with the first element itself; `exclusive` shifts the results by one
//! place and begins with 0, of products with 1.

use std::sync::Arc;

use super::number::{Number, numeric};
use super::order::split;
use super::registry::ok;
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, axis, single};
use crate::gas;
use crate::kernels::Kernels;
use crate::tensor::{DType, Tensor};

#[derive(Debug)]
struct Cumulate {
    product: bool,
    exclusive: bool,
    reverse: bool,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    ok(Cumulate {
        product: node.op == "CumProd",
        exclusive: node.flag("exclusive", false)?,
        reverse: node.flag("reverse", false)?,
    })
}

impl Operator for Cumulate {
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

impl Cumulate {
    fn run<T: Number>(&self, x: &[T], shape: &[usize], a: usize) -> Result<Vec<Tensor>, Fault> {
        let (outer, n, inner) = split(shape, a);
        let mut v = vec![T::default(); x.len()];
        if x.is_empty() {
            return single(shape, v);
        }
        let first = if self.product {
            T::from_f64(1.0)
        } else {
            T::default()
        };
        for o in 0..outer {
            for i in 0..inner {
                let mut sum: Option<T> = None;
                for j in 0..n {
                    let j = if self.reverse { n - 1 - j } else { j };
                    let at = (o * n + j) * inner + i;
                    let next = match sum {
                        None => x[at].canon(),
                        Some(p) if self.product => p.mul(x[at]),
                        Some(s) => s.add(x[at]),
                    };
                    v[at] = if self.exclusive {
                        sum.unwrap_or(first)
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
