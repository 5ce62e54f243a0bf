//! MatMulInteger and QLinearMatMul.
//!
//! Rules: `quant/mod.rs`. Zero points and scales are one for the tensor, one
//! per row of the left or of the result, one per column of the right, or with
//! the input's batch dimensions and 1 for the contracted one.

use std::sync::Arc;

use super::{Quantised, TYPE, byte, bytes, widened, zeros};
use crate::gas;
use crate::kernels::bytes::Left;
use crate::kernels::igemm::{self, IntMat};
use crate::kernels::prepared::ByteForm;
use crate::kernels::{Kernels, strided};
use crate::ops::linear::{Product, product};
use crate::ops::registry::ok;
use crate::ops::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::tensor::{DType, Tensor, numel};

const GRAIN: Fault = Fault::Trap("scales or zero points do not fit the matrices");

/// Whether a parameter fits a matrix's rows or columns (`axis` from the end is
/// the one that is contracted, whose place is 1).
fn fits(parameter: &[usize], matrix: &[usize], contracted: usize) -> bool {
    let n = matrix.len();
    if parameter.len() <= 1 && numel(parameter) == 1 {
        return true;
    }
    if n < 2 {
        return false;
    }
    let kept = matrix[n + contracted - 3];
    let mut full = matrix.to_vec();
    full[n - contracted] = 1;
    parameter == [kept] || parameter == full
}

/// The index of a parameter for batch offset `batch` and row or column `i` of `n`.
fn at(len: usize, n: usize, batch: usize, i: usize) -> usize {
    if len == 1 {
        0
    } else if len == n {
        i
    } else {
        batch * n + i
    }
}

/// The parameters of batch offset `batch` for all of `n` rows or columns, or the
/// one for all.
fn grain(of: &[i16], n: usize, batch: usize) -> &[i16] {
    if of.len() == 1 || of.len() == n {
        of
    } else {
        &of[batch * n..][..n]
    }
}

/// Contracted axes, from the end: columns of the left, rows of the right.
const LEFT: usize = 1;
const RIGHT: usize = 2;

fn plan(
    inputs: &Inputs<'_>,
    a: (usize, &[usize]),
    b: (usize, &[usize]),
) -> Result<(Product, u64), Fault> {
    let (x, y) = (inputs.desc(a.0)?, inputs.desc(b.0)?);
    if !byte(x.dtype) || !byte(y.dtype) {
        return Err(TYPE);
    }
    for (matrix, parameters, contracted) in [(x, a.1, LEFT), (y, b.1, RIGHT)] {
        for &i in parameters {
            if inputs.has(i) && !fits(inputs.shape(i)?, &matrix.shape, contracted) {
                return Err(GRAIN);
            }
        }
    }
    let p = product(&x.shape, &y.shape)?;
    let gas = gas::contraction(numel(&p.out), p.k as u64);
    Ok((p, gas))
}

/// Buffers of one product, and the sums.
fn scratch(p: &Product) -> u64 {
    igemm::buffers(p.m as u64, p.k as u64).saturating_add(numel(&p.out).saturating_mul(4))
}

/// The exact sums of every product of the batch; `each(a, b)` learns the batch
/// offsets of the operands.
fn sums(
    kernels: Kernels,
    p: &Product,
    (a, za): (&Tensor, &[i16]),
    (b, zb): (&Tensor, &[i16]),
    mut each: impl FnMut(usize, usize),
) -> Result<Vec<i32>, Fault> {
    let mut out = vec![0i32; numel(&p.out) as usize];
    let (am, bm, cm) = (p.m * p.k, p.k * p.n, p.m * p.n);
    if cm == 0 || out.is_empty() {
        return Ok(out);
    }
    let form = ByteForm {
        kernels,
        n: p.n,
        k: p.k,
    };
    let right = bytes(b)?;
    if let Some(packed) = b.prepared().and_then(|b| b.bytes(form, right)) {
        let left = bytes(a)?;
        let mut chunks = out.chunks_exact_mut(cm);
        strided::walk(&p.batch, [&p.a_lane, &p.b_lane], |[i, j]| {
            let (i, j) = (i as usize, j as usize);
            if let (Some(c), Some(b)) = (chunks.next(), packed.get(j)) {
                let a = Left {
                    bytes: left.part(i * am, am),
                    zeros: grain(za, p.m, i),
                };
                b.product(kernels, p.m, a, grain(zb, p.n, j), c);
                each(i, j);
            }
        });
        return Ok(out);
    }
    let (mut a, mut b) = (widened(a)?, widened(b)?);
    for (i, row) in a.chunks_exact_mut(p.k.max(1)).enumerate() {
        let z = za[at(za.len(), p.m, i / p.m, i % p.m)];
        row.iter_mut().for_each(|v| *v -= z);
    }
    for (i, row) in b.chunks_exact_mut(p.n).enumerate() {
        let batch = i / p.k.max(1);
        for (j, v) in row.iter_mut().enumerate() {
            *v -= zb[at(zb.len(), p.n, batch, j)];
        }
    }
    let mut chunks = out.chunks_exact_mut(cm);
    strided::walk(&p.batch, [&p.a_lane, &p.b_lane], |[i, j]| {
        let (i, j) = (i as usize, j as usize);
        if let Some(c) = chunks.next() {
            let right = IntMat {
                data: &b[j * bm..][..bm],
                width: p.n,
            };
            igemm::igemm(kernels, (p.m, p.n, p.k), &a[i * am..][..am], &right, c);
            each(i, j);
        }
    });
    Ok(out)
}

#[derive(Debug)]
struct Integer;

pub(super) fn integer(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 4, 1)?;
    ok(Integer)
}

impl Operator for Integer {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let (p, gas) = plan(inputs, (0, &[2]), (1, &[3]))?;
        for (i, of) in [(2, 0), (3, 1)] {
            if inputs.has(i) && inputs.dtype(i)? != inputs.dtype(of)? {
                return Err(TYPE);
            }
        }
        let scratch = scratch(&p);
        let mut plan = Plan::one(DType::I32, p.out, gas);
        plan.scratch = scratch;
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
        let p = product(a.shape(), b.shape())?;
        let (za, zb) = (zeros(inputs, 2)?, zeros(inputs, 3)?);
        let out = sums(k, &p, (a, &za), (b, &zb), |_, _| {})?;
        single(plan.shape(0), out)
    }
}

#[derive(Debug)]
struct QLinear;

pub(super) fn qlinear(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(8, 8, 1)?;
    ok(QLinear)
}

impl Operator for QLinear {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let (p, gas) = plan(inputs, (0, &[1, 2]), (3, &[4, 5]))?;
        let dtype = inputs.dtype(7)?;
        if !byte(dtype) || inputs.dtype(2)? != inputs.dtype(0)? {
            return Err(TYPE);
        }
        if inputs.dtype(5)? != inputs.dtype(3)? {
            return Err(TYPE);
        }
        for i in [1, 4, 6] {
            inputs.typed(i, DType::F32)?;
        }
        // Of the result: for all, per row, or with its batch dimensions.
        for i in [6, 7] {
            if !fits(inputs.shape(i)?, &p.out, LEFT) {
                return Err(GRAIN);
            }
        }
        let gas = gas.saturating_add(gas::elementwise(numel(&p.out), 3 * gas::SIMPLE));
        let scratch = scratch(&p);
        let mut plan = Plan::one(dtype, p.out, gas);
        plan.scratch = scratch;
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        match inputs.dtype(7)? {
            DType::U8 => run::<u8>(inputs, plan, k),
            DType::I8 => run::<i8>(inputs, plan, k),
            _ => Err(TYPE),
        }
    }
}

fn run<T: Quantised>(inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
    let (a, b) = (inputs.tensor(0)?, inputs.tensor(3)?);
    let p = product(a.shape(), b.shape())?;
    let (za, zb) = (zeros(inputs, 2)?, zeros(inputs, 5)?);
    let [sa, sb, sy] = [1, 4, 6].map(|i| inputs.slice::<f32>(i));
    let (sa, sb, sy, zy) = (sa?, sb?, sy?, inputs.slice::<T>(7)?);
    let mut offsets = Vec::new();
    let sums = sums(k, &p, (a, &za), (b, &zb), |i, j| offsets.push((i, j)))?;
    let mut out = vec![T::default(); sums.len()];
    for (batch, &(i, j)) in offsets.iter().enumerate() {
        let base = batch * p.m * p.n;
        for r in 0..p.m {
            let a = sa[at(sa.len(), p.m, i, r)];
            let y = sy[at(sy.len(), p.m, batch, r)];
            let zero = zy[at(zy.len(), p.m, batch, r)].zero();
            let row = base + r * p.n;
            let columns = out[row..row + p.n].iter_mut().zip(&sums[row..]);
            for (c, (o, &s)) in columns.enumerate() {
                let scale = a * sb[at(sb.len(), p.n, j, c)] / y;
                *o = T::saturate((s as f32 * scale).round_ties_even() + zero);
            }
        }
    }
    single(plan.shape(0), out)
}
