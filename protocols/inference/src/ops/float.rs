//! Elementwise functions of floats: activations, exponentials, rounding,
//! trigonometry.
//!
//! Rules: the arithmetic is written out in `kernels::math` or here; a formula
//! with several steps rounds to `f32` after each step, unless it is one of
//! `math`'s functions. Rounding is to nearest even. Some take `f64`: the same
//! formulas without the last rounding, good to about 1e-11 of the result.

use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, arith, pointwise, single};
use crate::gas;
use crate::kernels::fused::{self, Each};
use crate::kernels::math::{self, canon};
use crate::kernels::{Kernels, scratch, simd, trig};
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
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Asinh,
    Acosh,
    Atanh,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    // A hint of operator set 1.
    if node.version < 6 {
        node.ignore("consumed_inputs");
    }
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
        "Sin" => Float::Sin,
        "Cos" => Float::Cos,
        "Tan" => Float::Tan,
        "Asin" => Float::Asin,
        "Acos" => Float::Acos,
        "Atan" => Float::Atan,
        "Sinh" => Float::Sinh,
        "Cosh" => Float::Cosh,
        "Asinh" => Float::Asinh,
        "Acosh" => Float::Acosh,
        "Atanh" => Float::Atanh,
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

impl Float {
    /// The function of `f64`, where there is one.
    fn double(&self) -> Option<Box<dyn Fn(f64) -> f64>> {
        let w = f64::from;
        Some(match *self {
            Float::Sqrt => Box::new(f64::sqrt),
            Float::Exp => Box::new(math::exp_f64),
            Float::Log => Box::new(math::log_f64),
            Float::Reciprocal => Box::new(|x| 1.0 / x),
            Float::LeakyRelu(a) => Box::new(move |x| if x < 0.0 { w(a) * x } else { x }),
            Float::Tanh => Box::new(math::tanh_f64),
            Float::Sigmoid => Box::new(|x| 1.0 / (1.0 + math::exp_f64(-x))),
            Float::Softplus => Box::new(math::softplus_f64),
            Float::HardSigmoid(a, b) => {
                Box::new(move |x| math::max64(0.0, math::min64(1.0, w(a) * x + w(b))))
            }
            Float::Elu(a) => Box::new(move |x| {
                if x < 0.0 {
                    w(a) * (math::exp_f64(x) - 1.0)
                } else {
                    x
                }
            }),
            Float::ThresholdedRelu(a) => {
                Box::new(move |x| if x > w(a) || x.is_nan() { x } else { 0.0 })
            }
            Float::Softsign => Box::new(|x| x / (1.0 + x.abs())),
            Float::Floor => Box::new(f64::floor),
            Float::Ceil => Box::new(f64::ceil),
            Float::Round => Box::new(f64::round_ties_even),
            _ => return None,
        })
    }
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
            Float::Asin | Float::Acos | Float::Sinh | Float::Cosh => 2 * gas::TRANSCENDENTAL,
            Float::Asinh | Float::Acosh | Float::Mish => 2 * gas::TRANSCENDENTAL,
            _ => gas::TRANSCENDENTAL,
        };
        let d = inputs.desc(0)?;
        if d.dtype == DType::F64 {
            if self.double().is_none() {
                return Err(Fault::Trap("this operator does not take f64"));
            }
        } else {
            inputs.typed(0, DType::F32)?;
        }
        Ok(arith::same(d, weight))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        if let Some(x) = inputs.tensor(0)?.view::<f64>() {
            let f = self
                .double()
                .ok_or(Fault::Trap("this operator does not take f64"))?;
            let y = x.iter().map(|&x| math::canon64(f(x))).collect::<Vec<_>>();
            return single(plan.shape(0), y);
        }
        let x = inputs.slice::<f32>(0)?;
        let mut v = scratch::take(x.len());
        // Large arguments need another reduction; without them the loop is vectors.
        let near = self.periodic() && x.iter().all(|x| x.abs() < trig::BIG);
        let f = self.each(near);
        simd::rows(x, &mut v, 1, |x, v| f(k, x, v));
        single(plan.shape(0), v)
    }

    fn elementwise(&self) -> bool {
        !self.periodic()
    }

    fn pointwise(&self, inputs: &Inputs<'_>, plan: &Plan) -> Option<fused::Node> {
        match self.periodic() {
            true => None,
            false => pointwise::each(self.each(false), inputs, plan),
        }
    }
}

impl Float {
    /// Whether the loop depends on how large its arguments are.
    fn periodic(&self) -> bool {
        matches!(self, Float::Sin | Float::Cos | Float::Tan)
    }

    /// The function of `f32`; `near`: no argument is large.
    fn each(&self, near: bool) -> Each {
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
                Arc::new(each)
            }};
            (with |$x:ident| $e:expr) => {
                Arc::new(move |k: Kernels, src: &[f32], dst: &mut [f32]| {
                    simd::map1_alone(k, src, dst, |$x: f32| canon($e))
                })
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
            Float::Selu(a, g) => map!(
                with | x
                    | match x > 0.0 {
                        true => g * x,
                        false => g * (a * math::expm1(x)),
                    }
            ),
            Float::Celu(a) => {
                map!(with | x | math::max(0.0, x) + math::min(0.0, a * math::expm1(x / a)))
            }
            Float::Softsign => map!(|x| x / (1.0 + f32::from_bits(x.to_bits() & 0x7fff_ffff))),
            Float::ThresholdedRelu(a) => {
                map!(with | x | if x > a || x.is_nan() { x } else { 0.0 })
            }
            Float::Swish(a) => map!(with | x | x * math::sigmoid(a * x)),
            Float::Mish => map!(|x| x * math::tanh(math::softplus(x))),
            Float::Floor => map!(|x| floor(x)),
            Float::Ceil => map!(|x| ceil(x)),
            Float::Round => map!(|x| round(x)),
            Float::Sin if near => map!(|x| trig::sin_near(x)),
            Float::Sin => map!(|x| trig::sin(x)),
            Float::Cos if near => map!(|x| trig::cos_near(x)),
            Float::Cos => map!(|x| trig::cos(x)),
            Float::Tan if near => map!(|x| trig::tan_near(x)),
            Float::Tan => map!(|x| trig::tan(x)),
            Float::Asin => map!(|x| trig::asin(x)),
            Float::Acos => map!(|x| trig::acos(x)),
            Float::Atan => map!(|x| trig::atan(x)),
            Float::Sinh => map!(|x| trig::sinh(x)),
            Float::Cosh => map!(|x| trig::cosh(x)),
            Float::Asinh => map!(|x| trig::asinh(x)),
            Float::Acosh => map!(|x| trig::acosh(x)),
            Float::Atanh => map!(|x| trig::atanh(x)),
        }
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
