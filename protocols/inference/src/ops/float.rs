//! Elementwise functions of `f32`: activations, exponentials, rounding.
//!
//! Rules: the arithmetic is written out in `kernels::math` or here; a formula
//! with several steps rounds to `f32` after each step, unless it is one of
//! `math`'s functions. Rounding is to nearest even.

use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, arith, single};
use crate::gas;
use crate::kernels::math::{self, canon};
use crate::kernels::{Kernels, scratch, simd};
use crate::tensor::{DType, Tensor};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Float {
    Sqrt,
    Exp,
    Log,
    Reciprocal,
    LeakyRelu(f32),
    Tanh,
    Sigmoid,
    Erf,
    Gelu,
    GeluTanh,
    HardSigmoid(f32, f32),
    HardSwish,
    Softplus,
    Elu(f32),
    Selu(f32, f32),
    Celu(f32),
    Softsign,
    ThresholdedRelu(f32),
    Swish(f32),
    Mish,
    Floor,
    Ceil,
    Round,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(match node.op {
        "Sqrt" => Float::Sqrt,
        "Exp" => Float::Exp,
        "Log" => Float::Log,
        "Reciprocal" => Float::Reciprocal,
        "LeakyRelu" => Float::LeakyRelu(node.float("alpha", 0.01)?),
        "Tanh" => Float::Tanh,
        "Sigmoid" => Float::Sigmoid,
        "Erf" => Float::Erf,
        "Gelu" => match node.text("approximate", "none")? {
            "none" => Float::Gelu,
            "tanh" => Float::GeluTanh,
            _ => return Err(BuildError::BadAttribute("approximate")),
        },
        "HardSigmoid" => Float::HardSigmoid(node.float("alpha", 0.2)?, node.float("beta", 0.5)?),
        "HardSwish" => Float::HardSwish,
        "Softplus" => Float::Softplus,
        "Elu" => Float::Elu(node.float("alpha", 1.0)?),
        // The constants of the ONNX specification.
        "Selu" => Float::Selu(
            node.float("alpha", f32::from_bits(0x3fd6_2d7d))?,
            node.float("gamma", f32::from_bits(0x3f86_7d5f))?,
        ),
        "Celu" => Float::Celu(node.float("alpha", 1.0)?),
        "Softsign" => Float::Softsign,
        "ThresholdedRelu" => Float::ThresholdedRelu(node.float("alpha", 1.0)?),
        "Swish" => Float::Swish(node.float("alpha", 1.0)?),
        "Mish" => Float::Mish,
        "Floor" => Float::Floor,
        "Ceil" => Float::Ceil,
        "Round" => Float::Round,
        _ => return Err(BuildError::UnknownOperator),
    })
}

/// 1.5 · 2^23: adding it rounds a small float to an integer, to nearest even.
const MAGIC: f32 = 12_582_912.0;

/// x rounded to nearest even; keeps the sign of zero.
#[inline(always)]
fn round(x: f32) -> f32 {
    let a = f32::from_bits(x.to_bits() & 0x7fff_ffff);
    // From 2^22 on halves may not be representable by the trick; from 2^23 on
    // there are none. Between, f64 would do; `a + 2^23` is exact enough there.
    let r = if a < 4_194_304.0 {
        (a + MAGIC) - MAGIC
    } else if a < 8_388_608.0 {
        (a + 8_388_608.0) - 8_388_608.0
    } else {
        a
    };
    f32::from_bits(r.to_bits() | (x.to_bits() & 0x8000_0000))
}

#[inline(always)]
fn floor(x: f32) -> f32 {
    let r = round(x);
    let f = if r > x { r - 1.0 } else { r };
    if f == 0.0 {
        f32::from_bits(x.to_bits() & 0x8000_0000)
    } else {
        f
    }
}

#[inline(always)]
fn ceil(x: f32) -> f32 {
    -floor(-x)
}

#[inline(always)]
fn clamp01(x: f32) -> f32 {
    math::max(0.0, math::min(1.0, x))
}

impl Operator for Float {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let weight = match self {
            Float::Sqrt | Float::Reciprocal | Float::Softsign => gas::DIVIDE,
            Float::LeakyRelu(_)
            | Float::HardSigmoid(..)
            | Float::HardSwish
            | Float::ThresholdedRelu(_)
            | Float::Floor
            | Float::Ceil
            | Float::Round => gas::SIMPLE,
            Float::Mish => 2 * gas::TRANSCENDENTAL,
            _ => gas::TRANSCENDENTAL,
        };
        Ok(arith::same(inputs.typed(0, DType::F32)?, weight))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let mut v = scratch::take(x.len());
        // A long function is not always compiled into the loop, and then not for
        // the loop's instruction set: these are loops of their own.
        macro_rules! map {
            (|$x:ident| $e:expr) => {{
                simd::multiversion! {
                    fn each[](src: &[f32], dst: &mut [f32]) {
                        for (d, &$x) in dst.iter_mut().zip(src) {
                            *d = canon($e);
                        }
                    }
                }
                simd::rows(x, &mut v, 1, |x, v| each(k, x, v));
            }};
            (with |$x:ident| $e:expr) => {
                simd::map1(k, x, &mut v, |$x: f32| canon($e))
            };
        }
        match *self {
            Float::Sqrt => map!(|x| math::sqrt(x)),
            Float::Exp => map!(|x| math::exp(x)),
            Float::Log => map!(|x| math::log(x)),
            Float::Reciprocal => map!(|x| 1.0 / x),
            Float::LeakyRelu(a) => map!(with | x | if x < 0.0 { a * x } else { x }),
            Float::Tanh => map!(|x| math::tanh(x)),
            Float::Sigmoid => map!(|x| math::sigmoid(x)),
            Float::Erf => map!(|x| math::erf(x)),
            Float::Gelu => map!(|x| math::gelu(x)),
            Float::GeluTanh => map!(|x| math::gelu_tanh(x)),
            Float::HardSigmoid(a, b) => map!(with | x | clamp01(a * x + b)),
            Float::HardSwish => map!(|x| x * clamp01(x / 6.0 + 0.5)),
            Float::Softplus => map!(|x| math::softplus(x)),
            Float::Elu(a) => map!(with | x | if x < 0.0 { a * math::expm1(x) } else { x }),
            Float::Selu(a, g) => {
                map!(
                    with | x
                        | if x > 0.0 {
                            g * x
                        } else {
                            g * (a * math::expm1(x))
                        }
                );
            }
            Float::Celu(a) => {
                map!(with | x | math::max(0.0, x) + math::min(0.0, a * math::expm1(x / a)));
            }
            Float::Softsign => map!(|x| x / (1.0 + f32::from_bits(x.to_bits() & 0x7fff_ffff))),
            Float::ThresholdedRelu(a) => {
                map!(with | x | if x > a || x.is_nan() { x } else { 0.0 });
            }
            Float::Swish(a) => map!(with | x | x * math::sigmoid(a * x)),
            Float::Mish => map!(|x| x * math::tanh(math::softplus(x))),
            Float::Floor => map!(|x| floor(x)),
            Float::Ceil => map!(|x| ceil(x)),
            Float::Round => map!(|x| round(x)),
        }
        single(plan.shape(0), v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_ieee_on_every_binade() {
        let mut bits = 0u32;
        for _ in 0..200_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            for x in [f32::from_bits(bits), ((bits >> 4) as f32 - 1.2e8) / 8.0] {
                if x.is_nan() {
                    continue;
                }
                assert_eq!(
                    round(x).to_bits(),
                    x.round_ties_even().to_bits(),
                    "round {x:e}"
                );
                assert_eq!(floor(x).to_bits(), x.floor().to_bits(), "floor {x:e}");
                assert_eq!(ceil(x).to_bits(), x.ceil().to_bits(), "ceil {x:e}");
            }
        }
    }
}
