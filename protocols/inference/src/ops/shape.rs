//! Operators that change or read a shape and leave the elements alone:
//! Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout, Shape, Size.
//!
//! Shape and Size read only the description of their input, not its value.

use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axes, axis, single};
use crate::gas;
use crate::kernels::Kernels;
use crate::tensor::{DType, Tensor, numel};

/// The input's elements under the planned shape.
fn relabel(inputs: &Inputs<'_>, plan: &Plan) -> Result<Vec<Tensor>, Fault> {
    let t = inputs.tensor(0)?;
    let t = t
        .reshaped(plan.shape(0))
        .map_err(|_| Fault::Trap("element counts differ"))?;
    Ok(vec![t])
}

fn relabelled(d: &Desc, shape: Vec<usize>) -> Result<Plan, Fault> {
    if numel(&shape) != d.len() {
        return Err(Fault::Trap("element counts differ"));
    }
    Ok(Plan::one(d.dtype, shape, gas::movement(d.bytes())))
}

#[derive(Debug)]
struct Reshape {
    allow_zero: bool,
    /// Before opset 5 the shape was an attribute.
    target: Option<Vec<i64>>,
}

pub(super) fn reshape(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    if node.version < 5 {
        node.arity(1, 1, 1)?;
        let target = node
            .ints("shape")?
            .ok_or(BuildError::BadAttribute("shape"))?
            .to_vec();
        return ok(Reshape {
            allow_zero: false,
            target: Some(target),
        });
    }
    node.arity(2, 2, 1)?;
    ok(Reshape {
        allow_zero: node.flag("allowzero", false)?,
        target: None,
    })
}

impl Operator for Reshape {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let target = match &self.target {
            Some(t) => t.clone(),
            None => inputs.ints(1)?,
        };
        let mut shape = Vec::with_capacity(target.len().min(32));
        let mut infer = None;
        for (i, &t) in target.iter().enumerate().take(32) {
            shape.push(match t {
                0 if !self.allow_zero => {
                    *d.shape.get(i).ok_or(Fault::Trap("no dimension to copy"))?
                }
                -1 if infer.is_none() => {
                    infer = Some(i);
                    1
                }
                t => usize::try_from(t).map_err(|_| Fault::Trap("negative dimension"))?,
            });
        }
        if target.len() > shape.len() {
            return Err(Fault::Trap("too many dimensions"));
        }
        if let Some(i) = infer {
            let known = numel(&shape);
            if known == 0 || !d.len().is_multiple_of(known) {
                return Err(Fault::Trap("the missing dimension cannot be inferred"));
            }
            shape[i] = (d.len() / known) as usize;
        }
        relabelled(d, shape)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        relabel(inputs, plan)
    }
}

#[derive(Debug)]
struct Flatten(i64);

pub(super) fn flatten(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(Flatten(node.int("axis", 1)?))
}

impl Operator for Flatten {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let rank = d.shape.len();
        // The axis may be one past the last dimension.
        let a = if self.0 == rank as i64 {
            rank
        } else {
            axis(self.0, rank)?
        };
        let (outer, inner) = d.shape.split_at(a);
        relabelled(d, vec![numel(outer) as usize, numel(inner) as usize])
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        relabel(inputs, plan)
    }
}

#[derive(Debug)]
struct Squeeze {
    insert: bool,
    axes: Option<Vec<i64>>,
}

pub(super) fn squeeze(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    let insert = node.op == "Unsqueeze";
    // The axes became an input at opset 13.
    let by_input = node.version >= 13;
    let max = if by_input { 2 } else { 1 };
    node.arity(if by_input && insert { 2 } else { 1 }, max, 1)?;
    let axes = if by_input {
        None
    } else {
        node.ints("axes")?.map(<[i64]>::to_vec)
    };
    if insert && !by_input && axes.is_none() {
        return Err(BuildError::BadAttribute("axes"));
    }
    ok(Squeeze { insert, axes })
}

impl Operator for Squeeze {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let list = match inputs.opt_ints(1)? {
            Some(list) => Some(list),
            None => self.axes.clone(),
        };
        let shape = if self.insert {
            let list = list.ok_or(Fault::Trap("axes are needed"))?;
            if list.len() > crate::tensor::MAX_RANK {
                return Err(Fault::Trap("too many dimensions"));
            }
            let rank = d.shape.len() + list.len();
            let new = axes(&list, rank)?;
            let mut old = d.shape.iter();
            (0..rank)
                .map(|i| {
                    if new.contains(&i) {
                        1
                    } else {
                        old.next().copied().unwrap_or(1)
                    }
                })
                .collect()
        } else {
            let gone = match list {
                Some(list) => axes(&list, d.shape.len())?,
                None => (0..d.shape.len()).filter(|&i| d.shape[i] == 1).collect(),
            };
            if gone.iter().any(|&i| d.shape[i] != 1) {
                return Err(Fault::Trap("only dimensions of size 1 can be squeezed"));
            }
            (0..d.shape.len())
                .filter(|i| !gone.contains(i))
                .map(|i| d.shape[i])
                .collect()
        };
        relabelled(d, shape)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        relabel(inputs, plan)
    }
}

#[derive(Debug)]
struct Identity {
    mask: bool,
}

pub(super) fn identity(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    if matches!(node.op, "Identity" | "OptionalGetElement") {
        node.arity(1, 1, 1)?;
        return ok(Identity { mask: false });
    }
    // Dropout at inference is the identity; a training_mode input is refused.
    if node.inputs > 2 {
        return Err(BuildError::Unsupported(
            "dropout that can train: it is random",
        ));
    }
    node.arity(1, 2, 2)?;
    node.ignore("seed");
    node.ignore("ratio");
    node.ignore("is_test");
    ok(Identity {
        mask: node.outputs > 1,
    })
}

impl Operator for Identity {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let mut plan = relabelled(d, d.shape.clone())?;
        if self.mask {
            plan.outputs.push(Desc::new(DType::Bool, d.shape.clone()));
        }
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let mut out = relabel(inputs, plan)?;
        if self.mask {
            let len = inputs.tensor(0)?.len();
            out.push(super::tensor(plan.shape(1), vec![true; len])?);
        }
        Ok(out)
    }

    fn reads(&self, i: usize) -> bool {
        i == 0
    }
}

#[derive(Debug)]
struct Shape {
    size: bool,
    start: i64,
    end: Option<i64>,
}

pub(super) fn shape(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    let size = node.op == "Size";
    let (start, end) = if size || node.version < 15 {
        (0, None)
    } else {
        (node.int("start", 0)?, node.opt_int("end")?)
    };
    ok(Shape { size, start, end })
}

impl Shape {
    fn value(&self, shape: &[usize]) -> Vec<i64> {
        if self.size {
            return vec![i64::try_from(numel(shape)).unwrap_or(i64::MAX)];
        }
        let rank = shape.len() as i64;
        let place = |i: i64| {
            let i = if i < 0 { i.saturating_add(rank) } else { i };
            i.clamp(0, rank) as usize
        };
        let (start, end) = (place(self.start), place(self.end.unwrap_or(rank)));
        shape
            .get(start..end)
            .unwrap_or(&[])
            .iter()
            .map(|&d| d as i64)
            .collect()
    }
}

impl Operator for Shape {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let n = self.value(inputs.shape(0)?).len();
        let shape = if self.size { vec![] } else { vec![n] };
        Ok(Plan::one(DType::I64, shape, 0))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        single(plan.shape(0), self.value(inputs.shape(0)?))
    }

    fn reads(&self, _: usize) -> bool {
        false
    }
}
