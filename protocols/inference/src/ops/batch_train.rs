//! BatchNormalization in training mode (opset 14 on): by the statistics of the batch.
//!
//! Rules, per channel of n elements (batch, then space, row-major), every operation
//! rounded to `f32`, sums by the fixed tree: μ = Σx/n; v = Σ(d·d)/n with d = x − μ;
//! y = (x − μ)·(scale/√(v + ε)) + bias. The running statistics become
//! old·momentum + new·(1 − momentum).

use super::{Desc, Fault, Inputs, Operator, Plan, arith, tensor};
use crate::gas;
use crate::kernels::math::{canon, sqrt};
use crate::kernels::{Kernels, reduce, strided};
use crate::tensor::{DType, Tensor};

#[derive(Debug)]
pub(super) struct Train {
    pub(super) epsilon: f32,
    pub(super) momentum: f32,
    pub(super) outputs: usize,
}

impl Operator for Train {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        let channels = d.shape.get(1).copied().unwrap_or(1);
        for i in 1..5 {
            if inputs.typed(i, DType::F32)?.shape != [channels] {
                return Err(Fault::Trap("one statistic per channel is needed"));
            }
        }
        let mut plan = arith::same(d, 8 * gas::SIMPLE);
        let statistics = gas::elementwise(channels as u64, 4 * gas::DIVIDE);
        plan.gas = plan.gas.saturating_add(statistics);
        for _ in 1..self.outputs {
            plan.outputs.push(Desc::new(DType::F32, [channels]));
        }
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let [scale, bias, mean, var] = [1, 2, 3, 4].map(|i| inputs.slice::<f32>(i));
        let (scale, bias, mean, var) = (scale?, bias?, mean?, var?);
        let shape = plan.shape(0);
        let channels = scale.len();
        let mut y = vec![0f32; x.len()];
        let (mut means, mut vars) = (vec![0f32; channels], vec![0f32; channels]);
        let batch = shape.first().copied().unwrap_or(1);
        // An empty batch has statistics of no numbers, 0/0.
        let inner = x.len().checked_div(batch.saturating_mul(channels));
        let inner = inner.unwrap_or(0);
        let width = x.len().checked_div(channels).unwrap_or(0);
        let mut row = Vec::with_capacity(width);
        for c in 0..channels {
            row.clear();
            let lanes = [(channels * inner) as isize, 1];
            if width > 0 {
                let from = (c * inner) as isize;
                strided::gather(x, &[batch, inner], &lanes, from, &mut row);
            }
            let n = row.len() as f32;
            let mu = canon(reduce::sum(k, &row) / n);
            let mut square = [0f32];
            row.iter_mut().for_each(|x| *x -= mu);
            reduce::sum_rows(k, &row, row.len(), &mut square, |d| d * d);
            let v = canon(square[0] / n);
            let a = scale[c] / sqrt(v + self.epsilon);
            for (b, d) in row.chunks_exact(inner.max(1)).enumerate() {
                let to = &mut y[(b * channels + c) * inner..][..inner];
                for (y, d) in to.iter_mut().zip(d) {
                    *y = canon(d * a + bias[c]);
                }
            }
            let m = self.momentum;
            means[c] = canon(mean[c] * m + mu * (1.0 - m));
            vars[c] = canon(var[c] * m + v * (1.0 - m));
        }
        let named = plan.outputs.iter().zip([y, means, vars]);
        named.map(|(d, v)| tensor(&d.shape, v)).collect()
    }
}
