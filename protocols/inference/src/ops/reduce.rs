//! ReduceSum, ReduceMean, ReduceMax, ReduceMin, … and ArgMax, ArgMin.
//!
//! Rules: the reduced elements are taken row-major over the reduced axes. Float
//! sums use the fixed tree (of x, |x| or x²); ReduceLogSumExp is m + log Σ exp(x − m)
//! with m the maximum, or m itself if that is infinite or NaN; ReduceProd multiplies in order from
//! 1; ReduceMean divides the sum by the count. Integers wrap and divide
//! truncating. Empty sums are 0, empty maxima the least value of the type.
//! ArgMax takes the first greatest element, or the last with
//! `select_last_index`; NaN is greater than everything.

use std::sync::Arc;

use super::number::{Number, numeric};
use super::registry::ok;
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, axes, axis, single};
use crate::gas;
use crate::kernels::math::{self, canon};
use crate::kernels::{Kernels, reduce, strided};
use crate::tensor::{DType, Data, Tensor, numel};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
    L1,
    L2,
    SumSquare,
    LogSum,
    LogSumExp,
}

#[derive(Debug)]
struct Reduce {
    kind: Kind,
    axes: Option<Vec<i64>>,
    keep: bool,
    noop: bool,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    let kind = match node.op {
        "ReduceSum" => Kind::Sum,
        "ReduceMean" => Kind::Mean,
        "ReduceMax" => Kind::Max,
        "ReduceMin" => Kind::Min,
        "ReduceProd" => Kind::Prod,
        "ReduceL1" => Kind::L1,
        "ReduceL2" => Kind::L2,
        "ReduceSumSquare" => Kind::SumSquare,
        "ReduceLogSum" => Kind::LogSum,
        _ => Kind::LogSumExp,
    };
    // The axes became an input: ReduceSum at 13, the others at 18.
    let by_input = node.version >= if kind == Kind::Sum { 13 } else { 18 };
    node.arity(1, if by_input { 2 } else { 1 }, 1)?;
    let axes = if by_input {
        None
    } else {
        node.ints("axes")?.map(<[i64]>::to_vec)
    };
    let noop = by_input && node.flag("noop_with_empty_axes", false)?;
    ok(Reduce {
        kind,
        axes,
        keep: node.flag("keepdims", true)?,
        noop,
    })
}

impl Reduce {
    /// Which axes are reduced; `None` when nothing is (no-op).
    fn reduced(&self, inputs: &Inputs<'_>) -> Result<Option<Vec<bool>>, Fault> {
        let rank = inputs.shape(0)?.len();
        let list = match inputs.opt_ints(1)? {
            Some(list) => Some(list),
            None => self.axes.clone(),
        };
        let mut mask = vec![false; rank];
        match list.as_deref() {
            None | Some([]) if self.noop => return Ok(None),
            None | Some([]) => mask.fill(true),
            Some(list) => axes(list, rank)?.into_iter().for_each(|a| mask[a] = true),
        }
        Ok(Some(mask))
    }
}

/// The shape after reducing `mask`.
fn reduced_shape(shape: &[usize], mask: &[bool], keep: bool) -> Vec<usize> {
    shape
        .iter()
        .zip(mask)
        .filter_map(|(&d, &r)| match (r, keep) {
            (false, _) => Some(d),
            (true, true) => Some(1),
            (true, false) => None,
        })
        .collect()
}

impl Operator for Reduce {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if d.dtype == DType::Bool && !matches!(self.kind, Kind::Max | Kind::Min) {
            return Err(Fault::Trap("element type not supported here"));
        }
        let visits = gas::elementwise(d.len(), 2 * gas::VISIT);
        let Some(mask) = self.reduced(inputs)? else {
            return Ok(Plan::one(d.dtype, d.shape.clone(), visits));
        };
        let out = reduced_shape(&d.shape, &mask, self.keep);
        let mut gas = visits.saturating_add(gas::elementwise(numel(&out), gas::TRANSCENDENTAL));
        if self.kind == Kind::LogSumExp {
            gas = gas.saturating_add(gas::elementwise(d.len(), gas::TRANSCENDENTAL));
        }
        Ok(Plan::one(d.dtype, out, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let out = plan.shape(0);
        let Some(mask) = self.reduced(inputs)? else {
            return Ok(vec![t.clone()]);
        };
        let len = numel(out) as usize;
        match t.data() {
            Data::F32(x) => {
                let (x, width) = rows(x, t.shape(), &mask);
                single(out, self.floats(&x, width, len, k))
            }
            Data::Bool(x) => {
                let (x, width) = rows(x, t.shape(), &mask);
                let any = self.kind == Kind::Max;
                let row = |r: usize| &x[r * width..(r + 1) * width];
                single(
                    out,
                    (0..len)
                        .map(|r| row(r).contains(&any) == any)
                        .collect::<Vec<_>>(),
                )
            }
            Data::U16(x) => self.integers(x, t.shape(), &mask, (u16::MIN, u16::MAX), 1, out),
            Data::I16(x) => self.integers(x, t.shape(), &mask, (i16::MIN, i16::MAX), 1, out),
            Data::U32(x) => self.integers(x, t.shape(), &mask, (u32::MIN, u32::MAX), 1, out),
            Data::U64(x) => self.integers(x, t.shape(), &mask, (u64::MIN, u64::MAX), 1, out),
            Data::F64(x) => {
                let (x, width) = rows(x, t.shape(), &mask);
                single(out, self.doubles(&x, width, len))
            }
            Data::F16(_) => Err(Fault::Trap("element type not supported here")),
            Data::U8(x) => self.integers(x, t.shape(), &mask, (u8::MIN, u8::MAX), 1, out),
            Data::I8(x) => self.integers(x, t.shape(), &mask, (i8::MIN, i8::MAX), 1, out),
            Data::I32(x) => self.integers(x, t.shape(), &mask, (i32::MIN, i32::MAX), 1, out),
            Data::I64(x) => self.integers(x, t.shape(), &mask, (i64::MIN, i64::MAX), 1, out),
        }
    }
}

/// The elements with the reduced axes innermost, and the length of a row.
fn rows<'a, T: Copy>(
    x: &'a [T],
    shape: &[usize],
    mask: &[bool],
) -> (std::borrow::Cow<'a, [T]>, usize) {
    let reduced = shape.iter().zip(mask).filter(|(_, m)| **m);
    let width = numel(&reduced.map(|(&d, _)| d).collect::<Vec<_>>());
    let first = mask.iter().position(|&m| m).unwrap_or(mask.len());
    let significant = |i: usize| shape[i] != 1;
    if (first..mask.len()).all(|i| mask[i] || !significant(i)) {
        return (x.into(), width as usize);
    }
    let own = strided::strides(shape);
    let order: Vec<usize> = (0..shape.len())
        .filter(|&i| !mask[i])
        .chain((0..shape.len()).filter(|&i| mask[i]))
        .collect();
    let dims: Vec<usize> = order.iter().map(|&i| shape[i]).collect();
    let lane: Vec<isize> = order.iter().map(|&i| own[i]).collect();
    let mut out = Vec::with_capacity(x.len());
    strided::gather(x, &dims, &lane, 0, &mut out);
    (out.into(), width as usize)
}

impl Reduce {
    fn floats(&self, x: &[f32], width: usize, len: usize, k: Kernels) -> Vec<f32> {
        let mut v = vec![0f32; len];
        match self.kind {
            Kind::Max => reduce::max_rows(k, x, width, &mut v),
            Kind::Min => reduce::min_rows(k, x, width, &mut v),
            Kind::Prod => {
                for (r, o) in v.iter_mut().enumerate() {
                    *o = x[r * width..(r + 1) * width]
                        .iter()
                        .fold(1.0, |p, &x| p * x);
                }
            }
            Kind::L1 => reduce::sum_rows(k, x, width, &mut v, Number::abs),
            Kind::L2 | Kind::SumSquare => reduce::sum_rows(k, x, width, &mut v, |x| x * x),
            Kind::Sum | Kind::Mean | Kind::LogSum => {
                reduce::sum_rows(k, x, width, &mut v, |x| x);
            }
            Kind::LogSumExp => {
                reduce::max_rows(k, x, width, &mut v);
                for (r, o) in v.iter_mut().enumerate() {
                    let m = *o;
                    // An infinite or NaN maximum is the answer.
                    if m.is_finite() {
                        let mut sum = [0f32];
                        let row = &x[r * width..(r + 1) * width];
                        reduce::sum_rows(k, row, width, &mut sum, |x| math::exp(x - m));
                        *o = math::log(sum[0]) + m;
                    }
                }
            }
        }
        let n = width as f32;
        for o in &mut v {
            *o = canon(match self.kind {
                Kind::Mean => *o / n,
                Kind::L2 => math::sqrt(*o),
                Kind::LogSum => math::log(*o),
                _ => *o,
            });
        }
        v
    }

    /// [`Reduce::floats`] in `f64`.
    fn doubles(&self, x: &[f64], width: usize, len: usize) -> Vec<f64> {
        let fold = |r: usize| {
            let row = &x[r * width..(r + 1) * width];
            let most = |start: f64, f: fn(f64, f64) -> f64| row.iter().fold(start, |m, &x| f(m, x));
            let v = match self.kind {
                Kind::Max => most(f64::NEG_INFINITY, math::max64),
                Kind::Min => most(f64::INFINITY, math::min64),
                Kind::Prod => row.iter().fold(1.0, |p, &x| p * x),
                Kind::L1 => reduce::sum64(row, f64::abs),
                Kind::L2 => reduce::sum64(row, |x| x * x).sqrt(),
                Kind::SumSquare => reduce::sum64(row, |x| x * x),
                Kind::Sum => reduce::sum64(row, |x| x),
                Kind::Mean => reduce::sum64(row, |x| x) / width as f64,
                Kind::LogSum => math::log_f64(reduce::sum64(row, |x| x)),
                Kind::LogSumExp => {
                    let m = most(f64::NEG_INFINITY, math::max64);
                    if m.is_finite() {
                        math::log_f64(reduce::sum64(row, |x| math::exp_f64(x - m))) + m
                    } else {
                        m
                    }
                }
            };
            math::canon64(v)
        };
        (0..len).map(fold).collect()
    }

    fn integers<T: Number + TryFrom<u64>>(
        &self,
        x: &[T],
        shape: &[usize],
        mask: &[bool],
        (least, most): (T, T),
        one: T,
        out: &[usize],
    ) -> Result<Vec<Tensor>, Fault> {
        let (x, width) = rows(x, shape, mask);
        let zero = T::default();
        if matches!(self.kind, Kind::L2 | Kind::LogSum | Kind::LogSumExp) {
            // Through binary64 and back as Cast does it.
            let wide: Vec<f64> = x.iter().map(|x| x.into_f64()).collect();
            let v = self.doubles(&wide, width, numel(out) as usize);
            return single(out, v.into_iter().map(T::from_f64).collect::<Vec<_>>());
        }
        let count = T::try_from(width as u64).unwrap_or(zero);
        if self.kind == Kind::Mean && count == zero {
            return Err(Fault::Trap("mean of too few or too many integers"));
        }
        let fold = |r: usize| {
            let row = x[r * width..(r + 1) * width].iter();
            match self.kind {
                Kind::Max => row.fold(least, |m, &x| Number::max(m, x)),
                Kind::Min => row.fold(most, |m, &x| Number::min(m, x)),
                Kind::Prod => row.fold(one, |p, &x| p.mul(x)),
                Kind::Mean => row.fold(zero, |s, &x| s.add(x)).div(count),
                Kind::L1 => row.fold(zero, |s, &x| s.add(x.abs())),
                Kind::SumSquare => row.fold(zero, |s, &x| s.add(x.mul(x))),
                _ => row.fold(zero, |s, &x| s.add(x)),
            }
        };
        single(out, (0..numel(out) as usize).map(fold).collect::<Vec<_>>())
    }
}

#[derive(Debug)]
struct Arg {
    least: bool,
    axis: i64,
    keep: bool,
    last: bool,
}

pub(super) fn arg(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(Arg {
        least: node.op == "ArgMin",
        axis: node.int("axis", 0)?,
        keep: node.flag("keepdims", true)?,
        last: node.flag("select_last_index", false)?,
    })
}

impl Operator for Arg {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let a = axis(self.axis, d.shape.len())?;
        if d.shape[a] == 0 {
            return Err(Fault::Trap("ArgMax over nothing"));
        }
        let mask: Vec<bool> = (0..d.shape.len()).map(|i| i == a).collect();
        let gas = gas::elementwise(d.len(), 2 * gas::VISIT);
        Ok(Plan::one(
            DType::I64,
            reduced_shape(&d.shape, &mask, self.keep),
            gas,
        ))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        numeric!(t, x => self.run(x, t.shape(), plan.shape(0)))
    }
}

impl Arg {
    fn run<T: Number>(
        &self,
        x: &[T],
        shape: &[usize],
        out: &[usize],
    ) -> Result<Vec<Tensor>, Fault> {
        let a = axis(self.axis, shape.len())?;
        let mask: Vec<bool> = (0..shape.len()).map(|i| i == a).collect();
        let (x, width) = rows(x, shape, &mask);
        let index = |row: &[T]| {
            let mut best = 0;
            for (i, &v) in row.iter().enumerate().skip(1) {
                let b = row[best];
                let better = match (v.nan(), b.nan()) {
                    (false, false) if self.least => v < b,
                    (false, false) => v > b,
                    (nan, best_nan) => nan && !best_nan,
                };
                let equal = v == b || (v.nan() && b.nan());
                if better || (equal && self.last) {
                    best = i;
                }
            }
            best as i64
        };
        single(out, x.chunks_exact(width).map(index).collect::<Vec<_>>())
    }
}
