//! LpPool, GlobalLpPool, MaxUnpool.
//!
//! Rules. Lp: s = Σ|x|^p over the window in row-major order from +0 (the whole
//! plane by the fixed tree for GlobalLpPool), where |x|^1 = |x|, |x|^2 = x · x
//! and otherwise pow(|x|, p); then s, √s or pow(s, 1/p). MaxUnpool: zeros of the
//! inferred shape, each element written at its index, in order; an index outside
//! ends the run; placed at the start of `output_shape` if that is given.

use std::sync::Arc;

use crate::gas;
use crate::kernels::math::{self, canon};
use crate::kernels::{Kernels, reduce};
use crate::ops::pool::{pooled, split, windows};
use crate::ops::registry::ok;
use crate::ops::window::WindowAttrs;
use crate::ops::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::tensor::{DType, MAX_DIM, MAX_RANK, Tensor, numel};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Norm {
    One,
    Two,
    P(f32),
}

impl Norm {
    fn read(node: &Node<'_>) -> Result<Self, BuildError> {
        let p = if node.version < 2 {
            node.float("p", 2.0)?
        } else {
            let p = node.int("p", 2)?;
            if !(1..=1 << 20).contains(&p) {
                return Err(BuildError::BadAttribute("p"));
            }
            p as f32
        };
        match p {
            1.0 => Ok(Norm::One),
            2.0 => Ok(Norm::Two),
            p if p > 0.0 && p.is_finite() => Ok(Norm::P(p)),
            _ => Err(BuildError::BadAttribute("p")),
        }
    }

    #[inline(always)]
    fn term(self, x: f32) -> f32 {
        match self {
            Norm::One => x.abs(),
            Norm::Two => x * x,
            Norm::P(p) => math::pow(x.abs(), p),
        }
    }

    fn root(self, s: f32) -> f32 {
        canon(match self {
            Norm::One => s,
            Norm::Two => s.sqrt(),
            Norm::P(p) => math::pow(s, 1.0 / p),
        })
    }

    fn weight(self) -> u64 {
        match self {
            Norm::P(_) => gas::POWER,
            _ => 2 * gas::VISIT,
        }
    }
}

#[derive(Debug)]
struct LpPool {
    window: WindowAttrs,
    norm: Norm,
}

pub(super) fn lp(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(LpPool {
        window: WindowAttrs::read(node, true)?,
        norm: Norm::read(node)?,
    })
}

impl Operator for LpPool {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        let r = self.window.resolve(split(&d.shape)?.1, None)?;
        let out = pooled(&d.shape, &r);
        let per = numel(&r.window.kernel)
            .saturating_mul(self.norm.weight())
            .saturating_add(self.norm.weight() + gas::DIVIDE);
        let gas = gas::elementwise(numel(&out), per);
        Ok(Plan::one(DType::F32, out, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let r = self.window.resolve(split(inputs.shape(0)?)?.1, None)?;
        let len = numel(plan.shape(0)) as usize;
        let mut out = Vec::with_capacity(len);
        let area = r.window.input_len().max(1);
        let planes = if len == 0 { 0 } else { usize::MAX };
        for plane in x.chunks_exact(area).take(planes) {
            windows(&r.window, |taps| {
                let s = taps.fold(0f32, |s, i| s + self.norm.term(plane[i]));
                out.push(self.norm.root(s));
            });
        }
        single(plan.shape(0), out)
    }
}

#[derive(Debug)]
struct GlobalLpPool {
    norm: Norm,
}

pub(super) fn global(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(GlobalLpPool {
        norm: Norm::read(node)?,
    })
}

impl Operator for GlobalLpPool {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        split(&d.shape)?;
        let mut out = d.shape.clone();
        out.iter_mut().skip(2).for_each(|d| *d = 1);
        let weight = self.norm.weight();
        let gas = gas::elementwise(d.len(), weight)
            .saturating_add(gas::elementwise(numel(&out), weight + gas::DIVIDE));
        Ok(Plan::one(DType::F32, out, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let (planes, spatial) = split(inputs.shape(0)?)?;
        let mut out = vec![0f32; planes];
        let norm = self.norm;
        reduce::sum_rows(k, x, numel(spatial) as usize, &mut out, |v| norm.term(v));
        out.iter_mut().for_each(|v| *v = norm.root(*v));
        single(plan.shape(0), out)
    }
}

#[derive(Debug)]
struct MaxUnpool {
    kernel: Vec<usize>,
    strides: Option<Vec<usize>>,
    pads: Option<Vec<usize>>,
}

pub(super) fn unpool(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 3, 1)?;
    let kernel = node.geometry("kernel_shape", 1)?;
    ok(MaxUnpool {
        kernel: kernel.ok_or(BuildError::BadAttribute("kernel_shape"))?,
        strides: node.geometry("strides", 1)?,
        pads: node.geometry("pads", 0)?,
    })
}

impl MaxUnpool {
    /// The shape that the indices count in.
    fn inferred(&self, shape: &[usize]) -> Result<Vec<usize>, Fault> {
        let (_, spatial) = split(shape)?;
        let rank = spatial.len();
        let (ones, zeros) = (vec![1; rank], vec![0; 2 * rank]);
        let strides = self.strides.as_deref().unwrap_or(&ones);
        let pads = self.pads.as_deref().unwrap_or(&zeros);
        if self.kernel.len() != rank || strides.len() != rank || pads.len() != 2 * rank {
            return Err(Fault::Trap("window attributes do not fit the input's rank"));
        }
        let mut out = shape[..2].to_vec();
        for i in 0..rank {
            let full = (spatial[i] as i64 - 1) * strides[i] as i64 + self.kernel[i] as i64;
            let n = full - pads[i] as i64 - pads[rank + i] as i64;
            let n = usize::try_from(n).ok().filter(|&n| n <= MAX_DIM);
            out.push(n.ok_or(Fault::Trap("output shape out of bounds"))?);
        }
        Ok(out)
    }
}

impl Operator for MaxUnpool {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        if inputs.typed(1, DType::I64)?.shape != d.shape {
            return Err(Fault::Trap("one index per element is needed"));
        }
        let inferred = self.inferred(&d.shape)?;
        let mut out = inferred.clone();
        if let Some(shape) = inputs.opt_ints(2)? {
            let fits = shape.len() == out.len()
                && shape.len() <= MAX_RANK
                && shape
                    .iter()
                    .zip(&inferred)
                    .all(|(&s, &n)| (0..=MAX_DIM as i64).contains(&s) && s as usize >= n);
            if !fits {
                return Err(Fault::Trap("output_shape is smaller than what is unpooled"));
            }
            out = shape.iter().map(|&s| s as usize).collect();
        }
        let gas = gas::movement(numel(&out).saturating_mul(4)).saturating_add(d.len());
        let mut plan = Plan::one(DType::F32, out, gas);
        plan.scratch = numel(&inferred).saturating_mul(4);
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let index = inputs.slice::<i64>(1)?;
        let inferred = self.inferred(inputs.shape(0)?)?;
        let mut v = vec![0f32; numel(&inferred) as usize];
        for (&x, &i) in x.iter().zip(index) {
            let place = usize::try_from(i).ok().and_then(|i| v.get_mut(i));
            *place.ok_or(Fault::Trap("index out of range"))? = x;
        }
        let shape = plan.shape(0);
        if shape == inferred {
            return single(shape, v);
        }
        let mut out = vec![0f32; numel(shape) as usize];
        let width = inferred.last().copied().unwrap_or(1).max(1);
        let to = crate::kernels::strided::strides(shape);
        let rows = inferred.len() - 1;
        let mut rest = v.chunks_exact(width);
        crate::kernels::strided::walk(&inferred[..rows], [&to[..rows]], |[at]| {
            if let Some(row) = rest.next() {
                out[at as usize..][..width].copy_from_slice(row);
            }
        });
        single(shape, out)
    }
}
