//! Gather: rows along an axis, chosen by index; a negative index counts from
//! the end, one out of range traps.

use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axis, layout, single};
use crate::kernels::Kernels;
use crate::kernels::scratch;
use crate::tensor::{DType, Element, Tensor, numel, with_data};

#[derive(Debug)]
struct Gather(i64);

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    ok(Gather(node.int("axis", 0)?))
}

impl Operator for Gather {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let a = axis(self.0, d.shape.len())?;
        let index = inputs.desc(1)?;
        if !matches!(index.dtype, DType::I32 | DType::I64) {
            return Err(Fault::Trap("integers are needed here"));
        }
        let shape = [&d.shape[..a], &index.shape, &d.shape[a + 1..]].concat();
        Ok(layout::moved(Desc::new(d.dtype, shape)))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let a = axis(self.0, t.shape().len())?;
        let n = t.shape()[a] as i64;
        let mut rows = inputs.indices(1)?;
        for i in &mut rows {
            if *i < 0 {
                *i = i.saturating_add(n);
            }
            if !(0..n).contains(i) {
                return Err(Fault::Trap("index out of range"));
            }
        }
        with_data!(t.data(), x => pick(x, t.shape(), a, &rows, plan.shape(0)))
    }
}

fn pick<T: Element>(
    x: &[T],
    shape: &[usize],
    a: usize,
    rows: &[i64],
    out: &[usize],
) -> Result<Vec<Tensor>, Fault> {
    let (outer, inner) = (numel(&shape[..a]) as usize, numel(&shape[a + 1..]) as usize);
    let mut v = scratch::room(numel(out) as usize);
    if numel(out) > 0 {
        for o in 0..outer {
            for &i in rows {
                let at = (o * shape[a] + i as usize) * inner;
                v.extend_from_slice(&x[at..at + inner]);
            }
        }
    }
    single(out, v)
}
