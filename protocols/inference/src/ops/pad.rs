//! Pad: constant, edge, reflect and wrap; negative pads crop.

use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axes, layout, single};
use crate::kernels::{Kernels, strided};
use crate::tensor::{DType, Element, MAX_DIM, Tensor, numel, with_data};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Constant,
    Edge,
    Reflect,
    Wrap,
}

#[derive(Debug)]
struct Pad {
    mode: Mode,
    /// Pads and value as attributes (before opset 11).
    attrs: Option<(Vec<i64>, f32)>,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    let mode = match node.text("mode", "constant")? {
        "constant" => Mode::Constant,
        "edge" => Mode::Edge,
        "reflect" => Mode::Reflect,
        "wrap" => Mode::Wrap,
        _ => return Err(BuildError::BadAttribute("mode")),
    };
    if node.version >= 11 {
        node.arity(2, 4, 1)?;
        return ok(Pad { mode, attrs: None });
    }
    node.arity(1, 1, 1)?;
    let name = if node.version < 2 { "paddings" } else { "pads" };
    let pads = node.ints(name)?.ok_or(BuildError::BadAttribute("pads"))?;
    ok(Pad {
        mode,
        attrs: Some((pads.to_vec(), node.float("value", 0.0)?)),
    })
}

impl Pad {
    /// (before, after) per dimension.
    fn pads(&self, inputs: &Inputs<'_>) -> Result<Vec<(i64, i64)>, Fault> {
        let rank = inputs.shape(0)?.len();
        let (pads, list) = match &self.attrs {
            Some((pads, _)) => (pads.clone(), None),
            None => (inputs.ints(1)?, inputs.opt_ints(3)?),
        };
        let list = match list {
            Some(list) => axes(&list, rank)?,
            None => (0..rank).collect(),
        };
        let bound = MAX_DIM as i64;
        if pads.len() != 2 * list.len() || pads.iter().any(|p| !(-bound..=bound).contains(p)) {
            return Err(Fault::Trap("pads do not fit the axes"));
        }
        let mut out = vec![(0, 0); rank];
        for (i, &a) in list.iter().enumerate() {
            out[a] = (pads[i], pads[list.len() + i]);
        }
        Ok(out)
    }

    /// Source index of output index `o`, `None` for the constant.
    fn source(&self, o: i64, before: i64, n: i64) -> Option<i64> {
        let i = o - before;
        if (0..n).contains(&i) {
            return Some(i);
        }
        match self.mode {
            Mode::Constant => None,
            Mode::Edge => Some(i.clamp(0, n - 1)),
            Mode::Wrap => Some(i.rem_euclid(n)),
            Mode::Reflect => {
                let period = (2 * (n - 1)).max(1);
                let i = i.rem_euclid(period);
                Some(if i < n { i } else { period - i })
            }
        }
    }
}

impl Operator for Pad {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let mut shape = Vec::with_capacity(d.shape.len());
        for (&n, (before, after)) in d.shape.iter().zip(self.pads(inputs)?) {
            let out = usize::try_from(n as i64 + before + after)
                .map_err(|_| Fault::Trap("pads crop more than there is"))?;
            if n == 0 && out > 0 && self.mode != Mode::Constant {
                return Err(Fault::Trap("nothing to pad with"));
            }
            shape.push(out);
        }
        if inputs.has(2) && inputs.typed(2, d.dtype)?.len() != 1 {
            return Err(Fault::Trap("the pad value must be a scalar"));
        }
        if self.attrs.as_ref().is_some_and(|a| a.1 != 0.0) && d.dtype != DType::F32 {
            return Err(Fault::Trap("element type not supported here"));
        }
        Ok(layout::moved(Desc::new(d.dtype, shape)))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        with_data!(t.data(), x => self.run(x, t.shape(), inputs, plan.shape(0)))
    }
}

impl Pad {
    fn run<T: Element>(
        &self,
        x: &[T],
        shape: &[usize],
        inputs: &Inputs<'_>,
        out: &[usize],
    ) -> Result<Vec<Tensor>, Fault> {
        let value = match &self.attrs {
            Some((_, v)) => T::view(&f32::wrap(vec![*v])).and_then(|v| v.first().copied()),
            None if inputs.has(2) => inputs.slice::<T>(2)?.first().copied(),
            None => None,
        };
        let value = value.unwrap_or_default();
        if numel(out) == 0 {
            return single(out, Vec::<T>::new());
        }
        let own = strided::strides(shape);
        let axes: Vec<Axis> = (self.pads(inputs)?.iter().zip(&own))
            .zip(shape.iter().zip(out))
            .map(|((&(before, _), &stride), (&n, &out))| Axis {
                before,
                stride: stride as i64,
                n: n as i64,
                out: out as i64,
            })
            .collect();
        let mut v = Vec::with_capacity(numel(out) as usize);
        self.fill(x, &axes, Some(0), value, &mut v);
        single(out, v)
    }

    /// Writes the outputs below one prefix of the index; `base` is `None` once
    /// any dimension lies in the padding.
    fn fill<T: Copy>(&self, x: &[T], axes: &[Axis], base: Option<i64>, pad: T, out: &mut Vec<T>) {
        let [axis, rest @ ..] = axes else {
            return out.push(base.map_or(pad, |b| x[b as usize]));
        };
        for o in 0..axis.out {
            let from = base.and_then(|b| {
                self.source(o, axis.before, axis.n)
                    .map(|i| b + i * axis.stride)
            });
            match (rest, from) {
                ([], Some(i)) => out.push(x[i as usize]),
                ([], None) => out.push(pad),
                // At most MAX_RANK deep.
                _ => self.fill(x, rest, from, pad, out),
            }
        }
    }
}

/// One dimension of a padding.
struct Axis {
    before: i64,
    stride: i64,
    n: i64,
    out: i64,
}
