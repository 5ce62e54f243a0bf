//! Arithmetic on every numeric type: Add, Sub, Mul, Div, Pow, Mod, PRelu, Max,
//! Min, Sum, Mean, Neg, Abs, Sign, Relu, Clip.
//!
//! Rules: integers wrap; integer division truncates and traps on zero; float
//! results carry the canonical NaN; Max and Min propagate NaN and order −0
//! below +0; Sum adds its inputs from left to right.

use std::sync::Arc;

use super::number::{Number, numeric};
use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, pointwise, single};
use crate::gas;
use crate::kernels::fused::{self, Each, Function};
use crate::kernels::{Kernels, broadcast, power, scratch, simd};
use crate::tensor::{F16, Tensor, with_data};

/// Shape and dtype of broadcasting inputs 0 and 1.
pub(super) fn broadcast_plan(inputs: &Inputs<'_>) -> Result<Vec<usize>, Fault> {
    broadcast::shape(inputs.shape(0)?, inputs.shape(1)?)
        .ok_or(Fault::Trap("shapes do not broadcast"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Mod,
    Fmod,
    PRelu,
}

#[derive(Debug)]
struct BinaryOp(Binary);

pub(super) fn binary(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    let op = match node.op {
        "Add" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "Pow" => Binary::Pow,
        "PRelu" => Binary::PRelu,
        "Mod" if node.flag("fmod", false)? => Binary::Fmod,
        _ => Binary::Mod,
    };
    // Mod came later than the change of broadcasting.
    super::legacy::aligned(node, Arc::new(BinaryOp(op)))
}

impl Operator for BinaryOp {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let dtype = inputs.dtype(0)?;
        if self.0 == Binary::Pow {
            inputs.dtype(1)?;
        } else {
            inputs.typed(1, dtype)?;
        }
        let shape = broadcast_plan(inputs)?;
        if self.0 == Binary::PRelu && shape != inputs.shape(0)? {
            return Err(Fault::Trap("slope does not broadcast to the input"));
        }
        let weight = match self.0 {
            Binary::Pow => gas::POWER,
            Binary::Div | Binary::Mod | Binary::Fmod => gas::DIVIDE,
            _ => gas::SIMPLE,
        };
        let gas = gas::elementwise(crate::tensor::numel(&shape), weight);
        Ok(Plan::one(dtype, shape, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
        let out = plan.shape(0);
        if self.0 == Binary::Pow {
            // One exponent for all, as nearly always.
            if let (Some(x), Some(&[y])) = (a.view::<f32>(), b.view::<f32>()) {
                return single(out, power::powers(k, x, y));
            }
            return numeric!(a, x => raised(x, a, b, out));
        }
        numeric!(a, x => arith(self.0, (x, a.shape()), b, out, k))
    }

    fn elementwise(&self) -> bool {
        use Binary::{Add, Div, Mul, Pow, Sub};
        matches!(self.0, Add | Sub | Mul | Div | Pow)
    }

    fn pointwise(&self, inputs: &Inputs<'_>, plan: &Plan) -> Option<fused::Node> {
        let function = match self.0 {
            Binary::Add => Function::Add,
            Binary::Sub => Function::Sub,
            Binary::Mul => Function::Mul,
            Binary::Div => Function::Div,
            Binary::Pow => {
                let y = inputs.number(1)?;
                let f: Each = Arc::new(move |k, x, to| power::raise(k, x, y, to));
                return pointwise::each(f, inputs, plan);
            }
            _ => return None,
        };
        pointwise::two(function, inputs, plan)
    }
}

fn arith<T: Number>(
    op: Binary,
    a: (&[T], &[usize]),
    b: &Tensor,
    out: &[usize],
    k: Kernels,
) -> Result<Vec<Tensor>, Fault> {
    let y = b.view::<T>().ok_or(Fault::Trap("element types differ"))?;
    let divides = matches!(op, Binary::Div | Binary::Mod | Binary::Fmod);
    if !T::FLOAT && divides && y.contains(&T::default()) {
        return Err(Fault::Trap("integer division by zero"));
    }
    if T::FLOAT && op == Binary::Mod {
        return Err(Fault::Trap("Mod of floats needs fmod = 1"));
    }
    let b = (y, b.shape());
    let v = match op {
        Binary::Add => broadcast::binary(k, a, b, out, T::add),
        Binary::Sub => broadcast::binary(k, a, b, out, T::sub),
        Binary::Mul => broadcast::binary(k, a, b, out, T::mul),
        Binary::Div => broadcast::binary(k, a, b, out, T::div),
        Binary::Mod => broadcast::binary(k, a, b, out, T::modulo),
        Binary::Fmod => broadcast::binary(k, a, b, out, T::fmod),
        _ => {
            let zero = T::default();
            broadcast::binary(
                k,
                a,
                b,
                out,
                |x: T, s| if x < zero { x.mul(s) } else { x.canon() },
            )
        }
    };
    single(out, v)
}

fn raised<T: Number>(x: &[T], a: &Tensor, b: &Tensor, out: &[usize]) -> Result<Vec<Tensor>, Fault> {
    let (la, lb) = (
        broadcast::lane(a.shape(), out),
        broadcast::lane(b.shape(), out),
    );
    let mut v = Vec::with_capacity(crate::tensor::numel(out) as usize);
    macro_rules! run {
        ($y:expr, $f:expr) => {{
            let (y, f) = ($y, $f);
            crate::kernels::strided::walk(out, [&la, &lb], |[i, j]| {
                v.push(f(x[i as usize], y[j as usize]));
            });
        }};
    }
    if let Some(y) = b.view::<f32>() {
        run!(y, |x: T, e: f32| x.powf(f64::from(e)));
    } else if let Some(y) = b.view::<f64>() {
        run!(y, |x: T, e: f64| x.powf(e));
    } else {
        let e: Vec<i64> = with_data!(b.data(), y => y.iter().map(|&e| e.into_i64()).collect());
        run!(&e, |x: T, e: i64| x.powi(e));
    }
    single(out, v)
}

/// Any element as an `i64` (floats truncate and saturate, NaN is 0).
trait IntoI64 {
    fn into_i64(self) -> i64;
}
macro_rules! into_i64 {
    ($($t:ty),*) => {$(
        impl IntoI64 for $t {
            fn into_i64(self) -> i64 {
                self as i64
            }
        }
    )*};
}
into_i64!(f32, f64, u8, i8, u16, i16, u32, i32, u64, i64, bool);
impl IntoI64 for F16 {
    fn into_i64(self) -> i64 {
        self.to_f32() as i64
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fold {
    Max,
    Min,
    Sum,
    Mean,
}

#[derive(Debug)]
struct Variadic(Fold);

pub(super) fn variadic(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, usize::MAX, 1)?;
    ok(Variadic(match node.op {
        "Max" => Fold::Max,
        "Min" => Fold::Min,
        "Sum" => Fold::Sum,
        _ => Fold::Mean,
    }))
}

impl Operator for Variadic {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let mut d = inputs.desc(0)?.clone();
        for i in 1..inputs.count() {
            let next = inputs.typed(i, d.dtype)?;
            d.shape = broadcast::shape(&d.shape, &next.shape)
                .ok_or(Fault::Trap("shapes do not broadcast"))?;
        }
        if self.0 == Fold::Mean && !d.dtype.is_float() {
            return Err(Fault::Trap("element type not supported here"));
        }
        let per = gas::elementwise(d.len(), gas::SIMPLE);
        let gas = per.saturating_mul(inputs.count() as u64);
        Ok(Plan::one(d.dtype, d.shape, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let out = plan.shape(0);
        numeric!(inputs.tensor(0)?, first => fold(self.0, first, inputs, out, k))
    }

    fn elementwise(&self) -> bool {
        self.0 != Fold::Mean
    }

    fn pointwise(&self, inputs: &Inputs<'_>, plan: &Plan) -> Option<fused::Node> {
        let function = match self.0 {
            _ if inputs.count() != 2 => return None,
            Fold::Max => Function::Max,
            Fold::Min => Function::Min,
            Fold::Sum => Function::Add,
            Fold::Mean => return None,
        };
        pointwise::two(function, inputs, plan)
    }
}

fn fold<T: Number>(
    op: Fold,
    first: &[T],
    inputs: &Inputs<'_>,
    out: &[usize],
    k: Kernels,
) -> Result<Vec<Tensor>, Fault> {
    let mut acc = scratch::fresh::<T>(first.len());
    simd::map1(k, first, &mut acc, T::canon);
    let mut shape = inputs.shape(0)?.to_vec();
    for i in 1..inputs.count() {
        let next = inputs.shape(i)?;
        let both = broadcast::shape(&shape, next).ok_or(Fault::Trap("shapes do not broadcast"))?;
        let (a, b) = (
            (acc.as_slice(), shape.as_slice()),
            (inputs.slice::<T>(i)?, next),
        );
        acc = match op {
            Fold::Max => broadcast::binary(k, a, b, &both, T::max),
            Fold::Min => broadcast::binary(k, a, b, &both, T::min),
            Fold::Sum | Fold::Mean => broadcast::binary(k, a, b, &both, T::add),
        };
        shape = both;
    }
    let mut v = acc;
    if op == Fold::Mean {
        let n = T::from_f64(inputs.count() as f64);
        simd::update(k, &mut v, |x| x.div(n));
    }
    single(out, v)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Unary {
    Neg,
    Abs,
    Sign,
    Relu,
    /// Bounds from attributes (opset < 11); later they are inputs.
    Clip(Option<f32>, Option<f32>),
}

#[derive(Debug)]
struct UnaryOp(Unary);

pub(super) fn unary(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    let op = match node.op {
        "Neg" => Unary::Neg,
        "Abs" => Unary::Abs,
        "Sign" => Unary::Sign,
        "Relu" => Unary::Relu,
        _ if node.version < 11 => Unary::Clip(node.opt_float("min")?, node.opt_float("max")?),
        _ => Unary::Clip(None, None),
    };
    let clip = matches!(op, Unary::Clip(..)) && node.version >= 11;
    node.arity(1, if clip { 3 } else { 1 }, 1)?;
    ok(UnaryOp(op))
}

impl Operator for UnaryOp {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        for i in 1..inputs.count() {
            if inputs.has(i) && inputs.typed(i, d.dtype)?.len() != 1 {
                return Err(Fault::Trap("a bound must be a scalar"));
            }
        }
        Ok(Plan::one(
            d.dtype,
            d.shape.clone(),
            gas::elementwise(d.len(), gas::SIMPLE),
        ))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        numeric!(inputs.tensor(0)?, x => apply(self.0, x, inputs, plan.shape(0), k))
    }

    fn elementwise(&self) -> bool {
        self.0 != Unary::Sign
    }

    fn pointwise(&self, inputs: &Inputs<'_>, plan: &Plan) -> Option<fused::Node> {
        /// One loop for each function and path.
        fn each(f: impl Fn(f32) -> f32 + Copy + Send + Sync + 'static) -> Each {
            Arc::new(move |k, x, to| simd::map1_alone(k, x, to, f))
        }
        let bound = |i: usize, attr: Option<f32>| match inputs.has(i) {
            _ if attr.is_some() => Some(attr),
            true => inputs.number(i).map(Some),
            false => Some(None),
        };
        let f = match self.0 {
            Unary::Neg => each(Number::neg),
            Unary::Abs => each(Number::abs),
            Unary::Sign => return None,
            Unary::Relu => each(|x| Number::max(x, 0.0)),
            Unary::Clip(lo, hi) => match (bound(1, lo)?, bound(2, hi)?) {
                (Some(lo), Some(hi)) => each(move |x| Number::min(Number::max(x.canon(), lo), hi)),
                (Some(lo), None) => each(move |x| Number::max(x.canon(), lo)),
                (None, Some(hi)) => each(move |x| Number::min(x.canon(), hi)),
                (None, None) => each(Number::canon),
            },
        };
        pointwise::each(f, inputs, plan)
    }
}

fn apply<T: Number>(
    op: Unary,
    x: &[T],
    inputs: &Inputs<'_>,
    out: &[usize],
    k: Kernels,
) -> Result<Vec<Tensor>, Fault> {
    let mut v = scratch::fresh::<T>(x.len());
    let zero = T::default();
    match op {
        Unary::Neg => simd::map1(k, x, &mut v, T::neg),
        Unary::Abs => simd::map1(k, x, &mut v, T::abs),
        Unary::Sign => simd::map1(k, x, &mut v, T::sign),
        Unary::Relu => simd::map1(k, x, &mut v, |x| x.max(zero)),
        Unary::Clip(lo, hi) => {
            let (lo, hi) = (bound(inputs, 1, lo)?, bound(inputs, 2, hi)?);
            match (lo, hi) {
                (Some(lo), Some(hi)) => simd::map1(k, x, &mut v, |x| x.canon().max(lo).min(hi)),
                (Some(lo), None) => simd::map1(k, x, &mut v, |x| x.canon().max(lo)),
                (None, Some(hi)) => simd::map1(k, x, &mut v, |x| x.canon().min(hi)),
                (None, None) => simd::map1(k, x, &mut v, T::canon),
            }
        }
    }
    single(out, v)
}

/// A Clip bound: the attribute, or input `i`.
fn bound<T: Number>(inputs: &Inputs<'_>, i: usize, attr: Option<f32>) -> Result<Option<T>, Fault> {
    if let Some(a) = attr {
        return Ok(Some(T::from_f64(f64::from(a))));
    }
    if inputs.has(i) {
        Ok(inputs.slice::<T>(i)?.first().copied())
    } else {
        Ok(None)
    }
}

/// Shape and type unchanged.
pub(super) fn same(d: &Desc, weight: u64) -> Plan {
    Plan::one(d.dtype, d.shape.clone(), gas::elementwise(d.len(), weight))
}
