//! Slice: starts and ends are clamped as ONNX says; negative steps walk back.

use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axes, layout};
use crate::kernels::{Kernels, strided};
use crate::tensor::Tensor;

#[derive(Debug)]
struct Slice {
    /// Starts, ends and axes as attributes (before opset 10).
    attrs: Option<Bounds>,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    if node.version >= 10 {
        node.arity(3, 5, 1)?;
        return ok(Slice { attrs: None });
    }
    node.arity(1, 1, 1)?;
    let starts = node
        .ints("starts")?
        .ok_or(BuildError::BadAttribute("starts"))?;
    let ends = node.ints("ends")?.ok_or(BuildError::BadAttribute("ends"))?;
    let axes = node.ints("axes")?.map(<[i64]>::to_vec);
    ok(Slice {
        attrs: Some((starts.to_vec(), ends.to_vec(), axes)),
    })
}

/// Starts, ends and axes.
type Bounds = (Vec<i64>, Vec<i64>, Option<Vec<i64>>);

/// One dimension's walk.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    step: i64,
    len: usize,
}

fn range(dim: usize, start: i64, end: i64, step: i64) -> Result<Range, Fault> {
    let n = dim as i64;
    if step == 0 || step == i64::MIN {
        return Err(Fault::Trap("step of zero"));
    }
    let place = |i: i64| if i < 0 { i.saturating_add(n) } else { i };
    let (s, e) = (place(start), place(end));
    let (s, len) = if step > 0 {
        let (s, e) = (s.clamp(0, n), e.clamp(0, n));
        (s, (e - s).max(0).saturating_add(step - 1) / step)
    } else {
        // The end may be one before the first element.
        let (s, e) = (s.clamp(0, (n - 1).max(0)), e.clamp(-1, n));
        let len = if n == 0 {
            0
        } else {
            (s - e).max(0).saturating_add(-step - 1) / -step
        };
        (s, len)
    };
    Ok(Range {
        start: s as usize,
        step,
        len: len as usize,
    })
}

impl Slice {
    fn ranges(&self, inputs: &Inputs<'_>) -> Result<Vec<Range>, Fault> {
        let shape = inputs.shape(0)?;
        let (starts, ends, list, steps) = match &self.attrs {
            Some((s, e, a)) => (s.clone(), e.clone(), a.clone(), None),
            None => (
                inputs.ints(1)?,
                inputs.ints(2)?,
                inputs.opt_ints(3)?,
                inputs.opt_ints(4)?,
            ),
        };
        let list = list.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
        let n = starts.len();
        if ends.len() != n || list.len() != n || steps.len() != n || n > shape.len() {
            return Err(Fault::Trap("starts, ends, axes and steps differ in length"));
        }
        let mut out: Vec<Range> = shape
            .iter()
            .map(|&d| Range {
                start: 0,
                step: 1,
                len: d,
            })
            .collect();
        for (i, a) in axes(&list, shape.len())?.into_iter().enumerate() {
            out[a] = range(shape[a], starts[i], ends[i], steps[i])?;
        }
        Ok(out)
    }
}

impl Operator for Slice {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let shape: Vec<usize> = self.ranges(inputs)?.iter().map(|r| r.len).collect();
        Ok(layout::moved(Desc::new(inputs.dtype(0)?, shape)))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let own = strided::strides(t.shape());
        let ranges = self.ranges(inputs)?;
        let mut lane = Vec::with_capacity(own.len());
        let mut offset = 0isize;
        for (r, s) in ranges.iter().zip(&own) {
            // A walk of one element takes no step, however long it is.
            // An empty tensor's steps may be beyond an isize; nothing uses them.
            let step = s.saturating_mul(r.step as isize);
            lane.push(if r.len > 1 { step } else { 0 });
            offset = offset.saturating_add(s.saturating_mul(r.start as isize));
        }
        Ok(vec![layout::copy(t, plan.shape(0), &lane, offset)?])
    }
}
