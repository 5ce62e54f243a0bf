//! MatMul and Gemm.
//!
//! Rules: each element is one FMA chain over k (`kernels::gemm`). Gemm then
//! computes `alpha·chain` and adds `beta·C`, each rounded. Integer MatMul wraps.

use std::sync::Arc;

use super::contract64;
use super::number::Number;
use super::registry::ok;
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::gas;
use crate::kernels::gemm::{self, Bias, Mat, Operand};
use crate::kernels::math::canon;
use crate::kernels::pack::{Cut, Side};
use crate::kernels::prepared::{Form, Prepared};
use crate::kernels::{Kernels, broadcast, scratch, simd, strided};
use crate::tensor::{DType, Data, Tensor, numel};

#[derive(Debug)]
struct MatMul;

pub(super) fn matmul(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    ok(MatMul)
}

/// The batched product's geometry.
pub(super) struct Product {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) batch: Vec<usize>,
    pub(super) a_lane: Vec<isize>,
    pub(super) b_lane: Vec<isize>,
    pub(super) out: Vec<usize>,
}

pub(super) fn product(a: &[usize], b: &[usize]) -> Result<Product, Fault> {
    let disagree = Fault::Trap("matrix shapes do not agree");
    let (Some(&ka), Some(_)) = (a.last(), b.last()) else {
        return Err(Fault::Trap("a matrix product needs dimensions"));
    };
    // A vector is a row on the left and a column on the right.
    let (a_batch, m) = match a {
        [batch @ .., m, _] => (batch, *m),
        _ => (&[][..], 1),
    };
    let (b_batch, kb, n) = match b {
        [batch @ .., k, n] => (batch, *k, *n),
        [k] => (&[][..], *k, 1),
        [] => return Err(disagree),
    };
    if ka != kb {
        return Err(disagree);
    }
    let batch = broadcast::shape(a_batch, b_batch).ok_or(disagree)?;
    let mut out = batch.clone();
    if a.len() > 1 {
        out.push(m);
    }
    if b.len() > 1 {
        out.push(n);
    }
    let (a_lane, b_lane) = (
        broadcast::lane(a_batch, &batch),
        broadcast::lane(b_batch, &batch),
    );
    Ok(Product {
        m,
        n,
        k: ka,
        batch,
        a_lane,
        b_lane,
        out,
    })
}

impl Operator for MatMul {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let dtype = inputs.dtype(0)?;
        inputs.typed(1, dtype)?;
        if !matches!(
            dtype,
            DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U32 | DType::U64
        ) {
            return Err(Fault::Trap("element type not supported here"));
        }
        let p = product(inputs.shape(0)?, inputs.shape(1)?)?;
        let gas = gas::contraction(numel(&p.out), p.k as u64);
        Ok(Plan::one(dtype, p.out, gas))
    }

    fn eval(
        &self,
        inputs: &Inputs<'_>,
        plan: &Plan,
        kernels: Kernels,
    ) -> Result<Vec<Tensor>, Fault> {
        let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
        let p = product(a.shape(), b.shape())?;
        match (a.data(), b.data()) {
            (Data::F32(x), Data::F32(y)) => {
                single(plan.shape(0), floats(&p, x, y, b.prepared(), kernels))
            }
            (Data::I32(x), Data::I32(y)) => single(plan.shape(0), integers(&p, x, y)),
            (Data::I64(x), Data::I64(y)) => single(plan.shape(0), integers(&p, x, y)),
            (Data::U32(x), Data::U32(y)) => single(plan.shape(0), integers(&p, x, y)),
            (Data::U64(x), Data::U64(y)) => single(plan.shape(0), integers(&p, x, y)),
            (Data::F64(x), Data::F64(y)) => {
                single(plan.shape(0), contract64::matmul(kernels, &p, x, y))
            }
            _ => Err(Fault::Trap("element type not supported here")),
        }
    }
}

fn floats(
    p: &Product,
    x: &[f32],
    y: &[f32],
    prepared: Option<&Prepared>,
    kernels: Kernels,
) -> Vec<f32> {
    let mut out = scratch::take(numel(&p.out) as usize);
    let (am, bm, cm) = (p.m * p.k, p.k * p.n, p.m * p.n);
    if cm == 0 || out.is_empty() {
        return out;
    }
    // One right-hand matrix for every batch: one tall product.
    if p.b_lane.iter().all(|&s| s == 0) && x.len() == out.len() / p.n * p.k {
        let rows = out.len() / p.n;
        let (a, b) = (Mat::rows(x, p.k), Mat::rows(y, p.n));
        times_constant(
            kernels,
            (rows, p.n, p.k),
            a,
            b,
            prepared,
            Bias::None,
            &mut out,
        );
        return out;
    }
    let mut chunks = out.chunks_exact_mut(cm);
    strided::walk(&p.batch, [&p.a_lane, &p.b_lane], |[i, j]| {
        if let Some(c) = chunks.next() {
            let a = Mat::rows(&x[i as usize * am..][..am], p.k);
            let b = Mat::rows(&y[j as usize * bm..][..bm], p.n);
            gemm::gemm(kernels, (p.m, p.n, p.k), a, b, c);
        }
    });
    out
}

/// `a · b`, with `b` packed once where it is a constant.
fn times_constant(
    kernels: Kernels,
    (m, n, k): (usize, usize, usize),
    a: Mat<'_>,
    b: Mat<'_>,
    prepared: Option<&Prepared>,
    bias: Bias<'_>,
    c: &mut [f32],
) {
    // A matrix of few columns is better read the other way round.
    let packed = prepared.filter(|_| n >= 8).and_then(|p| {
        let form = Form {
            kernels,
            cut: Cut::new(kernels, Side::Right, n),
            k,
            transposed: b.rs == 1,
            parts: 1,
        };
        p.get(form, |_| b)
    });
    let left = a.transposed();
    match packed.as_deref().map(Vec::as_slice) {
        Some([packed]) => gemm::multiply(
            kernels,
            (m, n, k),
            Operand::Lazy(&left),
            Operand::Packed(packed),
            gemm::Product {
                c,
                transposed: false,
                bias,
            },
        ),
        _ => gemm::gemm_plus(kernels, (m, n, k), a, b, bias, c),
    }
}

fn integers<T: Number>(p: &Product, x: &[T], y: &[T]) -> Vec<T> {
    let mut out = Vec::with_capacity(numel(&p.out) as usize);
    if numel(&p.out) == 0 {
        return out;
    }
    strided::walk(&p.batch, [&p.a_lane, &p.b_lane], |[i, j]| {
        let a = &x[i as usize * p.m * p.k..];
        let b = &y[j as usize * p.k * p.n..];
        for r in 0..p.m {
            for c in 0..p.n {
                let chain = (0..p.k).fold(T::default(), |s, q| {
                    s.add(a[r * p.k + q].mul(b[q * p.n + c]))
                });
                out.push(chain);
            }
        }
    });
    out
}

#[derive(Debug)]
struct Gemm {
    alpha: f32,
    beta: f32,
    trans_a: bool,
    trans_b: bool,
}

pub(super) fn gemm(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 3, 1)?;
    // C broadcasts in every version.
    if node.version < 7 {
        node.flag("broadcast", false)?;
    }
    ok(Gemm {
        alpha: node.float("alpha", 1.0)?,
        beta: node.float("beta", 1.0)?,
        trans_a: node.flag("transA", false)?,
        trans_b: node.flag("transB", false)?,
    })
}

impl Gemm {
    /// (m, n, k)
    fn dims(&self, a: &[usize], b: &[usize]) -> Result<(usize, usize, usize), Fault> {
        let (&[a0, a1], &[b0, b1]) = (a, b) else {
            return Err(Fault::Trap("Gemm takes matrices"));
        };
        let (m, ka) = if self.trans_a { (a1, a0) } else { (a0, a1) };
        let (kb, n) = if self.trans_b { (b1, b0) } else { (b0, b1) };
        if ka == kb {
            Ok((m, n, ka))
        } else {
            Err(Fault::Trap("matrix shapes do not agree"))
        }
    }
}

impl Gemm {
    /// [`Gemm::eval`] of `f64`.
    fn wide(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (sa, sb) = (inputs.shape(0)?, inputs.shape(1)?);
        let dims = self.dims(sa, sb)?;
        let strided = |i: usize, transposed: bool| {
            let (v, columns) = (inputs.slice::<f64>(i)?, inputs.shape(i)?[1]);
            Ok(if transposed {
                (v, 1, columns)
            } else {
                (v, columns, 1)
            })
        };
        let factors = (strided(0, self.trans_a)?, strided(1, self.trans_b)?);
        let c = match inputs.has(2) {
            true => Some((inputs.slice::<f64>(2)?, inputs.shape(2)?)),
            false => None,
        };
        let scale = (self.alpha, self.beta);
        single(plan.shape(0), contract64::gemm(k, dims, factors, scale, c))
    }
}

impl Operator for Gemm {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let dtype = inputs.dtype(0)?;
        if !matches!(dtype, DType::F32 | DType::F64) {
            return Err(Fault::Trap("element type not supported here"));
        }
        let (a, b) = (inputs.desc(0)?, inputs.typed(1, dtype)?);
        let (m, n, k) = self.dims(&a.shape, &b.shape)?;
        let out = vec![m, n];
        if inputs.has(2) {
            let c = inputs.typed(2, dtype)?;
            if broadcast::shape(&c.shape, &out).as_ref() != Some(&out) {
                return Err(Fault::Trap("C does not broadcast to the product"));
            }
        }
        let len = numel(&out);
        let gas = gas::contraction(len, (k as u64).saturating_add(2));
        Ok(Plan::one(dtype, out, gas))
    }

    fn eval(
        &self,
        inputs: &Inputs<'_>,
        plan: &Plan,
        kernels: Kernels,
    ) -> Result<Vec<Tensor>, Fault> {
        if inputs.dtype(0)? == DType::F64 {
            return self.wide(inputs, plan, kernels);
        }
        let (x, y) = (inputs.slice::<f32>(0)?, inputs.slice::<f32>(1)?);
        let (sa, sb) = (inputs.shape(0)?, inputs.shape(1)?);
        let (m, n, k) = self.dims(sa, sb)?;
        let a = Mat::rows(x, sa[1]);
        let b = Mat::rows(y, sb[1]);
        let a = if self.trans_a { a.transposed() } else { a };
        let b = if self.trans_b { b.transposed() } else { b };
        let (alpha, beta) = (self.alpha, self.beta);
        let c = match inputs.has(2) {
            true => Some((inputs.slice::<f32>(2)?, inputs.shape(2)?)),
            false => None,
        };
        // `chain + 1·C` with one number per column: added as the chain ends.
        let (bias, c) = match c {
            Some((c, [.., w])) if alpha == 1.0 && beta == 1.0 && *w == n && c.len() == n => {
                (Bias::Columns(c), None)
            }
            c => (Bias::None, c),
        };
        let mut out = scratch::take(m * n);
        let prepared = inputs.tensor(1)?.prepared();
        times_constant(kernels, (m, n, k), a, b, prepared, bias, &mut out);
        if alpha != 1.0 {
            simd::update(kernels, &mut out, |v| canon(alpha * v));
        }
        if let Some(c) = c {
            let shape = plan.shape(0);
            out = broadcast::binary(kernels, (&out, shape), c, shape, |v, c| canon(v + beta * c));
        }
        single(plan.shape(0), out)
    }
}
