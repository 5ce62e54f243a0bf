//! Moving whole tensors: Transpose, Expand, Concat, Split.

use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axes, axis, single, tensor};
use crate::gas;
use crate::kernels::scratch;
use crate::kernels::{Kernels, broadcast, strided};
use crate::tensor::{Element, Tensor, numel, with_data};

/// Gas of moving an output of this description.
pub(super) fn moved(d: Desc) -> Plan {
    let gas = gas::movement(d.bytes());
    Plan {
        outputs: vec![d],
        gas,
        scratch: 0,
    }
}

/// A strided view of `t`, copied out.
pub(super) fn copy(
    t: &Tensor,
    dims: &[usize],
    lane: &[isize],
    offset: isize,
) -> Result<Tensor, Fault> {
    with_data!(t.data(), x => {
        let mut v = scratch::room(numel(dims) as usize);
        strided::gather(x, dims, lane, offset, &mut v);
        tensor(dims, v)
    })
}

#[derive(Debug)]
struct Transpose(Option<Vec<i64>>);

pub(super) fn transpose(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(Transpose(node.ints("perm")?.map(<[i64]>::to_vec)))
}

impl Transpose {
    fn order(&self, rank: usize) -> Result<Vec<usize>, Fault> {
        match &self.0 {
            None => Ok((0..rank).rev().collect()),
            Some(p) if p.len() == rank => axes(p, rank),
            Some(_) => Err(Fault::Trap("the permutation does not fit the rank")),
        }
    }
}

impl Operator for Transpose {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let order = self.order(d.shape.len())?;
        Ok(moved(Desc::new(
            d.dtype,
            order.iter().map(|&i| d.shape[i]).collect::<Vec<_>>(),
        )))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let own = strided::strides(t.shape());
        let lane: Vec<isize> = self.order(own.len())?.iter().map(|&i| own[i]).collect();
        Ok(vec![copy(t, plan.shape(0), &lane, 0)?])
    }
}

#[derive(Debug)]
struct Expand;

pub(super) fn expand(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    ok(Expand)
}

impl Operator for Expand {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let target = inputs.ints(1)?;
        if target.len() > crate::tensor::MAX_RANK {
            return Err(Fault::Trap("too many dimensions"));
        }
        let target: Option<Vec<usize>> = target.iter().map(|&t| usize::try_from(t).ok()).collect();
        let target = target.ok_or(Fault::Trap("negative dimension"))?;
        let shape =
            broadcast::shape(&d.shape, &target).ok_or(Fault::Trap("shapes do not broadcast"))?;
        Ok(moved(Desc::new(d.dtype, shape)))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let out = plan.shape(0);
        Ok(vec![copy(t, out, &broadcast::lane(t.shape(), out), 0)?])
    }
}

#[derive(Debug)]
struct Concat(i64);

pub(super) fn concat(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, usize::MAX, 1)?;
    // The axis was optional, 1, before opset 4.
    let axis = match node.opt_int("axis")? {
        Some(a) => a,
        None if node.version < 4 => 1,
        None => return Err(BuildError::BadAttribute("axis")),
    };
    ok(Concat(axis))
}

impl Operator for Concat {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let mut d = inputs.desc(0)?.clone();
        let a = axis(self.0, d.shape.len())?;
        for i in 1..inputs.count() {
            let next = inputs.typed(i, d.dtype)?;
            let agrees = next.shape.len() == d.shape.len()
                && (0..d.shape.len()).all(|j| j == a || next.shape[j] == d.shape[j]);
            if !agrees {
                return Err(Fault::Trap("shapes differ off the axis"));
            }
            d.shape[a] = d.shape[a].saturating_add(next.shape[a]);
        }
        Ok(moved(d))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        with_data!(inputs.tensor(0)?.data(), x => self.join(x, inputs, plan.shape(0)))
    }
}

impl Concat {
    fn join<T: Element>(
        &self,
        _first: &[T],
        inputs: &Inputs<'_>,
        out: &[usize],
    ) -> Result<Vec<Tensor>, Fault> {
        if numel(out) == 0 {
            return single(out, Vec::<T>::new());
        }
        let a = axis(self.0, out.len())?;
        let outer = numel(&out[..a]) as usize;
        let mut parts = Vec::with_capacity(inputs.count());
        for i in 0..inputs.count() {
            parts.push((
                inputs.slice::<T>(i)?,
                numel(&inputs.shape(i)?[a..]) as usize,
            ));
        }
        let mut v = scratch::room(numel(out) as usize);
        for o in 0..outer {
            for (part, width) in &parts {
                v.extend_from_slice(&part[o * width..(o + 1) * width]);
            }
        }
        single(out, v)
    }
}

#[derive(Debug)]
struct Split {
    axis: i64,
    sizes: Option<Vec<i64>>,
    parts: usize,
    /// From opset 18 a last, smaller part is allowed.
    uneven: bool,
}

pub(super) fn split(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    let by_input = node.version >= 13;
    node.arity(1, if by_input { 2 } else { 1 }, usize::MAX)?;
    if node.version >= 18
        && let Some(n) = node.opt_int("num_outputs")?
        && n != node.outputs as i64
    {
        return Err(BuildError::BadAttribute("num_outputs"));
    }
    ok(Split {
        axis: node.int("axis", 0)?,
        sizes: if by_input {
            None
        } else {
            node.ints("split")?.map(<[i64]>::to_vec)
        },
        parts: node.outputs,
        uneven: node.version >= 18,
    })
}

impl Operator for Split {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let a = axis(self.axis, d.shape.len())?;
        let whole = d.shape[a];
        let sizes = match inputs.opt_ints(1)? {
            Some(s) => Some(s),
            None => self.sizes.clone(),
        };
        let sizes: Vec<usize> = match sizes {
            Some(s) => s
                .iter()
                .map(|&x| usize::try_from(x).ok())
                .collect::<Option<_>>()
                .ok_or(Fault::Trap("negative size"))?,
            None => {
                let size = whole.div_ceil(self.parts);
                if !self.uneven && size * self.parts != whole {
                    return Err(Fault::Trap("the parts are not equal"));
                }
                (0..self.parts)
                    .map(|i| size.min(whole.saturating_sub(i * size)))
                    .collect()
            }
        };
        let sum = sizes.iter().fold(0usize, |s, &x| s.saturating_add(x));
        if sizes.len() != self.parts || sum != whole {
            return Err(Fault::Trap("the parts do not make up the whole"));
        }
        let mut plan = moved(d.clone());
        plan.outputs = sizes
            .iter()
            .map(|&s| {
                let mut part = d.clone();
                part.shape[a] = s;
                part
            })
            .collect();
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let a = axis(self.axis, t.shape().len())?;
        let lane = strided::strides(t.shape());
        let mut at = 0isize;
        let mut out = Vec::with_capacity(self.parts);
        for d in &plan.outputs {
            out.push(copy(t, &d.shape, &lane, at.saturating_mul(lane[a]))?);
            at += d.shape[a] as isize;
        }
        Ok(out)
    }
}
