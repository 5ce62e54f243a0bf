//! Operators whose output depends on where elements are true or named: NonZero,
//! Compress, OneHot.
//!
//! Rules: NonZero and Compress count in planning, and pay for it. NaN is not
//! zero. Compress ignores a condition's elements beyond the dimension. OneHot:
//! a negative index counts from `depth`; one out of range gives a row of "off";
//! float indices and depths truncate.

use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axis, layout, single};
use crate::gas;
use crate::kernels::Kernels;
use crate::ops::create::Scalar;
use crate::ops::order::split;
use crate::tensor::{DType, Element, Tensor, numel, with_data};

#[derive(Debug)]
struct NonZero;

pub(super) fn non_zero(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(NonZero)
}

impl Operator for NonZero {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let t = inputs.tensor(0)?;
        let n = with_data!(t.data(), x => x.iter().filter(|x| x.bool()).count());
        let gas = gas::elementwise(t.len() as u64, gas::VISIT);
        let mut plan = layout::moved(Desc::new(DType::I64, vec![t.shape().len(), n]));
        plan.gas = plan.gas.saturating_add(gas);
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let at: Vec<usize> = with_data!(t.data(), x => {
            x.iter().enumerate().filter(|(_, x)| x.bool()).map(|(i, _)| i).collect()
        });
        let mut v = Vec::with_capacity(numel(plan.shape(0)) as usize);
        let mut step = t.len();
        for &d in t.shape() {
            // A dimension of 0 has no elements to name.
            step /= d.max(1);
            v.extend(at.iter().map(|&i| (i / step.max(1) % d.max(1)) as i64));
        }
        single(plan.shape(0), v)
    }
}

#[derive(Debug)]
struct Compress(Option<i64>);

pub(super) fn compress(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    ok(Compress(node.opt_int("axis")?))
}

impl Compress {
    fn dims(&self, shape: &[usize]) -> Result<(usize, usize, usize), Fault> {
        match self.0 {
            Some(a) => Ok(split(shape, axis(a, shape.len())?)),
            None => Ok((1, numel(shape) as usize, 1)),
        }
    }
}

impl Operator for Compress {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let c = inputs.typed(1, DType::Bool)?;
        if c.shape.len() != 1 {
            return Err(Fault::Trap("the condition must have one dimension"));
        }
        let (_, n, _) = self.dims(&d.shape)?;
        let kept = inputs
            .slice::<bool>(1)?
            .iter()
            .take(n)
            .filter(|&&c| c)
            .count();
        let mut shape = d.shape.clone();
        match self.0 {
            Some(a) => {
                let a = axis(a, shape.len())?;
                shape[a] = kept;
            }
            None => shape = vec![kept],
        }
        let gas = gas::elementwise(c.len(), gas::VISIT);
        let mut plan = layout::moved(Desc::new(d.dtype, shape));
        plan.gas = plan.gas.saturating_add(gas);
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let (outer, n, inner) = self.dims(t.shape())?;
        let keep = inputs.slice::<bool>(1)?;
        with_data!(t.data(), x => {
            let mut v = Vec::with_capacity(numel(plan.shape(0)) as usize);
            // Nothing to keep, however many times.
            let outer = if numel(plan.shape(0)) == 0 { 0 } else { outer };
            for o in 0..outer {
                for (j, _) in keep.iter().take(n).enumerate().filter(|(_, k)| **k) {
                    let at = (o * n + j) * inner;
                    v.extend_from_slice(&x[at..at + inner]);
                }
            }
            single(plan.shape(0), v)
        })
    }
}

#[derive(Debug)]
struct OneHot(i64);

pub(super) fn one_hot(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(3, 3, 1)?;
    ok(OneHot(node.int("axis", -1)?))
}

impl OneHot {
    fn depth(inputs: &Inputs<'_>) -> Result<usize, Fault> {
        if inputs.desc(1)?.len() != 1 {
            return Err(Fault::Trap("depth must be a scalar"));
        }
        let t = inputs.tensor(1)?;
        let depth = with_data!(t.data(), x => x.first().map_or(0, |x| x.i64()));
        usize::try_from(depth).map_err(|_| Fault::Trap("negative depth"))
    }
}

impl Operator for OneHot {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let mut shape = inputs.shape(0)?.to_vec();
        let values = inputs.desc(2)?;
        if inputs.dtype(0)? == DType::Bool || values.shape != [2] {
            return Err(Fault::Trap("numbers, and two values, are needed here"));
        }
        let a = axis(self.0, shape.len() + 1)?;
        shape.insert(a, Self::depth(inputs)?);
        Ok(layout::moved(Desc::new(values.dtype, shape)))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let depth = Self::depth(inputs)? as i64;
        let t = inputs.tensor(0)?;
        let index: Vec<i64> = with_data!(t.data(), x => x.iter().map(|x| x.i64()).collect());
        let a = axis(self.0, plan.shape(0).len())?;
        let values = inputs.tensor(2)?;
        with_data!(values.data(), v => fill(v, &index, depth, plan.shape(0), a))
    }
}

fn fill<T: Element>(
    values: &[T],
    index: &[i64],
    depth: i64,
    out: &[usize],
    a: usize,
) -> Result<Vec<Tensor>, Fault> {
    let &[off, on] = values else {
        return Err(Fault::Trap("two values are needed here"));
    };
    let (_, n, inner) = split(out, a);
    let mut v = vec![off; numel(out) as usize];
    for (i, &at) in index.iter().enumerate() {
        let at = if at < 0 { at.saturating_add(depth) } else { at };
        if (0..depth).contains(&at) {
            let (o, i) = (i / inner.max(1), i % inner.max(1));
            v[(o * n + at as usize) * inner + i] = on;
        }
    }
    single(out, v)
}
