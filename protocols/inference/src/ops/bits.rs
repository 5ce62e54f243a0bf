//! Operators on the bits of integers: BitShift, BitwiseAnd, Or, Xor, Not.
//!
//! Rule: a shift by the width of the type or more gives 0.

use std::sync::Arc;

use super::arith::broadcast_plan;
use super::registry::ok;
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::gas;
use crate::kernels::{Kernels, broadcast, simd};
use crate::tensor::{Element, Tensor, numel};

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
