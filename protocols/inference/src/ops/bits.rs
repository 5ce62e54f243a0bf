//! Operators on bits: BitShift, BitwiseAnd, Or, Xor, Not of integers; BitCast.
//!
//! Rules: a shift by the width of the type or more gives 0. BitCast keeps the bits
//! of types of one width; to bool only of 0 and 1, others trap.

use std::sync::Arc;

use super::arith::broadcast_plan;
use super::node::element;
use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, layout, single};
use crate::gas;
use crate::kernels::{Kernels, broadcast, simd};
use crate::tensor::{DType, Element, Tensor, data_from_bytes, numel};

/// An integer element type.
trait Bits: Element {
    fn and(self, o: Self) -> Self;
    fn or(self, o: Self) -> Self;
    fn xor(self, o: Self) -> Self;
    fn not(self) -> Self;
    fn left(self, by: Self) -> Self;
    fn right(self, by: Self) -> Self;
}

macro_rules! bits {
    ($($t:ty),*) => {$(
        impl Bits for $t {
            #[inline(always)]
            fn and(self, o: Self) -> Self {
                self & o
            }
            #[inline(always)]
            fn or(self, o: Self) -> Self {
                self | o
            }
            #[inline(always)]
            fn xor(self, o: Self) -> Self {
                self ^ o
            }
            #[inline(always)]
            fn not(self) -> Self {
                !self
            }
            #[inline(always)]
            fn left(self, by: Self) -> Self {
                u32::try_from(by).ok().and_then(|b| self.checked_shl(b)).unwrap_or(0)
            }
            #[inline(always)]
            fn right(self, by: Self) -> Self {
                u32::try_from(by).ok().and_then(|b| self.checked_shr(b)).unwrap_or(0)
            }
        }
    )*};
}
bits!(u8, i8, u16, i16, u32, i32, u64, i64);

macro_rules! integers {
    ($t:expr, $v:ident => $e:expr) => {
        match $t.data() {
            crate::tensor::Data::U8($v) => $e,
            crate::tensor::Data::I8($v) => $e,
            crate::tensor::Data::U16($v) => $e,
            crate::tensor::Data::I16($v) => $e,
            crate::tensor::Data::U32($v) => $e,
            crate::tensor::Data::I32($v) => $e,
            crate::tensor::Data::U64($v) => $e,
            crate::tensor::Data::I64($v) => $e,
            _ => Err(Fault::Trap("integers are needed here")),
        }
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bitwise {
    And,
    Or,
    Xor,
    Left,
    Right,
}

pub(super) fn binary(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    ok(match node.op {
        "BitwiseAnd" => Bitwise::And,
        "BitwiseOr" => Bitwise::Or,
        "BitwiseXor" => Bitwise::Xor,
        _ => match node.text("direction", "")? {
            "LEFT" => Bitwise::Left,
            "RIGHT" => Bitwise::Right,
            _ => return Err(BuildError::BadAttribute("direction")),
        },
    })
}

impl Operator for Bitwise {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let dtype = inputs.dtype(0)?;
        inputs.typed(1, dtype)?;
        if !dtype.is_integer() {
            return Err(Fault::Trap("integers are needed here"));
        }
        let shape = broadcast_plan(inputs)?;
        let gas = gas::elementwise(numel(&shape), gas::SIMPLE);
        Ok(Plan::one(dtype, shape, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
        integers!(a, x => run(*self, (x, a.shape()), b, plan.shape(0), k))
    }
}

fn run<T: Bits>(
    op: Bitwise,
    a: (&[T], &[usize]),
    b: &Tensor,
    out: &[usize],
    k: Kernels,
) -> Result<Vec<Tensor>, Fault> {
    let y = b.view::<T>().ok_or(Fault::Trap("element types differ"))?;
    let b = (y, b.shape());
    single(
        out,
        match op {
            Bitwise::And => broadcast::binary(k, a, b, out, T::and),
            Bitwise::Or => broadcast::binary(k, a, b, out, T::or),
            Bitwise::Xor => broadcast::binary(k, a, b, out, T::xor),
            Bitwise::Left => broadcast::binary(k, a, b, out, T::left),
            Bitwise::Right => broadcast::binary(k, a, b, out, T::right),
        },
    )
}

#[derive(Debug)]
struct Not;

pub(super) fn not(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(Not)
}

impl Operator for Not {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if !d.dtype.is_integer() {
            return Err(Fault::Trap("integers are needed here"));
        }
        Ok(super::arith::same(d, gas::SIMPLE))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        integers!(inputs.tensor(0)?, x => {
            let mut v = vec![Default::default(); x.len()];
            simd::map1(k, x, &mut v, Bits::not);
            single(plan.shape(0), v)
        })
    }
}

#[derive(Debug)]
struct BitCast(DType);

pub(super) fn cast(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    let to = node.opt_int("to")?.ok_or(BuildError::BadAttribute("to"))?;
    let to = element(to)?;
    ok(BitCast(to))
}

impl Operator for BitCast {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if d.dtype.size() != self.0.size() {
            return Err(Fault::Trap("types of one width are needed here"));
        }
        Ok(layout::moved(Desc::new(self.0, d.shape.clone())))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let data = data_from_bytes(self.0, &inputs.tensor(0)?.to_le_bytes());
        let data = data.ok_or(Fault::Trap("a byte that is no bool"))?;
        let t = Tensor::new(plan.shape(0), data);
        Ok(vec![t.map_err(|_| {
            Fault::Trap("output does not fill its shape")
        })?])
    }
}
