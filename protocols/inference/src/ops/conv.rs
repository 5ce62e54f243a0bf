//! Conv in one to three spatial dimensions, with groups.
//!
//! Rules: each output element is one FMA chain over (channel, kd, kh, kw),
//! starting at +0; padding takes part as an input of +0; the bias is added last,
//! as a plain addition.

use std::sync::Arc;

use super::registry::ok;
use super::window::{Resolved, WindowAttrs};
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::gas;
use crate::kernels::gemm::{self, Mat, Operand};
use crate::kernels::im2col::Columns;
use crate::kernels::math::canon;
use crate::kernels::{Kernels, simd};
use crate::tensor::{DType, Tensor, numel};

#[derive(Debug)]
struct Conv {
    group: usize,
    window: WindowAttrs,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 3, 1)?;
    let group = node.int("group", 1)?;
    if !(1..=super::node::GEOMETRY).contains(&group) {
        return Err(BuildError::BadAttribute("group"));
    }
    ok(Conv {
        group: group as usize,
        window: WindowAttrs::read(node, false)?,
    })
}

struct Shapes {
    batch: usize,
    /// Input channels of one group.
    channels: usize,
    /// Output channels, all groups.
    maps: usize,
    resolved: Resolved,
}

impl Conv {
    fn shapes(&self, x: &[usize], w: &[usize]) -> Result<Shapes, Fault> {
        let ([batch, cin, spatial @ ..], [maps, channels, kernel @ ..]) = (x, w) else {
            return Err(Fault::Trap("Conv takes images and kernels"));
        };
        if channels.checked_mul(self.group) != Some(*cin) || maps % self.group != 0 {
            return Err(Fault::Trap("channels do not agree"));
        }
        let resolved = self.window.resolve(spatial, Some(kernel))?;
        Ok(Shapes {
            batch: *batch,
            channels: *channels,
            maps: *maps,
            resolved,
        })
    }
}

impl Operator for Conv {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let x = inputs.typed(0, DType::F32)?;
        let w = inputs.typed(1, DType::F32)?;
        let s = self.shapes(&x.shape, &w.shape)?;
        if inputs.has(2) && inputs.typed(2, DType::F32)?.shape != [s.maps] {
            return Err(Fault::Trap("one bias per output channel is needed"));
        }
        let mut out = vec![s.batch, s.maps];
        out.extend(&s.resolved.output);
        let taps = numel(&s.resolved.window.kernel).saturating_mul(s.channels as u64);
        let gas = gas::contraction(numel(&out), taps.saturating_add(1));
        Ok(Plan::one(DType::F32, out, gas))
    }

    fn eval(
        &self,
        inputs: &Inputs<'_>,
        plan: &Plan,
        kernels: Kernels,
    ) -> Result<Vec<Tensor>, Fault> {
        let (x, w) = (inputs.slice::<f32>(0)?, inputs.slice::<f32>(1)?);
        let s = self.shapes(inputs.shape(0)?, inputs.shape(1)?)?;
        let window = s.resolved.window.compact();
        let (inner, area) = (window.output_len(), window.input_len());
        let mut out = vec![0f32; numel(plan.shape(0)) as usize];
        if out.is_empty() {
            return single(plan.shape(0), out);
        }
        let k = s.channels * window.taps();
        let maps = s.maps / self.group;
        for n in 0..s.batch {
            for g in 0..self.group {
                let image = &x[(n * self.group + g) * s.channels * area..][..s.channels * area];
                let a = Mat::rows(&w[g * maps * k..][..maps * k], k);
                let c = &mut out[(n * self.group + g) * maps * inner..][..maps * inner];
                if window.is_identity() {
                    let image = Mat::rows(image, area);
                    gemm::gemm(kernels, (maps, inner, k), a, image, c);
                } else {
                    let (left, right) = (a.transposed(), Columns { window, image });
                    let out = gemm::Product {
                        c,
                        transposed: false,
                        bias: gemm::Bias::None,
                    };
                    gemm::multiply(
                        kernels,
                        (maps, inner, k),
                        Operand::Lazy(&left),
                        Operand::Lazy(&right),
                        out,
                    );
                }
            }
        }
        if inputs.has(2) {
            let bias = inputs.slice::<f32>(2)?;
            for (row, &b) in out.chunks_exact_mut(inner).zip(bias.iter().cycle()) {
                simd::update(kernels, row, |v| canon(v + b));
            }
        }
        single(plan.shape(0), out)
    }
}
