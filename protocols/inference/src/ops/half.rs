//! Half precision for every operator that computes with floats.
//!
//! Rule: all `f16` inputs are widened to `f32` (exact), the `f32` operator runs,
//! and each of its `f32` outputs is rounded once to nearest even. Outputs of
//! other types, and those that ONNX keeps in `f32`, stay. Operators that only
//! move elements take `f16` as they are and never come here.
//!
//! Gas: the operator's own, and one unit for each element widened or rounded.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use super::{Desc, Fault, Input, Inputs, MAX_LIST, Operator, Plan, tensor};
use crate::gas;
use crate::kernels::fused::Node;
use crate::kernels::{Kernels, simd};
use crate::tensor::{DType, F16, Tensor};

/// How an operator deals with `f16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// It takes halves itself (moving them), or takes no floats.
    Own,
    /// Widened; `f32` outputs are halves when input `driver` is one, except the
    /// outputs in `keep`.
    Widen {
        driver: usize,
        keep: &'static [usize],
    },
}

/// An operator of `f32` that takes `f16` as well.
#[derive(Debug)]
pub(super) struct Widened {
    pub(super) inner: Arc<dyn Operator>,
    pub(super) driver: usize,
    pub(super) keep: &'static [usize],
}

/// Whether any input is a half.
fn any(inputs: &Inputs<'_>) -> bool {
    let half = |i: &Input<'_>| i.desc.dtype == DType::F16;
    inputs.slots.iter().flatten().any(half)
}

/// Inputs for the `f32` operator, over the tensors that `widen` made.
fn view<'a>(inputs: &Inputs<'a>, wide: &'a [Option<Tensor>]) -> Inputs<'a> {
    let slot = |(i, slot): (usize, &Option<Input<'a>>)| {
        let input = slot.as_ref()?;
        let half = input.desc.dtype == DType::F16;
        Some(Input {
            desc: match half {
                true => Cow::Owned(Desc::new(DType::F32, input.desc.shape.clone())),
                false => input.desc.clone(),
            },
            value: if half {
                wide.get(i).and_then(Option::as_ref)
            } else {
                input.value
            },
            node: input.node,
            touched: Cell::new(false),
        })
    };
    Inputs::new(inputs.slots.iter().enumerate().map(slot).collect())
}

/// The `f16` inputs that are here and have at most `most` elements, widened.
fn widen(inputs: &Inputs<'_>, most: u64, k: Kernels) -> Vec<Option<Tensor>> {
    let one = |slot: &Option<Input<'_>>| {
        let t = slot.as_ref()?.value?;
        let halves = t.view::<F16>().filter(|h| h.len() as u64 <= most)?;
        let mut v = vec![0f32; halves.len()];
        simd::map1(k, halves, &mut v, F16::to_f32);
        tensor(t.shape(), v).ok()
    };
    inputs.slots.iter().map(one).collect()
}

impl Widened {
    fn rounds(&self, inputs: &Inputs<'_>, i: usize, d: &Desc) -> bool {
        d.dtype == DType::F32
            && !self.keep.contains(&i)
            && matches!(inputs.dtype(self.driver), Ok(DType::F16))
    }
}

impl Operator for Widened {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        if !any(inputs) {
            return self.inner.plan(inputs);
        }
        // Values that decide shapes are short.
        let wide = widen(inputs, MAX_LIST, Kernels::Portable);
        let inner = view(inputs, &wide);
        let plan = self.inner.plan(&inner);
        for i in inner.touched() {
            if let Some(Some(input)) = inputs.slots.get(i) {
                input.touched.set(true);
            }
        }
        let mut plan = plan?;
        for (outer, wide) in inputs
            .slots
            .iter()
            .flatten()
            .zip(inner.slots.iter().flatten())
        {
            if outer.desc.dtype != wide.desc.dtype {
                plan.gas = plan
                    .gas
                    .saturating_add(gas::elementwise(outer.desc.len(), gas::SIMPLE));
            }
        }
        for (i, d) in plan.outputs.iter_mut().enumerate() {
            if self.rounds(inputs, i, d) {
                d.dtype = DType::F16;
                plan.gas = plan
                    .gas
                    .saturating_add(gas::elementwise(d.len(), gas::SIMPLE));
            }
        }
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        if !any(inputs) {
            return self.inner.eval(inputs, plan, k);
        }
        let wide = widen(inputs, u64::MAX, k);
        let inner = view(inputs, &wide);
        // The same plan before its types were changed.
        let wide_plan = self.inner.plan(&inner)?;
        let out = self.inner.eval(&inner, &wide_plan, k)?;
        out.into_iter()
            .enumerate()
            .map(|(i, t)| match (plan.outputs.get(i), t.view::<f32>()) {
                (Some(d), Some(x)) if d.dtype == DType::F16 => {
                    let mut v = vec![F16::default(); x.len()];
                    simd::map1(k, x, &mut v, F16::from_f32);
                    tensor(t.shape(), v)
                }
                _ => Ok(t),
            })
            .collect()
    }

    fn elementwise(&self) -> bool {
        self.inner.elementwise()
    }

    fn pointwise(&self, inputs: &Inputs<'_>, plan: &Plan) -> Option<Node> {
        match any(inputs) {
            true => None,
            false => self.inner.pointwise(inputs, plan),
        }
    }

    fn reads(&self, i: usize) -> bool {
        self.inner.reads(i)
    }
}
