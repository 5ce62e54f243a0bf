//! The activation functions that recurrent operators may name.
//!
//! Rules: those of the operators of the same names (SPEC.md 1.6 and 1.7);
//! Affine α·x + β, ScaledTanh α·tanh(β·x), each operation rounded. Names are
//! compared without case. `activation_alpha` and `activation_beta` are used up
//! in order by the functions that have such a parameter; then the operators'
//! defaults apply.

use crate::kernels::math::{self, canon};
use crate::ops::{BuildError, Node};

/// A function from `f32` to `f32`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Activation {
    Relu,
    Tanh,
    Sigmoid,
    Softsign,
    Softplus,
    Affine(f32, f32),
    LeakyRelu(f32),
    ThresholdedRelu(f32),
    ScaledTanh(f32, f32),
    HardSigmoid(f32, f32),
    Elu(f32),
}

impl Activation {
    /// The list of a node: `count` functions for each direction.
    pub(super) fn read(
        node: &Node<'_>,
        directions: usize,
        default: &[Activation],
    ) -> Result<Vec<Activation>, BuildError> {
        let alpha = node.floats("activation_alpha")?.unwrap_or(&[]);
        let beta = node.floats("activation_beta")?.unwrap_or(&[]);
        let wanted = directions * default.len();
        let Some(names) = node.texts("activations")? else {
            return Ok(default.iter().copied().cycle().take(wanted).collect());
        };
        if names.len() != wanted {
            return Err(BuildError::BadAttribute("activations"));
        }
        let (mut alpha, mut beta) = (alpha.iter().copied(), beta.iter().copied());
        let mut a = |d: Option<f32>| {
            let v = alpha.next().or(d);
            v.ok_or(BuildError::BadAttribute("activation_alpha"))
        };
        let mut b = |d: Option<f32>| {
            let v = beta.next().or(d);
            v.ok_or(BuildError::BadAttribute("activation_beta"))
        };
        let one = |name: &str| {
            Ok(match name.to_ascii_lowercase().as_str() {
                "relu" => Activation::Relu,
                "tanh" => Activation::Tanh,
                "sigmoid" => Activation::Sigmoid,
                "softsign" => Activation::Softsign,
                "softplus" => Activation::Softplus,
                "affine" => Activation::Affine(a(None)?, b(None)?),
                "leakyrelu" => Activation::LeakyRelu(a(Some(0.01))?),
                "thresholdedrelu" => Activation::ThresholdedRelu(a(Some(1.0))?),
                "scaledtanh" => Activation::ScaledTanh(a(None)?, b(None)?),
                "hardsigmoid" => Activation::HardSigmoid(a(Some(0.2))?, b(Some(0.5))?),
                "elu" => Activation::Elu(a(Some(1.0))?),
                _ => return Err(BuildError::BadAttribute("activations")),
            })
        };
        names.into_iter().map(one).collect()
    }

    #[inline(always)]
    pub(super) fn apply(self, x: f32) -> f32 {
        canon(match self {
            Activation::Relu => math::max(x, 0.0),
            Activation::Tanh => math::tanh(x),
            Activation::Sigmoid => math::sigmoid(x),
            Activation::Softsign => x / (1.0 + x.abs()),
            Activation::Softplus => math::softplus(x),
            Activation::Affine(a, b) => a * x + b,
            Activation::LeakyRelu(a) => {
                if x < 0.0 {
                    a * x
                } else {
                    x
                }
            }
            Activation::ThresholdedRelu(a) => {
                if x > a || x.is_nan() {
                    x
                } else {
                    0.0
                }
            }
            Activation::ScaledTanh(a, b) => a * math::tanh(b * x),
            Activation::HardSigmoid(a, b) => math::max(0.0, math::min(1.0, a * x + b)),
            Activation::Elu(a) => {
                if x < 0.0 {
                    a * math::expm1(x)
                } else {
                    x
                }
            }
        })
    }
}
