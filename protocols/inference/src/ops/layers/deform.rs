//! DeformConv in two dimensions.
//!
//! Rules. The column of output (y, x) at tap (channel, kh, kw) is mask · v, v the
//! input's channel at h = (y·stride − before + kh·dilation) + Δh and w likewise,
//! in `f32`: 0 unless −1 < h < height and −1 < w < width; else with i = ⌊h⌋, j =
//! ⌊w⌋, r = h − i, s = w − j the sum ((1−r)·(1−s)·a + (1−r)·s·b) + r·(1−s)·c + r·s·d
//! of the elements at (i, j), (i, j+1), (i+1, j), (i+1, j+1), 0 beyond the edges,
//! from left to right. An output element is the chain over (channel of the group,
//! kh, kw) of the weights and the columns; the bias is added last.

use std::sync::Arc;

use crate::gas;
use crate::kernels::gemm::{self, Mat};
use crate::kernels::math::canon;
use crate::kernels::{Kernels, simd};
use crate::ops::registry::ok;
use crate::ops::window::{Resolved, WindowAttrs};
use crate::ops::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::tensor::{DType, Tensor, numel};

#[derive(Debug)]
struct DeformConv {
    group: usize,
    /// Groups of channels that share an offset.
    offsets: usize,
    window: WindowAttrs,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(3, 5, 1)?;
    let count = |name: &'static str| match node.int(name, 1)? {
        n if (1..=crate::ops::node::GEOMETRY).contains(&n) => Ok(n as usize),
        _ => Err(BuildError::BadAttribute(name)),
    };
    ok(DeformConv {
        group: count("group")?,
        offsets: count("offset_group")?,
        window: WindowAttrs::padded(node)?,
    })
}

const DISAGREE: Fault = Fault::Trap("images, kernels, offsets and mask do not agree");

struct Sizes {
    batch: usize,
    /// Input channels, all groups.
    channels: usize,
    /// Output channels, all groups.
    maps: usize,
    resolved: Resolved,
}

impl Sizes {
    /// Input and output height and width, taps along both.
    fn plane(&self) -> ([usize; 2], [usize; 2], [usize; 2]) {
        let w = &self.resolved.window;
        let two = |v: [usize; 3]| [v[1], v[2]];
        (two(w.input), two(w.output), two(w.kernel))
    }
}

impl DeformConv {
    fn sizes(&self, inputs: &Inputs<'_>) -> Result<Sizes, Fault> {
        let x = inputs.typed(0, DType::F32)?;
        let w = inputs.typed(1, DType::F32)?;
        let (&[batch, channels, h, width], &[maps, per, kh, kw]) =
            (x.shape.as_slice(), w.shape.as_slice())
        else {
            return Err(Fault::Trap("two spatial dimensions are supported"));
        };
        if per.checked_mul(self.group) != Some(channels)
            || !maps.is_multiple_of(self.group)
            || !channels.is_multiple_of(self.offsets)
        {
            return Err(Fault::Trap("channels do not agree"));
        }
        let resolved = self.window.resolve(&[h, width], Some(&[kh, kw]))?;
        let s = Sizes {
            batch,
            channels,
            maps,
            resolved,
        };
        let (_, [oh, ow], _) = s.plane();
        let places = self.offsets.saturating_mul(kh * kw);
        if inputs.typed(2, DType::F32)?.shape != [batch, places.saturating_mul(2), oh, ow]
            || (inputs.has(3) && inputs.typed(3, DType::F32)?.shape != [maps])
            || (inputs.has(4) && inputs.typed(4, DType::F32)?.shape != [batch, places, oh, ow])
        {
            return Err(DISAGREE);
        }
        Ok(s)
    }
}

impl Operator for DeformConv {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let s = self.sizes(inputs)?;
        let ([_, _], [oh, ow], [kh, kw]) = s.plane();
        let out = vec![s.batch, s.maps, oh, ow];
        let columns = numel(&[s.channels, kh, kw, oh, ow]);
        let k = numel(&[s.channels / self.group, kh, kw]);
        let gas = gas::contraction(numel(&out), k.saturating_add(1))
            .saturating_add(columns.saturating_mul(16).saturating_mul(s.batch as u64));
        let mut plan = Plan::one(DType::F32, out, gas);
        plan.scratch = columns.saturating_mul(4);
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let s = self.sizes(inputs)?;
        let (x, weights) = (inputs.slice::<f32>(0)?, inputs.slice::<f32>(1)?);
        let offset = inputs.slice::<f32>(2)?;
        let optional = |i: usize| match inputs.has(i) {
            true => inputs.slice::<f32>(i).map(Some),
            false => Ok(None),
        };
        let (bias, mask) = (optional(3)?, optional(4)?);
        let mut out = vec![0f32; numel(plan.shape(0)) as usize];
        if out.is_empty() {
            return single(plan.shape(0), out);
        }
        let ([h, w], [oh, ow], [kh, kw]) = s.plane();
        let (taps, positions) = (kh * kw, oh * ow);
        let window = &s.resolved.window;
        let (rows, maps) = (s.channels / self.group * taps, s.maps / self.group);
        let mut columns = vec![0f32; s.channels * taps * positions];
        for n in 0..s.batch {
            for (row, column) in columns.chunks_exact_mut(positions).enumerate() {
                let (c, tap) = (row / taps, row % taps);
                let plane = &x[(n * s.channels + c) * h * w..][..h * w];
                let place = (n * self.offsets + c / (s.channels / self.offsets)) * taps + tap;
                let along = |part: usize| &offset[(place * 2 + part) * positions..][..positions];
                let (dh, dw) = (along(0), along(1));
                let weigh = mask.map(|m| &m[place * positions..][..positions]);
                let base = |axis: usize, o: usize, t: usize| {
                    let at = o * window.stride[axis] + t * window.dilation[axis];
                    at as f32 - window.before[axis] as f32
                };
                for (p, v) in column.iter_mut().enumerate() {
                    let y = base(1, p / ow, tap / kw) + dh[p];
                    let x = base(2, p % ow, tap % kw) + dw[p];
                    let sample = bilinear(plane, [h, w], y, x);
                    *v = weigh.map_or(sample, |m| m[p] * sample);
                }
            }
            for g in 0..self.group {
                let at = (n * s.maps + g * maps) * positions;
                gemm::gemm(
                    k,
                    (maps, positions, rows),
                    Mat::rows(&weights[g * maps * rows..][..maps * rows], rows),
                    Mat::rows(
                        &columns[g * rows * positions..][..rows * positions],
                        positions,
                    ),
                    &mut out[at..at + maps * positions],
                );
            }
        }
        if let Some(bias) = bias {
            for (i, plane) in out.chunks_exact_mut(positions).enumerate() {
                let b = bias[i % bias.len()];
                simd::update(k, plane, |v| canon(v + b));
            }
        }
        single(plan.shape(0), out)
    }
}

/// The element of the plane at a place between elements.
fn bilinear(plane: &[f32], [h, w]: [usize; 2], y: f32, x: f32) -> f32 {
    if !(y > -1.0 && y < h as f32 && x > -1.0 && x < w as f32) {
        return 0.0;
    }
    let (fy, fx) = (y.floor(), x.floor());
    let (r, s) = (y - fy, x - fx);
    let (i, j) = (fy as i64, fx as i64);
    let at = |i: i64, j: i64| {
        let inside = (0..h as i64).contains(&i) && (0..w as i64).contains(&j);
        if inside {
            plane[i as usize * w + j as usize]
        } else {
            0.0
        }
    };
    let (top, left) = (1.0 - r, 1.0 - s);
    top * left * at(i, j)
        + top * s * at(i, j + 1)
        + r * left * at(i + 1, j)
        + r * s * at(i + 1, j + 1)
}
