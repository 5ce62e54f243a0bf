//! Scatter, ScatterElements, ScatterND: a copy of the data with elements or
//! slices replaced by, or combined with, updates.
//!
//! Rules: updates are applied row-major in order of the indices, so a later one
//! meets what an earlier one left; `add`, `mul`, `max`, `min` are the arithmetic
//! of Add, Mul, Max, Min. A negative index counts from the end; one out of range
//! traps. Gas: movement of the output, and one unit per update.

use std::sync::Arc;

use super::gather_nd::{Tuples, each, fits, index_type};
use super::half::Widened;
use super::number::{Number, numeric};
use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axis, layout, single};
use crate::gas;
use crate::kernels::Kernels;
use crate::tensor::{Element, Tensor, numel, with_data};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reduction {
    None,
    Add,
    Mul,
    Max,
    Min,
}

#[derive(Debug)]
struct Scatter {
    /// `None`: ScatterND.
    axis: Option<i64>,
    reduction: Reduction,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(3, 3, 1)?;
    let nd = node.op == "ScatterND";
    // Reductions came with opset 16, max and min with 18.
    let reduction = if node.version < 16 {
        Reduction::None
    } else {
        match node.text("reduction", "none")? {
            "none" => Reduction::None,
            "add" => Reduction::Add,
            "mul" => Reduction::Mul,
            "max" if node.version >= 18 => Reduction::Max,
            "min" if node.version >= 18 => Reduction::Min,
            _ => return Err(BuildError::BadAttribute("reduction")),
        }
    };
    let axis = if nd { None } else { Some(node.int("axis", 0)?) };
    let op = Scatter { axis, reduction };
    if reduction == Reduction::None {
        return ok(op);
    }
    ok(Widened {
        inner: Arc::new(op),
        driver: 0,
        keep: &[],
    })
}

impl Operator for Scatter {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let (d, index) = (inputs.desc(0)?, inputs.desc(1)?);
        index_type(inputs, 1)?;
        let updates = inputs.typed(2, d.dtype)?;
        let bad = Fault::Trap("the updates' shape does not fit");
        if let Some(a) = self.axis {
            fits(&d.shape, &index.shape, axis(a, d.shape.len())?)?;
            if index.shape != updates.shape {
                return Err(bad);
            }
        } else {
            let (&k, batch) = index.shape.split_last().ok_or(bad)?;
            let rest = d.shape.get(k..).ok_or(bad)?;
            if updates.shape != [batch, rest].concat() {
                return Err(bad);
            }
        }
        let mut plan = layout::moved(Desc::new(d.dtype, d.shape.clone()));
        plan.gas = plan
            .gas
            .saturating_add(gas::elementwise(updates.len(), gas::SIMPLE));
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        macro_rules! run {
            ($x:expr, $f:expr) => {
                self.apply($x, inputs, plan.shape(0), $f)
            };
        }
        match self.reduction {
            Reduction::None => with_data!(t.data(), x => run!(x, |_, u| u)),
            Reduction::Add => numeric!(t, x => run!(x, Number::add)),
            Reduction::Mul => numeric!(t, x => run!(x, Number::mul)),
            Reduction::Max => numeric!(t, x => run!(x, Number::max)),
            Reduction::Min => numeric!(t, x => run!(x, Number::min)),
        }
    }
}

impl Scatter {
    fn apply<T: Element>(
        &self,
        x: &[T],
        inputs: &Inputs<'_>,
        out: &[usize],
        f: impl Fn(T, T) -> T,
    ) -> Result<Vec<Tensor>, Fault> {
        let mut v = x.to_vec();
        let (index, shape) = (inputs.indices(1)?, inputs.shape(1)?);
        let updates = inputs.slice::<T>(2)?;
        if let Some(a) = self.axis {
            let a = axis(a, out.len())?;
            each(out, &index, shape, a, |at, i| v[at] = f(v[at], updates[i]))?;
            return single(out, v);
        }
        let (&k, batch) = shape.split_last().ok_or(Fault::Trap("no index"))?;
        let tuples = Tuples {
            data: out,
            index: &index,
            b: 0,
            k,
        };
        let width = tuples.width();
        let count = if updates.is_empty() { 0 } else { numel(batch) };
        for i in 0..count as usize {
            let at = tuples.offset(i)?;
            for j in 0..width {
                v[at + j] = f(v[at + j], updates[i * width + j]);
            }
        }
        single(out, v)
    }
}
