//! Conv in one to three spatial dimensions, with groups.
//!
//! Rules: each output element is one FMA chain over (channel, kd, kh, kw),
//! starting at +0; padding takes part as an input of +0; the bias is added last,
//! as a plain addition.

use std::sync::Arc;

use super::contract64;
use super::registry::ok;
use super::window::{Resolved, WindowAttrs};
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::gas;
use crate::kernels::{Kernels, conv, scratch};
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

impl Conv {
    /// [`Conv::eval`] of `f64`.
    fn wide(&self, inputs: &Inputs<'_>, s: &Shapes, plan: &Plan) -> Result<Vec<Tensor>, Fault> {
        if numel(plan.shape(0)) == 0 {
            return single(plan.shape(0), Vec::<f64>::new());
        }
        let sizes = contract64::Sizes {
            batch: s.batch,
            groups: self.group,
            channels: s.channels,
            maps: s.maps / self.group,
        };
        let bias = match inputs.has(2) {
            true => Some(inputs.slice::<f64>(2)?),
            false => None,
        };
        let (x, weights) = (inputs.slice::<f64>(0)?, inputs.slice::<f64>(1)?);
        let v = contract64::conv(&sizes, &s.resolved.window, x, weights, bias);
        single(plan.shape(0), v)
    }
}

impl Operator for Conv {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let dtype = inputs.dtype(0)?;
        if !matches!(dtype, DType::F32 | DType::F64) {
            return Err(Fault::Trap("element type not supported here"));
        }
        let (x, w) = (inputs.desc(0)?, inputs.typed(1, dtype)?);
        let s = self.shapes(&x.shape, &w.shape)?;
        if inputs.has(2) && inputs.typed(2, dtype)?.shape != [s.maps] {
            return Err(Fault::Trap("one bias per output channel is needed"));
        }
        let mut out = vec![s.batch, s.maps];
        out.extend(&s.resolved.output);
        let taps = numel(&s.resolved.window.kernel).saturating_mul(s.channels as u64);
        let gas = gas::contraction(numel(&out), taps.saturating_add(1));
        Ok(Plan::one(dtype, out, gas))
    }

    fn eval(
        &self,
        inputs: &Inputs<'_>,
        plan: &Plan,
        kernels: Kernels,
    ) -> Result<Vec<Tensor>, Fault> {
        let s = self.shapes(inputs.shape(0)?, inputs.shape(1)?)?;
        if inputs.dtype(0)? == DType::F64 {
            return self.wide(inputs, &s, plan);
        }
        let (x, weights) = (inputs.slice::<f32>(0)?, inputs.slice::<f32>(1)?);
        let mut out = scratch::take(numel(plan.shape(0)) as usize);
        if out.is_empty() {
            return single(plan.shape(0), out);
        }
        let sizes = conv::Conv {
            batch: s.batch,
            groups: self.group,
            channels: s.channels,
            maps: s.maps / self.group,
            window: s.resolved.window.compact(),
        };
        let given = conv::Operands {
            x,
            weights,
            bias: match inputs.has(2) {
                true => Some(inputs.slice::<f32>(2)?),
                false => None,
            },
            prepared: inputs.tensor(1)?.prepared(),
        };
        sizes.run(kernels, given, &mut out);
        single(plan.shape(0), out)
    }
}
