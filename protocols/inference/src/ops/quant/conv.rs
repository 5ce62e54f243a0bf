//! ConvInteger and QLinearConv.
//!
//! Rules: `quant/mod.rs`; padding counts as the input's zero point. QLinearConv
//! adds its bias to the sum, modulo 2^32, before requantising.

use std::sync::Arc;

use super::{Quantised, TYPE, byte, widened, zeros};
use crate::gas;
use crate::kernels::Kernels;
use crate::kernels::igemm::{self, IntRows};
use crate::kernels::im2col::Window;
use crate::ops::node::GEOMETRY;
use crate::ops::registry::ok;
use crate::ops::window::{Resolved, WindowAttrs};
use crate::ops::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::tensor::{DType, Tensor, numel};

/// Group and window of a convolution of bytes.
#[derive(Debug)]
struct Geometry {
    group: usize,
    window: WindowAttrs,
}

struct Shapes {
    batch: usize,
    /// Input channels of one group.
    channels: usize,
    /// Output channels, all groups.
    maps: usize,
    resolved: Resolved,
}

impl Geometry {
    fn read(node: &Node<'_>) -> Result<Self, BuildError> {
        let group = node.int("group", 1)?;
        if !(1..=GEOMETRY).contains(&group) {
            return Err(BuildError::BadAttribute("group"));
        }
        Ok(Self {
            group: group as usize,
            window: WindowAttrs::read(node, false)?,
        })
    }

    fn shapes(&self, inputs: &Inputs<'_>, w: usize) -> Result<Shapes, Fault> {
        let (x, w) = (inputs.desc(0)?, inputs.desc(w)?);
        if !byte(x.dtype) || !byte(w.dtype) {
            return Err(TYPE);
        }
        let ([batch, cin, spatial @ ..], [maps, channels, kernel @ ..]) = (&*x.shape, &*w.shape)
        else {
            return Err(Fault::Trap("a convolution takes images and kernels"));
        };
        if channels.checked_mul(self.group) != Some(*cin) || maps % self.group != 0 {
            return Err(Fault::Trap("channels do not agree"));
        }
        Ok(Shapes {
            batch: *batch,
            channels: *channels,
            maps: *maps,
            resolved: self.window.resolve(spatial, Some(kernel))?,
        })
    }

    /// Plan of the sums, with the given type.
    fn plan(&self, s: &Shapes, dtype: DType) -> Plan {
        let mut out = vec![s.batch, s.maps];
        out.extend(&s.resolved.output);
        let k = numel(&s.resolved.window.kernel).saturating_mul(s.channels as u64);
        let len = numel(&out);
        let mut plan = Plan::one(dtype, out, gas::contraction(len, k.saturating_add(1)));
        let rows = (s.maps / self.group) as u64;
        plan.scratch = igemm::buffers(rows, k).saturating_add(len.saturating_mul(4));
        plan
    }

    /// The exact sums.
    fn sums(
        &self,
        s: &Shapes,
        (x, zx): (&Tensor, &[i16]),
        (w, zw): (&Tensor, &[i16]),
        len: usize,
        kernels: Kernels,
    ) -> Result<Vec<i32>, Fault> {
        let mut out = vec![0i32; len];
        if len == 0 {
            return Ok(out);
        }
        let window = s.resolved.window.compact();
        let (inner, area) = (window.output_len(), window.input_len());
        let k = s.channels * window.taps();
        let (mut x, mut w) = (widened(x)?, widened(w)?);
        let zero = zx.first().copied().unwrap_or(0);
        x.iter_mut().for_each(|v| *v -= zero);
        for (row, z) in w.chunks_exact_mut(k.max(1)).zip(zw.iter().cycle()) {
            row.iter_mut().for_each(|v| *v -= z);
        }
        let maps = s.maps / self.group;
        for (i, c) in out.chunks_exact_mut(maps * inner).enumerate() {
            let image = &x[i * s.channels * area..][..s.channels * area];
            let a = &w[i % self.group * maps * k..][..maps * k];
            let b = Columns { window, image };
            igemm::igemm(kernels, (maps, inner, k), a, &b, c);
        }
        Ok(out)
    }
}

/// The implicit right-hand matrix, as `kernels::im2col` has it for floats.
struct Columns<'a> {
    window: Window,
    image: &'a [i16],
}

impl IntRows for Columns<'_> {
    fn fill(&self, p: usize, j0: usize, dst: &mut [i16]) {
        let w = &self.window;
        let ([_, kh, kw], [_, oh, ow]) = (w.kernel, w.output);
        let (channel, tap) = (p / w.taps(), p % w.taps());
        let plane = &self.image[channel * w.input_len()..][..w.input_len()];
        let (kd, ky, kx) = (tap / (kh * kw), tap / kw % kh, tap % kw);
        let (mut j, mut rest) = (j0, dst);
        while !rest.is_empty() {
            let (od, oy, ox) = (j / (oh * ow), j / ow % oh, j % ow);
            let run = rest.len().min(ow - ox);
            let (head, tail) = rest.split_at_mut(run);
            rest = tail;
            j += run;
            let line = w.source(0, od, kd).zip(w.source(1, oy, ky));
            let Some((z, y)) = line else {
                head.fill(0);
                continue;
            };
            let line = &plane[(z * w.input[1] + y) * w.input[2]..][..w.input[2]];
            for (i, d) in head.iter_mut().enumerate() {
                *d = w.source(2, ox + i, kx).map_or(0, |x| line[x]);
            }
        }
    }
}

/// Whether a parameter is one for all, or one per output channel.
fn per_map(inputs: &Inputs<'_>, i: usize, maps: usize) -> Result<(), Fault> {
    let shape = inputs.shape(i)?;
    if (shape.len() <= 1 && numel(shape) == 1) || shape == [maps] {
        Ok(())
    } else {
        Err(Fault::Trap("scales or zero points do not fit the maps"))
    }
}

#[derive(Debug)]
struct Integer(Geometry);

pub(super) fn integer(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 4, 1)?;
    ok(Integer(Geometry::read(node)?))
}

impl Operator for Integer {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let s = self.0.shapes(inputs, 1)?;
        for (i, of, maps) in [(2, 0, 1), (3, 1, s.maps)] {
            if inputs.has(i) {
                inputs.typed(i, inputs.dtype(of)?)?;
                per_map(inputs, i, maps)?;
            }
        }
        Ok(self.0.plan(&s, DType::I32))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let s = self.0.shapes(inputs, 1)?;
        let (zx, zw) = (zeros(inputs, 2)?, zeros(inputs, 3)?);
        let (x, w) = ((inputs.tensor(0)?, &*zx), (inputs.tensor(1)?, &*zw));
        let len = numel(plan.shape(0)) as usize;
        single(plan.shape(0), self.0.sums(&s, x, w, len, k)?)
    }
}

#[derive(Debug)]
struct QLinear(Geometry);

pub(super) fn qlinear(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(8, 9, 1)?;
    ok(QLinear(Geometry::read(node)?))
}

impl Operator for QLinear {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let s = self.0.shapes(inputs, 3)?;
        let dtype = inputs.dtype(7)?;
        if !byte(dtype) {
            return Err(TYPE);
        }
        inputs.typed(2, inputs.dtype(0)?)?;
        inputs.typed(5, inputs.dtype(3)?)?;
        for (i, maps) in [(1, 1), (4, s.maps), (6, 1)] {
            inputs.typed(i, DType::F32)?;
            per_map(inputs, i, maps)?;
        }
        for (i, maps) in [(2, 1), (5, s.maps), (7, 1)] {
            per_map(inputs, i, maps)?;
        }
        if inputs.has(8) && inputs.typed(8, DType::I32)?.shape != [s.maps] {
            return Err(Fault::Trap("one bias per output channel is needed"));
        }
        let mut plan = self.0.plan(&s, dtype);
        let len = plan.outputs[0].len();
        plan.gas = (plan.gas).saturating_add(gas::elementwise(len, 3 * gas::SIMPLE));
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        match inputs.dtype(7)? {
            DType::U8 => self.run::<u8>(inputs, plan, k),
            DType::I8 => self.run::<i8>(inputs, plan, k),
            _ => Err(TYPE),
        }
    }
}

impl QLinear {
    fn run<T: Quantised>(
        &self,
        inputs: &Inputs<'_>,
        plan: &Plan,
        k: Kernels,
    ) -> Result<Vec<Tensor>, Fault> {
        let s = self.0.shapes(inputs, 3)?;
        let (zx, zw) = (zeros(inputs, 2)?, zeros(inputs, 5)?);
        let (x, w) = ((inputs.tensor(0)?, &*zx), (inputs.tensor(3)?, &*zw));
        let [sx, sw, sy] = [1, 4, 6].map(|i| inputs.slice::<f32>(i));
        let (sx, sw, sy, zy) = (sx?, sw?, sy?, inputs.slice::<T>(7)?);
        let (Some(&sx), Some(&sy), Some(zero)) = (sx.first(), sy.first(), zy.first()) else {
            return Err(Fault::Trap("a scale is empty"));
        };
        let bias = if inputs.has(8) {
            inputs.slice::<i32>(8)?
        } else {
            &[]
        };
        let len = numel(plan.shape(0)) as usize;
        let sums = self.0.sums(&s, x, w, len, k)?;
        let mut out = vec![T::default(); len];
        let inner = s.resolved.window.output_len().max(1);
        let planes = out.chunks_exact_mut(inner).zip(sums.chunks_exact(inner));
        for (i, (out, sums)) in planes.enumerate() {
            let map = i % s.maps;
            let scale = sx * sw[if sw.len() == 1 { 0 } else { map }] / sy;
            let (b, zero) = (bias.get(map).copied().unwrap_or(0), zero.zero());
            for (o, &s) in out.iter_mut().zip(sums) {
                let s = s.wrapping_add(b) as f32;
                *o = T::saturate((s * scale).round_ties_even() + zero);
            }
        }
        single(plan.shape(0), out)
    }
}
