//! InstanceNormalization, GroupNormalization, RMSNormalization,
//! LpNormalization, LRN.
//!
//! Rules, every operation rounded to `f32`, sums by the fixed tree:
//! - Instance, Group, per image and channel or group of n elements: μ = Σx / n;
//!   d = x − μ; v = Σd² / n; r = 1 / √(v + ε); y = (d · r) · scale + bias.
//! - RMS: r = 1 / √(Σx² / n + ε); y = (x · r) · scale.
//! - Lp: p = 1: s = Σ|x|, p = 2: s = √Σx²; y = x / s.
//! - LRN: s = Σx² over the neighbouring channels in order from +0;
//!   y = x / pow(bias + (alpha / size) · s, beta).

use std::sync::Arc;

use crate::gas;
use crate::kernels::math::{self, canon};
use crate::kernels::{Kernels, broadcast, reduce, simd, strided};
use crate::ops::registry::ok;
use crate::ops::{BuildError, Fault, Inputs, Node, Operator, Plan, arith, axis, single};
use crate::tensor::{DType, Tensor, numel};

#[derive(Debug)]
struct Grouped {
    /// `None`: one group per channel (InstanceNormalization).
    groups: Option<usize>,
    /// Scale and bias per group instead of per channel (before opset 21).
    per_group: bool,
    epsilon: f32,
}

pub(super) fn grouped(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(3, 3, 1)?;
    let epsilon = node.float("epsilon", 1e-5)?;
    if node.op == "InstanceNormalization" {
        node.ignore("consumed_inputs");
        return ok(Grouped {
            groups: None,
            per_group: false,
            epsilon,
        });
    }
    if node.version >= 21 && node.int("stash_type", 1)? != 1 {
        return Err(BuildError::Unsupported("stash_type other than float"));
    }
    let groups = node.int("num_groups", 0)?;
    if !(1..=i64::from(i32::MAX)).contains(&groups) {
        return Err(BuildError::BadAttribute("num_groups"));
    }
    ok(Grouped {
        groups: Some(groups as usize),
        per_group: node.version < 21,
        epsilon,
    })
}

impl Grouped {
    /// (groups, channels per group) of `channels`.
    fn split(&self, channels: usize) -> Result<(usize, usize), Fault> {
        let groups = self.groups.unwrap_or(channels);
        match channels.checked_rem(groups) {
            Some(0) => Ok((groups, channels / groups)),
            None if channels == 0 => Ok((0, 0)),
            _ => Err(Fault::Trap("channels do not divide into groups")),
        }
    }
}

impl Operator for Grouped {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        let (Some(&n), Some(&channels)) = (d.shape.first(), d.shape.get(1)) else {
            return Err(Fault::Trap("normalisation takes batch and channels"));
        };
        let (groups, _) = self.split(channels)?;
        let wanted = if self.per_group { groups } else { channels };
        for i in 1..3 {
            if inputs.typed(i, DType::F32)?.shape != [wanted] {
                return Err(Fault::Trap("scale and bias do not fit the channels"));
            }
        }
        let mut plan = arith::same(d, 8 * gas::SIMPLE);
        let rows = (n as u64).saturating_mul(groups as u64);
        plan.gas = (plan.gas).saturating_add(gas::elementwise(rows, 4 * gas::DIVIDE));
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let (scale, bias) = (inputs.slice::<f32>(1)?, inputs.slice::<f32>(2)?);
        let shape = plan.shape(0);
        let mut y = vec![0f32; x.len()];
        if x.is_empty() {
            return single(shape, y);
        }
        let (groups, per) = self.split(shape[1])?;
        let area: usize = shape.iter().skip(2).product();
        let width = per * area;
        let n = width as f32;
        let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
        for (i, (row, out)) in rows.enumerate() {
            let group = i % groups;
            let mean = canon(reduce::sum(k, row) / n);
            simd::map1(k, row, out, |x: f32| x - mean);
            let mut square = [0f32];
            reduce::sum_rows(k, out, width, &mut square, |d| d * d);
            let r = canon(1.0 / (square[0] / n + self.epsilon).sqrt());
            for (c, plane) in out.chunks_exact_mut(area).enumerate() {
                let at = if self.per_group {
                    group
                } else {
                    group * per + c
                };
                let (s, b) = (scale[at], bias[at]);
                simd::update(k, plane, |d: f32| canon(d * r * s + b));
            }
        }
        single(shape, y)
    }
}

#[derive(Debug)]
struct Rms {
    axis: i64,
    epsilon: f32,
}

pub(super) fn rms(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    if node.int("stash_type", 1)? != 1 {
        return Err(BuildError::Unsupported("stash_type other than float"));
    }
    ok(Rms {
        axis: node.int("axis", -1)?,
        epsilon: node.float("epsilon", 1e-5)?,
    })
}

impl Operator for Rms {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        let a = axis(self.axis, d.shape.len())?;
        let s = inputs.typed(1, DType::F32)?;
        if broadcast::shape(&s.shape, &d.shape).as_ref() != Some(&d.shape) {
            return Err(Fault::Trap("scale does not broadcast"));
        }
        let mut plan = arith::same(d, 5 * gas::SIMPLE);
        let rows = numel(&d.shape[..a]);
        plan.gas = (plan.gas).saturating_add(gas::elementwise(rows, 4 * gas::DIVIDE));
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let shape = plan.shape(0);
        let mut v = vec![0f32; x.len()];
        if x.is_empty() {
            return single(shape, v);
        }
        let width = numel(&shape[axis(self.axis, shape.len())?..]) as usize;
        for (row, out) in x.chunks_exact(width).zip(v.chunks_exact_mut(width)) {
            let mut square = [0f32];
            reduce::sum_rows(k, row, width, &mut square, |x| x * x);
            let r = canon(1.0 / (square[0] / width as f32 + self.epsilon).sqrt());
            simd::map1(k, row, out, |x: f32| canon(x * r));
        }
        let scale = (inputs.slice::<f32>(1)?, inputs.shape(1)?);
        let y = broadcast::binary(k, (&v, shape), scale, shape, |n, s| canon(n * s));
        single(shape, y)
    }
}

#[derive(Debug)]
struct LpNorm {
    axis: i64,
    one: bool,
}

pub(super) fn lp(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    let one = match node.int("p", 2)? {
        1 => true,
        2 => false,
        _ => return Err(BuildError::BadAttribute("p")),
    };
    ok(LpNorm {
        axis: node.int("axis", -1)?,
        one,
    })
}

impl Operator for LpNorm {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        axis(self.axis, d.shape.len())?;
        Ok(arith::same(d, gas::DIVIDE + 3 * gas::SIMPLE))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let shape = plan.shape(0);
        if x.is_empty() {
            return single(shape, Vec::<f32>::new());
        }
        let a = axis(self.axis, shape.len())?;
        let (width, inner) = (shape[a], shape[a + 1..].iter().product::<usize>());
        let outer = x.len() / (width * inner);
        // Bring the axis last, and back.
        let mut t = Vec::with_capacity(x.len());
        let lanes = [(width * inner) as isize, 1, inner as isize];
        strided::gather(x, &[outer, inner, width], &lanes, 0, &mut t);
        for row in t.chunks_exact_mut(width) {
            let mut s = [0f32];
            if self.one {
                reduce::sum_rows(k, row, width, &mut s, |x| x.abs());
            } else {
                reduce::sum_rows(k, row, width, &mut s, |x| x * x);
                s[0] = s[0].sqrt();
            }
            let s = s[0];
            simd::update(k, row, |x| canon(x / s));
        }
        let mut y = Vec::with_capacity(x.len());
        let lanes = [(width * inner) as isize, 1, width as isize];
        strided::gather(&t, &[outer, width, inner], &lanes, 0, &mut y);
        single(shape, y)
    }
}

#[derive(Debug)]
struct Lrn {
    size: usize,
    alpha: f32,
    beta: f32,
    bias: f32,
}

pub(super) fn lrn(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    let size = node.int("size", 0)?;
    if !(1..=crate::ops::node::GEOMETRY).contains(&size) {
        return Err(BuildError::BadAttribute("size"));
    }
    ok(Lrn {
        size: size as usize,
        alpha: node.float("alpha", 1e-4)?,
        beta: node.float("beta", 0.75)?,
        bias: node.float("bias", 1.0)?,
    })
}

impl Operator for Lrn {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        if d.shape.len() < 2 {
            return Err(Fault::Trap("normalisation takes batch and channels"));
        }
        let weight = 2 * self.size.min(d.shape[1]) as u64 + gas::POWER + gas::DIVIDE;
        Ok(arith::same(d, weight))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let shape = plan.shape(0);
        let mut y = vec![0f32; x.len()];
        if x.is_empty() {
            return single(shape, y);
        }
        let (channels, area) = (shape[1], shape[2..].iter().product::<usize>());
        let (before, after) = ((self.size - 1) / 2, self.size / 2);
        let a = self.alpha / self.size as f32;
        let mut sum = vec![0f32; area];
        let mut next = vec![0f32; area];
        let images = x.chunks_exact(channels * area);
        for (image, out) in images.zip(y.chunks_exact_mut(channels * area)) {
            for (c, out) in out.chunks_exact_mut(area).enumerate() {
                sum.fill(0.0);
                let last = (c + after).min(channels - 1);
                for near in c.saturating_sub(before)..=last {
                    let plane = &image[near * area..][..area];
                    simd::map2(k, &sum, plane, &mut next, |s, x| s + x * x);
                    std::mem::swap(&mut sum, &mut next);
                }
                let (bias, beta) = (self.bias, self.beta);
                let plane = &image[c * area..][..area];
                simd::map2(k, plane, &sum, out, |x: f32, s: f32| {
                    canon(x / math::pow(bias + a * s, beta))
                });
            }
        }
        single(shape, y)
    }
}
