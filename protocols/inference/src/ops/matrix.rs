//! Det, MeanVarianceNormalization, Shrink, and the windows Hann, Hamming, Blackman.
//!
//! Rules:
//! - Det: in binary64, Gaussian elimination by columns; the pivot is the first
//!   element of greatest magnitude at or below the diagonal; row r loses
//!   (a[r][c] / pivot) · row c, product and difference rounded each; the result
//!   is the product of the pivots from 1, negated per exchange, rounded once.
//! - MeanVarianceNormalization: μ = Σx / n; d = x − μ; y = d / (√(Σd² / n) + 1e-9),
//!   every operation rounded to `f32`, sums by the fixed tree.
//! - Shrink: x + bias below −lambd, x − bias above lambd, else 0; integers
//!   through binary64 and back as Cast does it.
//! - Windows: of size N, with D = N or, not periodic, N − 1, in binary64:
//!   `a − b·cos(2π·i/D) + c·cos(4π·i/D)` from left to right, rounded once; the
//!   angles are `(2π·i)/D` and twice that.

use std::sync::Arc;

use super::node::element;
use super::number::{Number, numeric};
use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axes, layout, single};
use crate::gas;
use crate::kernels::{Kernels, math, reduce, strided, trig};
use crate::ops::create::cast_to;
use crate::tensor::{DType, Tensor, numel};

#[derive(Debug)]
struct Det;

pub(super) fn det(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(Det)
}

impl Operator for Det {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let [batch @ .., n, m] = d.shape.as_slice() else {
            return Err(Fault::Trap("square matrices are needed here"));
        };
        if n != m || !matches!(d.dtype, DType::F32 | DType::F64) {
            return Err(Fault::Trap("square matrices of floats are needed here"));
        }
        let gas = gas::elementwise(d.len(), (*n as u64).saturating_add(gas::DIVIDE));
        Ok(Plan::one(d.dtype, batch, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let n = t.shape().last().copied().unwrap_or(0);
        let x: Vec<f64> = numeric!(t, x => Ok(x.iter().map(|x| x.into_f64()).collect()))?;
        let count = numel(plan.shape(0)) as usize;
        let of = |i: usize| determinant(&mut x[i * n * n..(i + 1) * n * n].to_vec(), n);
        let v: Vec<f64> = (0..count).map(of).collect();
        if t.dtype() == DType::F64 {
            return single(plan.shape(0), v);
        }
        let v = v.into_iter().map(|x| math::canon(x as f32));
        single(plan.shape(0), v.collect::<Vec<f32>>())
    }
}

fn determinant(a: &mut [f64], n: usize) -> f64 {
    let mut det = 1.0;
    for c in 0..n {
        let size = |r: usize| a[r * n + c].abs();
        let pivot = (c + 1..n).fold(c, |p, r| if size(r) > size(p) { r } else { p });
        if pivot != c {
            (0..n).for_each(|j| a.swap(c * n + j, pivot * n + j));
            det = -det;
        }
        let top = a[c * n + c];
        det *= top;
        if top == 0.0 {
            return 0.0;
        }
        for r in c + 1..n {
            let f = a[r * n + c] / top;
            for j in c + 1..n {
                a[r * n + j] -= f * a[c * n + j];
            }
        }
    }
    math::canon64(det)
}

#[derive(Debug)]
struct MeanVariance(Vec<i64>);

pub(super) fn mean_variance(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(MeanVariance(
        node.ints("axes")?.unwrap_or(&[0, 2, 3]).to_vec(),
    ))
}

impl Operator for MeanVariance {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        axes(&self.0, d.shape.len())?;
        Ok(super::arith::same(d, 8 * gas::SIMPLE + gas::DIVIDE))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (x, shape) = (inputs.slice::<f32>(0)?, plan.shape(0));
        let reduced = axes(&self.0, shape.len())?;
        let mut order: Vec<usize> = (0..shape.len()).filter(|i| !reduced.contains(i)).collect();
        let kept = order.len();
        order.extend((0..shape.len()).filter(|i| reduced.contains(i)));
        let dims: Vec<usize> = order.iter().map(|&i| shape[i]).collect();
        let own = strided::strides(shape);
        let lane: Vec<isize> = order.iter().map(|&i| own[i]).collect();
        let mut rows = Vec::with_capacity(x.len());
        strided::gather(x, &dims, &lane, 0, &mut rows);
        let width = numel(&dims[kept..]) as usize;
        for row in rows.chunks_exact_mut(width.max(1)) {
            let n = width as f32;
            let mean = reduce::sum(k, row) / n;
            row.iter_mut().for_each(|x| *x -= mean);
            let mut square = [0f32];
            reduce::sum_rows(k, row, width, &mut square, |d| d * d);
            let by = math::sqrt(square[0] / n) + 1e-9;
            row.iter_mut().for_each(|d| *d = math::canon(*d / by));
        }
        // Back to the order of the input.
        let mut v = vec![0f32; x.len()];
        let (mut i, lanes) = (0, [lane.as_slice()]);
        strided::walk(&dims, lanes, |[at]| {
            v[at as usize] = rows[i];
            i += 1;
        });
        single(shape, v)
    }
}

#[derive(Debug)]
struct Shrink {
    bias: f32,
    lambd: f32,
}

pub(super) fn shrink(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(Shrink {
        bias: node.float("bias", 0.0)?,
        lambd: node.float("lambd", 0.5)?,
    })
}

impl Operator for Shrink {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        Ok(super::arith::same(inputs.desc(0)?, gas::SIMPLE))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (bias, lambd) = (f64::from(self.bias), f64::from(self.lambd));
        numeric!(inputs.tensor(0)?, x => {
            // The sum of two f32 rounds to f32 through f64 as it would directly.
            let f = |x: f64| {
                if x < -lambd {
                    x + bias
                } else if x > lambd {
                    x - bias
                } else if x.is_nan() {
                    x
                } else {
                    0.0
                }
            };
            let v: Vec<_> = x.iter().map(|&x| again(x, f(x.into_f64())).canon()).collect();
            single(plan.shape(0), v)
        })
    }
}

/// `y` as a `T`, where `_like` only names the type.
fn again<T: Number>(_like: T, y: f64) -> T {
    T::from_f64(y)
}

#[derive(Debug)]
struct Window {
    /// a, b and c of the rule.
    terms: [f64; 3],
    periodic: bool,
    to: DType,
}

pub(super) fn window(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    let terms = match node.op {
        "HannWindow" => [0.5, 0.5, 0.0],
        "HammingWindow" => [25.0 / 46.0, 21.0 / 46.0, 0.0],
        _ => [0.42, 0.5, 0.08],
    };
    ok(Window {
        terms,
        periodic: node.flag("periodic", true)?,
        to: element(node.int("output_datatype", 1)?)?,
    })
}

impl Window {
    fn size(inputs: &Inputs<'_>) -> Result<usize, Fault> {
        match inputs.ints(0)?.as_slice() {
            [n] => usize::try_from(*n).map_err(|_| Fault::Trap("negative dimension")),
            _ => Err(Fault::Trap("a scalar is needed here")),
        }
    }
}

impl Operator for Window {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let mut plan = layout::moved(Desc::new(self.to, vec![Self::size(inputs)?]));
        let n = plan.outputs.first().map_or(0, Desc::len);
        plan.gas = gas::elementwise(n, 2 * gas::TRANSCENDENTAL);
        plan.scratch = n.saturating_mul(8);
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, _: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let n = Self::size(inputs)?;
        let d = (if self.periodic {
            n
        } else {
            n.saturating_sub(1)
        }) as f64;
        let [a, b, c] = self.terms;
        let two_pi = f64::from_bits(0x4019_21fb_5444_2d18);
        let at = |i: usize| {
            let angle = (two_pi * i as f64) / d;
            math::canon64(a - b * trig::cos64(angle) + c * trig::cos64(2.0 * angle))
        };
        let v = super::tensor(&[n], (0..n).map(at).collect::<Vec<f64>>())?;
        Ok(vec![cast_to(&v, self.to)?])
    }
}
