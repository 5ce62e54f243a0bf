//! Rearranging and masking elements: Tile, DepthToSpace, SpaceToDepth,
//! ReverseSequence, Trilu, EyeLike, CenterCropPad.
//!
//! Rules: elements are moved bit for bit, gaps are zero. CenterCropPad: half of
//! what is cropped or padded, rounded down, lies before.

use std::sync::Arc;

use super::node::element;
use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axes, layout, single};
use crate::kernels::{Kernels, strided};
use crate::ops::create::{Scalar, filled};
use crate::tensor::{DType, MAX_RANK, Tensor, numel, with_data};

#[derive(Debug)]
struct Tile {
    /// Before opset 6: a count and an axis.
    single: bool,
}

pub(super) fn tile(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    let single = node.version < 6;
    let n = if single { 3 } else { 2 };
    node.arity(n, n, 1)?;
    ok(Tile { single })
}

impl Tile {
    fn repeats(&self, inputs: &Inputs<'_>) -> Result<Vec<usize>, Fault> {
        let rank = inputs.shape(0)?.len();
        let list = if self.single {
            let scalar = |i: usize| -> Result<i64, Fault> {
                if inputs.desc(i)?.len() != 1 {
                    return Err(Fault::Trap("a scalar is needed here"));
                }
                let t = inputs.tensor(i)?;
                Ok(with_data!(t.data(), x => x.first().map_or(0, |x| x.i64())))
            };
            let mut list = vec![1; rank];
            list[super::axis(scalar(2)?, rank)?] = scalar(1)?;
            list
        } else {
            inputs.ints(1)?
        };
        if list.len() != rank {
            return Err(Fault::Trap("one repeat per dimension is needed"));
        }
        let each = list.iter().map(|&r| usize::try_from(r));
        each.collect::<Result<_, _>>()
            .map_err(|_| Fault::Trap("negative repeat"))
    }
}

impl Operator for Tile {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let mut d = inputs.desc(0)?.clone();
        for (n, r) in d.shape.iter_mut().zip(self.repeats(inputs)?) {
            *n = n.saturating_mul(r);
        }
        Ok(layout::moved(d))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let own = strided::strides(t.shape());
        let (mut dims, mut lane) = (Vec::new(), Vec::new());
        for ((&n, &s), r) in t.shape().iter().zip(&own).zip(self.repeats(inputs)?) {
            dims.extend([r, n]);
            lane.extend([0, s]);
        }
        Ok(vec![relayout(t, &dims, &lane, 0, plan.shape(0))?])
    }
}

/// A strided view of `t` with other dimensions than the output's.
fn relayout(
    t: &Tensor,
    dims: &[usize],
    lane: &[isize],
    offset: isize,
    out: &[usize],
) -> Result<Tensor, Fault> {
    with_data!(t.data(), x => {
        let mut v = Vec::with_capacity(numel(out) as usize);
        strided::gather(x, dims, lane, offset, &mut v);
        super::tensor(out, v)
    })
}

#[derive(Debug)]
struct Blocks {
    size: usize,
    to_space: bool,
    /// Depth is (channel, row, column) instead of (row, column, channel).
    crd: bool,
}

pub(super) fn blocks(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    let bad = BuildError::BadAttribute("blocksize");
    let size = node.opt_int("blocksize")?.ok_or(bad.clone())?;
    if !(1..=super::node::GEOMETRY).contains(&size) {
        return Err(bad);
    }
    let to_space = node.op == "DepthToSpace";
    let crd = to_space
        && node.version >= 11
        && match node.text("mode", "DCR")? {
            "DCR" => false,
            "CRD" => true,
            _ => return Err(BuildError::BadAttribute("mode")),
        };
    ok(Blocks {
        size: size as usize,
        to_space,
        crd,
    })
}

impl Operator for Blocks {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let &[n, c, h, w] = d.shape.as_slice() else {
            return Err(Fault::Trap("four dimensions are needed here"));
        };
        let b = self.size;
        let fits = if self.to_space {
            c.is_multiple_of(b * b)
        } else {
            h.is_multiple_of(b) && w.is_multiple_of(b)
        };
        if !fits {
            return Err(Fault::Trap("not a multiple of the block size"));
        }
        let shape = if self.to_space {
            vec![n, c / (b * b), h.saturating_mul(b), w.saturating_mul(b)]
        } else {
            vec![n, c.saturating_mul(b * b), h / b, w / b]
        };
        Ok(layout::moved(Desc::new(d.dtype, shape)))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let (shape, out, b) = (t.shape(), plan.shape(0), self.size);
        let s = strided::strides(shape);
        let step = b as isize;
        let (dims, lane) = if self.to_space {
            let c = out[1];
            // Steps of a channel, a row and a column of the block, in input channels.
            let (channel, row, column) = if self.crd {
                (step * step, step, 1)
            } else {
                (1, step.saturating_mul(c as isize), c as isize)
            };
            (
                [out[0], c, shape[2], b, shape[3], b],
                [
                    s[0],
                    s[1].saturating_mul(channel),
                    s[2],
                    s[1].saturating_mul(row),
                    s[3],
                    s[1].saturating_mul(column),
                ],
            )
        } else {
            (
                [out[0], b, b, shape[1], out[2], out[3]],
                [
                    s[0],
                    s[2],
                    s[3],
                    s[1],
                    s[2].saturating_mul(step),
                    s[3].saturating_mul(step),
                ],
            )
        };
        Ok(vec![relayout(t, &dims, &lane, 0, out)?])
    }
}

#[derive(Debug)]
struct ReverseSequence {
    batch: usize,
    time: usize,
}

pub(super) fn reverse(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    let (batch, time) = (
        node.flag("batch_axis", true)?,
        node.flag("time_axis", false)?,
    );
    if batch == time {
        return Err(BuildError::BadAttribute("time_axis"));
    }
    ok(ReverseSequence {
        batch: usize::from(batch),
        time: usize::from(time),
    })
}

impl Operator for ReverseSequence {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if d.shape.len() < 2 || inputs.typed(1, DType::I64)?.shape != [d.shape[self.batch]] {
            return Err(Fault::Trap("one length per sequence is needed"));
        }
        Ok(layout::moved(d.clone()))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let shape = plan.shape(0);
        let lengths = inputs.slice::<i64>(1)?;
        let steps = shape[self.time];
        if lengths.iter().any(|&l| l < 0 || l > steps as i64) {
            return Err(Fault::Trap("a sequence's length is out of range"));
        }
        let inner = numel(&shape[2..]) as usize;
        with_data!(t.data(), x => {
            let mut v = Vec::with_capacity(x.len());
            let rows = if x.is_empty() { 0 } else { shape[0] };
            for i in 0..rows {
                for j in 0..shape[1] {
                    let at = [i, j];
                    let (b, s) = (at[self.batch], at[self.time]);
                    let len = lengths[b] as usize;
                    let mut from = at;
                    from[self.time] = if s < len { len - 1 - s } else { s };
                    let at = (from[0] * shape[1] + from[1]) * inner;
                    v.extend_from_slice(&x[at..at + inner]);
                }
            }
            single(shape, v)
        })
    }
}

#[derive(Debug)]
struct Trilu {
    upper: bool,
}

pub(super) fn trilu(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 2, 1)?;
    ok(Trilu {
        upper: node.flag("upper", true)?,
    })
}

impl Operator for Trilu {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if d.shape.len() < 2 || (inputs.has(1) && inputs.typed(1, DType::I64)?.len() != 1) {
            return Err(Fault::Trap("matrices and a scalar are needed here"));
        }
        Ok(layout::moved(d.clone()))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let shape = plan.shape(0);
        let k = match inputs.has(1) {
            true => inputs.slice::<i64>(1)?.first().copied().unwrap_or(0),
            false => 0,
        };
        let (h, w) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        with_data!(t.data(), x => {
            let mut v = x.to_vec();
            for (r, row) in v.chunks_exact_mut(w.max(1)).enumerate() {
                // The first column on or right of the diagonal.
                let edge = ((r % h.max(1)) as i64).saturating_add(k);
                if self.upper {
                    let gone = edge.clamp(0, w as i64) as usize;
                    row[..gone].fill(Default::default());
                } else {
                    let kept = edge.saturating_add(1).clamp(0, w as i64) as usize;
                    row[kept..].fill(Default::default());
                }
            }
            single(shape, v)
        })
    }
}

#[derive(Debug)]
struct EyeLike {
    dtype: Option<DType>,
    k: i64,
}

pub(super) fn eye_like(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    let dtype = match node.opt_int("dtype")? {
        Some(code) => Some(element(code)?),
        None => None,
    };
    ok(EyeLike {
        dtype,
        k: node.int("k", 0)?,
    })
}

impl Operator for EyeLike {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if d.shape.len() != 2 {
            return Err(Fault::Trap("two dimensions are needed here"));
        }
        let dtype = self.dtype.unwrap_or(d.dtype);
        Ok(layout::moved(Desc::new(dtype, d.shape.clone())))
    }

    fn eval(&self, _: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let d = plan.outputs.first().ok_or(Fault::Trap("no output"))?;
        let (h, w) = (d.shape[0] as i64, d.shape[1] as i64);
        let mut ones = Vec::with_capacity(d.shape[0].min(d.shape[1]));
        // Only rows that the diagonal meets.
        let first = self.k.saturating_neg().clamp(0, h);
        let end = w.saturating_sub(self.k).clamp(first, h);
        for r in first..end {
            let c = r.saturating_add(self.k);
            if (0..w).contains(&c) {
                ones.push((r * w + c) as usize);
            }
        }
        Ok(vec![filled(d, &ones)?])
    }

    fn reads(&self, _: usize) -> bool {
        false
    }
}

#[derive(Debug)]
struct CenterCropPad(Option<Vec<i64>>);

pub(super) fn center(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    ok(CenterCropPad(node.ints("axes")?.map(<[i64]>::to_vec)))
}

impl Operator for CenterCropPad {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let mut d = inputs.desc(0)?.clone();
        let rank = d.shape.len();
        let list = match &self.0 {
            Some(a) => axes(a, rank)?,
            None => (0..rank.min(MAX_RANK)).collect(),
        };
        let target = inputs.ints(1)?;
        if target.len() != list.len() {
            return Err(Fault::Trap("one size per axis is needed"));
        }
        for (&a, &n) in list.iter().zip(&target) {
            d.shape[a] = usize::try_from(n).map_err(|_| Fault::Trap("negative dimension"))?;
        }
        Ok(layout::moved(d))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let out = plan.shape(0);
        let (from, to) = (strided::strides(t.shape()), strided::strides(out));
        let (mut dims, mut read, mut write) = (Vec::new(), 0isize, 0isize);
        for (i, (&old, &new)) in t.shape().iter().zip(out).enumerate() {
            dims.push(old.min(new));
            // An empty tensor's steps may be beyond an isize; nothing uses them.
            let (cut, lead) = (old.saturating_sub(new) / 2, new.saturating_sub(old) / 2);
            read = from[i].saturating_mul(cut as isize).saturating_add(read);
            write = to[i].saturating_mul(lead as isize).saturating_add(write);
        }
        with_data!(t.data(), x => {
            let mut v = vec![Default::default(); numel(out) as usize];
            strided::walk(&dims, [&from, &to], |[r, w]| {
                v[(write + w) as usize] = x[(read + r) as usize];
            });
            single(out, v)
        })
    }
}
