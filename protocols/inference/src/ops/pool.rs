//! MaxPool, AveragePool and the global poolings.
//!
//! Rules: windows are visited in row-major order. MaxPool uses the ordering of
//! Max (NaN wins, −0 below +0) and starts at −∞; its index output is that of
//! the first greatest element. AveragePool adds from +0 in order and divides by
//! the number of elements counted. GlobalAveragePool sums by the fixed tree.

use std::sync::Arc;

use super::number::Number;
use super::registry::ok;
use super::window::{Resolved, WindowAttrs};
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, single, tensor};
use crate::gas;
use crate::kernels::im2col::Window;
use crate::kernels::math::canon;
use crate::kernels::{Kernels, maxpool, reduce, scratch};
use crate::tensor::{DType, Data, Tensor, numel};

pub(super) fn split(shape: &[usize]) -> Result<(usize, &[usize]), Fault> {
    match shape {
        [n, c, spatial @ ..] => Ok((
            n.checked_mul(*c)
                .ok_or(Fault::Trap("shape out of bounds"))?,
            spatial,
        )),
        _ => Err(Fault::Trap("pooling takes batch and channels")),
    }
}

pub(super) fn pooled(shape: &[usize], r: &Resolved) -> Vec<usize> {
    shape[..2].iter().chain(&r.output).copied().collect()
}

/// Calls `f(output index, taps)` where a tap is an offset into the plane.
pub(super) fn windows(w: &Window, mut f: impl FnMut(&mut dyn Iterator<Item = usize>)) {
    let [kd, kh, kw] = w.kernel;
    for z in 0..w.output[0] {
        for y in 0..w.output[1] {
            for x in 0..w.output[2] {
                let mut taps = (0..kd)
                    .filter_map(|k| w.source(0, z, k))
                    .flat_map(|d| (0..kh).filter_map(move |k| w.source(1, y, k).map(|h| (d, h))))
                    .flat_map(|(d, h)| {
                        (0..kw).filter_map(move |k| {
                            w.source(2, x, k)
                                .map(|c| (d * w.input[1] + h) * w.input[2] + c)
                        })
                    });
                f(&mut taps);
            }
        }
    }
}

#[derive(Debug)]
struct MaxPool {
    window: WindowAttrs,
    indices: bool,
    column_major: bool,
}

pub(super) fn max_pool(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 2)?;
    ok(MaxPool {
        window: WindowAttrs::read(node, true)?,
        indices: node.outputs > 1,
        column_major: node.flag("storage_order", false)?,
    })
}

impl Operator for MaxPool {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if !matches!(d.dtype, DType::F32 | DType::U8 | DType::I8) {
            return Err(Fault::Trap("element type not supported here"));
        }
        let r = self.window.resolve(split(&d.shape)?.1, None)?;
        let out = pooled(&d.shape, &r);
        let gas = numel(&out)
            .saturating_mul(numel(&r.window.kernel))
            .saturating_mul(gas::VISIT);
        let mut plan = Plan::one(d.dtype, out.clone(), gas);
        if self.indices {
            plan.outputs.push(Desc::new(DType::I64, out));
        }
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let r = self.window.resolve(split(t.shape())?.1, None)?;
        if let (Data::F32(x), false) = (t.data(), self.indices) {
            let mut best = scratch::take(numel(plan.shape(0)) as usize);
            if maxpool::max(k, r.window.compact(), x, &mut best) {
                return single(plan.shape(0), best);
            }
        }
        match t.data() {
            Data::F32(x) => self.run(x, f32::NEG_INFINITY, &r.window, plan),
            Data::U8(x) => self.run(x, u8::MIN, &r.window, plan),
            Data::I8(x) => self.run(x, i8::MIN, &r.window, plan),
            _ => Err(Fault::Trap("element type not supported here")),
        }
    }
}

impl MaxPool {
    fn run<T: Number>(
        &self,
        x: &[T],
        least: T,
        w: &Window,
        plan: &Plan,
    ) -> Result<Vec<Tensor>, Fault> {
        let len = numel(plan.shape(0)) as usize;
        let mut best = Vec::with_capacity(len);
        let mut index = Vec::with_capacity(if self.indices { len } else { 0 });
        let area = w.input_len();
        let planes = if len == 0 { 0 } else { x.len() / area.max(1) };
        for (p, plane) in x.chunks_exact(area.max(1)).take(planes).enumerate() {
            windows(w, |taps| {
                let (mut m, mut at) = (least, None);
                for i in taps {
                    let v = plane[i];
                    let next = m.max(v);
                    // The first element that is the greatest so far.
                    if at.is_none() || v > m || (v.nan() && !m.nan()) {
                        at = Some(i);
                    }
                    m = next;
                }
                best.push(m);
                if self.indices {
                    let at = at.unwrap_or(0);
                    let at = if self.column_major {
                        column_major(at, w)
                    } else {
                        at
                    };
                    index.push((p * area + at) as i64);
                }
            });
        }
        let mut out = vec![tensor(plan.shape(0), best)?];
        if self.indices {
            out.push(tensor(plan.shape(1), index)?);
        }
        Ok(out)
    }
}

/// A row-major offset in the plane as a column-major one.
fn column_major(at: usize, w: &Window) -> usize {
    let [d, h, wd] = w.input;
    let (z, y, x) = (at / (h * wd), at / wd % h, at % wd);
    z + d * (y + h * x)
}

#[derive(Debug)]
struct AveragePool {
    window: WindowAttrs,
    count_padding: bool,
}

pub(super) fn average_pool(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(AveragePool {
        window: WindowAttrs::read(node, true)?,
        count_padding: node.flag("count_include_pad", false)?,
    })
}

impl Operator for AveragePool {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        let r = self.window.resolve(split(&d.shape)?.1, None)?;
        let out = pooled(&d.shape, &r);
        let per = numel(&r.window.kernel)
            .saturating_mul(gas::VISIT)
            .saturating_add(gas::DIVIDE);
        Ok(Plan::one(
            DType::F32,
            out.clone(),
            numel(&out).saturating_mul(per),
        ))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let r = self.window.resolve(split(inputs.shape(0)?)?.1, None)?;
        let w = &r.window;
        let len = numel(plan.shape(0)) as usize;
        let mut out = Vec::with_capacity(len);
        let area = w.input_len().max(1);
        let mut counts = Vec::new();
        if self.count_padding && len > 0 {
            padded_counts(&r, &mut counts);
        }
        for plane in x
            .chunks_exact(area)
            .take(if len == 0 { 0 } else { usize::MAX })
        {
            let mut o = 0;
            windows(w, |taps| {
                let (mut sum, mut n) = (0f32, 0u64);
                for i in taps {
                    sum += plane[i];
                    n += 1;
                }
                let n = counts.get(o).copied().unwrap_or(n);
                out.push(canon(sum / n as f32));
                o += 1;
            });
        }
        single(plan.shape(0), out)
    }
}

/// Elements of each window that lie in the input or its padding.
fn padded_counts(r: &Resolved, counts: &mut Vec<u64>) {
    let w = &r.window;
    let along = |axis: usize, o: usize| {
        let end = w.before[axis] + w.input[axis] + r.after[axis];
        (0..w.kernel[axis])
            .filter(|k| o * w.stride[axis] + k * w.dilation[axis] < end)
            .count() as u64
    };
    for z in 0..w.output[0] {
        for y in 0..w.output[1] {
            for x in 0..w.output[2] {
                counts.push(along(0, z) * along(1, y) * along(2, x));
            }
        }
    }
}

#[derive(Debug)]
struct Global {
    average: bool,
}

pub(super) fn global(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(Global {
        average: node.op == "GlobalAveragePool",
    })
}

impl Operator for Global {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        split(&d.shape)?;
        let mut out = d.shape.clone();
        out.iter_mut().skip(2).for_each(|d| *d = 1);
        let gas = gas::elementwise(d.len(), gas::VISIT)
            .saturating_add(gas::elementwise(numel(&out), gas::DIVIDE));
        Ok(Plan::one(DType::F32, out, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let (planes, spatial) = split(inputs.shape(0)?)?;
        let area = numel(spatial) as usize;
        let mut out = vec![0f32; planes];
        if self.average {
            reduce::sum_rows(k, x, area, &mut out, |v| v);
            out.iter_mut().for_each(|v| *v = canon(*v / area as f32));
        } else {
            reduce::max_rows(k, x, area, &mut out);
        }
        single(plan.shape(0), out)
    }
}
