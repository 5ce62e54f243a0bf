//! Quantised operators: bytes with a scale and a zero point.
//!
//! Rules. Products of bytes less their zero points are summed exactly modulo
//! 2^32 (`kernels::igemm`); padding counts as the zero point. Requantising:
//! `saturate(round(f32(sum) · ((a_scale · b_scale) / y_scale)) + y_zero)`, every
//! step rounded to `f32`, `round` half to even, NaN to 0.

mod conv;
pub(super) mod dynamic;
mod linear;
mod matmul;

use super::registry::{BYTES, SupportedOperator, own, wide, wide_by};
use super::{Fault, Inputs};
use crate::kernels::bytes::Bytes;
use crate::tensor::{DType, Data, Element, Tensor};

/// The operators of this family.
pub(super) static OPERATORS: &[SupportedOperator] = &[
    wide(
        "QuantizeLinear",
        10,
        &[DType::F32, DType::I32, DType::F16],
        linear::quantize,
    ),
    wide_by(
        1,
        &[],
        "DequantizeLinear",
        10,
        &[DType::U8, DType::I8, DType::U16, DType::I16, DType::I32],
        linear::dequantize,
    ),
    own("DynamicQuantizeLinear", 11, &[DType::F32], dynamic::build),
    own("MatMulInteger", 10, BYTES, matmul::integer),
    own("ConvInteger", 10, BYTES, conv::integer),
    wide("QLinearMatMul", 10, BYTES, matmul::qlinear),
    own("QLinearConv", 10, BYTES, conv::qlinear),
];

const TYPE: Fault = Fault::Trap("element type not supported here");

/// A type that floats are quantised to.
trait Quantised: Element {
    fn zero(self) -> f32;
    /// Truncates (of whole numbers), saturating; NaN is 0.
    fn saturate(x: f32) -> Self;
}

macro_rules! quantised {
    ($($t:ty),*) => {$(
        impl Quantised for $t {
            #[inline(always)]
            fn zero(self) -> f32 {
                f32::from(self)
            }
            #[inline(always)]
            fn saturate(x: f32) -> Self {
                x as $t
            }
        }
    )*};
}
quantised!(u8, i8, u16, i16);

/// Whether this is a type of bytes.
fn byte(dtype: DType) -> bool {
    matches!(dtype, DType::U8 | DType::I8)
}

/// Bytes as 16-bit integers.
pub(super) fn widened(t: &Tensor) -> Result<Vec<i16>, Fault> {
    match t.data() {
        Data::U8(v) => Ok(v.iter().map(|&x| i16::from(x)).collect()),
        Data::I8(v) => Ok(v.iter().map(|&x| i16::from(x)).collect()),
        _ => Err(TYPE),
    }
}

/// Bytes as they are.
pub(super) fn bytes(t: &Tensor) -> Result<Bytes<'_>, Fault> {
    match t.data() {
        Data::U8(v) => Ok(Bytes::Unsigned(v)),
        Data::I8(v) => Ok(Bytes::Signed(v)),
        _ => Err(TYPE),
    }
}

/// The zero points of input `i`, 0 where absent.
fn zeros(inputs: &Inputs<'_>, i: usize) -> Result<Vec<i16>, Fault> {
    if inputs.has(i) {
        widened(inputs.tensor(i)?)
    } else {
        Ok(vec![0])
    }
}
