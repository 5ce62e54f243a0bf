//! NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
//!
//! Rules: a place's loss is −x[target]·w[target] (w = 1 without weights), 0
//! where the target is `ignore_index`; `sum` adds them by the fixed tree, `mean`
//! divides that by the tree sum of the weights of the places not ignored.
//! SoftmaxCrossEntropyLoss takes LogSoftmax over dimension 1 first. A target out
//! of range traps.

use std::sync::Arc;

use super::gather_nd::index_type;
use super::norm::log_softmax;
use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, single, tensor};
use crate::gas;
use crate::kernels::math::canon;
use crate::kernels::{Kernels, reduce};
use crate::tensor::{DType, Tensor, numel};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reduction {
    None,
    Mean,
    Sum,
}

#[derive(Debug)]
struct Loss {
    reduction: Reduction,
    ignore: Option<i64>,
    softmax: bool,
    outputs: usize,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    let softmax = node.op == "SoftmaxCrossEntropyLoss";
    node.arity(2, 3, if softmax { 2 } else { 1 })?;
    ok(Loss {
        reduction: match node.text("reduction", "mean")? {
            "none" => Reduction::None,
            "mean" => Reduction::Mean,
            "sum" => Reduction::Sum,
            _ => return Err(BuildError::BadAttribute("reduction")),
        },
        ignore: node.opt_int("ignore_index")?,
        softmax,
        outputs: node.outputs,
    })
}

impl Operator for Loss {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let bad = Fault::Trap("scores, targets and weights do not fit");
        let x = inputs.typed(0, DType::F32)?;
        index_type(inputs, 1)?;
        let target = inputs.desc(1)?;
        let (&[n, classes], places) = x.shape.split_first_chunk::<2>().ok_or(bad)?;
        if target.shape != [&[n], places].concat()
            || (inputs.has(2) && inputs.typed(2, DType::F32)?.shape != [classes])
        {
            return Err(bad);
        }
        let mut gas = gas::elementwise(target.len(), 8 * gas::SIMPLE);
        if self.softmax {
            let weight = gas::TRANSCENDENTAL + gas::DIVIDE + 3 * gas::SIMPLE;
            gas = gas.saturating_add(gas::elementwise(x.len(), weight));
        }
        let shape = match self.reduction {
            Reduction::None => target.shape.clone(),
            _ => vec![],
        };
        let mut plan = Plan::one(DType::F32, shape, gas);
        plan.scratch = target.len().saturating_mul(16);
        if self.outputs > 1 {
            plan.outputs.push(Desc::new(DType::F32, x.shape.clone()));
        }
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let shape = inputs.shape(0)?;
        let log = if self.softmax {
            Some(log_softmax(inputs.slice::<f32>(0)?, shape, 1, k)?)
        } else {
            None
        };
        let x = match &log {
            Some(v) => v.as_slice(),
            None => inputs.slice::<f32>(0)?,
        };
        let weights = match inputs.has(2) {
            true => Some(inputs.slice::<f32>(2)?),
            false => None,
        };
        let (classes, inner) = (shape[1], numel(&shape[2..]) as usize);
        let targets = inputs.indices(1)?;
        let (mut losses, mut shares) = (vec![0f32; targets.len()], vec![0f32; targets.len()]);
        for (i, &t) in targets.iter().enumerate() {
            if self.ignore == Some(t) {
                continue;
            }
            let c = usize::try_from(t).ok().filter(|&c| c < classes);
            let c = c.ok_or(Fault::Trap("a target is out of range"))?;
            let at = ((i / inner) * classes + c) * inner + i % inner;
            let w = weights.map_or(1.0, |w| w[c]);
            losses[i] = canon(-x[at] * w);
            shares[i] = w;
        }
        let mut out = vec![match self.reduction {
            Reduction::None => tensor(plan.shape(0), losses)?,
            Reduction::Sum => tensor(&[], vec![canon(reduce::sum(k, &losses))])?,
            Reduction::Mean => {
                let mean = reduce::sum(k, &losses) / reduce::sum(k, &shares);
                tensor(&[], vec![canon(mean)])?
            }
        }];
        if self.outputs > 1 {
            let log = log.ok_or(Fault::Trap("no such output"))?;
            out.extend(single(shape, log)?);
        }
        Ok(out)
    }
}
