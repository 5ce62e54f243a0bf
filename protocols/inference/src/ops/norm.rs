//! Softmax, LogSoftmax, LayerNormalization, BatchNormalization.
//!
//! Rules, every operation rounded to `f32`, sums by the fixed tree:
//! - Softmax: m = max; e = exp(x − m); y = e / Σe. LogSoftmax: (x − m) − log Σe.
//! - LayerNormalization: μ = Σx / n; d = x − μ; v = Σd² / n; r = 1 / √(v + ε);
//!   y = (d · r) · scale + bias.
//! - BatchNormalization (inference): y = (x − mean) · (scale / √(var + ε)) + bias.

use std::sync::Arc;

use super::batch_train::Train;
use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Operator, Plan, axis, pointwise, single, tensor};
use crate::gas;
use crate::kernels::fused::{Function, Node};
use crate::kernels::math::{self, canon};
use crate::kernels::scratch;
use crate::kernels::split::{self, Shared};
use crate::kernels::{Kernels, broadcast, reduce, simd, strided};
use crate::tensor::{DType, Tensor, numel};

#[derive(Debug)]
struct Softmax {
    log: bool,
    axis: i64,
    /// Before opset 13: everything from the axis on is one row.
    flat: bool,
}

pub(super) fn softmax(node: &super::Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    let flat = node.version < 13;
    let axis = node.int("axis", if flat { 1 } else { -1 })?;
    ok(Softmax {
        log: node.op == "LogSoftmax",
        axis,
        flat,
    })
}

impl Operator for Softmax {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        if !d.shape.is_empty() {
            axis(self.axis, d.shape.len())?;
        }
        let weight = gas::TRANSCENDENTAL + gas::DIVIDE + 3 * gas::SIMPLE;
        Ok(super::arith::same(d, weight))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let shape = plan.shape(0);
        single(shape, self.compute(inputs.slice::<f32>(0)?, shape, k)?)
    }
}

/// LogSoftmax along one axis.
pub(super) fn log_softmax(
    x: &[f32],
    shape: &[usize],
    axis: i64,
    k: Kernels,
) -> Result<Vec<f32>, Fault> {
    let (log, flat) = (true, false);
    Softmax { log, axis, flat }.compute(x, shape, k)
}

impl Softmax {
    fn compute(&self, x: &[f32], shape: &[usize], k: Kernels) -> Result<Vec<f32>, Fault> {
        if x.is_empty() {
            return Ok(Vec::new());
        }
        let a = if shape.is_empty() {
            0
        } else {
            axis(self.axis, shape.len())?
        };
        let width: usize = if self.flat {
            shape[a.min(shape.len())..].iter().product()
        } else {
            shape.get(a).copied().unwrap_or(1)
        };
        let inner: usize = if self.flat {
            1
        } else {
            shape.iter().skip(a + 1).product()
        };
        if inner == 1 {
            return Ok(self.rows(x, width, k));
        }
        // Bring the axis last, and back.
        let outer = x.len() / (width * inner);
        let (n, w, i) = (outer, width, inner);
        let mut t = Vec::with_capacity(x.len());
        strided::gather(x, &[n, i, w], &[(w * i) as isize, 1, i as isize], 0, &mut t);
        let y = self.rows(&t, width, k);
        t.clear();
        strided::gather(
            &y,
            &[n, w, i],
            &[(w * i) as isize, 1, w as isize],
            0,
            &mut t,
        );
        Ok(t)
    }
}

simd::multiversion! {
    /// `e[i] = exp(d[i])`.
    fn exponentials[](d: &[f32], e: &mut [f32]) {
        for (e, &d) in e.iter_mut().zip(d) {
            *e = math::exp(d);
        }
    }
}

simd::multiversion! {
    /// `e[i] = exp(x[i] − m)`, the difference rounded.
    fn shifted_exponentials[](x: &[f32], m: f32, e: &mut [f32]) {
        for (e, &x) in e.iter_mut().zip(x) {
            *e = math::exp(x - m);
        }
    }
}

impl Softmax {
    fn rows(&self, x: &[f32], width: usize, k: Kernels) -> Vec<f32> {
        let mut out = scratch::take(x.len());
        simd::rows(x, &mut out, width, |x, out| {
            let mut e = vec![0f32; if self.log { width } else { 0 }];
            for (row, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                let mut m = [0f32];
                reduce::max_rows(k, row, width, &mut m);
                let m = m[0];
                if self.log {
                    simd::map1(k, row, out, |x: f32| x - m);
                    exponentials(k, out, &mut e);
                    let s = math::log(reduce::sum(k, &e));
                    simd::update(k, out, |d: f32| canon(d - s));
                } else {
                    shifted_exponentials(k, row, m, out);
                    let s = reduce::sum(k, out);
                    simd::update(k, out, |e: f32| canon(e / s));
                }
            }
        });
        out
    }
}

#[derive(Debug)]
struct LayerNorm {
    axis: i64,
    epsilon: f32,
    outputs: usize,
}

pub(super) fn layer(node: &super::Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 3, 3)?;
    if node.int("stash_type", 1)? != 1 {
        return Err(BuildError::Unsupported("stash_type other than float"));
    }
    let (axis, epsilon) = (node.int("axis", -1)?, node.float("epsilon", 1e-5)?);
    ok(LayerNorm {
        axis,
        epsilon,
        outputs: node.outputs,
    })
}

impl Operator for LayerNorm {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        let a = axis(self.axis, d.shape.len())?;
        for i in 1..inputs.count() {
            if inputs.has(i) {
                let p = inputs.typed(i, DType::F32)?;
                if broadcast::shape(&p.shape, &d.shape[a..]).as_deref() != Some(&d.shape[a..]) {
                    return Err(Fault::Trap("scale or bias does not broadcast"));
                }
            }
        }
        let mut plan = super::arith::same(d, 8 * gas::SIMPLE);
        let mut stat = d.shape.clone();
        stat.iter_mut().skip(a).for_each(|d| *d = 1);
        plan.gas = plan
            .gas
            .saturating_add(gas::elementwise(numel(&stat), 4 * gas::DIVIDE));
        for _ in 1..self.outputs {
            plan.outputs.push(Desc::new(DType::F32, stat.clone()));
        }
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let shape = plan.shape(0);
        let a = axis(self.axis, shape.len())?;
        if x.is_empty() {
            // The statistics of nothing are 0.
            let zeros = |d: &Desc| tensor(&d.shape, vec![0f32; d.len() as usize]);
            return plan.outputs.iter().map(zeros).collect();
        }
        let (rows, width) = (numel(&shape[..a]) as usize, numel(&shape[a..]) as usize);
        let (mut mean, mut inv) = (vec![0f32; rows], vec![0f32; rows]);
        let mut v = scratch::take(x.len());
        if width > 0 {
            let n = width as f32;
            let parts = simd::parts(x.len()).min(rows);
            let (means, invs) = (Shared::new(&mut mean), Shared::new(&mut inv));
            let all = Shared::new(&mut v);
            split::run(parts, &|part| {
                let range = split::share(rows, parts, part);
                let (start, count) = (range.start, range.len());
                // SAFETY: shares do not overlap.
                let (mean, inv, v) = unsafe {
                    (
                        means.slice(start, count),
                        invs.slice(start, count),
                        all.slice(start * width, count * width),
                    )
                };
                let x = &x[start * width..][..count * width];
                reduce::sum_rows(k, x, width, mean, |x| x);
                mean.iter_mut().for_each(|m| *m = canon(*m / n));
                let pairs = x.chunks_exact(width).zip(v.chunks_exact_mut(width));
                for (i, (row, out)) in pairs.enumerate() {
                    let m = mean[i];
                    simd::map1(k, row, out, |x: f32| x - m);
                    let mut square = [0f32];
                    reduce::sum_rows(k, out, width, &mut square, |d| d * d);
                    let r = canon(1.0 / (square[0] / n + self.epsilon).sqrt());
                    inv[i] = r;
                    simd::update(k, out, |d: f32| canon(d * r));
                }
            });
        }
        let scale = (inputs.slice::<f32>(1)?, inputs.shape(1)?);
        let mut y = broadcast::binary(k, (&v, shape), scale, shape, |n, s| canon(n * s));
        if inputs.has(2) {
            let bias = (inputs.slice::<f32>(2)?, inputs.shape(2)?);
            y = broadcast::binary(k, (&y, shape), bias, shape, |n, b| canon(n + b));
        }
        let mut out = vec![tensor(shape, y)?];
        if self.outputs > 1 {
            out.push(tensor(plan.shape(1), mean)?);
        }
        if self.outputs > 2 {
            out.push(tensor(plan.shape(2), inv)?);
        }
        Ok(out)
    }
}

#[derive(Debug)]
struct BatchNorm {
    epsilon: f32,
}

pub(super) fn batch(node: &super::Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(5, 5, 5)?;
    let momentum = node.float("momentum", 0.9)?;
    if node.version >= 14 && node.flag("training_mode", false)? {
        node.arity(5, 5, 3)?;
        return ok(Train {
            epsilon: node.float("epsilon", 1e-5)?,
            momentum,
            outputs: node.outputs,
        });
    }
    // Before opset 7 training was the default.
    let testing = node.version >= 7 || node.flag("is_test", false)?;
    if node.version < 7 {
        node.ignore("consumed_inputs");
    }
    if !testing || node.outputs > 1 || !node.flag("spatial", true)? {
        return Err(BuildError::Unsupported(
            "batch normalisation in training mode",
        ));
    }
    ok(BatchNorm {
        epsilon: node.float("epsilon", 1e-5)?,
    })
}

impl Operator for BatchNorm {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        let channels = d.shape.get(1).copied().unwrap_or(1);
        for i in 1..5 {
            if inputs.typed(i, DType::F32)?.shape != [channels] {
                return Err(Fault::Trap("one statistic per channel is needed"));
            }
        }
        Ok(super::arith::same(d, 3 * gas::SIMPLE))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let shape = plan.shape(0);
        if x.is_empty() {
            return single(shape, Vec::<f32>::new());
        }
        let inner: usize = shape.iter().skip(2).product();
        let scale = inputs.slice::<f32>(1)?;
        let (bias, mean) = (inputs.slice::<f32>(2)?, inputs.slice::<f32>(3)?);
        let var = inputs.slice::<f32>(4)?;
        let mut v = scratch::take(x.len());
        if !x.is_empty() {
            let rows = x.len() / inner;
            let parts = simd::parts(x.len()).min(rows);
            let all = Shared::new(&mut v);
            split::run(parts, &|part| {
                for i in split::share(rows, parts, part) {
                    let c = i % scale.len();
                    let a = scale[c] / (var[c] + self.epsilon).sqrt();
                    let (m, b) = (mean[c], bias[c]);
                    // SAFETY: shares do not overlap.
                    let out = unsafe { all.slice(i * inner, inner) };
                    let row = &x[i * inner..(i + 1) * inner];
                    simd::map1(k, row, out, |x: f32| canon((x - m) * a + b));
                }
            });
        }
        single(shape, v)
    }

    fn elementwise(&self) -> bool {
        true
    }

    fn pointwise(&self, inputs: &Inputs<'_>, plan: &Plan) -> Option<Node> {
        let inner = plan.shape(0).iter().skip(2).product::<usize>();
        let [scale, bias, mean, var] = [1, 2, 3, 4].map(|i| inputs.slice::<f32>(i).ok());
        let (scale, bias, mean, var) = (scale?, bias?, mean?, var?);
        let factors = scale.iter().zip(var);
        let factors = factors.map(|(s, v)| s / (v + self.epsilon).sqrt());
        let by = (mean.iter().zip(factors).zip(bias)).map(|((&m, f), &b)| [m, f, b]);
        let by = by.collect();
        (inner > 0).then(|| pointwise::one(Function::Channels { inner, by }, inputs, plan))?
    }
}
