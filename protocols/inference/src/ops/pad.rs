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
        let index: u64 = shape.iter().fold(0, |s, &d| s.saturating_add(8 * d as u64));
        Ok(layout::moved(Desc::new(d.dtype, shape)).scratch(index))
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
        // Per dimension: each output index's source, as an offset.
        let own = strided::strides(shape);
        let pads = self.pads(inputs)?;
        let table: Vec<Vec<Option<i64>>> = (0..out.len())
            .map(|a| {
                (0..out[a] as i64)
                    .map(|o| {
                        self.source(o, pads[a].0, shape[a] as i64)
                            .map(|i| i * own[a] as i64)
                    })
                    .collect()
            })
            .collect();
        let mut v = Vec::with_capacity(numel(out) as usize);
        fill(x, &table, Some(0), value, &mut v);
        single(out, v)
    }
}

/// Writes the outputs below one prefix of the index; `base` is `None` once any
/// dimension lies in the padding.
fn fill<T: Copy>(x: &[T], table: &[Vec<Option<i64>>], base: Option<i64>, pad: T, out: &mut Vec<T>) {
    match table {
        [] => out.push(base.map_or(pad, |b| x[b as usize])),
        [last] => out.extend(last.iter().map(|o| match (base, o) {
            (Some(b), Some(o)) => x[(b + o) as usize],
            _ => pad,
        })),
        // At most MAX_RANK deep.
        [first, rest @ ..] => {
            for o in first {
                let next = base.and_then(|b| o.map(|o| b + o));
                fill(x, rest, next, pad, out);
            }
        }
    }
}
