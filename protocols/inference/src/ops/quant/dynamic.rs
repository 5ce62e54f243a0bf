//! DynamicQuantizeLinear.
//!
//! Rules, every step rounded to `f32`: lo = min(0, min x), hi = max(0, max x)
//! (Min and Max of SPEC.md 1.5); scale = (hi − lo) / 255, and 1 where that is 0;
//! zero = saturate(round(−lo / scale)); y = saturate(round(x / scale) + zero).
//! Rounding is half to even; a NaN saturates to 0.

use std::sync::Arc;

use crate::gas;
use crate::kernels::math::{self, canon};
use crate::kernels::{Kernels, simd};
use crate::ops::registry::ok;
use crate::ops::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, tensor};
use crate::tensor::{DType, Tensor};

/// Scale and zero point of a quantisation to `u8`.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Parameters {
    pub(in crate::ops) scale: f32,
    pub(in crate::ops) zero: u8,
}

impl Parameters {
    #[inline(always)]
    pub(in crate::ops) fn quantise(self, x: f32) -> u8 {
        // Saturates, and NaN is 0.
        ((x / self.scale).round_ties_even() + f32::from(self.zero)) as u8
    }
}

/// Lanes of the search for extremes.
const LANES: usize = 32;

simd::multiversion! {
    /// The least and the greatest number, together with 0; NaN if there is one.
    /// Which zero does not matter to the rule.
    fn extremes[](x: &[f32], found: &mut [f32; 2]) {
        let (mut lo, mut hi, mut nan) = ([0f32; LANES], [0f32; LANES], [false; LANES]);
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for (((lo, hi), nan), &x) in lo.iter_mut().zip(&mut hi).zip(&mut nan).zip(chunk) {
                *lo = if x < *lo { x } else { *lo };
                *hi = if x > *hi { x } else { *hi };
                *nan |= x.is_nan();
            }
        }
        for (((lo, hi), nan), &x) in lo.iter_mut().zip(&mut hi).zip(&mut nan).zip(rest) {
            *lo = if x < *lo { x } else { *lo };
            *hi = if x > *hi { x } else { *hi };
            *nan |= x.is_nan();
        }
        *found = match nan.contains(&true) {
            true => [math::NAN; 2],
            false => [
                lo.iter().fold(0.0, |a, &b| if b < a { b } else { a }),
                hi.iter().fold(0.0, |a, &b| if b > a { b } else { a }),
            ],
        };
    }
}

/// The parameters that cover all of `x`.
pub(in crate::ops) fn parameters(k: Kernels, x: &[f32]) -> Parameters {
    let mut found = [0f32; 2];
    extremes(k, x, &mut found);
    let [lo, hi] = found;
    let scale = canon((hi - lo) / 255.0);
    let scale = if scale == 0.0 { 1.0 } else { scale };
    Parameters {
        scale,
        zero: (-lo / scale).round_ties_even() as u8,
    }
}

#[derive(Debug)]
struct Dynamic {
    outputs: usize,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 3)?;
    ok(Dynamic {
        outputs: node.outputs,
    })
}

impl Operator for Dynamic {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        let gas = gas::elementwise(d.len(), 2 * gas::VISIT + gas::DIVIDE + 2);
        let mut plan = Plan::one(DType::U8, d.shape.clone(), gas);
        plan.outputs.push(Desc::new(DType::F32, []));
        plan.outputs.push(Desc::new(DType::U8, []));
        plan.outputs.truncate(self.outputs);
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let q = parameters(k, x);
        let mut y = vec![0u8; x.len()];
        simd::map1(k, x, &mut y, |x| q.quantise(x));
        let mut out = vec![
            tensor(plan.shape(0), y)?,
            Tensor::scalar(q.scale),
            Tensor::scalar(q.zero),
        ];
        out.truncate(self.outputs);
        Ok(out)
    }
}
