//! ConstantOfShape, Range, Cast, CastLike.
//!
//! Rules: float → integer truncates toward zero and saturates, NaN is 0;
//! integer → narrower integer keeps the low bits; anything → bool is "not zero";
//! integer → f32 rounds to nearest even. Range element i is `start + i·delta`
//! (for floats: the product, then the sum, each rounded).

use std::sync::Arc;

use super::node::element;
use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, layout, single};
use crate::gas;
use crate::kernels::Kernels;
use crate::tensor::{DType, Data, Element, F16, MAX_DIM, Tensor, numel, with_data};

#[derive(Debug)]
struct ConstantOfShape(Tensor);

pub(super) fn constant_of_shape(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    let value = node
        .tensor("value")?
        .cloned()
        .unwrap_or_else(|| Tensor::scalar(0f32));
    if value.len() != 1 {
        return Err(BuildError::BadAttribute("value"));
    }
    ok(ConstantOfShape(value))
}

impl Operator for ConstantOfShape {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let dims = inputs.ints(0)?;
        if dims.len() > crate::tensor::MAX_RANK {
            return Err(Fault::Trap("too many dimensions"));
        }
        let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let shape = shape.ok_or(Fault::Trap("negative dimension"))?;
        Ok(layout::moved(Desc::new(self.0.dtype(), shape)))
    }

    fn eval(&self, _: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let n = numel(plan.shape(0)) as usize;
        with_data!(self.0.data(), v => single(plan.shape(0), vec![v[0]; n]))
    }
}

#[derive(Debug)]
struct Range;

pub(super) fn range(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(3, 3, 1)?;
    ok(Range)
}

impl Range {
    fn count(inputs: &Inputs<'_>) -> Result<usize, Fault> {
        let dtype = inputs.dtype(0)?;
        for i in 0..3 {
            if inputs.typed(i, dtype)?.len() != 1 {
                return Err(Fault::Trap("Range takes scalars"));
            }
        }
        let n = if matches!(dtype, DType::F32 | DType::F64) {
            let v = |i| {
                let t = inputs.tensor(i)?;
                Ok(with_data!(t.data(), v => v.first().map_or(0.0, |x| x.f64())))
            };
            let (start, limit, delta) = (v(0)?, v(1)?, v(2)?);
            let n = (limit - start) / delta;
            // Ceiling of a bounded number; NaN and negatives give none.
            if n > MAX_DIM as f64 {
                return Err(Fault::Trap("output shape out of bounds"));
            }
            let whole = n as i64;
            whole + i64::from(n > whole as f64)
        } else {
            if !matches!(dtype, DType::I16 | DType::I32 | DType::I64) {
                return Err(Fault::Trap("element type not supported here"));
            }
            let v = |i| -> Result<i128, Fault> {
                let t = inputs.tensor(i)?;
                Ok(with_data!(t.data(), v => v.first().map_or(0, |x| x.i64().into())))
            };
            let (start, limit, delta) = (v(0)?, v(1)?, v(2)?);
            if delta == 0 {
                return Err(Fault::Trap("step of zero"));
            }
            let span = limit - start;
            let n = span / delta + i128::from(span % delta != 0 && (span < 0) == (delta < 0));
            i64::try_from(n).map_err(|_| Fault::Trap("output shape out of bounds"))?
        };
        Ok(n.max(0) as usize)
    }
}

impl Operator for Range {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let n = Self::count(inputs)?;
        Ok(layout::moved(Desc::new(inputs.dtype(0)?, vec![n])))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let n = Self::count(inputs)?;
        let out = plan.shape(0);
        match (inputs.tensor(0)?.data(), inputs.tensor(2)?.data()) {
            (Data::F32(s), Data::F32(d)) => {
                let (s, d) = (s[0], d[0]);
                let f = |i| crate::kernels::math::canon(s + i as f32 * d);
                single(out, (0..n).map(f).collect::<Vec<_>>())
            }
            (Data::F64(s), Data::F64(d)) => {
                let (s, d) = (s[0], d[0]);
                let f = |i| crate::kernels::math::canon64(s + i as f64 * d);
                single(out, (0..n).map(f).collect::<Vec<_>>())
            }
            (Data::I16(s), Data::I16(d)) => {
                let f = |i| s[0].wrapping_add((i as i16).wrapping_mul(d[0]));
                single(out, (0..n).map(f).collect::<Vec<_>>())
            }
            (Data::I32(s), Data::I32(d)) => {
                let f = |i| s[0].wrapping_add((i as i32).wrapping_mul(d[0]));
                single(out, (0..n).map(f).collect::<Vec<_>>())
            }
            (Data::I64(s), Data::I64(d)) => {
                let f = |i| s[0].wrapping_add((i as i64).wrapping_mul(d[0]));
                single(out, (0..n).map(f).collect::<Vec<_>>())
            }
            _ => Err(Fault::Trap("element type not supported here")),
        }
    }
}

/// The target type, or `None` for "like input 1".
#[derive(Debug)]
struct Cast(Option<DType>);

pub(super) fn cast(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.ignore("saturate");
    if node.op == "CastLike" {
        node.arity(2, 2, 1)?;
        return ok(Cast(None));
    }
    node.arity(1, 1, 1)?;
    let to = node.opt_int("to")?.ok_or(BuildError::BadAttribute("to"))?;
    let to = element(to)?;
    ok(Cast(Some(to)))
}

impl Operator for Cast {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let to = match self.0 {
            Some(to) => to,
            None => inputs.dtype(1)?,
        };
        Ok(Plan::one(
            to,
            d.shape.clone(),
            gas::elementwise(d.len(), gas::SIMPLE),
        ))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let to = plan.outputs.first().map_or(t.dtype(), |d| d.dtype);
        Ok(vec![cast_to(t, to)?])
    }

    fn reads(&self, i: usize) -> bool {
        i == 0
    }
}

/// `t` with every element converted.
pub(super) fn cast_to(t: &Tensor, to: DType) -> Result<Tensor, Fault> {
    if to == t.dtype() {
        return Ok(t.clone());
    }
    let out = t.shape();
    with_data!(t.data(), x => match to {
        DType::F32 => super::tensor(out, convert(x, Scalar::f32)),
        DType::U8 => super::tensor(out, convert(x, Scalar::u8)),
        DType::I8 => super::tensor(out, convert(x, Scalar::i8)),
        DType::U16 => super::tensor(out, convert(x, Scalar::u16)),
        DType::I16 => super::tensor(out, convert(x, Scalar::i16)),
        DType::U32 => super::tensor(out, convert(x, Scalar::u32)),
        DType::U64 => super::tensor(out, convert(x, Scalar::u64)),
        DType::F16 => super::tensor(out, convert(x, |x| F16::from_f64(x.f64()))),
        DType::F64 => super::tensor(out, convert(x, Scalar::f64)),
        DType::I32 => super::tensor(out, convert(x, Scalar::i32)),
        DType::I64 => super::tensor(out, convert(x, Scalar::i64)),
        DType::Bool => super::tensor(out, convert(x, Scalar::bool)),
    })
}

/// A tensor of zeros with ones at the given places.
pub(super) fn filled(d: &Desc, ones: &[usize]) -> Result<Tensor, Fault> {
    macro_rules! fill {
        ($($v:ident: $one:expr),*) => {
            match d.dtype {
                $(DType::$v => {
                    let one = $one;
                    let mut v = vec![Default::default(); d.len() as usize];
                    ones.iter().for_each(|&i| v[i] = one);
                    super::tensor(&d.shape, v)
                })*
            }
        };
    }
    fill!(
        F32: 1f32, F64: 1f64, F16: F16::from_f32(1.0), Bool: true,
        U8: 1u8, I8: 1i8, U16: 1u16, I16: 1i16, U32: 1u32, I32: 1i32, U64: 1u64, I64: 1i64
    )
}

fn convert<T: Copy, U: Element>(x: &[T], f: impl Fn(T) -> U) -> Vec<U> {
    x.iter().map(|&x| f(x)).collect()
}

/// Conversions by Rust's `as`, which has exactly the rules above. Halves take
/// the exact way through `f64`.
pub(super) trait Scalar: Copy {
    fn f32(self) -> f32;
    fn f64(self) -> f64;
    fn u8(self) -> u8;
    fn i8(self) -> i8;
    fn u16(self) -> u16;
    fn i16(self) -> i16;
    fn u32(self) -> u32;
    fn i32(self) -> i32;
    fn u64(self) -> u64;
    fn i64(self) -> i64;
    fn bool(self) -> bool;
}

macro_rules! scalar {
    ($(|$x:ident: $t:ty| $from:expr, $zero:literal);*) => {$(
        impl Scalar for $t {
            scalar!(@ $x $from, f32 f64 u8 i8 u16 i16 u32 i32 u64 i64);
            fn bool(self) -> bool {
                let $x = self;
                $from != $zero
            }
        }
    )*};
    (@ $x:ident $from:expr, $($to:ident)*) => {$(
        fn $to(self) -> $to {
            let $x = self;
            $from as $to
        }
    )*};
}
scalar!(
    |x: f32| x, 0.0;
    |x: f64| x, 0.0;
    |x: F16| x.to_f32(), 0.0;
    |x: u8| x, 0;
    |x: i8| x, 0;
    |x: u16| x, 0;
    |x: i16| x, 0;
    |x: u32| x, 0;
    |x: i32| x, 0;
    |x: u64| x, 0;
    |x: i64| x, 0;
    |x: bool| u8::from(x), 0
);
